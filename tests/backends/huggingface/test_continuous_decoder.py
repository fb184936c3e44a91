"""Rows that come and go, beside the model's own ``generate``."""

import asyncio
import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.generator import BatchGenerator, HuggingFaceGenerator
from critic_engine.backends.huggingface.slots import SlotCache, StateLayout
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.types import Image

Ask = Callable[..., GenerationRequest]


def answers(
    checkpoint: Checkpoint, *rounds: Sequence[GenerationRequest], size: int = 64, num_bytes: int = 2**20
) -> list[list[Generation]]:
    """Send the requests of one round at once, and one round after another."""

    async def run() -> list[list[Generation]]:
        generator = HuggingFaceGenerator(
            lambda: BatchGenerator(checkpoint, max_batch_size=size, max_prefix_bytes=num_bytes),
            name="tiny",
            max_batch_size=size,
        )
        try:
            return [list(await asyncio.gather(*map(generator.generate, requests))) for requests in rounds]
        finally:
            await generator.aclose()

    return asyncio.run(run())


def picture(color: str) -> Image:
    content = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), color).save(content, format="PNG")
    return Image(content.getvalue(), "image/png", 32, 32)


def samples(generations: list[list[Generation]]) -> list[Any]:
    return [generation.samples for each in generations for generation in each]


def texts(generations: list[list[Generation]]) -> list[str]:
    return [sample.text for each in samples(generations) for sample in each]


def is_alike(one: Any, other: Any) -> bool:
    """Return whether samples are equal up to the rounding of their log-probabilities."""
    bare = [[dataclasses.replace(sample, tokens=None) for sample in each] for each in (one, other)]
    logprobs = [[token.logprob for sample in each for token in sample.tokens or ()] for each in (one, other)]
    return bare[0] == bare[1] and logprobs[0] == pytest.approx(logprobs[1], abs=1e-3)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_samples_are_those_of_generate(text_checkpoint: Checkpoint, ask: Ask, size: int) -> None:
    requests = [
        ask(
            f"question {number % 5}",
            temperature=number % 3,
            max_tokens=4 + number,
            seeds=(number, 99),
            num_top_logprobs=2,
        )
        for number in range(12)
    ]
    ours = answers(text_checkpoint, requests, requests, size=size)
    plain = answers(text_checkpoint, requests, requests, num_bytes=0)
    assert all(is_alike(one, other) for one, other in zip(samples(ours), samples(plain), strict=True))


def test_samples_about_images_are_those_of_generate(vision_checkpoint: Checkpoint, ask: Ask) -> None:
    red, blue = picture("red"), picture("blue")
    requests = [ask("what is it", images=images, max_tokens=12) for images in ((red,), (blue,), (), (red, red))]
    ours, plain = answers(vision_checkpoint, requests, requests), answers(vision_checkpoint, requests, num_bytes=0)
    assert texts(ours) == texts(plain) * 2
    assert [generation.usage.cached_tokens for generation in ours[0]] == [0] * 4
    assert [g.usage.cached_tokens for g in ours[1]] == [g.usage.prompt_tokens - 1 for g in ours[1]]


def test_text_that_was_written_is_not_read_again(text_checkpoint: Checkpoint, ask: Ask) -> None:
    first = ask("how many?", max_tokens=20)
    ((written,),) = answers(text_checkpoint, [first])
    goes_on = ask("how many?", max_tokens=5, prefix=written.samples[0].text)
    (_, (after,)), ((alone,),) = answers(text_checkpoint, [first], [goes_on]), answers(text_checkpoint, [goes_on])
    assert after.samples == alone.samples
    assert after.usage.cached_tokens > alone.usage.cached_tokens == 0
    # Some of the text may have other tokens when it is read.
    assert after.usage.cached_tokens > written.usage.prompt_tokens


