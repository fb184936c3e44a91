"""The problems that all methods answer, each with the way to grade its answers."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.data.problems import read_problems
from critic_engine.parsing.answers import is_same_answer
from critic_engine.pocket.problems import write_problems
from critic_engine.types import Problem, ProblemRow

DATASETS = ("chain_sum", "basic_arithmetic", "leg_counting", "number_sorting", "spell_backward")
"""The data sets of ``reasoning-gym`` that are asked, in turn."""
_SEEDS = {"train": 0, "dev": 1_000_000, "test": 2_000_000}


@dataclass(frozen=True)
class Case:
    """One problem, and the grade of an answer to it."""

    problem: Problem
    is_right: Callable[[str], bool | None]
    """Whether an answer is right; None if that is unsure."""


def pocket_cases(folder: Path, *, split: str, num: int, seed: int) -> list[Case]:
    """Return pocket problems, read from a problems file like those that users have."""
    path = folder / f"{split}-{seed}-{num}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    write_problems(path, split=split, num=num, seed=seed)
    return [_pocket_case(row) for row in read_problems(path) if isinstance(row, ProblemRow)]


def _pocket_case(row: ProblemRow) -> Case:
    reference, choices = row.reference_answers[0], row.problem.choices
    return Case(row.problem, lambda answer: is_same_answer(answer, reference, choices))


def gym_cases(*, split: str, num: int, seed: int, datasets: Sequence[str] = DATASETS) -> list[Case]:
    """Return problems of ``reasoning-gym``, one of each data set in turn; its own score of 1 is a right answer."""
    gym: Any = importlib.import_module("reasoning_gym")
    size = -(-num // len(datasets))
    made = [gym.create_dataset(name, size=size, seed=_SEEDS[split] + seed) for name in datasets]
    return [_gym_case(made[place % len(made)], place // len(made), datasets[place % len(made)]) for place in range(num)]


def _gym_case(dataset: Any, place: int, name: str) -> Case:
    entry = dataset[place]

    def is_right(answer: str) -> bool | None:
        try:
            return float(dataset.score_answer(answer, entry)) >= 1.0
        except Exception:
            # Their grader raised over a model's text: the grade is unsure, and counted so.
            return None

    return Case(Problem(entry["question"], name=f"{name}-{place}"), is_right)
