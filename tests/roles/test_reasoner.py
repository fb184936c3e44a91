import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.config import ExpanderConfig, ReasonerConfig
from critic_engine.errors import ContextOverflowError, GenerationError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Candidate, Expansion, Place
from critic_engine.reasoner import Reasoner
from critic_engine.types import (
    Critique,
    Problem,
    RejectedSibling,
    Sample,
    SamplingOptions,
    TokenLogprob,
    TokenUsage,
    Trajectory,
)

STEPS = Trajectory(("row 1 : a1 none", "row 2 : a2 none"))
WRONG = Critique("wrong step 2 : a2 is red circle", "wrong", 0.2, 2)
RIGHT = Critique("right", "right", 0.9)


def ended(text: str, *, logprobs: tuple[float, ...] | None = None) -> Sample:
    tokens = None if logprobs is None else tuple(TokenLogprob("x", logprob) for logprob in logprobs)
    return Sample(text, num_tokens=5, finish_reason="stop", tokens=tokens)


def stopped(text: str, stop: str = "\n") -> Sample:
    return Sample(text, num_tokens=5, finish_reason="stop", stop=stop)


def cut(text: str) -> Sample:
    return Sample(text, num_tokens=5, finish_reason="length")


@pytest.fixture
def make(listed: Callable[..., Any]) -> Callable[..., tuple[Reasoner, Any]]:
    def make(*items: Any, family: str = "pocket", **options: Any) -> tuple[Reasoner, Any]:
        generator = listed(*items)
        return Reasoner(generator, PromptFamily.load(family), ReasonerConfig(**options)), generator

    return make


Make = Callable[..., tuple[Reasoner, Any]]


def steps(reasoner: Reasoner, problem: Problem, place: Place, *, seeds: int = 1, **options: Any) -> Expansion:
    work = reasoner.next_steps(problem, place, seeds=tuple(range(seeds)), options=ExpanderConfig(**options))
    return asyncio.run(work)


def solutions(reasoner: Reasoner, problem: Problem, *, seeds: int = 1, **options: Any) -> Expansion:
    return asyncio.run(reasoner.solve(problem, seeds=tuple(range(seeds)), options=ExpanderConfig(**options)))


def test_solution_is_split_into_steps_with_its_answer(make: Make, problem: Problem) -> None:
    reasoner, generator = make([ended("row 1 : a1 none\n\n red : 0 \nanswer : 3")], temperature=0.5, top_p=0.9)
    expansion = solutions(reasoner, problem)
    assert expansion == Expansion(
        (Candidate(("row 1 : a1 none", "red : 0", "answer : 3"), False, True, "3", None),), TokenUsage(6, 5)
    )
    request = generator.requests[0]
    assert request.messages == (PromptFamily.load("pocket").solve(problem),)
    assert request.prefix == ""
    assert request.seeds == (0,)
    assert request.sampling == SamplingOptions(temperature=0.5, top_p=0.9, max_tokens=1024, num_top_logprobs=0)


def test_solution_cut_by_the_token_limit_is_unfinished_and_has_no_answer(make: Make, problem: Problem) -> None:
    reasoner, _ = make([cut("red : 1\nanswer : 1")])
    (candidate,) = solutions(reasoner, problem).candidates
    assert candidate == Candidate(("red : 1", "answer : 1"), False, False, None, None)


def test_solution_that_the_model_ended_without_an_answer_is_finished_without_one(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended("row 1 : a1 none")])
    (candidate,) = solutions(reasoner, problem).candidates
    assert (candidate.is_finished, candidate.answer) == (True, None)


def test_samples_without_text_are_counted_and_left_out(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended(" \n\n"), ended("answer : 2"), ended("")], [ended(""), stopped("a"), cut(" ")])
    whole = solutions(reasoner, problem, seeds=3)
    assert (len(whole.candidates), whole.num_unreadable, whole.usage) == (1, 2, TokenUsage(6, 15))
    step = steps(reasoner, problem, Place(STEPS), seeds=3)
    assert (len(step.candidates), step.num_unreadable, step.usage) == (1, 2, TokenUsage(18, 15))


