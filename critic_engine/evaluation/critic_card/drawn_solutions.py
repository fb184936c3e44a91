"""Solutions that are drawn from the reasoner into a labelled run, to be judged afterwards."""

import contextlib
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

from critic_engine.config.engine import EngineConfig
from critic_engine.data.given_problems import GivenProblem, given_rows
from critic_engine.engine import Engine
from critic_engine.errors import RunError
from critic_engine.evaluation.critic_card.judge_models import GivenModels
from critic_engine.roles.checker import Checker
from critic_engine.run.database import holds_run
from critic_engine.run.runner import Progress
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, ProblemRow


def draw_solutions(
    problems: Iterable[GivenProblem],
    config: EngineConfig,
    folder: Path,
    given: GivenModels,
    on_progress: Callable[[Progress], None],
) -> None:
    """Draw the solutions of all problems into a labelled run in ``folder``, or go on where it was stopped.

    Raises:
        RunError: the folder holds solutions of other problems, or the run cannot be used.
        ModelLoadError: the reasoner cannot be loaded.
    """
    is_begun = holds_run(folder)
    if is_begun:
        with RunStore.view(folder) as store:
            _check_same_problems(given_rows(problems, config.run), store)
            if sum(1 for _ in store.answers()) == store.num_rows:
                return
    with Engine(config, reasoner=given.reasoner, checker=Checker()) as engine:
        if is_begun:
            answers = engine.resume(folder, on_progress=on_progress)
        else:
            answers = engine.solve_many(problems, run=folder, on_progress=on_progress)
        with contextlib.closing(answers):
            for _ in answers:
                pass


def _check_same_problems(rows: Iterable[ProblemRow | FailedRow], store: RunStore) -> None:
    num_rows = store.num_rows
    num_given = 0
    for position, row in enumerate(itertools.islice(rows, num_rows + 1)):
        num_given = position + 1
        if position < num_rows and not _is_same(row, store.row(position), store):
            raise _other_problems(store, f"row {row.row} ({row.id}) has changed")
    if num_given != num_rows:
        amount = "more" if num_given > num_rows else f"{num_given:,}"
        raise _other_problems(store, f"they were {num_rows:,} rows and are {amount}")


def _is_same(row: ProblemRow | FailedRow, stored: ProblemRow | FailedRow, store: RunStore) -> bool:
    if isinstance(row, FailedRow) or isinstance(stored, FailedRow):
        return row.id == stored.id
    accepted = () if store.checker is None else store.checker.accepted(row.problem)
    return row.problem.problem_id == stored.problem.problem_id and row.reference_answers in accepted


def _other_problems(store: RunStore, difference: str) -> RunError:
    return RunError(f"{store.folder} holds solutions of other problems: {difference}; name a new folder")
