import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.search import ExpanderConfig, ReasonerConfig
from critic_engine.episode.node_state import continuation_key, extend
from critic_engine.errors import ContextOverflowError, GenerationError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Continuation, Expansion, ExpansionContext, GenerationRequest, Sample, TokenLogprob
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import Critique, Problem, RejectedSibling, SamplingOptions, TokenUsage, Trajectory

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


def steps(
    reasoner: Reasoner, problem: Problem, context: ExpansionContext, *, seeds: int = 1, **options: Any
) -> Expansion:
    work = reasoner.next_steps(problem, context, seeds=tuple(range(seeds)), options=ExpanderConfig(**options))
    return asyncio.run(work)


def solutions(reasoner: Reasoner, problem: Problem, *, seeds: int = 1, **options: Any) -> Expansion:
    return asyncio.run(reasoner.solve(problem, seeds=tuple(range(seeds)), options=ExpanderConfig(**options)))


def test_solution_is_split_into_steps_with_its_answer(make: Make, problem: Problem) -> None:
    reasoner, generator = make([ended("row 1 : a1 none\n\n red : 0 \nanswer : 3")], temperature=0.5, top_p=0.9)
    expansion = solutions(reasoner, problem)
    exact = ("row 1 : a1 none\n", "\n red : 0 \n", "answer : 3")
    assert expansion == Expansion(
        (Continuation(("row 1 : a1 none", "red : 0", "answer : 3"), False, True, "3", None, exact, 5),),
        TokenUsage(6, 5),
    )
    request = generator.requests[0]
    assert request.messages == (PromptFamily.load("pocket").solve(problem),)
    assert request.prefix == ""
    assert request.seeds == (0,)
    assert request.sampling == SamplingOptions(temperature=0.5, top_p=0.9, max_tokens=1024, num_top_logprobs=0)


def test_solution_cut_by_the_token_limit_is_unfinished_and_has_no_answer(make: Make, problem: Problem) -> None:
    reasoner, _ = make([cut("red : 1\nanswer : 1")])
    (continuation,) = solutions(reasoner, problem).continuations
    assert continuation == Continuation(
        ("red : 1", "answer : 1"), False, False, None, None, ("red : 1\n", "answer : 1"), 5
    )


def test_solution_that_the_model_ended_without_an_answer_is_finished_without_one(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended("row 1 : a1 none")])
    (continuation,) = solutions(reasoner, problem).continuations
    assert (continuation.is_finished, continuation.answer) == (True, None)


def test_samples_without_text_are_counted_and_left_out(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended(" \n\n"), ended("answer : 2"), ended("")], [ended(""), stopped("a"), ended(" ")])
    whole = solutions(reasoner, problem, seeds=3)
    assert (len(whole.continuations), whole.num_unreadable, whole.usage) == (1, 2, TokenUsage(6, 15))
    step = steps(reasoner, problem, ExpansionContext(Trajectory()), seeds=3)
    assert (len(step.continuations), step.num_unreadable, step.usage) == (1, 2, TokenUsage(6, 15))


def test_next_step_goes_on_from_the_steps_so_far(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("row 3 : a3 none"), stopped("row 3 : a3 red circle")])
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), seeds=2)
    assert expansion.continuations == (
        Continuation(("row 3 : a3 none",), False, False, None, None, num_tokens=5),
        Continuation(("row 3 : a3 red circle",), False, False, None, None, num_tokens=5),
    )
    request = generator.requests[0]
    assert request.messages == (PromptFamily.load("pocket").solve(problem),)
    assert request.prefix == "row 1 : a1 none\nrow 2 : a2 none\n"
    assert request.seeds == (0, 1)
    assert request.sampling == SamplingOptions(temperature=0.7, max_tokens=128, stop=("\n",), num_top_logprobs=0)


