import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from critic_engine import Engine
from critic_engine.cli.main import cli, main


@pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is not None, reason="inspect_ai is installed")
def test_export_without_inspect_ai_names_its_extra(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Engine("greedy", overrides=["reasoner.backend=scripted"]) as engine:
        list(engine.solve_many(["how many ?"], run=tmp_path / "run"))
    command = ["export", str(tmp_path / "run"), "--format", "inspect", "--out", str(tmp_path / "a.eval")]
    assert main(command) == 2
    assert capsys.readouterr().err.strip() == (
        "error: inspect_ai is not installed; run: pip install 'critic-engine[inspect]'"
    )


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="lm_eval is installed")
def test_program_without_lm_eval_names_its_extra() -> None:
    command = [sys.executable, "-m", "critic_engine.evaluation.harnesses.lm_eval_model", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: lm_eval is not installed; run: pip install 'critic-engine[lm-eval]'"


def test_reference_answers_are_for_logs_alone(tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text('{"question": "how many ?"}')
    given = ["--format", "trl-dpo", "--out", str(tmp_path / "out"), "--problems", str(problems)]
    done = CliRunner().invoke(cli, ["export", str(tmp_path), *given])
    assert done.exit_code == 2
    assert "--problems scores the answers of --format inspect" in done.output
