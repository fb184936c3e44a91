import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from critic_engine.backends.factory import make_generator
from critic_engine.backends.huggingface.generator import HuggingFaceGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.images.loading import load_image
from critic_engine.pocket.oracle import claims_of
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.prompts import critic_prompt
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


def answer(
    request: GenerationRequest, model: str = "pocket", role: Literal["reasoner", "critic"] = "reasoner"
) -> Generation:
    generator = make_generator(ModelConfig(model=model), role)
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


def test_shipped_prose_pair_solves_and_judges_in_words_that_the_oracle_reads(
    ask: Callable[..., GenerationRequest],
) -> None:
    (problem,) = make_problems("dev", 1, 0)
    board = load_image(problem.png())
    solution = answer(ask(problem.question, images=(board,), max_tokens=240), "pocket:prose").samples[0]
    steps = solution.text.split("\n")
    assert solution.finish_reason == "stop"
    assert all(claims_of(step) for step in steps)
    assert problem.check(steps).answer is not None
    prompt = critic_prompt(problem.question, steps=("so a1 holds nothing", "then 2 plus 2 gives 5"))
    reply = answer(ask(prompt, images=(board,), max_tokens=32), "pocket:prose", "critic").samples[0].text
    assert reply.startswith("wrong step ")
    assert claims_of(reply.partition(" : ")[2])