def test_steps_are_stopped_by_the_delimiter_that_is_set(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("c", "\n\n")], max_tokens=20)
    trajectory = Trajectory(("a", "b"), texts=("a\n\n", " b\n\n"))
    (continuation,) = steps(
        reasoner, problem, ExpansionContext(trajectory), delimiter="\n\n", max_step_tokens=30
    ).continuations
    assert (continuation.steps, continuation.texts) == (("c",), ("c\n\n",))
    assert generator.requests[0].prefix == "a\n\n b\n\n"
    assert generator.requests[0].sampling.stop == ("\n\n",)
    assert generator.requests[0].sampling.max_tokens == 20


def test_a_step_cut_by_the_token_limit_is_gone_on_with_where_it_was_cut(make: Make, problem: Problem) -> None:
    reasoner, generator = make([cut(" red : 1 + 0 =")], [stopped(" 1")])
    (first,) = steps(reasoner, problem, ExpansionContext(STEPS)).continuations
    assert (first.steps, first.texts) == (("red : 1 + 0 =",), (" red : 1 + 0 =",))
    (rest,) = steps(reasoner, problem, ExpansionContext(extend(STEPS, first))).continuations
    assert (rest.steps, rest.texts) == (("1",), (" 1\n",))
    assert generator.requests[1].prefix == "row 1 : a1 none\nrow 2 : a2 none\n red : 1 + 0 ="


def test_without_stop_strings_a_step_is_what_the_token_limit_gives(make: Make, problem: Problem) -> None:
    reasoner, generator = make([cut("red : 1\n so the"), ended(" answer : 1")])
    first, last = steps(
        reasoner, problem, ExpansionContext(STEPS), seeds=2, split="tokens", max_step_tokens=30
    ).continuations
    assert (first.steps, first.texts, first.is_finished) == (("red : 1\n so the",), ("red : 1\n so the",), False)
    assert (last.steps, last.texts, last.is_finished, last.answer) == (("answer : 1",), (" answer : 1",), True, "1")
    assert generator.requests[0].sampling.stop == ()
    assert generator.requests[0].sampling.max_tokens == 30


@pytest.mark.parametrize(
    ("begun", "rest", "answer"),
    [
        ("so it is.\nans", ended("wer : 14"), "14"),
        ("answer : 1", ended("4"), "14"),
        ("answer : 1", ended(" 4"), "1 4"),
        ("final answer", ended(" is\n7"), "7"),
        ("answer : 1", cut("4"), None),
    ],
)
def test_an_answer_cut_between_two_steps_is_read_from_the_joined_text(
    begun: str, rest: Sample, answer: str | None, make: Make, problem: Problem
) -> None:
    reasoner, _ = make([cut(begun)], [rest])
    (first,) = steps(reasoner, problem, ExpansionContext(STEPS), split="tokens").continuations
    assert (first.is_finished, first.answer) == (False, None)
    (last,) = steps(reasoner, problem, ExpansionContext(extend(STEPS, first)), split="tokens").continuations
    assert (last.is_finished, last.answer) == (answer is not None, answer)


def test_an_answer_cut_in_a_line_is_read_when_the_line_ends(make: Make, problem: Problem) -> None:
    reasoner, _ = make([cut("answer : 1")], [stopped("4")])
    (first,) = steps(reasoner, problem, ExpansionContext(STEPS)).continuations
    (last,) = steps(reasoner, problem, ExpansionContext(extend(STEPS, first))).continuations
    assert (last.steps, last.is_finished, last.answer) == (("4",), True, "14")


def test_a_heading_is_shown_with_its_step_and_stops_the_one_before(make: Make, problem: Problem) -> None:
    reasoner, generator = make(
        [stopped("Step 1: look", "\nStep 2:")], [cut(" red")], [stopped(" : 3", "\nStep 3:")], [ended(" answer : 3")]
    )
    trajectory, shown = Trajectory(), []
    for _ in range(4):
        (continuation,) = steps(reasoner, problem, ExpansionContext(trajectory), split="template").continuations
        trajectory = extend(trajectory, continuation)
        shown += continuation.steps
    assert shown == ["Step 1: look", "Step 2: red", ": 3", "Step 3: answer : 3"]
    assert [request.prefix for request in generator.requests] == [
        "",
        "Step 1: look\nStep 2:",
        "Step 1: look\nStep 2: red",
        "Step 1: look\nStep 2: red : 3\nStep 3:",
    ]
    stops = [request.sampling.stop[0] for request in generator.requests]
    assert stops == ["\nStep 2:", "\nStep 3:", "\nStep 3:", "\nStep 4:"]
    assert (trajectory.is_finished, trajectory.answer) == (True, "3")


