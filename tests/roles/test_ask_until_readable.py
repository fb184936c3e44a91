"""The retry loop of the roles: its bound, its seeds, and that the tokens of every text are counted."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.errors import ContextOverflowError, GenerationError, ParseError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.roles.ask_until_readable import Reading, ask_until_readable
from critic_engine.types import Message, SamplingOptions, TokenUsage

MESSAGES = (Message("user", "one two three"),)
REQUEST = GenerationRequest(MESSAGES, sampling=SamplingOptions(temperature=0.9), seeds=(4, 5))
BUSY = GenerationError("busy", is_retryable=True)
Listed = Callable[..., Any]


def texts(*words: str) -> list[Sample]:
    return [Sample(word, num_tokens=2, finish_reason="stop") for word in words]


def read(generation: Generation) -> list[str]:
    words = [sample.text for sample in generation.samples]
    if "bad" in words:
        raise ParseError("a word is bad", text="bad")
    return words


def ask(generator: Any, *, max_attempts: int, request: GenerationRequest = REQUEST) -> Reading[list[str]]:
    return asyncio.run(ask_until_readable(generator, request, read, max_attempts=max_attempts))


def test_a_readable_text_is_asked_for_once(listed: Listed) -> None:
    generator = listed(texts("a", "b"))
    assert ask(generator, max_attempts=3) == Reading(["a", "b"], TokenUsage(4, 4), 0)
    assert generator.requests == [REQUEST]


def test_the_tokens_of_unreadable_texts_and_the_retries_are_summed(listed: Listed) -> None:
    generator = listed(texts("bad", "b"), BUSY, texts("a", "bad"), texts("a", "b"))
    reading = ask(generator, max_attempts=4)
    assert reading == Reading(["a", "b"], TokenUsage(12, 12, num_retries=1), 2, ("a word is bad",) * 2)


def test_an_unreadable_text_is_drawn_again_with_other_seeds_and_a_failed_request_sent_as_it_was(listed: Listed) -> None:
    generator = listed(BUSY, texts("bad", "b"), BUSY, texts("bad", "b"), texts("a", "b"))
    ask(generator, max_attempts=5)
    first, second, third, fourth, fifth = generator.requests
    assert first == second == REQUEST
    assert third == fourth
    seeds = [seed for request in (first, third, fifth) for seed in request.seeds]
    assert len(set(seeds)) == 6
    assert {request.messages for request in generator.requests} == {MESSAGES}


@pytest.mark.parametrize(("temperature", "again"), [(0.0, 0.7), (0.7, 0.7), (0.9, 0.9)])
def test_a_text_is_drawn_again_at_a_temperature_of_at_least_seven_tenths(
    temperature: float, again: float, listed: Listed
) -> None:
    generator = listed(texts("bad"), texts("a"))
    request = GenerationRequest(MESSAGES, sampling=SamplingOptions(temperature=temperature))
    ask(generator, max_attempts=2, request=request)
    assert [each.sampling.temperature for each in generator.requests] == [temperature, again]


def test_without_a_readable_text_the_error_carries_the_usage_of_all_attempts(listed: Listed) -> None:
    generator = listed(texts("bad", "b"), BUSY, texts("bad", "b"), texts("a", "b"))
    with pytest.raises(ParseError, match="scripted: a word is bad") as caught:
        ask(generator, max_attempts=3)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.text, error.usage, error.num_unreadable) == ("bad", TokenUsage(8, 8, num_retries=1), 2)


@pytest.mark.parametrize("fault", [BUSY, ContextOverflowError("too long")])
def test_a_failure_behind_an_unreadable_text_keeps_the_cost_of_the_text(fault: GenerationError, listed: Listed) -> None:
    with pytest.raises(ParseError) as caught:
        ask(listed(texts("bad", "b"), fault), max_attempts=2)
    assert (caught.value.usage, caught.value.num_unreadable) == (TokenUsage(4, 4), 1)


@pytest.mark.parametrize(("faults", "num_retries"), [((BUSY,) * 3, 2), ((BUSY, ContextOverflowError("long")), 1)])
def test_a_failure_for_good_carries_its_retries(
    faults: tuple[GenerationError, ...], num_retries: int, listed: Listed
) -> None:
    for _ in range(2):
        with pytest.raises(type(faults[-1])) as caught:
            ask(listed(*faults), max_attempts=3)
        assert pickle.loads(pickle.dumps(caught.value)).usage.num_retries == num_retries


def test_the_cost_of_failed_requests_is_summed_with_that_of_the_texts(listed: Listed) -> None:
    billed = GenerationError("garbled", is_retryable=True, usage=TokenUsage(10, 3, num_requests=1))
    assert ask(listed(billed, texts("a", "b")), max_attempts=2).usage == TokenUsage(14, 7, 0, 1, 1)
    for _ in range(2):
        with pytest.raises(GenerationError) as caught:
            ask(listed(billed, billed), max_attempts=2)
        assert caught.value.usage == TokenUsage(20, 6, 0, 1, 2)
    with pytest.raises(ParseError) as refused:
        ask(listed(texts("bad", "b"), billed), max_attempts=2)
    assert refused.value.usage == TokenUsage(14, 7, 0, 0, 1)


def test_a_failure_for_good_is_not_retried(listed: Listed) -> None:
    generator = listed(ContextOverflowError("too long"), texts("a", "b"))
    with pytest.raises(ContextOverflowError):
        ask(generator, max_attempts=3)
    assert len(generator.requests) == 1


def test_a_lost_replica_passes_through(listed: Listed) -> None:
    class Lost:
        name = "lost"

        async def generate(self, request: GenerationRequest) -> Generation:
            raise ReplicaLostError("it is gone")

    with pytest.raises(ReplicaLostError):
        ask(Lost(), max_attempts=3)


def test_at_least_one_attempt_is_needed(listed: Listed) -> None:
    with pytest.raises(ValueError, match="max_attempts is 0"):
        ask(listed(texts("a")), max_attempts=0)
