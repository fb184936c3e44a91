"""``critic-engine evaluate`` on the command line, with scripted models."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

SCRIPTED = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
METHODS = ["--method", "greedy", "--method", "majority", "--method", "mcts", "--budget", "60", *SCRIPTED]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty problems, one of them without a reference answer."""
    path = tmp_path / "many.jsonl"
    rows = [{"id": f"p{n}", "question": f"how many of kind {n} ?", "answer": str(n % 6)} for n in range(20)]
    rows[7]["answer"] = ""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def graded(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "graded.jsonl").read_text().splitlines()]


def test_command_searches_grades_and_reports(cli: Cli, many: Path) -> None:
    result = cli("evaluate", many, *METHODS, "--seeds", 2, "--out", "ev")
    assert result.code == 0, result.err
    assert "mcts @60" in result.out
    assert "row 8 (p7) is left out: it has no reference answer" in result.err
    assert "19 problems cannot tell methods apart" in result.err
    assert "run 6 of 6: mcts @60, seed 1" in result.err
    assert "majority: strategy.num_samples=1000, so that it can spend a budget" in result.err
    rows = graded("ev")
    assert len(rows) == 19 * 3 * 2
    assert {(row["method"], row["budget"], row["seed"]) for row in rows} == {
        ("greedy", None, 0), ("greedy", None, 1),
        ("majority", 60.0, 0), ("majority", 60.0, 1), ("mcts", 60.0, 0), ("mcts", 60.0, 1),
    }  # fmt: skip
    for row in rows:
        answers = [json.loads(line) for line in Path(row["folder"], "answers.jsonl").read_text().splitlines()]
        assert answers[row["row"] - 1]["answer"] == row["answer"]
        assert (row["outcome"] == "right") == (row["answer"] in row["references"])
    report = json.loads(Path("ev/report.json").read_text())
    assert (report["num_problems"], report["num_rows_without_reference"]) == (19, 1)
    for folder in Path("ev/runs").iterdir():
        assert b"reference" not in (folder / "run.sqlite").read_bytes()


@pytest.mark.slow
def test_same_command_and_resume_search_nothing_again_and_report_the_same(cli: Cli, many: Path) -> None:
    first = cli("evaluate", many, *METHODS, "--out", "ev")
    again = cli("evaluate", many, *METHODS, "--out", "ev")
    resumed = cli("evaluate", "--resume", "ev")
    assert (first.code, again.code, resumed.code) == (0, 0, 0)
    assert first.out == again.out == resumed.out
    assert "run 1 of 3" in first.err
    assert "run " not in again.err.replace("runs", "") + resumed.err.replace("runs", "")
    added = cli("evaluate", many, *METHODS, "--method", "best_of_n", "--out", "ev")
    assert [line for line in added.err.splitlines() if line.startswith("run ")] == ["run 4 of 4: best_of_n @60, seed 0"]


def test_card_that_was_measured_anew_costs_the_methods_that_ask_the_critic(cli: Cli, many: Path) -> None:
    pocket = {"name": "scripted:pocket", "prompts": "pocket"}
    models = {"critic": pocket, "reasoner": pocket, "task": "t", "num_problems": 20, "num_solutions": 80}
    methods = ["--method", "majority", "--method", "weighted_majority", "--budget", 60, *SCRIPTED]
    reports = []
    for auroc in (0.5, 0.9):
        interval = {"estimate": auroc, "low": auroc - 0.05, "high": auroc + 0.05}
        Path("card.json").write_text(json.dumps({**models, "answer_auroc": interval}))
        result = cli("evaluate", many, *methods, "--set", "critic.health=card.json", "--out", "ev")
        assert result.code == 0, result.err
        reports.append((Path("ev/report.md").read_text(), result.err))
    assert ["did not steer" in report for report, _ in reports] == [True, False]
    assert "run 2 of 2: weighted_majority @60" in reports[1][1]
    assert "majority @60, seed 0" not in reports[1][1].replace("weighted_majority", "")