def test_samples_that_begin_with_the_same_heading_share_the_request_behind_it(make: Make, problem: Problem) -> None:
    reasoner, generator = make(
        [stopped("", "### "), stopped("first\n", "### "), stopped("", "### ")],
        [stopped("a\n", "### "), stopped("b\n", "### ")],
    )
    expansion = steps(
        reasoner, problem, ExpansionContext(Trajectory()), seeds=3, split="template", step_template="### "
    )
    assert [continuation.steps for continuation in expansion.continuations] == [("### a",), ("first",), ("### b",)]
    assert [request.seeds for request in generator.requests] == [(0, 1, 2), (0, 2)]
    assert generator.requests[1].prefix == "### "


def test_a_sentence_goes_on_behind_an_abbreviation_within_its_limit(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("See Fig", ". ")], [stopped(" 2 for it", ". ")])
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), split="sentence", max_step_tokens=30)
    (continuation,) = expansion.continuations
    assert (continuation.steps, continuation.texts) == (("See Fig. 2 for it.",), ("See Fig. 2 for it.",))
    assert expansion.usage.generated_tokens == 10
    assert [request.sampling.max_tokens for request in generator.requests] == [30, 25]
    assert generator.requests[1].prefix.endswith("\nSee Fig.")


def test_a_delimiter_that_comes_about_only_where_texts_join_is_survived(make: Make, problem: Problem) -> None:
    reasoner, _ = make([stopped("-", "--")])
    begun = Trajectory(("-",), texts=("-",))
    (continuation,) = steps(reasoner, problem, ExpansionContext(begun), delimiter="--").continuations
    assert (continuation.texts, continuation.is_finished) == (("---",), False)


def test_a_failure_in_the_middle_of_a_step_leaves_what_was_written(make: Make, problem: Problem) -> None:
    down = GenerationError("down")
    reasoner, _ = make([stopped("See Fig", ". "), stopped("", "\n")], down, down)
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), seeds=2, split="sentence")
    (continuation,) = expansion.continuations
    assert (continuation.steps, continuation.is_finished, continuation.texts) == (("See Fig.",), False, ("See Fig.",))
    assert expansion.num_unreadable == 1


def test_retries_of_a_step_are_counted_though_it_fails_in_the_middle(make: Make, problem: Problem) -> None:
    busy = GenerationError("busy", is_retryable=True)
    reasoner, _ = make(busy, [stopped("See Fig", ". ")], busy, busy, busy, max_attempts=3)
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), split="sentence")
    assert (expansion.usage.num_retries, len(expansion.continuations)) == (3, 1)


def test_a_turn_that_ends_without_more_words_finishes_without_a_step(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended("")], [ended(" ")])
    base = Trajectory(("so the answer is 14",))
    for _ in range(2):
        (continuation,) = steps(reasoner, problem, ExpansionContext(base)).continuations
        assert continuation == Continuation((), False, True, "14", None, num_tokens=5)
    assert extend(base, continuation) == Trajectory(base.steps, True, "14")


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
    (continuation,) = steps(reasoner, problem, ExpansionContext(STEPS)).continuations
    assert (continuation.is_finished, continuation.answer) == (is_finished, answer)


def test_turn_that_ends_after_an_answer_was_cut_off_finds_it_in_the_steps_before(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended("that is all")])
    (continuation,) = steps(reasoner, problem, ExpansionContext(Trajectory(("answer : 14",)))).continuations
    assert (continuation.is_finished, continuation.answer) == (True, "14")


