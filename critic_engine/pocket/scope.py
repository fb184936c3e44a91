"""The questions that the pocket models can be asked: a board, and words of their world; a warning of all others."""

import logging

from critic_engine.pocket.vocabulary import WORD_IDS, words_of
from critic_engine.types import FailedRow, Problem, ProblemRow

_logger = logging.getLogger(__name__)
_NUM_SHOWN = 3


def out_of_scope(problem: Problem) -> str | None:
    """Return why the pocket models cannot be expected to answer, in one clause; None if they can."""
    unknown = [word for word in dict.fromkeys(words_of(problem.question)) if word not in WORD_IDS]
    if unknown:
        shown = ", ".join(repr(word[:40]) for word in unknown[:_NUM_SHOWN])
        return f"it does not know {shown}{', …' if len(unknown) > _NUM_SHOWN else ''}"
    if len(problem.images) != 1:
        return f"the problem has {len(problem.images)} images in place of one board"
    return None


class ScopeWarning:
    """Warns of the first problem that the pocket models cannot be expected to answer, once."""

    def __init__(self, *, is_on: bool) -> None:
        """Check problems only if ``is_on``: the reasoner is the shipped one."""
        self._is_on = is_on

    def check(self, problem: Problem) -> None:
        """Warn if this is the first such problem."""
        if self._is_on and (reason := out_of_scope(problem)) is not None:
            self._is_on = False
            _logger.warning(
                "the pocket reasoner knows only the boards and words of the pocket world, so its answers to other "
                "questions mean nothing: %s (%r); name another model by --reasoner and --critic, or by reasoner.model "
                "and critic.model",
                reason,
                problem.question[:60],
            )

    def checked(self, row: ProblemRow | FailedRow) -> ProblemRow | FailedRow:
        """Return the row, its problem checked."""
        if isinstance(row, ProblemRow):
            self.check(row.problem)
        return row