def test_next_step_goes_on_from_the_steps_so_far(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("row 3 : a3 none"), stopped("row 3 : a3 red circle")])
    expansion = steps(reasoner, problem, Place(STEPS), seeds=2)
    assert expansion.candidates == (
        Candidate(("row 3 : a3 none",), False, False, None, None),
        Candidate(("row 3 : a3 red circle",), False, False, None, None),
    )
    request = generator.requests[0]
    assert request.messages == (PromptFamily.load("pocket").solve(problem),)
    assert request.prefix == "row 1 : a1 none\nrow 2 : a2 none\n"
    assert request.seeds == (0, 1)
    assert request.sampling == SamplingOptions(temperature=0.7, max_tokens=128, stop=("\n",), num_top_logprobs=0)


def test_steps_are_joined_and_stopped_by_the_delimiter_that_is_set(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("c", "\n\n")], max_tokens=20)
    steps(reasoner, problem, Place(STEPS), delimiter="\n\n", max_step_tokens=30)
    assert generator.requests[0].prefix == "row 1 : a1 none\n\nrow 2 : a2 none\n\n"
    assert generator.requests[0].sampling.stop == ("\n\n",)
    assert generator.requests[0].sampling.max_tokens == 20


@pytest.mark.parametrize(
    ("sample", "is_finished", "answer"),
    [
        (stopped("red : 3"), False, None),
        (stopped("answer : 3"), True, "3"),
        (stopped("see if the answer is 3"), False, None),
        (ended("answer : 3"), True, "3"),
        (ended("so the answer is 3"), True, "3"),
        (ended("red : 3"), True, None),
        (cut("red : 3"), False, None),
        (cut("answer : 3"), False, None),
    ],
)
def test_step_finishes_when_the_turn_ends_or_it_states_an_answer(
    sample: Sample, is_finished: bool, answer: str | None, make: Make, problem: Problem
) -> None:
    reasoner, _ = make([sample])
    (candidate,) = steps(reasoner, problem, Place(STEPS)).candidates
    assert (candidate.is_finished, candidate.answer) == (is_finished, answer)


def test_turn_that_ends_after_an_answer_was_cut_off_finds_it_in_the_steps_before(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended("that is all")])
    (candidate,) = steps(reasoner, problem, Place(Trajectory(("answer : 14",)))).candidates
    assert (candidate.is_finished, candidate.answer) == (True, "14")


def test_prior_is_the_probability_of_the_sample(make: Make, problem: Problem) -> None:
    logs = (math.log(0.5), math.log(0.25), math.log(0.8))
    reasoner, _ = make(
        [ended("a", logprobs=logs), ended("b", logprobs=(1e-9,)), ended("c"), ended("d", logprobs=(math.nan,))]
    )
    priors = [candidate.prior for candidate in solutions(reasoner, problem, seeds=4).candidates]
    assert priors == [pytest.approx(0.1), 1.0, None, None]


def test_rejected_siblings_are_shown_in_the_order_of_the_place(make: Make, problem: Problem) -> None:
    old, new = Critique("wrong step 3 : old", "wrong", 0.1, 3), Critique("wrong step 3 : new", "wrong", 0.1, 3)
    rejected = (RejectedSibling("two", old), RejectedSibling("one", new))
    reasoner, generator = make([stopped("three")], [stopped("three")])
    steps(reasoner, problem, Place(STEPS, rejected=rejected))
    steps(reasoner, problem, Place(STEPS))
    assert generator.requests[0].messages[0].text == (
        "how many red circles ?\nrejected :\ntwo\ncritique :\nwrong step 3 : old"
        "\nrejected :\none\ncritique :\nwrong step 3 : new"
    )
    assert generator.requests[0].prefix == "row 1 : a1 none\nrow 2 : a2 none\n"
    assert generator.requests[1].messages[0].text == "how many red circles ?"


