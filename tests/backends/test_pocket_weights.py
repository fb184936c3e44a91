import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.backends.factory import make_generator
from critic_engine.backends.huggingface.generator import HuggingFaceGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.types import Image

QUESTION = "how many red circles ?"


@pytest.fixture(scope="module")
def board() -> Image:
    import io

    from PIL import Image as Pictures

    file = io.BytesIO()
    Pictures.new("RGB", (48, 48), (200, 30, 30)).save(file, "PNG")
    return Image(file.getvalue(), "image/png", 48, 48)


def answer(request: GenerationRequest) -> Generation:
    generator = make_generator(ModelConfig(), "reasoner")
    assert isinstance(generator, HuggingFaceGenerator)

    async def work() -> Generation:
        try:
            return await generator.generate(request)
        finally:
            await generator.aclose()

    return asyncio.run(work())


def test_shipped_reasoner_solves_in_lines_and_answers(ask: Callable[..., GenerationRequest], board: Image) -> None:
    generation = answer(ask(QUESTION, images=(board,), max_tokens=160))
    assert generation.samples[0].finish_reason == "stop"
    assert generation.samples[0].text.split("\n")[-1].startswith("answer : ")


def test_shipped_reasoner_writes_step_by_step_what_it_writes_at_once(
    ask: Callable[..., GenerationRequest], board: Image
) -> None:
    request: Any = ask(QUESTION, images=(board,), max_tokens=160)
    whole = answer(request).samples[0].text
    steps = whole.split("\n")
    prefix = f"{steps[0]}\n"
    step = answer(ask(QUESTION, images=(board,), max_tokens=160, prefix=prefix, stop=("\n",))).samples[0]
    assert (step.text, step.stop) == (steps[1], "\n")
