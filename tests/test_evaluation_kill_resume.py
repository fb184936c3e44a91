"""An evaluation that is killed again and again comes to what it would have come to; and one of the shipped models."""

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from critic_engine.cli.main import main
from tests.killing import run_killed

pytestmark = pytest.mark.slow
SCRIPTED = ["--set=reasoner.backend=scripted", "--set=critic.backend=scripted"]
METHODS = ["--method=greedy", "--method=majority", "--method=mcts", "--budget=60", "--budget=120", "--seeds=2"]
# A statement that commits something, or a file that takes its place.
MOMENT = r"INSERT INTO (events|answers|problems|meta)|os\.rename|open .*sessions\.jsonl"
NUM_KILLS = 10
TIMES = {"wall_s", "seconds"}


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    rows = [{"id": f"p{n}", "question": f"how many of kind {n} ?", "answer": str(n % 6)} for n in range(20)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def without_times(value: Any) -> Any:
    """Return a report or a row without its times."""
    if isinstance(value, Mapping):
        return {name: without_times(each) for name, each in value.items() if name not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> Any:
    """Return all that an evaluation came to, but for times and its own path."""
    texts = [(folder / name).read_text().replace(str(folder), "ev") for name in ("report.json", "graded.jsonl")]
    report, rows = json.loads(texts[0]), [json.loads(line) for line in texts[1].splitlines()]
    flips = (folder / "flips.jsonl").read_text().replace(str(folder), "ev")
    return without_times(report), without_times(rows), flips


def test_evaluation_killed_ten_times_and_while_it_reports_ends_as_if_undisturbed(
    tmp_path: Path, problems: Path
) -> None:
    command = ["evaluate", str(problems), *METHODS, *SCRIPTED]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    rng = random.Random(7)
    for number in range(NUM_KILLS):
        resume = ["evaluate", "--resume", str(killed)] if number % 2 else [*command, "--out", str(killed)]
        run_killed(MOMENT, rng.randint(1, 100), resume)
    for moment in (r"os\.rename .*graded\.jsonl", r"os\.rename \S*/killed/report\.json"):
        run_killed(moment, 1, [*command, "--out", str(killed)])
    result = subprocess.run(
        [sys.executable, "-m", "critic_engine", "evaluate", "--resume", str(killed)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "run " not in result.stderr.replace("runs", "")
    assert outcome(killed) == outcome(tmp_path / "whole")


def test_evaluation_of_the_shipped_models_gives_what_solve_gives_and_knows_its_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make = ["pocket", "make", "--split", "dev", "--num", "12", "--seed", "3", "--images", "boards"]
    assert main([*make, "--out", "problems.jsonl"]) == 0
    methods = ["--method=greedy", "--method=best_of_n", "--method=beam", "--budget=100"]
    assert main(["evaluate", "problems.jsonl", *methods, "--out", "ev"]) == 0
    solve = ["solve", "problems.jsonl", "--config", "beam", "--set", "budget.max_tokens=100"]
    assert main([*solve, "--run", "alone"]) == 0
    (beam,) = Path("ev/runs").glob("beam@100-s0-*")
    of_beam, alone = (
        [without_times(json.loads(line)) for line in (folder / "answers.jsonl").read_text().splitlines()]
        for folder in (beam, Path("alone"))
    )
    # The methods of an evaluation share their models, and so what these have read before.
    for row in (*of_beam, *alone):
        row.pop("cached_tokens")
        row.pop("critic_cached_tokens")
    assert of_beam == alone
    report = json.loads(Path("ev/report.json").read_text())
    by_name = {method["name"]: method for method in report["methods"]}
    greedy, best = by_name["greedy"], by_name["best_of_n @100"]
    read = greedy["costs"]["uncached_prompt_tokens"] + greedy["costs"]["tokens"]
    assert greedy["flops"] == pytest.approx(2 * 1_131_104 * read * 12)
    assert best["flops"] > greedy["flops"]
    assert best["costs"]["critic_tokens"] > greedy["costs"]["critic_tokens"] == 0
    assert best["pass_at"]
