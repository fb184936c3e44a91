"""The files of a report: golden bytes, hostile texts, and what is left when one cannot be written."""

import csv
import dataclasses
import json
import logging
import sys
from pathlib import Path

import pytest

from critic_engine.errors import RunError
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.comparison_report import ComparisonReport
from critic_engine.evaluation.report.report_files import write_report
from critic_engine.evaluation.report.report_options import ReportOptions

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "\x1b[31m<script>alert(1)</script>|*_`$\\frac\n# x\u202e\u2028![i](j)\ud800"
FILES = {"report.json", "curves.csv", "flips.jsonl", "curves.png", "report.md"}


@pytest.fixture(scope="module")
def small(make_run) -> list[MethodRun]:
    """A comparison that has a failed and an unsure answer, samples, prices, and a method that was told the answers."""
    samples = tuple((Grade(True), Grade(index % 3 == 0)) for index in range(24))
    classes = tuple(("a", "a" if index % 3 == 0 else "b") for index in range(24))
    kept = {"rows": tuple(range(1, 25))}
    return [
        make_run("greedy", None, "rw " * 6 + "ww " * 18, tokens=20, wall_s=9, folders=("runs/1", "runs/2"), **kept),
        make_run(
            "majority", 100, "rr " * 14 + "rw ww " * 5, samples=samples, sample_classes=classes, usd=0.5, flops=48e9
        ),
        make_run("mcts", 100, "rr " * 8 + "ru fw " * 8, tokens=60, wall_s=33, folders=("runs/3", "runs/4"), **kept),
        make_run("labelled", 100, "rr " * 24, needs_reference=True),
    ]


def written(runs, options: ReportOptions, folder: Path) -> ComparisonReport:
    report = build_report(runs, options=options)
    references = [(f"{index}", "π") for index in range(report.num_problems)]
    paths = write_report(report, folder, runs=runs, references=references)
    assert {path.name for path in paths} == {path.name for path in folder.iterdir()}
    return report


@pytest.fixture(scope="module")
def folder(small, options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the small comparison."""
    path = tmp_path_factory.mktemp("report")
    models = {"reasoner": "pocket", "critic": "pocket", "grader": "answer_relation", "num_rows_without_reference": 3}
    written(small, dataclasses.replace(options, **models), path)
    return path


@pytest.mark.parametrize("name", ["report.json", "report.md", "curves.csv"])
def test_the_files_are_the_golden_ones(folder: Path, name: str) -> None:
    assert (folder / name).read_text(encoding="utf-8") == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_same_answers_give_the_same_bytes_in_place_of_an_earlier_report(small, folder: Path, tmp_path) -> None:
    for name in FILES:
        (tmp_path / name).write_text("an earlier report")
    report = ComparisonReport.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    write_report(report, tmp_path, runs=small, references=[(f"{index}", "π") for index in range(24)])
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_each_flip_says_who_was_right_and_where_both_searches_are(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "flips.jsonl").read_text(encoding="utf-8").splitlines()]
    pair = [row for row in rows if (row["ours"]["method"], row["theirs"]["method"]) == ("mcts @100", "greedy")]
    # Greedy is right with the first seed of 6 problems, mcts with both of the first 8 and the first of every other one.
    assert [(row["id"], row["seed"]) for row in pair[:8]] == [
        *((f"p{index}", 2) for index in range(6)),
        ("p6", 1),
        ("p6", 2),
    ]
    assert pair[0] == {
        "id": "p0",
        "problem_id": "0" * 16,
        "seed": 2,
        "references": ["0", "π"],
        "right": "mcts @100",
        "ours": {
            "method": "mcts @100", "answer": "r", "read_as": "r", "outcome": "right", "reason": "", "num_tokens": 60,
            "folder": "runs/4", "row": 1,
        },
        "theirs": {
            "method": "greedy", "answer": "w", "read_as": "w", "outcome": "wrong", "reason": "", "num_tokens": 20,
            "folder": "runs/2", "row": 1,
        },
    }  # fmt: skip
    failed = next(row["ours"] for row in rows if row["ours"]["outcome"] == "failed")
    assert (failed["answer"], failed["reason"]) == (None, "failed")
    assert all(row["ours"]["outcome"] == "right" or row["theirs"]["outcome"] == "right" for row in rows)
    assert not any("labelled" in str(row) for row in rows)


def test_curves_csv_has_a_row_a_run_and_no_accuracy_of_one_that_was_told_the_answers(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "curves.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["method"], row["budget"]) for row in rows] == [
        ("greedy", ""), ("majority", "100.0"), ("mcts", "100.0"), ("labelled", "100.0"),
    ]  # fmt: skip
    assert float(rows[1]["accuracy"]) == 33 / 48
    assert (rows[3]["accuracy"], rows[3]["tokens"]) == ("", "80.5")


def hostile_runs(make_run) -> list[MethodRun]:
    runs = [make_run(f"{HOSTILE}{name}", 100, "r w " * 12) for name in "ab"]
    runs[1] = make_run(f"_{HOSTILE}b", 100, "w r " * 12, folders=(HOSTILE,), rows=tuple(range(24)))
    return [dataclasses.replace(run, answers=tuple(map(hostile_problem, run.answers))) for run in runs]


def hostile_problem(problem: tuple[GradedAnswer, ...]) -> tuple[GradedAnswer, ...]:
    [graded] = problem
    answer = dataclasses.replace(graded.answer, id=HOSTILE, answer=HOSTILE, stop_reason=HOSTILE)
    return (GradedAnswer(answer, dataclasses.replace(graded.grade, read_as=HOSTILE, reason=HOSTILE)),)


def test_hostile_names_and_answers_reach_no_terminal_and_no_markup(make_run, options, tmp_path: Path) -> None:
    options = dataclasses.replace(options, problems=HOSTILE, reasoner=HOSTILE, grader=HOSTILE)
    written(hostile_runs(make_run), options, tmp_path)
    for name in FILES - {"curves.png"}:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert all(char.isprintable() or char == "\n" for char in text), name
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert "\n# x" not in markdown
    for block in markdown.split("\n\n"):
        if block.startswith("| "):
            assert len({line.replace(r"\|", "").count("|") for line in block.splitlines()}) == 1
    rows = [json.loads(line) for line in (tmp_path / "flips.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0]["ours"]["answer"] == HOSTILE


def test_without_matplotlib_one_line_names_the_extra_and_all_else_is_written(
    small, options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "curves.png").write_text("of an earlier report")
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING):
        written(small, options, tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "curves.png needs matplotlib: pip install 'critic-engine[plots]'; all else is written"
    ]
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"curves.png"}
    assert "curves.png" not in (tmp_path / "report.md").read_text()


def test_a_report_without_problems_has_no_picture(make_run, options, tmp_path: Path) -> None:
    written([make_run("a", 100, ""), make_run("b", None, "")], options, tmp_path)
    assert not (tmp_path / "curves.png").exists()
    assert (tmp_path / "flips.jsonl").read_text() == ""


def test_many_methods_and_costs_of_zero_can_be_drawn(make_run, options, tmp_path: Path) -> None:
    runs = [make_run(f"m{index}", 100, "r w", tokens=0) for index in range(8)]
    written([*runs, make_run("all", 100, "r f", tokens=10_000)], options, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_one_line(small, options, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    report = build_report(small, options=options)
    with pytest.raises(RunError, match=r"the report cannot be written into .*file: "):
        write_report(report, tmp_path / "file", runs=small)
    assert (tmp_path / "file").read_text() == "mine"
