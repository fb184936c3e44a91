"""Runs that exist, graded: one alone, or two side by side over the problems that they share."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.errors import RunError
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.method_runs import samples_of
from critic_engine.evaluation.problem_set import GradedProblem, ProblemSet
from critic_engine.evaluation.role_costs import RoleCosts
from critic_engine.evaluation.scoring import Scorekeeper
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, ProblemRow

_NUM_NAMED = 5


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """The problems of a run that can be graded: those with an outcome and a reference answer."""

    folder: Path
    config: EngineConfig
    problems: tuple[GradedProblem, ...]
    positions: tuple[int, ...]
    """The position of each in the run, from 0."""
    left_out: tuple[FailedRow, ...]
    """The other rows of the run."""

    @classmethod
    def open(cls, folder: Path, references: ProblemSet | None) -> "ScoredRun":
        """Return the problems of a run.

        Args:
            folder: The run's.
            references: A problems file with the reference answers; None takes those of a labelled run.

        Raises:
            RunError: there is no run, or no problem of it has an outcome and a reference answer.
        """
        with RunStore.view(folder) as store:
            if references is None and store.checker is None:
                raise RunError(
                    f"{folder} holds no reference answers; name the problems file too, in front: `critic-engine "
                    "evaluate PROBLEMS …`"
                )
            known = None if references is None else _References.of(references.problems)
            answered = {position for position, _ in store.answers()}
            rows = [_row(store, position, known, is_done=position in answered) for position in range(store.num_rows)]
            config = store.config()
        problems = {position: row for position, row in enumerate(rows) if isinstance(row, GradedProblem)}
        left_out = tuple(row for row in rows if isinstance(row, FailedRow))
        if not problems:
            reasons = Counter(row.reason for row in left_out).most_common(1)
            raise RunError(f"no problem of {folder} can be graded: {reasons[0][0] if reasons else 'it has none'}")
        return cls(folder, config, tuple(problems.values()), tuple(problems), left_out)

    @property
    def keys(self) -> tuple[tuple[str, int], ...]:
        """The id of each problem, and how many times it came before."""
        seen: Counter[str] = Counter()
        keys = []
        for problem in self.problems:
            keys.append((problem.problem_id, seen[problem.problem_id]))
            seen[problem.problem_id] += 1
        return tuple(keys)

    def only(self, keys: Sequence[tuple[str, int]]) -> "ScoredRun":
        """Return the run with these problems only, in this order."""
        places = {key: place for place, key in enumerate(self.keys)}
        problems = tuple(self.problems[places[key]] for key in keys)
        positions = tuple(self.positions[places[key]] for key in keys)
        return ScoredRun(self.folder, self.config, problems, positions, self.left_out)

    def graded(self, keeper: Scorekeeper, *, method: str) -> MethodRun:
        """Return the graded answers under the name of a method."""
        with RunStore.view(self.folder) as store:
            answers = dict(store.answers())
            found = [answers[position] for position in self.positions]
            sampled = samples_of(store, self.config, zip(self.positions, self.problems, strict=True), keeper)
        costs = RoleCosts.of(self.config, found)
        graded = (keeper.grade(problem, answer) for problem, answer in zip(self.problems, found, strict=True))
        return MethodRun(
            method=method,
            budget=None,
            answers=tuple((each,) for each in graded),
            samples=None if sampled is None else sampled.grades,
            sample_classes=None if sampled is None else sampled.classes,
            wall_s=_wall_s(self.folder),
            usd=costs.usd(),
            flops=costs.flops(),
            needs_reference=self.config.needs_reference,
            folders=(str(self.folder),),
            rows=tuple(position + 1 for position in self.positions),
        )


def common_problems(ours: ScoredRun, theirs: ScoredRun, *, is_common: bool) -> tuple[ScoredRun, ScoredRun]:
    """Return two runs over the same problems, in the order of the first.

    Args:
        ours: The one run.
        theirs: The other run.
        is_common: Whether problems that only one run has are left out, and other models are accepted.

    Raises:
        RunError: the runs are over different problems or models, and ``is_common`` is not set; or share no problem.
    """
    common = [key for key in ours.keys if key in set(theirs.keys)]
    if not common:
        raise RunError(f"{ours.folder} and {theirs.folder} share no problem that can be graded")
    differences = [*_differences(ours, theirs), *_other_models(ours, theirs)]
    if differences and not is_common:
        raise RunError(
            f"the runs differ: {'; '.join(differences)}. Add --common to compare the {len(common):,} problems that "
            "both have"
        )
    return ours.only(common), theirs.only(common)


def _differences(ours: ScoredRun, theirs: ScoredRun) -> list[str]:
    found = []
    for run, other in ((ours, theirs), (theirs, ours)):
        others = set(other.keys)
        alone = [problem.row.id for problem, key in zip(run.problems, run.keys, strict=True) if key not in others]
        if alone:
            more = ", …" if len(alone) > _NUM_NAMED else ""
            found.append(f"{len(alone):,} problems only in {run.folder} ({', '.join(alone[:_NUM_NAMED])}{more})")
    return found


def _other_models(ours: ScoredRun, theirs: ScoredRun) -> list[str]:
    one, other = ours.config, theirs.config
    pairs: list[tuple[str, ModelConfig, ModelConfig]] = [("reasoner", one.reasoner, other.reasoner)]
    if one.needs_critic and other.needs_critic:
        pairs.append(("critic", one.critic, other.critic))
    if one.needs_reward_model and other.needs_reward_model:
        pairs.append(("reward_model", one.reward_model, other.reward_model))
    return [f"{role} {a.model} and {b.model}" for role, a, b in pairs if a.model != b.model]


@dataclass(frozen=True, slots=True)
class _References:
    """Reference answers by problem."""

    problems: dict[str, list[GradedProblem]]

    @classmethod
    def of(cls, problems: Iterable[GradedProblem]) -> "_References":
        found: dict[str, list[GradedProblem]] = {}
        for problem in problems:
            found.setdefault(problem.problem_id, []).append(problem)
        return cls(found)

    def find(self, row: ProblemRow) -> GradedProblem | None:
        """Return the row of the same problem, where several have it the one with the same id."""
        rows = self.problems.get(row.problem.problem_id, [])
        return next((each for each in rows if each.row.id == row.id), rows[0] if rows else None)


def _row(store: RunStore, position: int, known: _References | None, *, is_done: bool) -> GradedProblem | FailedRow:
    row = store.row(position)
    if isinstance(row, FailedRow):
        return row
    if not is_done:
        return FailedRow(row.row, row.id, "its search has no outcome yet; resume the run")
    if known is not None:
        found = known.find(row)
        reason = "the problems file has no reference answer for it"
        return FailedRow(row.row, row.id, reason, "no_reference_answer") if found is None else found
    return GradedProblem.of(store.labelled(row, position))


def _wall_s(folder: Path) -> float:
    """Return the seconds of the run's last session; 0 where its report cannot be read."""
    try:
        wall_s = json.loads((folder / "report.json").read_text(encoding="utf-8"))["wall_s"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return float(wall_s) if isinstance(wall_s, int | float) else 0.0
