"""A measurement that is killed at any moment goes on to the card that it would have come to."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.killing import run_killed

MOMENTS = [
    ("os.rename .*measurement.json", 1),
    ("INSERT INTO meta", 2),
    ("INSERT INTO answers", 3),
    ("open .*judgements.jsonl a", 1),
    ("os.rename .*judgements.jsonl", 2),
    ("os.rename .*critic_card.json", 1),
]
OPTIONS = ["--config=best_of_n", "--set=reasoner.backend=scripted", "--set=critic.backend=scripted"]
OPTIONS += ["--num-solutions=3", "--num-checked=4", "--num-rollouts=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    rows = [{"question": f"how many ants, case {number}?", "answer": str(number % 3)} for number in range(8)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    measure(folder, "undisturbed")
    return folder


def arguments(folder: Path, out: str) -> list[str]:
    return ["evaluate-critic", str(folder / "problems.jsonl"), *OPTIONS, "--out", str(folder / out)]


def measure(folder: Path, out: str) -> None:
    subprocess.run([sys.executable, "-m", "critic_engine", *arguments(folder, out)], check=True, capture_output=True)


@pytest.mark.slow
def test_killed_measurement_comes_to_the_same_card(folder: Path) -> None:
    for pattern, number in MOMENTS:
        shutil.rmtree(folder / "killed", ignore_errors=True)
        run_killed(pattern, number, arguments(folder, "killed"))
        measure(folder, "killed")
        for name in ("critic_card.json", "judgements.jsonl", "report.md"):
            assert (folder / "killed" / name).read_bytes() == (folder / "undisturbed" / name).read_bytes(), pattern