def test_gate_decides_the_exit_code(cli: Cli, many: Path) -> None:
    options = [many, "--method", "greedy", "--method", "majority", "--budget", 60, *SCRIPTED, "--out", "ev"]
    assert cli("evaluate", *options, "--gate", "greedy >= 0").code == 0
    failed = cli("evaluate", *options, "--gate", "greedy >= 0", "--gate", "greedy > 0.99")
    assert failed.code == 1
    assert "fail" in failed.out
    assert cli("evaluate", "--resume", "ev", "--gate", "greedy > 0.99").code == 1
    unknown = cli("evaluate", *options, "--gate", "mct >= greedy")
    assert (unknown.code, "no method is 'mct'" in unknown.err) == (2, True)


def test_json_is_the_report_with_the_gates(cli: Cli, many: Path) -> None:
    result = cli("evaluate", many, "--method", "greedy", *SCRIPTED, "--out", "ev", "--gate", "greedy >= 0", "--json")
    (report,) = result.rows
    assert [method["name"] for method in report["methods"]] == ["greedy"]
    assert [gate["passing"] for gate in report["gates"]] == ["pass"]
    assert json.loads(Path("ev/report.json").read_text()) == report
    text = Path("ev/report.md").read_text()
    assert "| greedy \\>= 0 | pass |" in text
    assert "`graded.jsonl`" in text


def test_corrected_reference_is_graded_by_and_another_question_is_refused(cli: Cli, many: Path) -> None:
    options = [many, "--method", "greedy", *SCRIPTED, "--out", "ev"]
    cli("evaluate", *options)
    answer = graded("ev")[0]["answer"]
    first, *others = many.read_text().splitlines()
    many.write_text("\n".join([json.dumps(json.loads(first) | {"answer": answer}), *others]))
    corrected = cli("evaluate", "--resume", "ev")
    assert (graded("ev")[0]["outcome"], "run 1" in corrected.err) == ("right", False)
    many.write_text("\n".join([json.dumps(json.loads(first) | {"question": "how many ants ?"}), *others]))
    refused = cli("evaluate", "--resume", "ev")
    assert (refused.code, "ev evaluates other problems" in refused.err) == (2, True)


def test_answers_that_the_relation_grades_otherwise_are_kept_for_a_person(cli: Cli, many: Path) -> None:
    rows = [json.loads(line) | {"answer": "0.0"} for line in many.read_text().splitlines()]
    many.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = [many, "--method", "greedy", *SCRIPTED, "--out", "ev", "--grader"]
    exact = cli("evaluate", *options, "exact")
    cases = [json.loads(line) for line in Path("ev/audit.jsonl").read_text().splitlines()]
    assert cases
    assert {(case["answer"], case["kind"]) for case in cases} == {("0", "right_wrong")}
    assert f"the answer relation grades {len(cases)} answers otherwise than exact" in exact.err
    assert cli("evaluate", *options, "relation").code == 0
    assert not Path("ev/audit.jsonl").exists()


def test_failed_problem_counts_as_wrong_and_apart(cli: Cli, many: Path) -> None:
    result = cli("evaluate", many, "--method", "greedy", *SCRIPTED, "--set", "reasoner.max_tokens=2", "--out", "ev")
    assert result.code == 1
    assert "19 searches failed, and count as wrong; report.md says why" in result.err
    assert {row["outcome"] for row in graded("ev")} == {"failed"}
    assert all(row["reason"].startswith("the problem failed: ") for row in graded("ev"))


@pytest.mark.slow
def test_run_that_exists_is_scored_and_two_are_compared(cli: Cli, many: Path, scripted: list[str]) -> None:
    cli("solve", many, *scripted, "--run", "a")
    cli("solve", many, *scripted, "--run", "b", "--seed", 5, "--limit", 15)
    scored = cli("evaluate", many, "--score", "a", "--json", "--out", "scored")
    (report,) = scored.rows
    assert (report["num_problems"], report["num_rows_without_reference"], scored.code) == (19, 1, 0)
    assert len(graded("scored")) == 19
    differs = cli("evaluate", many, "--compare", "a", "b")
    assert differs.code == 2
    assert "5 problems only in a (p15, p16, p17, p18, p19)" in differs.err
    (report,) = cli("evaluate", many, "--compare", "a", "b", "--common", "--json").rows
    assert (report["num_problems"], [method["name"] for method in report["methods"]]) == (14, ["a", "b"])
    assert len(report["pairs"]) == 1
    nothing = cli("evaluate", "--score", "a")
    assert (nothing.code, "a holds no reference answers" in nothing.err) == (2, True)


