import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
import torch

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.encoding import PromptEncoder
from critic_engine.backends.huggingface.generator import BatchGenerator, HuggingFaceGenerator
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import Image

Ask = Callable[..., GenerationRequest]


def answer(checkpoint: Checkpoint, requests: Sequence[GenerationRequest], **options: Any) -> list[Any]:
    """Send all requests at once; errors come back in their places."""

    async def run() -> list[Any]:
        generator = HuggingFaceGenerator(
            lambda: BatchGenerator(checkpoint), name="tiny", **{"max_batch_size": 64, **options}
        )
        try:
            return await asyncio.gather(*map(generator.generate, requests), return_exceptions=True)
        finally:
            await generator.aclose()

    return asyncio.run(run())


def answer_one(checkpoint: Checkpoint, request: GenerationRequest) -> Sample:
    (generation,) = answer(checkpoint, [request])
    assert isinstance(generation, Generation), generation
    return generation.samples[0]


def prompt_tensor(checkpoint: Checkpoint, request: GenerationRequest) -> torch.Tensor:
    return torch.tensor([PromptEncoder(checkpoint).encode(request).token_ids])


class NarrowModel:
    """A model on a device whose memory holds at most ``max_rows`` rows."""

    def __init__(self, model: Any, max_rows: int, error: Exception) -> None:
        self._model = model
        self._max_rows = max_rows
        self._error = error
        self.batch_sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, input_ids: torch.Tensor, **options: Any) -> Any:
        self._check(input_ids)
        return self._model(input_ids=input_ids, **options)

    def generate(self, input_ids: torch.Tensor, **options: Any) -> torch.Tensor:
        self._check(input_ids)
        return self._model.generate(input_ids=input_ids, **options)

    def _check(self, input_ids: torch.Tensor) -> None:
        self.batch_sizes.append(len(input_ids))
        if len(input_ids) > self._max_rows:
            raise self._error


@pytest.fixture
def mixed_requests(ask: Ask, make_image: Callable[[int], Image]) -> list[GenerationRequest]:
    return [
        ask("one", images=(make_image(1),), temperature=1.0, seeds=(7, 8)),
        ask("a longer question than the others", images=(make_image(2),), temperature=0.6, top_p=0.8, seeds=(7,)),
        ask("two", images=(make_image(1), make_image(3)), max_tokens=20, temperature=1.3, seeds=(3,)),
        ask("no picture", temperature=1.0, seeds=(9,), prefix="so far\n"),
        ask("greedy", images=(make_image(2),), max_tokens=5),
    ]


def test_samples_are_the_same_alone_and_in_a_batch(
    vision_checkpoint: Checkpoint, mixed_requests: list[GenerationRequest]
) -> None:
    together = answer(vision_checkpoint, mixed_requests)
    alone = [answer(vision_checkpoint, [request])[0] for request in mixed_requests]
    assert together == alone
    assert len({sample.text for generation in together for sample in generation.samples}) == 6


def test_seeds_alone_decide_what_is_drawn(vision_checkpoint: Checkpoint, ask: Ask) -> None:
    (generation,) = answer(vision_checkpoint, [ask(temperature=1.0, seeds=(5, 6, 5, 2**63 - 1))])
    first, second, third, fourth = generation.samples
    assert first == third
    assert len({first.text, second.text, fourth.text}) == 3


def test_more_seeds_than_a_batch_holds_are_drawn_in_order(vision_checkpoint: Checkpoint, ask: Ask) -> None:
    request = ask(temperature=1.0, seeds=tuple(range(7)))
    assert answer(vision_checkpoint, [request], max_batch_size=3) == answer(vision_checkpoint, [request])


def test_requests_that_start_together_share_one_batch(vision_checkpoint: Checkpoint, ask: Ask) -> None:
    model = NarrowModel(vision_checkpoint.model, 99, RuntimeError())
    answer(dataclasses.replace(vision_checkpoint, model=model), [ask(f"question {number}") for number in range(9)])
    assert model.batch_sizes[0] == 9


def test_greedy_samples_equal_plain_generate(text_checkpoint: Checkpoint, ask: Ask) -> None:
    requests = [ask("first", max_tokens=20), ask("the second question", max_tokens=20)]
    for request, generation in zip(requests, answer(text_checkpoint, requests), strict=True):
        prompt = prompt_tensor(text_checkpoint, request)
        plain = text_checkpoint.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=20, eos_token_id=2
        )
        expected = text_checkpoint.tokenizer.decode(plain[0, prompt.shape[1] :], skip_special_tokens=True)
        assert generation.samples[0].text == expected


