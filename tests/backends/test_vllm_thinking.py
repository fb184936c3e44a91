"""vLLM's engine sets thoughts apart as the transformers backend does."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from critic_engine.backends.vllm.generator import VllmGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.types import ChatOptions
from tests.backends.families import FAMILIES, THINKING, save_script
from tests.backends.thinking import TEXT, WORDS, request, writing

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

_T = TypeVar("_T")
Run = Callable[[Coroutine[Any, Any, _T]], _T]


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """What vLLM leaves open is found while its warnings are let pass."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def run() -> Iterator[Run[Any]]:
    """Run a coroutine to its end in one event loop, that of the engine."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def vllm(run: Run[Any], family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmGenerator]:
    """The script of a family in an engine."""
    folder: Path = tmp_path_factory.mktemp("scripts") / family
    save_script(folder, FAMILIES[family], writing(family).whole)
    config = ModelConfig.model_validate({"backend": "vllm"})
    generator = VllmGenerator(config, section="reasoner", model=str(folder))
    run(generator.load())
    yield generator
    run(generator.aclose())


def answers(run: Run[Any], vllm: VllmGenerator, *requests: GenerationRequest) -> list[Generation]:
    async def ask() -> list[Generation]:
        return await asyncio.gather(*map(vllm.generate, requests))

    return list(run(ask()))


def test_thoughts_and_texts_are_set_apart(run: Run[Any], vllm: VllmGenerator, family: str) -> None:
    script = writing(family)
    asked = [
        request(num_top_logprobs=2),
        request(stop=("\n",)),
        request(stop=("answer:", ".")),
        request(max_tokens=2, num_top_logprobs=0),
        request(max_tokens=4, temperature=0.001, seeds=(1, 2)),
    ]
    whole, line, early, cut, drawn = answers(run, vllm, *asked)
    (sample,) = whole.samples
    assert (sample.thought, sample.text, sample.finish_reason) == (script.thought, TEXT, "stop")
    assert whole.usage.generated_tokens == sample.num_tokens
    assert sample.tokens is not None
    assert "".join(token.text for token in sample.tokens).endswith(FAMILIES[family].end)
    assert sample.tokens[0].top[0][0] == sample.tokens[0].text
    (sample,) = line.samples
    assert (sample.thought, sample.text, sample.stop) == (script.thought, TEXT.partition("\n")[0], "\n")
    (sample,) = early.samples
    assert (sample.thought, sample.text, sample.stop) == (script.thought, TEXT.partition(".")[0], ".")
    (sample,) = cut.samples
    assert sample.finish_reason == "length"
    assert TEXT.startswith(sample.text)
    assert sample.tokens is not None
    assert len(sample.tokens) == 2
    assert [one.text for one in drawn.samples] == [drawn.samples[0].text] * 2
    assert drawn.usage.prompt_tokens == whole.usage.prompt_tokens


def test_steps_go_on_exactly(run: Run[Any], vllm: VllmGenerator, family: str) -> None:
    script = writing(family)
    for options in ({"stop": ("\n",)}, {"max_tokens": 5}):
        prefix, finish = "", "length"
        while finish == "length":
            (sample,) = answers(run, vllm, request(prefix=prefix, **options))[0].samples
            prefix += sample.thought + sample.text + (sample.stop or "")
            finish = "length" if sample.stop else sample.finish_reason
            assert "\N{REPLACEMENT CHARACTER}" not in prefix
        assert prefix == script.whole


def test_thought_has_a_limit_of_its_own(run: Run[Any], vllm: VllmGenerator, family: str) -> None:
    if family not in THINKING:
        return
    limited = request(stop=("\n",), chat=ChatOptions(max_thought_tokens=9))
    (sample,) = answers(run, vllm, limited)[0].samples
    assert (sample.text, sample.num_tokens, sample.finish_reason) == ("", 9, "length")
    assert (FAMILIES[family].opening + WORDS).startswith(sample.thought)
