"""The pocket pair in vLLM engines inside Ray actors, from the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from critic_engine.pocket.problems import write_problems

pytestmark = [pytest.mark.ray, pytest.mark.vllm]

NUM_PROBLEMS = 16


def solve(problems: Path, run: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "critic_engine", "solve", str(problems), "--run", str(run), *options]
    subprocess.run(command, check=True, timeout=500, capture_output=True)
    return [json.loads(line) for line in (run / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_greedy_critic_v_says_what_it_says_in_transformers(tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    write_problems(problems, split="test", num=NUM_PROBLEMS, seed=3)
    method = ["--config", "critic_v", "--set", "reasoner.temperature=0"]
    here = solve(problems, tmp_path / "here", *method)
    there = solve(problems, tmp_path / "there", *method, "--backend", "vllm", "--ray", "local")
    # Rounding may tip a near tie.
    assert sum(one["steps"] == other["steps"] for one, other in zip(here, there, strict=True)) >= NUM_PROBLEMS - 1
    models = json.loads((tmp_path / "there" / "report.json").read_text(encoding="utf-8"))["models"]
    assert sorted(models) == ["vllm:pocket-critic", "vllm:pocket-reasoner"]
    assert all(figures["num_failed"] == 0 for figures in models.values())
    assert models["vllm:pocket-critic"]["cached_tokens"] > 0