@pytest.mark.parametrize(("critique", "is_shown"), [(WRONG, True), (RIGHT, False), (None, False)])
def test_own_critique_is_shown_only_when_it_holds_a_step_wrong(
    critique: Critique | None, is_shown: bool, make: Make, problem: Problem
) -> None:
    reasoner, generator = make([stopped("x")], family="plain")
    steps(reasoner, problem, Place(STEPS, critique=critique))
    text = generator.requests[0].messages[0].text
    assert (text != PromptFamily.load("plain").solve(problem).text) is is_shown
    assert (WRONG.words in text) is is_shown


def test_nothing_of_the_critic_is_shown_unless_guided(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("x")], family="plain")
    place = Place(STEPS, critique=WRONG, rejected=(RejectedSibling("one", WRONG),))
    steps(reasoner, problem, place, is_critic_guided=False)
    assert generator.requests[0].messages == (PromptFamily.load("plain").solve(problem),)


def test_rewrite_shows_the_former_solution_and_its_critique(make: Make, problem: Problem) -> None:
    reasoner, generator = make([ended("row 1 : a1 none\nanswer : 1")])
    work = reasoner.rewrite(problem, STEPS, WRONG, seeds=(7,), options=ExpanderConfig())
    (candidate,) = asyncio.run(work).candidates
    assert candidate == Candidate(("row 1 : a1 none", "answer : 1"), True, True, "1", None)
    assert generator.requests[0].messages[0].text == (
        "how many red circles ?\nsolution :\nrow 1 : a1 none\nrow 2 : a2 none\n"
        "critique :\nwrong step 2 : a2 is red circle"
    )
    assert generator.requests[0].prefix == ""


def test_retryable_failure_is_tried_again_with_the_same_request(make: Make, problem: Problem) -> None:
    busy = GenerationError("busy", is_retryable=True)
    reasoner, generator = make(busy, busy, [ended("answer : 3")], max_attempts=3)
    assert solutions(reasoner, problem).candidates[0].answer == "3"
    assert generator.requests == [generator.requests[0]] * 3


def test_retryable_failure_passes_through_after_the_last_attempt(make: Make, problem: Problem) -> None:
    reasoner, generator = make(*[GenerationError("busy", is_retryable=True)] * 5, max_attempts=3)
    with pytest.raises(GenerationError, match="busy"):
        solutions(reasoner, problem)
    assert len(generator.requests) == 3


def test_failure_that_is_not_retryable_passes_through_at_once(make: Make, problem: Problem) -> None:
    reasoner, generator = make(ContextOverflowError("too long"), max_attempts=3)
    with pytest.raises(ContextOverflowError):
        solutions(reasoner, problem)
    assert len(generator.requests) == 1


def test_hostile_text_becomes_a_step_or_is_counted(make: Make, problem: Problem) -> None:
    texts = ["\x00", "{question} $steps", "\\boxed{" * 1000, "answer :" * 1000, "\u202e\u200b"]
    reasoner, _ = make([stopped(text) for text in texts])
    expansion = steps(reasoner, problem, Place(STEPS), seeds=len(texts))
    assert len(expansion.candidates) + expansion.num_unreadable == len(texts)
    assert all(not candidate.is_finished for candidate in expansion.candidates[:3])


def test_blank_lines_before_a_step_are_skipped_and_their_tokens_counted(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("red : 1"), stopped(" ")], [stopped("")], [stopped("red : 2")])
    expansion = steps(reasoner, problem, Place(STEPS), seeds=2)
    assert [candidate.steps for candidate in expansion.candidates] == [("red : 1",), ("red : 2",)]
    assert expansion.num_unreadable == 0
    assert expansion.usage.generated_tokens == 20
    begun = "row 1 : a1 none\nrow 2 : a2 none\n"
    assert [request.prefix for request in generator.requests] == [begun, begun + "\n", begun + "\n\n"]
    assert [request.seeds for request in generator.requests] == [(0, 1), (1,), (1,)]


def test_a_model_that_writes_nothing_but_blank_lines_is_unreadable(make: Make, problem: Problem) -> None:
    reasoner, generator = make(*[[stopped("")]] * 4)
    expansion = steps(reasoner, problem, Place(STEPS))
    assert (expansion.candidates, expansion.num_unreadable) == ((), 1)
    assert len(generator.requests) == 4
