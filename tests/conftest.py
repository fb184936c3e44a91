import pytest

from critic_engine.types import Image, Problem


@pytest.fixture
def image() -> Image:
    return Image(b"board", "image/png", 96, 96)


@pytest.fixture
def problem(image: Image) -> Problem:
    return Problem("how many red circles ?", images=(image,))
