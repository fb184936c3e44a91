"""One problem's tree as a labelled run stores it, its finished paths by outcome, and the critic's values of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critic_engine.config.engine import EngineConfig
from critic_engine.data.harvest.finding_kinds import PATHS
from critic_engine.data.harvest.paths import FinishedPath, TreePaths, count_outcomes, read_paths
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.errors import RunError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, ProblemRow
from search import ReplayError


@dataclass(frozen=True, slots=True)
class TreeCount:
    """The finished paths of one tree."""

    paths: TreePaths
    values: tuple[tuple[float, bool], ...] = ()
    """The critic's value of each right or wrong path, and whether it is right; empty if no critic alone values them."""


@dataclass(frozen=True, slots=True)
class StoredTree:
    """Record of one problem's tree in a labelled run."""

    position: int
    row: ProblemRow | FailedRow
    events: Sequence[Mapping[str, Any]]
    """Its log; empty where ``paths`` tells all that is asked."""
    paths: TreePaths | None
    """Its finding; None if there is none that counts the rollouts."""

    @classmethod
    async def read(cls, store: RunStore, position: int, config: EngineConfig) -> "StoredTree":
        """Return one problem's tree, read on the thread that runs this coroutine."""
        found = store.findings.get(position, PATHS)
        paths = None if found is None or found.content.num_rollouts is None else found.content
        is_told = paths is not None and config.evaluator.kind != "critic"
        return cls(position, store.row(position), () if is_told else store.events(position), paths)

    def count(self, config: EngineConfig, checker: Checker) -> TreeCount | None:
        """Return the finished paths by outcome, by the finding or else by a replay of the log; None without a problem.

        Raises:
            RunError: the log is of another version.
        """
        if isinstance(self.row, FailedRow):
            return None
        if self.paths is not None and not self.events:
            return TreeCount(self.paths)
        try:
            tree = logged_tree(config, self.row.problem, self.events)
        except ReplayError as error:
            raise RunError(f"the log of row {self.position + 1} is not of this version: {error}") from error
        splitter = StepSplitter(config.expander)
        paths = read_paths(tree, self.row.problem, checker=checker, splitter=splitter)
        values = _values(paths) if config.evaluator.kind == "critic" else ()
        return TreeCount(self.paths or count_outcomes(paths), values)


def _values(paths: Iterable[FinishedPath]) -> tuple[tuple[float, bool], ...]:
    ends = ((path.node.value, path.is_right) for path in paths)
    return tuple((value, is_right) for value, is_right in ends if value is not None and is_right is not None)
