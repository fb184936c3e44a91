"""Many trials of one tree at once: nearly the answers of one at a time, in a fraction of the waiting."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.parsing.answers import is_same_answer
from critic_engine.pocket.problems import write_problems
from critic_engine.types import Problem, ProblemRow
from tests.rounds import Rounds, RoundsGenerator

pytestmark = pytest.mark.slow
POCKET = ["reasoner.prompts=pocket", "critic.prompts=pocket"]
SIMULATIONS = ["budget.max_tokens=null", "budget.max_simulations=64"]


def num_rounds(trials_in_flight: int) -> int:
    """Return how often one search waits for calls of the models."""
    rounds = Rounds()
    reasoner, critic = RoundsGenerator(scripted_reasoner(), rounds), RoundsGenerator(scripted_critic(), rounds)
    overrides = [*POCKET, *SIMULATIONS, f"run.trials_in_flight={trials_in_flight}"]
    with Engine("mcts", overrides=overrides, reasoner=reasoner, critic=critic) as engine:
        answer = engine.solve(Problem("how many stars are there ?"))
    assert answer.num_simulations == 64
    return rounds.num_rounds


def num_right(rows: Sequence[ProblemRow], trials_in_flight: int) -> int:
    with Engine("mcts", overrides=[*SIMULATIONS, f"run.trials_in_flight={trials_in_flight}"]) as engine:
        answers = list(engine.solve_many(rows))
    return sum(
        answer.answer is not None and is_same_answer(answer.answer, row.reference_answers[0]) is True
        for answer, row in zip(answers, rows, strict=True)
    )


def test_eight_trials_in_flight_wait_a_fifth_as_often_as_one() -> None:
    assert num_rounds(1) >= 5 * num_rounds(8)


def test_eight_trials_in_flight_answer_as_well_as_one(tmp_path: Path) -> None:
    """Forty problems show a collapse; ``bench/search_parallel.py`` measures the difference over a thousand."""
    write_problems(tmp_path / "problems.jsonl", split="dev", num=40, seed=5)
    rows = [row for row in read_problems(tmp_path / "problems.jsonl") if isinstance(row, ProblemRow)]
    assert num_right(rows, 8) >= num_right(rows, 1) - 4
