"""Revision: the reasoner rewrites a weak step guided by its critique; the rewrite is kept if its value is higher.

The conditional step-level self-refinement of arXiv 2507.15512, with the critique of the evaluator in place of a
self-critique.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from critic_engine.config.search import ExpanderConfig
from critic_engine.episode.node_state import continuation_key
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext
from critic_engine.types import Failure, RejectedSibling, TokenUsage


@dataclass(frozen=True, slots=True)
class Judged:
    """A continuation, its evaluation, and the cost and failures of both."""

    continuation: Continuation
    evaluation: Evaluation
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Spent to evaluate and revise it; the first draft is not included."""
    failures: tuple[Failure, ...] = ()
    revised_from: tuple[RejectedSibling, ...] = ()
    """Weak steps that it replaced, in order."""


@dataclass(frozen=True, slots=True)
class Reviser:
    """Rewrites a weak step at most ``max_revisions`` times, until it is no longer weak.

    A step is weak if its value is known and below ``revise_below``. A step without a critique is not revised, because
    there is nothing to guide the reasoner. The value never falls.
    """

    options: ExpanderConfig
    rewrite: Callable[[ExpansionContext, int], Awaitable[tuple[Expansion, tuple[Failure, ...]]]]
    """Drafts a step; it gets the attempt's number, from 1."""
    judge: Callable[[Continuation, int], Awaitable[Judged]]
    """Evaluates a draft; it gets the attempt's number too."""

    async def revise(self, judged: Judged, context: ExpansionContext) -> Judged:
        """Return the best revision of a step offered in ``context``, with the cost of all attempts."""
        asked: set[tuple[RejectedSibling, ...]] = set()
        for attempt in range(1, self.options.max_revisions + 1):
            weak = self._weak_step(judged)
            if weak is None:
                break
            shown = (*context.rejected, *judged.revised_from, weak)[-max(1, self.options.max_rejected) :]
            revised = replace(context, rejected=shown, is_repeated=shown in asked)
            asked.add(shown)
            judged = await self._try(judged, weak, revised, attempt)
        return judged

    def _weak_step(self, judged: Judged) -> RejectedSibling | None:
        value, critique = judged.evaluation.value, judged.evaluation.critique
        if value is None or value >= self.options.revise_below or critique is None or not judged.continuation.steps:
            return None
        return RejectedSibling("\n".join(judged.continuation.steps), critique)

    async def _try(self, judged: Judged, weak: RejectedSibling, context: ExpansionContext, attempt: int) -> Judged:
        expansion, failures = await self.rewrite(context, attempt)
        judged = _with_cost(judged, expansion.usage, failures)
        for continuation in expansion.continuations:
            behind = context.trajectory.prefix
            if continuation_key(continuation, behind) == continuation_key(judged.continuation, behind):
                continue
            revised = await self.judge(continuation, attempt)
            judged = _with_cost(judged, revised.usage, revised.failures)
            if _is_higher(revised.evaluation.value, judged.evaluation.value):
                revised_from = (*judged.revised_from, weak)
                judged = replace(
                    judged, continuation=continuation, evaluation=revised.evaluation, revised_from=revised_from
                )
        return judged


def _with_cost(judged: Judged, usage: TokenUsage, failures: tuple[Failure, ...]) -> Judged:
    return replace(judged, usage=judged.usage + usage, failures=judged.failures + failures)


def _is_higher(value: float | None, than: float | None) -> bool:
    return value is not None and than is not None and value > than
