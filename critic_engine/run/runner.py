"""Many problems at once: episodes in flight over one pair of models, answers in input order, memory bounded."""

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace

from critic_engine.config.engine import EngineConfig
from critic_engine.episode.episode import Commit
from critic_engine.episode.logged_usage import logged_usage
from critic_engine.episode.solution_budget import BudgetWarning
from critic_engine.episode.trial import NO_TRIAL
from critic_engine.errors import ReplicaLostError, RunError
from critic_engine.run.findings import HARVEST_DONE, HARVEST_ERROR, Finding, Harvest, Ledger, SearchedProblem
from critic_engine.run.problem_search import ProblemSearch, Search, SearchLog
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, FailedRow, ProblemRow, TokenUsage
from search import ReplayError, StopReason

_logger = logging.getLogger(__name__)
# Finished answers wait for a slow one before them. With this many per place in flight no new problem is started.
_WINDOW_PER_PLACE = 16
_LIMITS = {StopReason.RUN_TOKENS: "max_tokens", StopReason.RUN_SECONDS: "max_wall_s"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    num_done: int
    """Problems with an outcome, earlier sessions included."""
    num_failed: int
    """Problems of ``num_done`` that failed."""
    num_total: int
    num_tokens: int
    """Tokens generated in this session."""
    elapsed_s: float
    """Seconds since this session began."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """All that this session has spent."""


class Runner:
    """Searches every row of a store that has no answer yet."""

    def __init__(
        self,
        store: RunStore,
        config: EngineConfig,
        *,
        begin: Callable[[ProblemSearch], Search],
        harvest: Harvest | None = None,
        on_answer: Callable[[int, Answer], None] = lambda position, answer: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Take what a run needs.

        Args:
            store: The store with all its rows.
            config: What the run does.
            begin: Begins a search.
            harvest: The harvest of a searched problem.
            on_answer: Called with the position of each new answer, as soon as there is one.
            on_progress: Called whenever tokens were generated or a problem ended.
        """
        self._store = store
        self._config = config
        self._begin = begin
        self._harvest = harvest
        self._harvests: set[asyncio.Task[None]] = set()
        self._on_answer = on_answer
        self._on_progress = on_progress
        self._progress = Progress(0, 0, store.num_rows, 0, 0.0)
        self._started_s = time.perf_counter()
        self._num_tokens_before = 0 if config.run.max_tokens is None else store.num_tokens()
        self._searches: set[Search] = set()
        self._budget_warning = BudgetWarning()
        self.cut_reason: StopReason | None = None
        """The limit of the run that was reached; None while none is."""

    async def answers(self) -> AsyncGenerator[Answer, None]:
        """Yield the outcome of every row in input order, those of earlier sessions included.

        Raises:
            RunError: the log cannot be written, or is not of this configuration; all that was committed is kept.
        """
        waiting: dict[int, asyncio.Task[Answer]] = {}
        places = asyncio.Semaphore(self._config.run.problems_in_flight)
        window = self._config.run.problems_in_flight * _WINDOW_PER_PLACE
        positions = iter(range(self._progress.num_total))
        next_position = 0
        limit_s, loop = self._config.run.max_wall_s, asyncio.get_running_loop()
        alarm = None if limit_s is None else loop.call_later(limit_s, self._cut, StopReason.RUN_SECONDS)
        self._check_tokens()
        try:
            while True:
                while len(waiting) < window and (position := next(positions, None)) is not None:
                    waiting[position] = asyncio.create_task(self._outcome(position, places))
                if not waiting:
                    return
                yield await waiting.pop(next_position)
                next_position += 1
        finally:
            if alarm is not None:
                alarm.cancel()
            for task in waiting.values():
                task.cancel()
            await asyncio.gather(*waiting.values(), return_exceptions=True)

    async def _outcome(self, position: int, places: asyncio.Semaphore) -> Answer:
        try:
            answer = self._store.answer(position)
            if answer is None or self._harvest is not None:
                async with places:
                    if answer is None:
                        answer = await self._answer(position, self._store.row(position))
                        self._on_answer(position, answer)
                    if self._harvest is not None:
                        await self._reap(position, self._harvest)
        except ReplayError as error:
            raise RunError(f"the log of row {position + 1} is not of this version or configuration: {error}") from error
        except sqlite3.Error as error:
            raise RunError(f"{self._store.place} cannot be used: {error}; what was committed is kept") from error
        self._advance(num_done=1, num_failed=int(answer.status == "failed"))
        return answer

    async def _answer(self, position: int, row: ProblemRow | FailedRow) -> Answer:
        """Return the outcome of a row; it is stored if it is final: one that a limit of the run cut can be resumed."""
        if isinstance(row, FailedRow):
            answer = _failed(row.id, "", stop_reason="unreadable_row", error=row.reason)
            self._store.set_answer(position, answer)
            return answer
        if self.cut_reason is not None and not self._store.events(position):
            error = f"the run's limit was reached before its turn; {self._way_on(self.cut_reason)}"
            return _failed(row.id, row.problem.problem_id, stop_reason=self.cut_reason, error=error)
        try:
            answer = await self._search(position, row)
        except ReplicaLostError as error:
            way_on = "solve it again" if self._store.folder is None else "resume the run"
            return self._broken(position, row, f"a model or the search worker was lost; {way_on}: {error}")
        except (ReplayError, sqlite3.Error):
            raise
        except Exception as error:
            # One problem's failure is recorded and must not stop the others.
            _logger.exception("problem %s failed", row.id)
            answer = self._broken(position, row, f"{type(error).__name__}: {error}")
        if answer.stop_reason not in _LIMITS:
            self._store.set_answer(position, answer)
        return answer

    async def _reap(self, position: int, harvest: Harvest) -> None:
        """Make the findings of a searched problem; a resume does it if a limit is reached or a model is lost."""
        is_done = self._store.findings.get(position, HARVEST_DONE) is not None
        if is_done or self.cut_reason is not None or self._store.answer(position) is None:
            return
        row, events = self._store.row(position), self._store.events(position)
        if isinstance(row, FailedRow) or not events:
            return
        self._store.findings.drop_error(position)
        ledger = Ledger(self._store.findings, position, on_usage=self._spend)
        extras = self._store.extras(position)
        task = asyncio.create_task(harvest(SearchedProblem(row.problem, extras, events, ledger)))
        self._harvests.add(task)
        try:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        except ReplicaLostError as error:
            _logger.warning("problem %s: a model was lost, its findings are left to a resume: %s", row.id, error)
        except (ReplayError, sqlite3.Error):
            raise
        except Exception as error:
            # One problem's failure is recorded and must not stop the others.
            _logger.exception("the harvest of problem %s failed", row.id)
            self._store.findings.add(position, HARVEST_ERROR, Finding(f"{type(error).__name__}: {error}"))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._harvests.discard(task)

    def _spend(self, usage: TokenUsage) -> None:
        self._advance(usage=usage)
        self._check_tokens()

    def _way_on(self, reason: StopReason) -> str:
        if self._store.folder is None:
            return f"raise run.{_LIMITS[reason]}"
        if reason is StopReason.RUN_SECONDS:
            return "resume the run"
        return f"raise run.{_LIMITS[reason]} in {self._store.folder / 'config.yaml'} and resume the run"

    async def _search(self, position: int, row: ProblemRow) -> Answer:
        # Work after the search that no answer confirms is done again.
        self._store.drop_failures(position, trial_id=NO_TRIAL)
        search = self._begin(self._task(position, row))
        if self.cut_reason is not None:
            search.cut(self.cut_reason)
        self._searches.add(search)
        try:
            return await search.run()
        finally:
            self._searches.discard(search)

    def _task(self, position: int, row: ProblemRow) -> ProblemSearch:
        num_logged = 0

        def read_log() -> SearchLog:
            nonlocal num_logged
            log = SearchLog(self._store.events(position), self._store.failures(position))
            num_logged = len(log.events)
            return log

        def on_commit(commit: Commit) -> None:
            nonlocal num_logged
            self._store.append(position, num_logged, commit.events, commit.failures)
            num_logged += len(commit.events)
            self._budget_warning.check(commit.failures)
            self._spend(commit.usage)

        return ProblemSearch(row.id, row.problem, read_log, on_commit)

    def _check_tokens(self) -> None:
        limit = self._config.run.max_tokens
        if limit is not None and self._num_tokens_before + self._progress.num_tokens >= limit:
            self._cut(StopReason.RUN_TOKENS)

    def _cut(self, reason: StopReason) -> None:
        """End all searches and harvests, and begin no more."""
        self.cut_reason = self.cut_reason or reason
        for search in tuple(self._searches):
            search.cut(reason)
        for task in tuple(self._harvests):
            task.cancel()

    def _broken(self, position: int, row: ProblemRow, error: str) -> Answer:
        """Return the outcome of a search that an error ended, with what it had spent."""
        events = self._store.events(position)
        usage = logged_usage(events)
        return replace(
            _failed(row.id, row.problem.problem_id, stop_reason="error", error=error),
            num_tokens=usage.generated_tokens,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            num_requests=usage.num_requests,
            critic_tokens=usage.critic_generated_tokens,
            critic_prompt_tokens=usage.critic_prompt_tokens,
            critic_cached_tokens=usage.critic_cached_tokens,
            num_simulations=sum(event["event"] == "told" for event in events),
            failures=dict(Counter(failure.kind for failure in self._store.failures(position))),
        )

    def _advance(self, *, num_done: int = 0, num_failed: int = 0, usage: TokenUsage | None = None) -> None:
        before, spent = self._progress, usage or TokenUsage()
        self._progress = replace(
            before,
            num_done=before.num_done + num_done,
            num_failed=before.num_failed + num_failed,
            num_tokens=before.num_tokens + spent.generated_tokens,
            elapsed_s=time.perf_counter() - self._started_s,
            usage=before.usage + spent,
        )
        try:
            self._on_progress(self._progress)
        except Exception:
            # An error of the callback must not end the run.
            _logger.exception("the progress callback failed")


def _failed(row_id: str, problem_id: str, *, stop_reason: str, error: str) -> Answer:
    return Answer(
        id=row_id,
        problem_id=problem_id,
        answer=None,
        value=None,
        status="failed",
        stop_reason=stop_reason,
        num_tokens=0,
        num_simulations=0,
        wall_s=0.0,
        error=error,
    )
