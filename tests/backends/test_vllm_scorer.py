"""Reward models score in vLLM's engine as they do in transformers, or are refused in one sentence."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.checkpoint import CheckpointOptions
from critic_engine.backends.huggingface.scorer import HuggingFaceScorer, load_scorer
from critic_engine.backends.vllm.scorer import VllmScorer
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.protocols import Scorer
from critic_engine.types import Image, Message

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

CONVERSATIONS = [
    (Message("user", "how many red shapes?" + " and blue" * (number % 3)), Message("assistant", "one\n" * number + "2"))
    for number in range(7)
]
REFUSED = [
    (Message("user", "how many?"), Message("assistant", "one " * 200)),
    (Message("user", "how many?<end>"), Message("assistant", "one")),
]


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """What vLLM leaves open is found while its warnings are let pass."""
    yield
    gc.collect()


@pytest.fixture
def reward_folder(text_folder: Path, tmp_path: Path) -> Path:
    """A Llama of random weights that gives one number, whose heads are as wide as vLLM's CPU engine needs them."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

    config = AutoConfig.from_pretrained(text_folder, num_labels=1, head_dim=32)
    torch.manual_seed(3)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(text_folder).save_pretrained(tmp_path)
    return tmp_path


def vllm_scorer(folder: Path) -> VllmScorer:
    return VllmScorer(ModelConfig(backend="vllm"), section="reward_model", model=str(folder))


def scores(scorer: Scorer, conversations: list[tuple[Message, ...]]) -> list[Any]:
    async def work() -> list[Any]:
        try:
            return await asyncio.gather(*map(scorer.score, conversations), return_exceptions=True)
        finally:
            await scorer.aclose()

    return asyncio.run(work())


def test_values_are_those_of_the_transformers_backend(reward_folder: Path, make_image: Callable[[int], Image]) -> None:
    found = scores(vllm_scorer(reward_folder), [*CONVERSATIONS, *REFUSED])
    options = CheckpointOptions(str(reward_folder), device="cpu")
    wanted = scores(HuggingFaceScorer(lambda: load_scorer(options), name="tiny", max_batch_size=8), CONVERSATIONS)
    assert [score.num_prompt_tokens for score in found[:-2]] == [score.num_prompt_tokens for score in wanted]
    assert [score.value for score in found[:-2]] == pytest.approx([score.value for score in wanted], abs=1e-4)
    assert len({round(score.value, 4) for score in wanted}) == len(wanted)
    too_long, control = found[-2:]
    assert isinstance(too_long, ContextOverflowError)
    assert too_long.max_context_tokens == 160
    assert isinstance(control, GenerationError)
    assert "holds <end>" in str(control)


def test_chat_model_without_the_head_is_refused(text_folder: Path) -> None:
    (error,) = scores(vllm_scorer(text_folder), CONVERSATIONS[:1])
    assert isinstance(error, ModelLoadError)
    assert str(text_folder) in str(error)
    assert "\n" not in str(error)
