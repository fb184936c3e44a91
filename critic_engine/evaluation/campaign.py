"""The runs of an evaluation: each a run directory of its own, begun, continued or found done."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.config.engine import EngineConfig
from critic_engine.engine import Engine
from critic_engine.errors import RunError
from critic_engine.evaluation.plan import PLAN_FILE, EvaluationPlan, PlannedRun
from critic_engine.evaluation.problem_set import ProblemSet
from critic_engine.models.registry import ModelMakers, model_key, scorer_key
from critic_engine.models.shared_models import SharedModels
from critic_engine.run.database import holds_run, lock_folder
from critic_engine.run.runner import Progress
from critic_engine.run.store import RunStore

_SECONDS_BETWEEN_NOTES = 10.0
_SESSIONS = "sessions.jsonl"
# Files of an evaluation that was killed before its plan was written.
_BEFORE_THE_PLAN = {"run.lock", f"{PLAN_FILE}.part"}


@dataclass(frozen=True, slots=True)
class RunTurn:
    """A run whose turn it is."""

    run: PlannedRun
    number: int
    """Its place among all runs, from 1."""
    num_runs: int
    engine: Engine
    """Its engine, whose models may not be loaded yet."""


Watch: TypeAlias = Callable[[RunTurn], AbstractContextManager[Callable[[Progress], None]]]
"""Called at the turn of a run; gives the function to call with its progress."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """An evaluation in its folder. What is done stays done, whatever ends the process."""

    folder: Path
    plan: EvaluationPlan
    problems: ProblemSet

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder, keep other processes out of it, and write the plan.

        Raises:
            RunError: the folder holds something else, or an evaluation on other problems; or another process is at
                work in it.
        """
        self._check_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(self.folder):
            self._check_folder()
            self.plan.write(self.folder)
            yield

    def _check_folder(self) -> None:
        if (self.folder / PLAN_FILE).is_file():
            before = EvaluationPlan.read(self.folder)
            if before.problems.digest != self.problems.digest:
                raise RunError(
                    f"{self.folder} evaluates other problems: {before.problems.path} had those with the digest "
                    f"{before.problems.digest}, and these have {self.problems.digest}; put the file back, or name "
                    "another folder"
                )
        elif self.folder.exists() and (
            not self.folder.is_dir() or {path.name for path in self.folder.iterdir()} - _BEFORE_THE_PLAN
        ):
            raise RunError(f"{self.folder} exists and holds no evaluation; name a new folder")

    def run_folder(self, run: PlannedRun) -> Path:
        """Return the run directory of a run."""
        return self.folder / "runs" / run.folder

    def run_missing(self, watch: Watch) -> None:
        """Search what is not done yet, one run after another.

        Raises:
            RunError: problems of a run have no outcome, for a model was lost.
        """
        runs = self.plan.runs()
        with KeptModels() as host:
            for number, run in enumerate(runs, start=1):
                if self.is_done(run):
                    continue
                with host.engine(run.config) as engine, watch(RunTurn(run, number, len(runs), engine)) as on_progress:
                    self._search(run, engine, on_progress)
                if not self.is_done(run):
                    raise RunError(
                        f"{run.name}: some problems have no outcome, for a model was lost; go on with "
                        f"`critic-engine evaluate --resume {self.folder}`"
                    )

    def is_done(self, run: PlannedRun) -> bool:
        """Return whether every problem of a run has its final outcome, and its files are written."""
        folder = self.run_folder(run)
        if not (folder / "report.json").is_file() or not holds_run(folder):
            return False
        with RunStore.view(folder) as store:
            return sum(1 for _ in store.answers()) == store.num_rows

    def wall_s(self, run: PlannedRun) -> float:
        """Return the seconds of all sessions of a run; of a killed one, up to its last note."""
        return sum(self._sessions().get(run.folder, {}).values())

    def _search(self, run: PlannedRun, engine: Engine, on_progress: Callable[[Progress], None]) -> None:
        folder = self.run_folder(run)
        session, last_s = len(self._sessions().get(run.folder, {})), 0.0
        started_s = time.perf_counter()

        def note(progress: Progress) -> None:
            nonlocal last_s
            if progress.elapsed_s - last_s >= _SECONDS_BETWEEN_NOTES:
                last_s = progress.elapsed_s
                self._note(run, session, last_s)
            on_progress(progress)

        if holds_run(folder):
            answers = engine.resume(folder, on_progress=note)
        else:
            answers = engine.solve_many(self.problems.rows(), run=folder, on_progress=note)
        try:
            with contextlib.closing(answers):
                for _ in answers:
                    pass
        finally:
            self._note(run, session, time.perf_counter() - started_s)

    def _note(self, run: PlannedRun, session: int, wall_s: float) -> None:
        line = json.dumps({"run": run.folder, "session": session, "wall_s": round(wall_s, 3)})
        with (self.folder / _SESSIONS).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _sessions(self) -> dict[str, dict[int, float]]:
        """Return the seconds of each session by run; a line that a kill cut is left out."""
        found: dict[str, dict[int, float]] = {}
        path = self.folder / _SESSIONS
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                note = json.loads(line)
                found.setdefault(note["run"], {})[int(note["session"])] = float(note["wall_s"])
        return found


@dataclass
class KeptModels:
    """Gives each run an engine, and keeps the models of the last one where the next needs them.

    Models are kept only where one of the two methods uses all of them, so no more are loaded than a method needs.
    """

    _shared: SharedModels | None = field(default=None, init=False)
    _held: set[tuple[str, str]] = field(default_factory=set, init=False)

    def engine(self, config: EngineConfig) -> Engine:
        """Return the engine of a configuration; close it before the next one is made."""
        if config.ray.address is not None:
            self.close()
            return Engine(config)
        needed = model_keys(config)
        if not (needed <= self._held or self._held <= needed):
            self.close()
        if self._shared is None:
            self._shared = SharedModels(ModelMakers(make_generator, make_scorer))
        self._held |= needed
        return Engine(config, shared=self._shared)

    def close(self) -> None:
        """Close the models that are kept."""
        shared, self._shared = self._shared, None
        self._held.clear()
        if shared is not None:
            shared.close()

    def __enter__(self) -> "KeptModels":
        """Return the models themselves."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the models."""
        self.close()


def model_keys(config: EngineConfig) -> set[tuple[str, str]]:
    """Return the keys of the models that a search of this configuration loads."""
    keys = {model_key(each, "reasoner") for each in (config.reasoner, *config.other_reasoners)}
    if config.needs_critic:
        keys.add(model_key(config.critic, "critic"))
    if config.needs_reward_model:
        is_chat = config.reward_model.head == "verdict_token"
        keys.add(model_key(config.reward_model, "critic") if is_chat else scorer_key(config.reward_model))
    return keys
