"""The end of every evaluation: graded rows, a report and the outcomes of gates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from critic_engine.cli.comparison_view import print_report
from critic_engine.cli.text import one_line
from critic_engine.config.engine import EngineConfig
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graded_rows import write_graded
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.gates import Gate, check_gates, gate_exit_code
from critic_engine.evaluation.report.report_files import write_report
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.run.report import json_line
from critic_engine.types import FailedRow

DEFAULT_MARGIN = 0.02
"""A difference of accuracy that does not matter, unless --margin names another."""
_NUM_LEFT_OUT_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationEnd:
    """The end of an evaluation: its graded answers become rows, a report and the outcomes of gates."""

    references: tuple[tuple[str, ...], ...]
    """The accepted answers of each problem."""
    seeds: tuple[int | None, ...]
    gates: tuple[Gate, ...]
    options: ReportOptions

    def report(self, runs: Sequence[MethodRun], folder: Path | None, *, is_json: bool) -> int:
        """Print the report, and write it into ``folder`` unless that is None; return the exit code.

        That is 0 if all is well, and 1 if problems failed; with gates it is theirs alone.

        Raises:
            ConfigError: a gate names what was not compared.
            RunError: a file cannot be written.
        """
        report = build_report(runs, options=self.options)
        report = report.model_copy(update={"gates": check_gates(report, self.gates)})
        if folder is not None:
            write_graded(folder, runs, references=self.references, seeds=self.seeds)
            write_report(report, folder, runs=runs, references=self.references)
        if is_json:
            click.echo(json_line(report.model_dump()))
        else:
            console = Console()
            print_report(report, console)
        if folder is not None:
            click.echo(f"the report is in {folder / 'report.md'}, and every graded answer in graded.jsonl", err=True)
        if self.gates:
            return gate_exit_code(report.gates)
        num_failed = sum(method.num_failed for method in report.methods)
        if num_failed:
            where = "--out writes the reasons" if folder is None else "report.md says why"
            click.echo(f"{num_failed:,} searches failed, and count as wrong; {where}", err=True)
        return int(num_failed > 0)


def model_of(configs: Sequence[EngineConfig], role: str) -> str:
    """Return the names of the models that the configurations have in a role; empty if none uses one."""
    if role == "reasoner":
        names = [config.reasoner.model for config in configs]
    else:
        names = [config.critic.model for config in configs if config.needs_critic]
        names += [config.reward_model.model for config in configs if config.needs_reward_model]
    return ", ".join(dict.fromkeys(names))


def say_left_out(rows: Sequence[FailedRow]) -> None:
    """Name the first rows that are left out, and count the others."""
    for row in rows[:_NUM_LEFT_OUT_SHOWN]:
        click.echo(f"row {row.row} ({one_line(row.id, max_chars=60)}) is left out: {one_line(row.reason)}", err=True)
    if len(rows) > _NUM_LEFT_OUT_SHOWN:
        click.echo(f"… and {len(rows) - _NUM_LEFT_OUT_SHOWN:,} more rows are left out", err=True)
