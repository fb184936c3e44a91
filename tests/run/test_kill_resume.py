"""A run that is killed at any moment goes on where it stood.

``bench/faults.py`` kills dozens of runs at random moments; here each kind of moment has one kill.
"""

import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.killing import run_killed

NUM_PROBLEMS = 24
"""More than are in flight at once (16), so that a kill meets problems that are done, begun and not begun."""
SCRIPTED = [
    "--set=reasoner.backend=scripted",
    "--set=critic.backend=scripted",
    "--set=budget.max_tokens=150",
]
COMMAND = [sys.executable, "-m", "critic_engine"]
MOMENTS = {
    "between ask and tell": (r"INSERT INTO events .*told", 40),
    "before a commit": (r"COMMIT", 50),
    "between two commits": (r"BEGIN", 60),
    "as an answer is written": (r"INSERT INTO answers", 10),
    "as the report is written": (r"open .*report\.json", 1),
}
NUM_RANDOM = 3

pytestmark = pytest.mark.slow


def solve(problems: Path, run: Path) -> list[str]:
    return ["solve", str(problems), "--config", "mcts", "--run", str(run), *SCRIPTED]


def finish(run: Path) -> None:
    result = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr.decode()


def events(run: Path) -> list[tuple[int, int, str]]:
    with sqlite3.connect(run / "run.sqlite") as connection:
        rows = connection.execute("SELECT position, sequence, event FROM events ORDER BY position, sequence").fetchall()
    connection.close()
    return rows


def answers(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "wall_s"} for row in rows]


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("problems") / "problems.jsonl"
    rows = [{"id": f"p{number}", "question": f"how many of kind {number} ?"} for number in range(NUM_PROBLEMS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(problems: Path) -> Path:
    """A run that nobody killed."""
    run = problems.parent / "undisturbed"
    result = subprocess.run([*COMMAND, *solve(problems, run)], capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr.decode()
    return run


def check_ended_alike(run: Path, whole: Path) -> None:
    assert events(run) == events(whole), "a trial was done twice, or the tree is another"
    assert answers(run) == answers(whole)


def check_killed_once(problems: Path, run: Path, whole: Path, pattern: str, num: int) -> None:
    run_killed(pattern, num, solve(problems, run))
    acknowledged = events(run)
    assert acknowledged
    finish(run)
    assert set(acknowledged) <= set(events(run)), "an acknowledged trial was lost"
    check_ended_alike(run, whole)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_each_kind_of_moment_ends_as_the_undisturbed_one(
    moment: str, problems: Path, whole: Path, tmp_path: Path
) -> None:
    check_killed_once(problems, tmp_path / "run", whole, *MOMENTS[moment])


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_a_run_killed_anywhere_ends_as_the_undisturbed_one(
    seed: int, problems: Path, whole: Path, tmp_path: Path
) -> None:
    num = random.Random(seed).randint(1, len(events(whole)))
    check_killed_once(problems, tmp_path / "run", whole, r"INSERT INTO (events|answers)", num)


def test_a_run_killed_again_and_again_ends_as_the_undisturbed_one(problems: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_killed(r"INSERT INTO events", 5, solve(problems, run))
    before = set(events(run))
    # A resume replays what is in flight before it writes: the second kill comes while it does.
    for pattern, num in ((r"COMMIT", 20), (r"SELECT event FROM events", 3), *MOMENTS.values()):
        run_killed(pattern, max(1, num // 4), ["resume", str(run)])
        assert before <= set(events(run)), "an acknowledged trial was lost"
        before = set(events(run))
    finish(run)
    check_ended_alike(run, whole)