def test_row_that_ends_makes_room_for_one_that_waits(text_checkpoint: Checkpoint, ask: Ask) -> None:
    ended: list[str] = []

    async def run() -> None:
        generator = HuggingFaceGenerator(
            lambda: BatchGenerator(text_checkpoint, max_batch_size=2), name="tiny", max_batch_size=2
        )

        async def one(name: str, num_tokens: int) -> None:
            await generator.generate(ask(name, max_tokens=num_tokens, temperature=1.0))
            ended.append(name)

        for warm_up in ("a", "b"):
            await one(warm_up, 1)
        await asyncio.gather(one("long", 60), one("short", 2), one("next", 2))
        await generator.aclose()

    asyncio.run(run())
    assert ended[2:] == ["short", "next", "long"]


class Noisy:
    """A model whose scores are others where it is given states of former tokens."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **inputs: Any) -> Any:
        outputs = self._model(**inputs)
        if "past_key_values" in inputs:
            outputs.logits = outputs.logits.flip(-1)
        return outputs


def test_model_whose_scores_differ_with_kept_states_is_left_to_generate(text_checkpoint: Checkpoint, ask: Ask) -> None:
    requests = [ask(f"question {number}", temperature=1.0, seeds=(number,)) for number in range(4)]
    noisy = dataclasses.replace(text_checkpoint, model=Noisy(text_checkpoint.model))
    generations = answers(noisy, requests, requests)
    assert samples(generations) == samples(answers(text_checkpoint, requests, requests, num_bytes=0))
    assert {each.usage.cached_tokens for of_round in generations for each in of_round} == {0}


def test_model_that_attends_to_a_window_is_left_to_generate(text_checkpoint: Checkpoint, ask: Ask) -> None:
    torch.manual_seed(0)
    config = text_checkpoint.model.config
    sizes = {name: getattr(config, name) for name in ("vocab_size", "hidden_size", "intermediate_size", "pad_token_id")}
    windowed = MistralForCausalLM(
        MistralConfig(**sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, sliding_window=4)
    ).eval()
    windowed.generation_config = text_checkpoint.model.generation_config
    checkpoint = dataclasses.replace(text_checkpoint, model=windowed)
    requests = [ask(f"question {number}", temperature=1.0, seeds=(number,)) for number in range(4)]
    generations = answers(checkpoint, requests, requests)
    assert samples(generations) == samples(answers(checkpoint, requests, requests, num_bytes=0))
    assert {each.usage.cached_tokens for of_round in generations for each in of_round} == {0}


def test_row_may_begin_without_states() -> None:
    layout = StateLayout(heads=(2, 2), sizes=(8, 6))
    cache = SlotCache(layout, torch.zeros(0, 14))
    cache.put(0, torch.zeros(0, 14))
    assert [tuple(part.shape) for part in layout.split(torch.zeros(1, 0, 14))] == [(1, 2, 0, 4), (1, 2, 0, 3)]
    assert cache.lengths == [0]


def test_states_beyond_the_limit_are_dropped_while_rows_still_join(text_checkpoint: Checkpoint, ask: Ask) -> None:
    warm_up = [[ask(f"warm {number}", max_tokens=1)] for number in range(2)]
    names = ("first", "second", "third", "first")
    # The long one runs all the time; of the others, each joins when the one before has ended.
    rows = [ask("long", max_tokens=60), *(ask(name, max_tokens=2) for name in names)]
    found = answers(text_checkpoint, *warm_up, rows, size=2, num_bytes=1)[-1]
    assert [generation.usage.cached_tokens for generation in found] == [0] * 5


def test_model_whose_frequencies_change_with_the_longest_row_is_left_to_generate(
    text_checkpoint: Checkpoint, ask: Ask
) -> None:
    torch.manual_seed(0)
    config = text_checkpoint.model.config
    sizes = {name: getattr(config, name) for name in ("vocab_size", "hidden_size", "intermediate_size", "pad_token_id")}
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    dynamic = MistralForCausalLM(
        MistralConfig(
            **sizes,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            sliding_window=None,
            max_position_embeddings=64,
            rope_parameters=rope,
        )
    ).eval()
    dynamic.generation_config = text_checkpoint.model.generation_config
    checkpoint = dataclasses.replace(text_checkpoint, model=dynamic)
    requests = [ask("question", max_tokens=4)]
    generations = answers(checkpoint, requests, requests)
    assert {each.usage.cached_tokens for of_round in generations for each in of_round} == {0}
