"""The report of a comparison in the terminal."""

import dataclasses
import io

from rich.console import Console

from critic_engine.cli.comparison_view import print_report
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.comparison_report import ComparisonReport, GateOutcome
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.types import Answer

HOSTILE = "\x1b[2J[red]x[/red]\u202e\n:smile:"


def run(method: str, budget: float | None, outcomes: str, *, status: str = "answered") -> MethodRun:
    answers = tuple(
        (
            GradedAnswer(
                Answer(f"p{index}", f"{index:016x}", "7", 0.5, status, "tokens", 300_000, 1, 12.5),  # type: ignore[arg-type]
                Grade({"r": True, "w": False, "u": None}[letter]),
            ),
        )
        for index, letter in enumerate(outcomes)
    )
    return MethodRun(method, budget, answers, wall_s=75.0)


def report_of(*runs: MethodRun, problems: str = "problems.jsonl") -> ComparisonReport:
    return build_report(runs, options=ReportOptions("tokens", 1.0, 8, problems))


def printed(report: ComparisonReport, *, width: int = 100, is_terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None, markup=False, emoji=False
    )
    print_report(report, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


RUNS = (
    run("majority", 1_000_000, "rw" * 30),
    run("mcts_with_a_long_name_of_a_file.yaml", 1_000_000, "wr" * 15 + "wu" * 15),
)


def test_the_tables_fit_100_columns_and_hold_all_figures() -> None:
    lines = printed(report_of(*RUNS)).splitlines()
    tables = lines[: next(number for number, line in enumerate(lines) if line.startswith("60 problems, 1 seed;"))]
    assert max(map(len, tables)) <= 100
    assert any(line.split()[:2] == ["method", "right"] and line.split()[-1] == "failed" for line in tables)
    [row] = [line for line in tables if line.startswith(" majority") and "[" in line and "of" in line]
    assert "0.500  [0.377, 0.623]  300,000  300,000     12.5  300,000 of 1,000,000       0       0" in row


def test_a_pipe_has_whole_rows_whatever_its_width() -> None:
    assert printed(report_of(*RUNS), width=80) == printed(report_of(*RUNS), width=100)


def test_no_column_is_lost_in_80_columns() -> None:
    text = printed(report_of(run("greedy", None, "rwu")), width=80, is_terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    assert "failed" in " ".join(text.split())


def test_prices_and_operations_are_printed_where_they_are_known() -> None:
    priced = dataclasses.replace(RUNS[0], usd=0.6, flops=1.2e15)
    lines = printed(report_of(priced, RUNS[1])).splitlines()
    assert "USD of one search: majority @1000000 0.0100" in lines
    assert "FLOPs of one search: majority @1000000 2e+13" in lines
    assert not any("USD" in line for line in printed(report_of(*RUNS)).splitlines())


def test_each_verdict_is_one_line_in_a_pipe_and_wraps_in_a_terminal() -> None:
    report = report_of(*RUNS)
    [pair] = report.pairs
    assert pair.text in printed(report).splitlines()
    assert pair.text not in printed(report, is_terminal=True).splitlines()
    assert max(map(len, printed(report, is_terminal=True).splitlines())) <= 100


def test_every_caution_is_printed_and_long_lists_of_pairs_are_cut() -> None:
    report = report_of(*(run(f"m{number}", 100, "rw" * 5) for number in range(8)))
    lines = printed(report).splitlines()
    assert [line for line in lines if line.startswith("note: ")] == [f"note: {each}" for each in report.cautions]
    assert "… and 8 more pairs" in lines


def test_hostile_names_are_printed_as_text() -> None:
    text = printed(report_of(run(HOSTILE, None, "r"), run("b", None, "w"), problems=HOSTILE))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "[red]x[/red] :smile:" in text


def test_gates_are_a_line_each() -> None:
    gates = (
        GateOutcome(gate="a > b", passing="pass", reason=HOSTILE),
        GateOutcome(gate="a > 0.5", passing="inconclusive", reason="why " * 30),
    )
    lines = printed(report_of(run("a", None, "r")).model_copy(update={"gates": gates})).splitlines()
    assert lines[-2:] == ["pass: a > b: [red]x[/red] :smile:", "inconclusive: a > 0.5: " + " ".join(["why"] * 30)]
