"""Revision: a weak step is written anew in the light of its critique, and stands so if its value is higher.

The conditional step-level self-refinement of arXiv 2507.15512, with the critique of the evaluator in place of a
self-critique.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from critic_engine.config.search import ExpanderConfig
from critic_engine.episode.node_state import continuation_key
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext
from critic_engine.types import Failure, RejectedSibling


@dataclass(frozen=True, slots=True)
class Judged:
    """A continuation, what it is worth, and what it took to come by that."""

    continuation: Continuation
    evaluation: Evaluation
    num_tokens: int = 0
    """Generated after the continuation was: to judge it, and in all tries to revise it."""
    failures: tuple[Failure, ...] = ()
    revised_from: tuple[RejectedSibling, ...] = ()
    """The weak steps that stood in its place before, in order."""


class Reviser:
    """Has a weak step written anew, ``max_revisions`` times at most, until it is weak no longer.

    A step is weak when its value is known and below ``revise_below``; one without a critique gives the reasoner nothing
    to go by and stays. The value never falls.
    """

    def __init__(
        self,
        options: ExpanderConfig,
        *,
        rewrite: Callable[[ExpansionContext, int], Awaitable[tuple[Expansion, tuple[Failure, ...]]]],
        judge: Callable[[Continuation, int], Awaitable[Judged]],
    ) -> None:
        """Take the options, who writes a step at a place and who judges it, both told the number of the try from 1."""
        self._options = options
        self._rewrite = rewrite
        self._judge = judge

    async def revise(self, judged: Judged, context: ExpansionContext) -> Judged:
        """Return what stands in the end of a step that was offered at ``place``, the cost of all tries included."""
        for attempt in range(1, self._options.max_revisions + 1):
            weak = self._weak_step(judged)
            if weak is None:
                break
            shown = (*context.rejected, *judged.revised_from, weak)[-max(1, self._options.max_rejected) :]
            judged = await self._try(judged, weak, replace(context, rejected=shown), attempt)
        return judged

    def _weak_step(self, judged: Judged) -> RejectedSibling | None:
        value, critique = judged.evaluation.value, judged.evaluation.critique
        if value is None or value >= self._options.revise_below or critique is None or not judged.continuation.steps:
            return None
        return RejectedSibling("\n".join(judged.continuation.steps), critique)

    async def _try(self, judged: Judged, weak: RejectedSibling, context: ExpansionContext, attempt: int) -> Judged:
        expansion, failures = await self._rewrite(context, attempt)
        judged = _with_cost(judged, expansion.usage.generated_tokens, failures)
        for continuation in expansion.continuations:
            behind = context.trajectory.prefix
            if continuation_key(continuation, behind) == continuation_key(judged.continuation, behind):
                continue
            revised = await self._judge(continuation, attempt)
            judged = _with_cost(judged, revised.num_tokens, revised.failures)
            if _is_higher(revised.evaluation.value, judged.evaluation.value):
                revised_from = (*judged.revised_from, weak)
                judged = replace(
                    judged, continuation=continuation, evaluation=revised.evaluation, revised_from=revised_from
                )
        return judged


def _with_cost(judged: Judged, num_tokens: int, failures: tuple[Failure, ...]) -> Judged:
    return replace(judged, num_tokens=judged.num_tokens + num_tokens, failures=judged.failures + failures)


def _is_higher(value: float | None, than: float | None) -> bool:
    return value is not None and than is not None and value > than