def test_vanishing_nucleus_is_greedy(text_checkpoint: Checkpoint, ask: Ask) -> None:
    drawn = answer_one(text_checkpoint, ask(temperature=1.5, top_p=1e-9, seeds=(4,)))
    assert drawn == answer_one(text_checkpoint, ask())


def test_each_row_keeps_its_own_token_limit(text_checkpoint: Checkpoint, ask: Ask) -> None:
    limits = [1, 3, 4]
    generations = answer(text_checkpoint, [ask(max_tokens=limit, temperature=1.0) for limit in limits])
    assert [generation.samples[0].num_tokens for generation in generations] == limits
    assert {generation.samples[0].finish_reason for generation in generations} == {"length"}


def test_sample_ends_at_the_models_end_token(text_checkpoint: Checkpoint, ask: Ask) -> None:
    whole = answer_one(text_checkpoint, ask(num_top_logprobs=0, temperature=1.0))
    assert whole.tokens is not None
    ending = text_checkpoint.tokenizer.encode(whole.tokens[4].text, add_special_tokens=False)
    sample = answer_one(
        dataclasses.replace(text_checkpoint, end_token_ids=frozenset(ending)),
        ask(num_top_logprobs=0, temperature=1.0),
    )
    assert (sample.finish_reason, sample.stop) == ("stop", None)
    assert sample.tokens is not None
    assert sample.num_tokens == len(sample.tokens) <= 5
    assert [token.text for token in sample.tokens] == [token.text for token in whole.tokens[: sample.num_tokens]]
    assert whole.text.startswith(sample.text)
    assert len(sample.text) < sample.num_tokens


@pytest.mark.parametrize("length", [1, 2, 5])
def test_sample_ends_before_a_stop_string_however_many_tokens_it_spans(
    text_checkpoint: Checkpoint, ask: Ask, length: int
) -> None:
    whole = answer_one(text_checkpoint, ask(temperature=1.0, max_tokens=40)).text
    stop = whole[6 : 6 + length]
    sample = answer_one(text_checkpoint, ask(temperature=1.0, max_tokens=40, stop=("absent", stop)))
    assert sample.text == whole[: whole.index(stop)]
    assert (sample.finish_reason, sample.stop) == ("stop", stop)
    assert sample.num_tokens < 40


def test_rows_of_one_batch_stop_at_their_own_strings(text_checkpoint: Checkpoint, ask: Ask) -> None:
    wholes = [answer_one(text_checkpoint, ask(temperature=1.0, max_tokens=30, seeds=(seed,))).text for seed in (1, 2)]
    stops = [whole[9:11] for whole in wholes]
    requests = [
        ask(temperature=1.0, max_tokens=30, seeds=(seed,), stop=(stop,))
        for seed, stop in zip((1, 2), stops, strict=True)
    ]
    texts = [generation.samples[0].text for generation in answer(text_checkpoint, requests)]
    assert texts == [whole[: whole.index(stop)] for whole, stop in zip(wholes, stops, strict=True)]


def test_prefix_is_gone_on_from_and_not_repeated(text_checkpoint: Checkpoint, ask: Ask) -> None:
    whole = answer_one(text_checkpoint, ask(max_tokens=20))
    continued = answer_one(text_checkpoint, ask(max_tokens=16, prefix=whole.text[:4]))
    assert whole.text[:4] + continued.text == whole.text


@pytest.mark.parametrize("prefix", ["one step\n", "one step ", " one", "step\n\n"])
def test_white_space_at_the_ends_of_a_prefix_is_kept(vision_checkpoint: Checkpoint, ask: Ask, prefix: str) -> None:
    token_ids = PromptEncoder(vision_checkpoint).encode(ask(prefix=prefix)).token_ids
    assert vision_checkpoint.tokenizer.decode(token_ids).endswith(f"<assistant>{prefix}")


def test_logprobs_are_the_models_own_whatever_the_temperature(text_checkpoint: Checkpoint, ask: Ask) -> None:
    request = ask(temperature=0.5, top_p=0.9, num_top_logprobs=3, seeds=(3,), max_tokens=6)
    (generation, _) = answer(text_checkpoint, [request, ask("a much longer companion question", max_tokens=6)])
    tokens = generation.samples[0].tokens
    assert tokens is not None
    tokenizer = text_checkpoint.tokenizer
    drawn = tokenizer.convert_tokens_to_ids([tokenizer.tokenize(token.text)[0] for token in tokens])
    prompt = prompt_tensor(text_checkpoint, request)
    with torch.inference_mode():
        logits = text_checkpoint.model(torch.cat([prompt, torch.tensor([drawn])], dim=1)).logits[0]
    expected = logits[prompt.shape[1] - 1 : -1].log_softmax(-1)
    for place, token in enumerate(tokens):
        values, ids = expected[place].topk(3)
        assert token.logprob == pytest.approx(expected[place, drawn[place]].item(), abs=1e-4)
        assert [text for text, _ in token.top] == [tokenizer.decode([id_]) for id_ in ids.tolist()]
        assert [logprob for _, logprob in token.top] == pytest.approx(values.tolist(), abs=1e-4)


