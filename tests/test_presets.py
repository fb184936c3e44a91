"""Every preset on the shipped models, from a problems file to a judged answer."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from critic_engine.config.engine import load_config
from critic_engine.config.files import presets
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.parsing.answers import is_same_answer
from critic_engine.pocket.problems import write_problems
from critic_engine.roles.checker import Checker
from critic_engine.types import Answer, ProblemRow

NUM_PROBLEMS = 80
"""Enough to tell 80 % from 65 %. Only the presets whose accuracies are compared need so many."""
NUM_OF_MANY = {"greedy": NUM_PROBLEMS, "mcts": NUM_PROBLEMS}
NUM_OF_OTHERS = 20
"""More than are in flight at once (16), and one of them may fail."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProblemRow, ...]:
    path = tmp_path_factory.mktemp("pocket") / "problems.jsonl"
    write_problems(path, split="dev", num=NUM_PROBLEMS, seed=5)
    return tuple(row for row in read_problems(path) if isinstance(row, ProblemRow))


@pytest.fixture(scope="module")
def answers(rows: tuple[ProblemRow, ...]) -> Callable[[str], list[Answer]]:
    @cache
    def answers(preset: str) -> list[Answer]:
        overrides = ["strategy.num_samples=4"] if load_config(preset).strategy.kind == "best_of_n" else []
        config = load_config(preset, [] if preset == "greedy" else overrides)
        with Engine(config, checker=Checker() if config.needs_reference else None) as engine:
            return list(engine.solve_many(rows[: NUM_OF_MANY.get(preset, NUM_OF_OTHERS)]))

    return answers


def num_right(answers: list[Answer], rows: tuple[ProblemRow, ...]) -> int:
    return sum(
        answer.answer is not None and is_same_answer(answer.answer, row.reference_answers[0]) is True
        for answer, row in zip(answers, rows, strict=False)
    )


@pytest.mark.parametrize("preset", sorted(presets()))
def test_preset_answers_pocket_problems(preset: str, answers: Callable[[str], list[Answer]]) -> None:
    found = answers(preset)
    assert len(found) == NUM_OF_MANY.get(preset, NUM_OF_OTHERS)
    assert sum(answer.status == "answered" for answer in found) >= 0.95 * len(found)
    assert all(answer.num_tokens > 0 for answer in found)
    # A path that is only written to its end when the budget is spent has no value.
    has_value = sum(answer.value is not None for answer in found)
    assert has_value == 0 if preset in ("greedy", "majority") else has_value >= 0.6 * len(found)


def test_searching_with_the_critic_beats_the_reasoner_alone(
    rows: tuple[ProblemRow, ...], answers: Callable[[str], list[Answer]]
) -> None:
    assert num_right(answers("mcts"), rows) >= num_right(answers("greedy"), rows) + 0.1 * NUM_PROBLEMS


def test_a_gated_chain_never_ends_on_a_lower_value_than_it_began_with(rows: tuple[ProblemRow, ...]) -> None:
    overrides = ["strategy.is_gated=true", "decision.rule=last"]
    first_values: dict[str, float | None] = {}
    with Engine("critic_v", overrides=overrides) as engine:
        for row in rows[:12]:
            values: list[float | None] = []
            answer = engine.solve(row.problem, on_event=lambda event, values=values: values.append(event.value))
            first_values[row.id] = values[0]
            if answer.value is not None and values[0] is not None:
                assert answer.value >= values[0]
    assert len(first_values) == 12


def test_the_same_run_twice_gives_the_same_answers_whatever_is_in_flight(rows: tuple[ProblemRow, ...]) -> None:
    found = []
    for in_flight in (1, 8):
        with Engine("mcts", overrides=[f"run.problems_in_flight={in_flight}"]) as engine:
            found.append([answer.answer for answer in engine.solve_many(rows[:10])])
    # Batches of other shapes round otherwise, which may tip a near tie; most answers agree.
    assert sum(one == other for one, other in zip(*found, strict=True)) >= 9


def test_one_question_is_answered_from_a_cold_start(rows: tuple[ProblemRow, ...], tmp_path: Path) -> None:
    board = tmp_path / "board.png"
    board.write_bytes(rows[0].problem.images[0].data)
    command = [sys.executable, "-m", "critic_engine", "solve", "--question", rows[0].problem.question, "--image", board]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
