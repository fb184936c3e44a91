"""A run that is killed at any moment goes on where it stood."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

NUM_PROBLEMS = 100
NUM_KILLS = 20
SCRIPTED = [
    "--set=reasoner.backend=scripted",
    "--set=critic.backend=scripted",
    "--set=budget.max_tokens=150",
]
COMMAND = [sys.executable, "-m", "critic_engine"]

pytestmark = pytest.mark.slow


def solve(problems: Path, run: Path) -> list[str]:
    return [*COMMAND, "solve", str(problems), "--config", "mcts", "--run", str(run), *SCRIPTED]


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
def undisturbed(problems: Path) -> tuple[Path, float]:
    """A whole run and how long it took, from the first event it committed to its end."""
    run = problems.parent / "undisturbed"
    process = subprocess.Popen(solve(problems, run), stderr=subprocess.DEVNULL)
    wait_for_run(run, process)
    start_s = time.monotonic()
    assert process.wait(timeout=300) in (0, 1)
    return run, time.monotonic() - start_s


def wait_for_run(run: Path, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        if (run / "run.sqlite").exists():
            try:
                if events(run):
                    return
            except sqlite3.OperationalError:
                pass  # its tables are being made
        time.sleep(0.005)


def kill_after(process: "subprocess.Popen[bytes]", delay_s: float) -> None:
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.timeout(1200)
def test_killed_runs_end_as_the_undisturbed_one(
    problems: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    whole, duration_s = undisturbed
    rng = random.Random(20)
    num_cut = 0
    for number in range(2 * NUM_KILLS):
        if num_cut == NUM_KILLS:
            break
        run = tmp_path / f"run{number}"
        process = subprocess.Popen(solve(problems, run), stderr=subprocess.DEVNULL)
        wait_for_run(run, process)
        kill_after(process, rng.uniform(0, duration_s))
        acknowledged = events(run)
        num_cut += 0 < len(acknowledged) < len(events(whole))
        result = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, check=False)
        assert result.returncode in (0, 1), result.stderr.decode()
        final = events(run)
        assert set(acknowledged) <= set(final), "an acknowledged trial was lost"
        assert final == events(whole), "a trial was done twice, or the tree is another"
        assert answers(run) == answers(whole)
    assert num_cut == NUM_KILLS, "too many kills came after the end of the run"


@pytest.mark.timeout(600)
def test_a_run_killed_again_and_again_ends_as_the_undisturbed_one(
    problems: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    whole, duration_s = undisturbed
    rng = random.Random(21)
    run = tmp_path / "run"
    process = subprocess.Popen(solve(problems, run), stderr=subprocess.DEVNULL)
    wait_for_run(run, process)
    kill_after(process, duration_s / 10)
    for _ in range(5):
        process = subprocess.Popen([*COMMAND, "resume", str(run)], stderr=subprocess.DEVNULL)
        kill_after(process, rng.uniform(0.3, 0.6 + duration_s / 5))
    assert subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, check=False).returncode in (0, 1)
    assert events(run) == events(whole)
    assert answers(run) == answers(whole)