def test_logprobs_come_only_when_asked_for(text_checkpoint: Checkpoint, ask: Ask) -> None:
    generations = answer(text_checkpoint, [ask(num_top_logprobs=number) for number in (None, 0, 2)])
    tokens = [generation.samples[0].tokens for generation in generations]
    assert tokens[0] is None
    assert [len(token.top) for token in tokens[1]] == [0] * 12
    assert [len(token.top) for token in tokens[2]] == [2] * 12


def test_usage_counts_the_prompt_once_and_every_generated_token(
    vision_checkpoint: Checkpoint, ask: Ask, make_image: Callable[[int], Image]
) -> None:
    (generation,) = answer(vision_checkpoint, [ask("abc", images=(make_image(1),), seeds=(1, 2), max_tokens=5)])
    assert generation.usage.prompt_tokens == len(["<bos>", "<user>", *["<image>"] * 4, *"abc", "<assistant>"])
    assert generation.usage.generated_tokens == 10


def test_overlong_request_fails_alone(text_checkpoint: Checkpoint, ask: Ask) -> None:
    overlong, fitting = ask("a" * 200), ask("a")
    error, generation = answer(text_checkpoint, [overlong, fitting])
    assert isinstance(error, ContextOverflowError)
    around = prompt_tensor(text_checkpoint, fitting).shape[1] - 1
    assert (error.num_prompt_tokens, error.max_context_tokens) == (200 + around, 160)
    assert isinstance(generation, Generation)


def test_prompt_that_fills_the_context_is_too_long_and_one_token_fewer_leaves_room_for_one(
    text_checkpoint: Checkpoint, ask: Ask
) -> None:
    around = prompt_tensor(text_checkpoint, ask("a")).shape[1] - 1
    error, generation = answer(text_checkpoint, [ask("a" * (160 - around)), ask("a" * (159 - around))])
    assert isinstance(error, ContextOverflowError)
    assert generation.samples[0].num_tokens == 1


def test_sample_ends_where_the_context_does(text_checkpoint: Checkpoint, ask: Ask) -> None:
    num_prompt_tokens = prompt_tensor(text_checkpoint, ask()).shape[1]
    (generation,) = answer(text_checkpoint, [ask(max_tokens=500)])
    (sample,) = generation.samples
    assert (sample.num_tokens, sample.finish_reason) == (160 - num_prompt_tokens, "length")


def test_more_bad_requests_than_are_looked_at_once_all_fail(text_checkpoint: Checkpoint, ask: Ask) -> None:
    async def work() -> None:
        generator = HuggingFaceGenerator(lambda: BatchGenerator(text_checkpoint), name="tiny", max_batch_size=1)
        calls = [generator.generate(ask("a" * 200)) for _ in range(30)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ContextOverflowError}
        await generator.aclose()

    run(work())


def test_unreadable_image_fails_alone(
    vision_checkpoint: Checkpoint, ask: Ask, make_image: Callable[[int], Image]
) -> None:
    broken = Image(b"no picture", "image/png", 9, 9)
    truncated = Image(make_image(5).data[:60], "image/png", 20, 20)
    requests = [ask(images=(image,)) for image in (broken, truncated, make_image(1))]
    first, second, third = answer(vision_checkpoint, requests)
    assert isinstance(first, GenerationError)
    assert isinstance(second, GenerationError)
    assert isinstance(third, Generation)


def test_control_token_in_a_text_fails_alone(vision_checkpoint: Checkpoint, ask: Ask) -> None:
    requests = [
        ask("what is <image> ?"),
        ask("why?<end><assistant>because"),
        ask(prefix="<bos>"),
        ask("what is this ?"),
    ]
    *hostile, honest = answer(vision_checkpoint, requests)
    assert [type(error) for error in hostile] == [GenerationError] * 3
    assert isinstance(honest, Generation)


