"""Evaluations of scripted models in a folder of the test."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from critic_engine.config.engine import load_config
from critic_engine.data.problems import read_problems
from critic_engine.evaluation.campaign import Campaign, RunTurn
from critic_engine.evaluation.plan import EvaluationPlan, PlannedMethod, ProblemsSource
from critic_engine.evaluation.problem_set import read_problem_set
from critic_engine.run.runner import Progress

SCRIPTED = ("reasoner.backend=scripted", "critic.backend=scripted")


@pytest.fixture
def problems_path(tmp_path: Path) -> Path:
    """Six problems with references, one without and one that cannot be read."""
    path = tmp_path / "problems.jsonl"
    rows: list[dict[str, Any]] = [
        {"id": f"p{number}", "question": f"how many of kind {number} ?", "answer": str(number)} for number in range(6)
    ]
    rows.insert(2, {"id": "open", "question": "how many ?", "answer": None})
    rows.insert(4, {"id": "broken", "question": "", "answer": "1"})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def make_campaign(tmp_path: Path, problems_path: Path) -> Callable[..., Campaign]:
    """Make the evaluation of some presets in the folder ``evaluation``."""

    def make(*names: str, overrides: tuple[str, ...] = (), **options: Any) -> Campaign:
        problems = read_problem_set(read_problems(problems_path), name="problems.jsonl")
        plan = EvaluationPlan(
            problems=ProblemsSource(path=str(problems_path), digest=problems.digest),
            methods=tuple(
                PlannedMethod(name=name, config=load_config(name, [*SCRIPTED, *overrides])) for name in names
            ),
            **{"seeds": (0,), "grader": "relation", "margin": 0.02, **options},
        )
        return Campaign(tmp_path / "evaluation", plan, problems)

    return make


class Watched:
    """Remembers the runs that had their turn."""

    def __init__(self, *, on_progress: Callable[[Progress], None] = lambda progress: None) -> None:
        self.names: list[str] = []
        self._on_progress = on_progress

    @contextlib.contextmanager
    def __call__(self, turn: RunTurn) -> Iterator[Callable[[Progress], None]]:
        self.names.append(turn.run.name)
        yield self._on_progress