def test_prior_is_the_probability_of_the_sample(make: Make, problem: Problem) -> None:
    logs = (math.log(0.5), math.log(0.25), math.log(0.8))
    reasoner, _ = make(
        [ended("a", logprobs=logs), ended("b", logprobs=(1e-9,)), ended("c"), ended("d", logprobs=(math.nan,))]
    )
    priors = [continuation.prior for continuation in solutions(reasoner, problem, seeds=4).continuations]
    assert priors == [pytest.approx(0.1), 1.0, None, None]


def test_rejected_siblings_are_shown_in_the_order_of_the_place(make: Make, problem: Problem) -> None:
    old, new = Critique("wrong step 3 : old", "wrong", 0.1, 3), Critique("wrong step 3 : new", "wrong", 0.1, 3)
    rejected = (RejectedSibling("two", old), RejectedSibling("one", new))
    reasoner, generator = make([stopped("three")], [stopped("three")])
    steps(reasoner, problem, ExpansionContext(STEPS, rejected=rejected))
    steps(reasoner, problem, ExpansionContext(STEPS))
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
    steps(reasoner, problem, ExpansionContext(STEPS, critique=critique))
    text = generator.requests[0].messages[0].text
    assert (text != PromptFamily.load("plain").solve(problem).text) is is_shown
    assert (WRONG.words in text) is is_shown


def test_nothing_of_the_critic_is_shown_unless_guided(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("x")], family="plain")
    context = ExpansionContext(STEPS, critique=WRONG, rejected=(RejectedSibling("one", WRONG),))
    steps(reasoner, problem, context, is_critic_guided=False)
    assert generator.requests[0].messages == (PromptFamily.load("plain").solve(problem),)


def test_rewrite_shows_the_former_solution_and_its_critique(make: Make, problem: Problem) -> None:
    reasoner, generator = make([ended("row 1 : a1 none\nanswer : 1")])
    work = reasoner.rewrite(problem, STEPS, WRONG, base=Trajectory(), seeds=(7,), options=ExpanderConfig())
    (continuation,) = asyncio.run(work).continuations
    assert continuation == Continuation(("row 1 : a1 none", "answer : 1"), False, True, "1", None, num_tokens=5)
    assert generator.requests[0].messages[0].text == (
        "how many red circles ?\nsolution :\nrow 1 : a1 none\nrow 2 : a2 none\n"
        "critique :\nwrong step 2 : a2 is red circle"
    )
    assert generator.requests[0].prefix == ""


def test_retryable_failure_is_tried_again_with_the_same_request(make: Make, problem: Problem) -> None:
    busy = GenerationError("busy", is_retryable=True)
    reasoner, generator = make(busy, busy, [ended("answer : 3")], max_attempts=3)
    assert solutions(reasoner, problem).continuations[0].answer == "3"
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
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), seeds=len(texts))
    assert len(expansion.continuations) + expansion.num_unreadable == len(texts)
    assert all(not continuation.is_finished for continuation in expansion.continuations[:3])


def test_blank_lines_before_a_step_are_skipped_and_their_tokens_counted(make: Make, problem: Problem) -> None:
    reasoner, generator = make([stopped("red : 1"), stopped(" ")], [cut("")], [stopped("red : 2")])
    expansion = steps(reasoner, problem, ExpansionContext(STEPS), seeds=2)
    assert [continuation.steps for continuation in expansion.continuations] == [("red : 1",), ("red : 2",)]
    assert expansion.num_unreadable == 0
    assert expansion.usage.generated_tokens == 20
    begun = "row 1 : a1 none\nrow 2 : a2 none\n"
    assert [request.prefix for request in generator.requests] == [begun, begun + " \n", begun + " \n"]
    assert [continuation.texts for continuation in expansion.continuations] == [None, (" \nred : 2\n",)]
    assert [request.seeds for request in generator.requests] == [(0, 1), (1,), (1,)]


def test_a_model_that_writes_nothing_but_blank_lines_is_unreadable(make: Make, problem: Problem) -> None:
    reasoner, generator = make(*[[stopped("")]] * 4)
    expansion = steps(reasoner, problem, ExpansionContext(STEPS))
    assert (expansion.continuations, expansion.num_unreadable) == ((), 1)
    assert len(generator.requests) == 4


