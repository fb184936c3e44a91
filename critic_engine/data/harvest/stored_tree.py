"""One problem's tree as a labelled run stores it, and its finished paths by outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critic_engine.config.engine import EngineConfig
from critic_engine.data.harvest.finding_kinds import PATHS
from critic_engine.data.harvest.paths import TreePaths, count_outcomes, read_paths
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.errors import RunError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, ProblemRow
from search import ReplayError


@dataclass(frozen=True, slots=True)
class StoredTree:
    """Record of one problem's tree in a labelled run."""

    position: int
    row: ProblemRow | FailedRow
    events: Sequence[Mapping[str, Any]]
    """Its log; empty where ``paths`` tells all."""
    paths: TreePaths | None
    """Its finding; None if there is none that counts the rollouts."""

    @classmethod
    async def read(cls, store: RunStore, position: int) -> "StoredTree":
        """Return one problem's tree, read on the thread that runs this coroutine."""
        found = store.findings.get(position, PATHS)
        if found is None or found.content.num_rollouts is None:
            return cls(position, store.row(position), store.events(position), None)
        return cls(position, store.row(position), (), found.content)

    def count(self, config: EngineConfig, checker: Checker) -> TreePaths | None:
        """Return the finished paths by outcome, by the finding or else by a replay of the log; None without a problem.

        Raises:
            RunError: the log is of another version.
        """
        if isinstance(self.row, FailedRow):
            return None
        if self.paths is not None:
            return self.paths
        try:
            tree = logged_tree(config, self.row.problem, self.events)
        except ReplayError as error:
            raise RunError(f"the log of row {self.position + 1} is not of this version: {error}") from error
        splitter = StepSplitter(config.expander)
        return count_outcomes(read_paths(tree, self.row.problem, checker=checker, splitter=splitter))
