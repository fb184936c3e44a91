"""The rule-based annotator of the pocket world: its oracle judges both branches."""

from __future__ import annotations

from collections.abc import Mapping

from critic_engine.pocket.board import Board
from critic_engine.pocket.oracle import Judgement, check
from critic_engine.roles.annotator import Annotated, Annotation, Parting
from critic_engine.types import Problem


class PocketAnnotator:
    """Annotates a wrong path with the oracle's verdict; it needs the row's column ``board``.

    An annotation that cannot explain the difference is marked: the right path is wrong at its own first step, or the
    two share a wrong step.
    """

    name = "pocket_rules"
    """Name in reports."""

    async def annotate(
        self, problem: Problem, parting: Parting, *, seed: int, extras: Mapping[str, object]
    ) -> Annotated:
        """Return the oracle's annotation, at no cost."""
        try:
            board = Board.from_code(str(extras.get("board")))
            right = check(problem.question, board, parting.shared + parting.right[:1])
            wrong = check(problem.question, board, parting.shared + parting.wrong)
        except ValueError:
            return Annotated((Annotation(None, "", "not_pocket"),))
        return Annotated((_annotation(right, wrong, parting),))


def _annotation(right: Judgement, wrong: Judgement, parting: Parting) -> Annotation:
    if wrong.first_wrong is None:
        return Annotation(None, "", "misses_error")
    reason = wrong.verdicts[wrong.first_wrong - 1].reason
    if wrong.first_wrong <= len(parting.shared):
        return Annotation(wrong.first_wrong, reason, "blames_shared_steps")
    return Annotation(wrong.first_wrong, reason, "blames_right_path" if right.first_wrong is not None else None)