def test_completion_goes_on_from_the_exact_text_and_answers_from_the_whole(make: Make, problem: Problem) -> None:
    reasoner, generator = make([ended("4\nso it is"), cut("4"), ended(""), ended("5\nanswer : 2")])
    begun = Trajectory(("a", "answer : 1"), texts=("a\n", "answer : 1"))
    work = reasoner.finish(problem, begun, seeds=(0, 1, 2, 3), options=ExpanderConfig())
    expansion = asyncio.run(work)
    assert expansion.continuations == (
        Continuation(("4", "so it is"), False, True, "14", None, num_tokens=5),
        Continuation(("4",), False, False, None, None, ("4",), 5),
        Continuation((), False, True, "1", None, num_tokens=5),
        Continuation(("5", "answer : 2"), False, True, "2", None, num_tokens=5),
    )
    assert generator.requests[0].prefix == "a\nanswer : 1"


def test_completion_shows_the_heading_it_goes_on_from(make: Make, problem: Problem) -> None:
    reasoner, _ = make([ended(" b\nStep 3: answer : 1")])
    begun = Trajectory(("Step 1: a",), texts=("Step 1: a\nStep 2:",))
    work = reasoner.finish(problem, begun, seeds=(0,), options=ExpanderConfig(split="template"))
    (continuation,) = asyncio.run(work).continuations
    assert (continuation.steps, continuation.answer) == (("Step 2: b", "Step 3: answer : 1"), "1")


THOUGHT = "<think>\nWe look. answer : 9\n\n</think>\n\n"


def thoughtful(text: str, *, thought: str = THOUGHT, stop: str | None = None, finish: str = "stop") -> Sample:
    tokens = (TokenLogprob("x", math.log(0.5)),) * 2
    return Sample(text, 40, "length" if finish == "length" else "stop", stop, tokens if text else (), thought)


def test_a_thought_goes_into_the_prefix_and_nowhere_else(make: Make, problem: Problem) -> None:
    reasoner, generator = make(
        [thoughtful("row 1", stop="\n"), stopped("row 1")], [thoughtful("answer : 3", thought="hm</think>", stop="\n")]
    )
    first, plain = steps(reasoner, problem, ExpansionContext(Trajectory()), seeds=2).continuations
    assert (first.steps, first.texts, first.prior) == (("row 1",), (f"{THOUGHT}row 1\n",), pytest.approx(0.25))
    assert (first.is_finished, first.num_tokens) == (False, 40)
    assert continuation_key(first, "") == continuation_key(plain, "")
    begun = extend(Trajectory(), first)
    (last,) = steps(reasoner, problem, ExpansionContext(begun)).continuations
    assert generator.requests[1].prefix == f"{THOUGHT}row 1\n"
    assert (last.steps, last.is_finished, last.answer) == (("answer : 3",), True, "3")


def test_a_solution_is_read_behind_its_thought(make: Make, problem: Problem) -> None:
    reasoner, _ = make(
        [thoughtful("a\nanswer : 3"), thoughtful("a"), thoughtful("a\n<think>\nanswer : 9\n</think>\nanswer : 4")]
    )
    whole, unanswered, again = solutions(reasoner, problem, seeds=3).continuations
    assert (whole.steps, whole.answer, whole.texts) == (("a", "answer : 3"), "3", (f"{THOUGHT}a\n", "answer : 3"))
    assert (unanswered.steps, unanswered.answer) == (("a",), None)
    assert (again.steps, again.answer) == (("a", "answer : 4"), "4")


@pytest.mark.parametrize("thought", ["<think>We look", "We look, for the template opened it"])
@pytest.mark.parametrize("finish", ["length", "stop"])
def test_a_thought_without_text_is_unreadable(thought: str, finish: str, make: Make, problem: Problem) -> None:
    sample = thoughtful("", thought=thought, finish=finish)
    reasoner, _ = make([sample], [sample], [sample])
    for base in (Trajectory(), STEPS):
        expansion = steps(reasoner, problem, ExpansionContext(base))
        assert (expansion.continuations, expansion.num_unreadable) == ((), 1)
        assert (expansion.num_cut, len(expansion.cut_by)) == (finish == "length",) * 2
    expansion = solutions(reasoner, problem)
    assert (expansion.num_unreadable, expansion.num_cut) == (1, finish == "length")


