"""``export`` refuses what makes no sense before it opens a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from critic_engine.data.exports import FORMATS

BASE = ("export", "runs/a", "--out", "data")
SCRIPTED = [
    *("--set=reasoner.backend=scripted", "--set=budget.max_tokens=300", "--set=run.problems_in_flight=1"),
    "--set=collect.pairs={check: none, min_support: 0, min_share: 0}",
]


def made_problems(folder: Path) -> Path:
    """Return a file of eight problems, of which the scripted reasoner gets some right now and then."""
    problems = [{"id": f"p{n}", "question": f"how many of kind {n}?", "answer": str(n % 6)} for n in range(8)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    return folder / "problems.jsonl"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "trl-dpo", "--max-length", 9), "--max-length needs --tokenizer"),
        (("--format", "trl-dpo", "--tokenizer", "pocket"), "--max-length, which is missing"),
        (("--format", "trl-dpo", "--private"), "--push-to-hub"),
        (("--format", "trl-dpo", "--license", ""), "--license is empty"),
        (("--format", "trl-dpo", "--license", " "), "--license is empty"),
        (("--format", "trl-dpo", "--validation-share", 1), "--validation-share"),
        (("--format", "trl-dpo", "--container", "csv"), "--container"),
        (("--format", "trl-dpo", "--role", "annotator"), "--role"),
        ((), "--format"),
        (("--format", "dpo"), "format 'dpo' does not exist; choose one of trl-dpo, trl-sft, trl-kto, trl-prm"),
    ],
)
def test_usage_error_is_one_line_that_names_the_option(cli, options: tuple[object, ...], message: str) -> None:
    result = cli(*BASE, *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not Path("data").exists()


def test_help_names_every_format(cli) -> None:
    shown = cli("export", "--help").out.split()
    assert set(FORMATS) <= set(shown)


def test_export_of_a_run_that_is_not_complete_says_so_and_makes_its_folders(cli, tmp_path: Path) -> None:
    assert cli("collect", made_problems(tmp_path), "--run", "r", "--max-tokens", 1200, *SCRIPTED).code == 1
    result = cli(
        "export", "r", "--format", "trl-dpo", "--role", "reasoner", "--out", "new/data", "--validation-share", 0
    )
    assert result.code == 0, result.err
    (note,) = (line for line in result.err.splitlines() if "is not complete" in line)
    assert note.startswith("note: The run is not complete: ")
    card = (tmp_path / "new/data/README.md").read_text(encoding="utf-8")
    assert note.removeprefix("note: ") in card.partition("## Known limits")[2]


def test_interrupted_export_leaves_nothing_and_says_so(cli, tmp_path: Path) -> None:
    assert cli("collect", made_problems(tmp_path), "--run", "r", *SCRIPTED).code == 0
    # The hook cannot be taken off again, and so lives in a process of its own.
    is_card = "event == 'open' and re.search('unfinished.*README', str(args[0]))"
    hook = f"lambda event, args: signal.raise_signal(2) if {is_card} else None"
    start = f"sys.addaudithook({hook}); sys.exit(main())"
    program = f"import re, signal, sys; from critic_engine.cli.main import main; {start}"
    export = ["export", "r", "--format", "trl-dpo", "--role", "reasoner", "--out", "new/data"]
    command = [sys.executable, "-c", program, *export]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 130, result.stderr
    assert result.stderr.splitlines()[-1] == "interrupted; nothing was written to new/data, run the same command again"
    assert not (tmp_path / "new").exists()
    assert cli(*export).code == 0
