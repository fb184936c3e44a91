"""A weak step is written anew, and stands so only if its value is higher."""

import asyncio
from collections.abc import Sequence

import pytest

from critic_engine.config.search import ExpanderConfig
from critic_engine.episode.revision import Judged, Reviser
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext
from critic_engine.types import Critique, Failure, RejectedSibling, TokenUsage, Trajectory

BASE = Trajectory(("row 1 : a1 none",))
OLD = RejectedSibling("old", Critique("wrong : old", "wrong", 0.1))
DOWN = Failure(0, "reasoner_error", "down")


def continuation(step: str) -> Continuation:
    return Continuation((step,), is_rewrite=False, is_finished=False, answer=None, prior=None)


def judged(step: str, value: float | None) -> Judged:
    critique = None if value is None else Critique(f"wrong : {step}", "wrong", value)
    return Judged(continuation(step), Evaluation(value, critique, TokenUsage(9, 2)), TokenUsage(9, 2))


def sibling(step: str, value: float) -> RejectedSibling:
    return RejectedSibling(step, Critique(f"wrong : {step}", "wrong", value))


class Desk:
    """Writes the rewrites it was given, one a try, and judges them; None is a try that fails."""

    def __init__(self, rewrites: Sequence[tuple[str, float | None] | None]) -> None:
        self._rewrites = rewrites
        self.contexts: list[ExpansionContext] = []
        self.num_judged = 0

    async def rewrite(self, context: ExpansionContext, attempt: int) -> tuple[Expansion, tuple[Failure, ...]]:
        self.contexts.append(context)
        assert attempt == len(self.contexts)
        rewrite = self._rewrites[attempt - 1]
        if rewrite is None:
            return Expansion((), TokenUsage()), (DOWN,)
        return Expansion((continuation(rewrite[0]),), TokenUsage(100, 30)), ()

    async def judge(self, rewritten: Continuation, attempt: int) -> Judged:
        self.num_judged += 1
        rewrite = self._rewrites[attempt - 1]
        assert rewrite is not None
        return judged(*rewrite)


def revise(desk: Desk, first: Judged, context: ExpansionContext | None = None, **options: object) -> Judged:
    config = ExpanderConfig.model_validate({"max_revisions": 3, "revise_below": 0.5, **options})
    reviser = Reviser(config, rewrite=desk.rewrite, judge=desk.judge)
    return asyncio.run(reviser.revise(first, context or ExpansionContext(BASE)))


def test_a_rewrite_of_higher_value_stands_and_remembers_what_it_replaced() -> None:
    desk = Desk([("b", 0.9)])
    result = revise(desk, judged("a", 0.1))
    assert (result.continuation, result.evaluation.value) == (continuation("b"), 0.9)
    assert result.revised_from == (sibling("a", 0.1),)
    assert result.usage.generated_tokens == 2 + 30 + 2


def test_tries_end_when_the_step_is_weak_no_longer() -> None:
    desk = Desk([("b", 0.3), ("c", 0.5), ("d", 1.0)])
    result = revise(desk, judged("a", 0.1))
    assert result.continuation == continuation("c")
    assert result.revised_from == (sibling("a", 0.1), sibling("b", 0.3))
    assert len(desk.contexts) == 2


def test_the_value_never_falls_and_every_try_is_paid_for() -> None:
    desk = Desk([("b", 0.1), ("c", 0.2), ("d", None)])
    result = revise(desk, judged("a", 0.2))
    assert (result.continuation, result.evaluation.value, result.revised_from) == (continuation("a"), 0.2, ())
    assert result.usage.generated_tokens == 2 + 3 * (30 + 2)


def test_a_try_that_fails_is_counted_and_the_next_one_made() -> None:
    result = revise(Desk([None, ("b", 0.9)]), judged("a", 0.1))
    assert result.continuation == continuation("b")
    assert result.failures == (DOWN,)


def test_a_rewrite_of_the_same_words_is_not_judged() -> None:
    desk = Desk([("a", 0.9), ("a", 0.9), ("a", 0.9)])
    assert revise(desk, judged("a", 0.1)).evaluation.value == 0.1
    assert desk.num_judged == 0


@pytest.mark.parametrize(
    "first",
    [
        judged("a", None),
        judged("a", 0.5),
        Judged(continuation("a"), Evaluation(0.1, None, TokenUsage())),
        Judged(Continuation((), False, True, "7", None), Evaluation(0.1, OLD.critique, TokenUsage())),
    ],
    ids=["unknown", "not weak", "no critique", "no step"],
)
def test_what_is_not_known_to_be_weak_or_why_is_not_revised(first: Judged) -> None:
    desk = Desk([])
    assert revise(desk, first) == first
    assert desk.contexts == []


def test_without_revisions_nothing_is_tried() -> None:
    desk = Desk([])
    assert revise(desk, judged("a", 0.0), max_revisions=0) == judged("a", 0.0)
    assert desk.contexts == []


def test_the_weak_step_is_shown_as_the_latest_rejected_one() -> None:
    desk = Desk([("b", 0.3), ("c", 0.2), ("d", 0.9)])
    concern = Critique("wrong step 1", "wrong", 0.4, 1)
    revise(desk, judged("a", 0.1), ExpansionContext(BASE, critique=concern, rejected=(OLD,)), max_rejected=3)
    assert [context.rejected for context in desk.contexts] == [
        (OLD, sibling("a", 0.1)),
        (OLD, sibling("a", 0.1), sibling("b", 0.3)),
        (OLD, sibling("a", 0.1), sibling("b", 0.3)),
    ]
    assert {(context.trajectory, context.critique) for context in desk.contexts} == {(BASE, concern)}


def test_the_weak_step_is_shown_even_where_no_siblings_are() -> None:
    desk = Desk([("b", 0.9)])
    revise(desk, judged("a", 0.1), ExpansionContext(BASE, rejected=(OLD,)), max_rejected=0)
    assert desk.contexts[0].rejected == (sibling("a", 0.1),)
