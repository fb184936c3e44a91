"""The search of one problem as a runner sees it: in this process, or in another one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from critic_engine.config.engine import EngineConfig
from critic_engine.episode.episode import Commit, Episode
from critic_engine.roles.factory import SearchRoles
from critic_engine.types import Answer, Failure, Problem
from search import StopReason


@dataclass(frozen=True, slots=True)
class SearchLog:
    """The committed log of one search."""

    events: Sequence[Mapping[str, Any]]
    """Search events as plain dicts, in order."""
    failures: Sequence[Failure]


@dataclass(frozen=True, slots=True)
class ProblemSearch:
    """One problem to search, from the end of its log on."""

    row_id: str
    problem: Problem
    read_log: Callable[[], SearchLog]
    """Returns the present log; called again when the search has to start again."""
    on_commit: Callable[[Commit], None]
    """Stores the events since the last commit; they are safe when it returns."""


class Search(Protocol):
    """One search that has begun."""

    async def run(self) -> Answer:
        """Search to the end and return the answer.

        Raises:
            ReplicaLostError: a model or the search worker is lost for good.
            ReplayError: the log is of another search.
        """
        ...

    def cut(self, reason: StopReason) -> None:
        """End the search now; ``run`` returns the best answer found so far."""
        ...


def local_search(task: ProblemSearch, config: EngineConfig, roles: SearchRoles) -> Episode:
    """Return the task's search in this process, after a replay of its log.

    Raises:
        ReplayError: the log is of another search.
    """
    episode = Episode(
        task.problem,
        config,
        expanders=roles.expanders,
        evaluator=roles.evaluator,
        row_id=task.row_id,
        on_commit=task.on_commit,
    )
    log = task.read_log()
    episode.restore(log.events, log.failures)
    return episode


def alone(config: EngineConfig, *, seed: int | None = None) -> EngineConfig:
    """Return the configuration of a single search: the seconds of the run bound its own.

    A ``seed`` takes the place of ``run.seed``.
    """
    limits = (config.budget.max_wall_s, config.run.max_wall_s)
    max_wall_s = min((limit for limit in limits if limit is not None), default=None)
    budget = config.budget.model_copy(update={"max_wall_s": max_wall_s})
    run = config.run if seed is None else config.run.model_copy(update={"seed": seed})
    return config.model_copy(update={"budget": budget, "run": run})