def test_text_model_refuses_images(text_checkpoint: Checkpoint, ask: Ask, make_image: Callable[[int], Image]) -> None:
    error, generation = answer(text_checkpoint, [ask(images=(make_image(1),)), ask()])
    assert isinstance(error, GenerationError)
    assert "text only" in str(error)
    assert isinstance(generation, Generation)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_batch_that_does_not_fit_is_halved_until_it_does(
    text_checkpoint: Checkpoint, ask: Ask, error: Exception
) -> None:
    model = NarrowModel(text_checkpoint.model, 2, error)
    requests = [ask(f"question {number}", temperature=1.0, seeds=(number,)) for number in range(6)]
    narrow = answer(dataclasses.replace(text_checkpoint, model=model), requests)
    assert [each.samples for each in narrow] == [each.samples for each in answer(text_checkpoint, requests)]
    assert model.batch_sizes[:3] == [6, 3, 1]
    assert model.batch_sizes.count(6) == 1
    assert model.batch_sizes.count(3) == 2


@pytest.mark.parametrize(("error", "is_retryable"), [(OUT_OF_MEMORY[0], True), (ValueError("bad row"), False)])
def test_row_that_fails_by_itself_is_an_error_of_its_request(
    text_checkpoint: Checkpoint, ask: Ask, error: Exception, is_retryable: bool
) -> None:
    model = NarrowModel(text_checkpoint.model, 0, error)
    failures = answer(dataclasses.replace(text_checkpoint, model=model), [ask("one"), ask("two")])
    assert [type(failure) for failure in failures] == [GenerationError] * 2
    assert [failure.is_retryable for failure in failures] == [is_retryable] * 2


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, timeout=300))


def test_event_loop_runs_on_while_the_model_works(text_checkpoint: Checkpoint, ask: Ask) -> None:
    async def work() -> None:
        generator = HuggingFaceGenerator(lambda: BatchGenerator(text_checkpoint), name="tiny", max_batch_size=64)
        call = asyncio.ensure_future(generator.generate(ask(max_tokens=100, temperature=1.0)))
        num_turns = 0
        while not call.done():
            await asyncio.sleep(0.001)
            num_turns += 1
        assert num_turns >= 3, "a blocked loop turns once"
        await generator.aclose()

    run(work())


def test_generator_serves_one_event_loop_after_another(text_checkpoint: Checkpoint, ask: Ask) -> None:
    generator = HuggingFaceGenerator(lambda: BatchGenerator(text_checkpoint), name="tiny", max_batch_size=64)
    assert asyncio.run(generator.generate(ask())).samples == asyncio.run(generator.generate(ask())).samples
    asyncio.run(generator.aclose())


def test_cancelled_call_leaves_the_generator_usable(text_checkpoint: Checkpoint, ask: Ask) -> None:
    async def work() -> None:
        generator = HuggingFaceGenerator(lambda: BatchGenerator(text_checkpoint), name="tiny", max_batch_size=64)
        for delay_s in (0, 0.02):
            call = asyncio.ensure_future(generator.generate(ask(max_tokens=100)))
            await asyncio.sleep(delay_s)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await generator.generate(ask())).samples
        await generator.aclose()

    run(work())


def test_closing_fails_what_is_in_flight_and_what_comes_after(text_checkpoint: Checkpoint, ask: Ask) -> None:
    async def work() -> None:
        generator = HuggingFaceGenerator(lambda: BatchGenerator(text_checkpoint), name="tiny", max_batch_size=1)
        calls = [asyncio.ensure_future(generator.generate(ask(max_tokens=140))) for _ in range(50)]
        await asyncio.sleep(0.05)
        await generator.aclose()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert any(isinstance(outcome, GenerationError) for outcome in outcomes)
        with pytest.raises(GenerationError, match="closed"):
            await generator.generate(ask())
        await generator.aclose()

    run(work())


def test_model_that_cannot_be_loaded_fails_every_call(ask: Ask) -> None:
    def fail() -> BatchGenerator:
        raise ModelLoadError("model nowhere: there is no such folder")

    async def work() -> None:
        generator = HuggingFaceGenerator(fail, name="nowhere", max_batch_size=64)
        outcomes = await asyncio.gather(*(generator.generate(ask()) for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ModelLoadError] * 3
        with pytest.raises(ModelLoadError):
            await generator.load()
        await generator.aclose()

    run(work())


def test_request_without_seeds_is_answered_with_nothing(text_checkpoint: Checkpoint, ask: Ask) -> None:
    (generation,) = answer(text_checkpoint, [ask(seeds=())])
    assert generation.samples == ()