def test_a_turn_that_ends_behind_a_thought_finishes_what_was_written(make: Make, problem: Problem) -> None:
    reasoner, _ = make([thoughtful("")])
    (continuation,) = steps(reasoner, problem, ExpansionContext(Trajectory(("answer : 14",)))).continuations
    assert (continuation.steps, continuation.is_finished, continuation.answer) == ((), True, "14")


FRAGMENTS = [
    *("so", " x", "Then ", "the cat ", "3.14", "\n", "\n", ". ", ".", "! ", "? ", "。", "e.g. ", "Fig. 2", "J. Doe"),
    *("\n1. ", "\n### ", "#", "Step ", "\nStep 2: ", "\nStep 3: ", "Step 4:", "--", "-"),
]


@pytest.mark.parametrize(
    "options",
    [
        {"split": "delimiter"},
        {"split": "delimiter", "delimiter": "\n\n"},
        {"split": "delimiter", "delimiter": "--"},
        {"split": "sentence"},
        {"split": "template"},
        {"split": "template", "step_template": "### "},
    ],
    ids=lambda options: " ".join(options.values()),
)
def test_step_by_step_a_text_is_cut_as_it_is_cut_when_whole(options: dict[str, Any], problem: Problem) -> None:
    rng = random.Random(7)
    num_compared = num_steps = 0
    for _ in range(150):
        text = "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 20)))
        trajectory = asyncio.run(write(text, problem, ExpanderConfig(max_step_tokens=1000, **options)))
        if trajectory is None:
            continue  # too many blank stops in a row
        num_compared += 1
        num_steps += len(trajectory.steps)
        splitter = StepSplitter(ExpanderConfig(**options))
        assert trajectory.steps == splitter.steps(text)
        assert text.startswith(trajectory.prefix)
        assert not text[len(trajectory.prefix) :].replace("Step 2:", "").replace("Step 3:", "").strip("- \n#.。!?")
    assert num_compared > 110
    assert num_steps > num_compared + 15


@pytest.mark.parametrize(
    "expander",
    [
        {"split": "delimiter"},
        {"split": "delimiter", "delimiter": "--"},
        {"split": "sentence"},
        {"split": "template"},
        {"split": "template", "step_template": "### "},
        {"split": "tokens"},
    ],
    ids=lambda expander: " ".join(expander.values()),
)
def test_cut_anywhere_the_texts_joined_are_what_the_model_wrote(expander: dict[str, Any], problem: Problem) -> None:
    rng = random.Random(8)
    num_cut = 0
    for _ in range(100):
        text = " ".join("".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 20))).split()) + " the end is 7"
        options = ExpanderConfig(max_step_tokens=rng.randrange(1, 4), **expander)
        trajectory = asyncio.run(write(text, problem, options))
        if trajectory is not None:
            num_cut += len(trajectory.steps) > 1
            assert trajectory.is_finished
            assert trajectory.prefix == text
    assert num_cut > 75


async def write(text: str, problem: Problem, options: ExpanderConfig) -> Trajectory | None:
    """Return what comes of asking a model that would write ``text`` for one step after another."""

    def rest(request: GenerationRequest, seed: int) -> str:
        assert text.startswith(request.prefix)
        return text[len(request.prefix) :]

    reasoner = Reasoner(ScriptedGenerator(rest), PromptFamily.load("pocket"), ReasonerConfig())
    trajectory = Trajectory()
    while not trajectory.is_finished:
        expansion = await reasoner.next_steps(problem, ExpansionContext(trajectory), seeds=(0,), options=options)
        if not expansion.continuations:
            return None
        trajectory = extend(trajectory, expansion.continuations[0])
    return trajectory
