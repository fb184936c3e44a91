import os

import pytest

from critic_engine.types import Image, Problem

# Matrices as small as the tests' are slower shared out, and very slow beside other work; the processes that tests start
# inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def image() -> Image:
    return Image(b"board", "image/png", 96, 96)


@pytest.fixture
def problem(image: Image) -> Problem:
    return Problem("how many red circles ?", images=(image,))