def test_score_takes_the_name_of_the_run_and_never_replaces_its_report(
    cli: Cli, many: Path, scripted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("solve", many, *scripted, "--run", "a", "--limit", 2)
    before = Path("a/report.json").read_bytes()
    refused = cli("evaluate", many, "--score", "a", "--out", "a")
    assert (refused.code, "--out a holds a run or an evaluation" in refused.err) == (2, True)
    assert Path("a/report.json").read_bytes() == before
    for _ in range(2):
        assert cli("evaluate", many, "--score", "a", "--out", "scored").code == 0
    monkeypatch.chdir("a")
    (report,) = cli("evaluate", many, "--score", ".", "--json").rows
    assert [method["name"] for method in report["methods"]] == ["a"]


def test_labelled_run_has_its_own_references(cli: Cli, many: Path) -> None:
    options = [
        "--config",
        "best_of_n",
        *SCRIPTED,
        "--set",
        "collect.annotators=[]",
        "--set",
        "collect.labels.kind=none",
    ]
    assert cli("collect", many, *options, "--run", "labelled").code == 1
    (report,) = cli("evaluate", "--score", "labelled", "--json").rows
    assert (report["num_problems"], report["num_rows_without_reference"]) == (19, 1)


@pytest.mark.slow
def test_interrupt_names_the_command_to_go_on(many: Path, tmp_path: Path) -> None:
    options = ["--method", "majority", "--budget", "1000000", *SCRIPTED, "--out", "my ev"]
    command = [sys.executable, "-m", "critic_engine", "evaluate", str(many), *options]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob("my ev/runs/*/answers.jsonl")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    last = err.splitlines()[-1]
    assert last == "interrupted; the work is kept; go on with: critic-engine evaluate --resume 'my ev'"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Name a problems file, or see --resume."),
        (["many.jsonl"], "Name a folder for the evaluation by --out."),
        (["many.jsonl", "--out", "ev", "--common"], "--common does not go with an evaluation"),
        (["many.jsonl", "--resume", "ev"], "PROBLEMS does not go with --resume"),
        (["--resume", "ev", "--budget", "3"], "--budget does not go with --resume"),
        (["--score", "a", "--method", "mcts"], "--method does not go with --score"),
        (["--score", "a", "--resume", "ev"], "--resume and --score are two commands"),
        (["many.jsonl", "--compare", "a", "a"], "--compare names one run twice"),
        (["many.jsonl", "--out", "ev", "--method", "mcts", "--method", "mcts"], "names one method twice"),
        (["many.jsonl", "--out", "ev", "--method", "mmc_collect"], "is told the reference answers"),
        (["many.jsonl", "--out", "ev", "--grader", "mathvisto"], "there is no grader 'mathvisto'"),
        (["many.jsonl", "--out", "ev", "--gate", "mcts"], "--gate 'mcts' cannot be read"),
        (
            ["many.jsonl", "--out", "ev", "--budget", "9", "--set", "budget.max_tokens=8"],
            "--set budget.max_tokens would be replaced by --budget",
        ),
        (["many.jsonl", "--out", "ev", "--budget", "inf"], "--budget is inf; it must be a finite number"),
        (["many.jsonl", "--out", "ev", "--margin", "nan"], "--margin is nan; it must be a finite number"),
        (["many.jsonl", "--out", "ev", "--prompt-weight", "nan"], "--prompt-weight is nan; it must be a finite"),
        (["--resume", "nothing"], "nothing holds no evaluation"),
    ],
)
def test_contradictory_options_end_in_one_line_and_leave_no_folder(
    cli: Cli, many: Path, options: list[str], message: str
) -> None:
    result = cli("evaluate", *options)
    assert result.code == 2
    assert message in result.err
    assert not Path("ev").exists()
