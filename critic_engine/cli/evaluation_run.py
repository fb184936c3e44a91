"""The evaluations that ``critic-engine evaluate`` runs, and the end of all of them: graded rows, report and gates."""

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from critic_engine.cli.command import interrupted_with
from critic_engine.cli.comparison_view import print_gates, print_report
from critic_engine.cli.evaluation_request import EvaluateRequest
from critic_engine.cli.problem_options import open_problems
from critic_engine.cli.progress import load_models, show_progress
from critic_engine.cli.text import one_line
from critic_engine.data.problems import read_problems
from critic_engine.data.tables import is_on_hub
from critic_engine.evaluation.campaign import Campaign, RunTurn
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graded_rows import write_graded
from critic_engine.evaluation.graders.named_graders import grader_for, make_grader
from critic_engine.evaluation.method_runs import read_method_runs
from critic_engine.evaluation.plan import EvaluationPlan, PlannedMethod, ProblemsSource
from critic_engine.evaluation.problem_set import ProblemSet, read_problem_set
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.gates import Gate, check_gates, check_names, gate_exit_code, parse_gate
from critic_engine.evaluation.report.report_files import write_report
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.evaluation.scoring import Scorekeeper
from critic_engine.run.report import json_line
from critic_engine.run.runner import Progress
from critic_engine.types import FailedRow

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig

_METHODS = ("greedy", "majority", "best_of_n", "mcts")
DEFAULT_MARGIN = 0.02
"""A difference of accuracy that does not matter, unless --margin names another."""
_NUM_LEFT_OUT_SHOWN = 10
_FEWEST_PROBLEMS = 20


def evaluate(request: EvaluateRequest) -> int:
    """Run what is missing of an evaluation, and report; return the exit code."""
    if request.problems is None or request.out is None:
        raise click.UsageError("Name a problems file, and a folder by --out.")
    configs = {name: dataclasses.replace(request, config=(name,)).read_config() for name in _named(request)}
    first, *_ = configs.values()
    file, noted = open_problems(
        request.problems, first, image_root=request.image_root, schema=request.schema, maps=request.maps
    )
    problems = read_problem_set(file, name=str(request.problems), limit=request.limit)
    path = str(request.problems) if is_on_hub(request.problems) else str(request.problems.absolute())
    source = ProblemsSource(
        path=path,
        image_root=None if request.image_root is None else str(request.image_root.absolute()),
        limit=request.limit,
        digest=problems.digest,
    )
    plan = EvaluationPlan(
        problems=source,
        methods=tuple(
            PlannedMethod(name=name, config=config.model_copy(update={"problems": noted.problems}))
            for name, config in configs.items()
        ),
        budgets=request.budgets,
        seeds=tuple(range(first.run.seed, first.run.seed + (request.seeds or 1))),
        match=request.match or "tokens",
        prompt_weight=1.0 if request.prompt_weight is None else request.prompt_weight,
        grader=request.grader or grader_for(file.schema.name),
        margin=DEFAULT_MARGIN if request.margin is None else request.margin,
        gates=request.gates,
    )
    return _run(Campaign(request.out, plan, problems), is_json=request.is_json)


def resume_evaluation(request: EvaluateRequest, folder: Path) -> int:
    """Go on with the evaluation in a folder by its plan, and report; return the exit code."""
    plan = EvaluationPlan.read(folder)
    methods = tuple(method.model_copy(update={"config": request.apply(method.config)}) for method in plan.methods)
    plan = plan.model_copy(update={"methods": methods, "gates": request.gates or plan.gates})
    reading, source = methods[0].config, plan.problems
    file = read_problems(
        source.path,
        limits=reading.run,
        image_root=None if source.image_root is None else Path(source.image_root),
        schema=reading.problems.schema_name,
        columns=reading.problems.columns,
    )
    problems = read_problem_set(file, name=source.path, limit=source.limit)
    return _run(Campaign(folder, plan, problems), is_json=request.is_json)


def _named(request: EvaluateRequest) -> Sequence[str]:
    methods = request.methods or _METHODS
    if len(set(methods)) < len(methods):
        raise click.UsageError(f"--method names one method twice ({', '.join(methods)}); name each once.")
    return methods


def _run(campaign: Campaign, *, is_json: bool) -> int:
    plan, problems = campaign.plan, campaign.problems
    plan.check()
    grader, gates, runs = make_grader(plan.grader), list(map(parse_gate, plan.gates)), plan.runs()
    check_names(gates, runs)
    say_left_out(problems.left_out)
    if len(problems.problems) < _FEWEST_PROBLEMS:
        click.echo(
            f"warning: {len(problems.problems)} problems cannot tell methods apart; {_FEWEST_PROBLEMS} or more "
            "are needed for any verdict",
            err=True,
        )
    command = f"critic-engine evaluate --resume {shlex.quote(str(campaign.folder))}"
    with campaign.locked(), interrupted_with(f"interrupted; the work is kept; go on with: {command}"):
        campaign.begin()
        for change in dict.fromkeys(f"{run.method}: {change}" for run in runs for change in run.changes):
            click.echo(f"{change}, so that it can spend a budget", err=True)
        campaign.run_missing(_watch)
        graded = read_method_runs(campaign, Scorekeeper(grader))
        end = EvaluationEnd(
            references=tuple(each.row.reference_answers for each in problems.problems),
            seeds=plan.seeds,
            gates=tuple(gates),
            options=_options(plan, problems),
        )
        return end.report(graded, campaign.folder, is_json=is_json)


@contextmanager
def _watch(turn: RunTurn) -> Iterator[Callable[[Progress], None]]:
    click.echo(f"run {turn.number} of {turn.num_runs}: {one_line(turn.run.name)}", err=True)
    load_models(turn.engine)
    with show_progress() as progress:
        yield progress


def _options(plan: EvaluationPlan, problems: ProblemSet) -> ReportOptions:
    configs = [method.config for method in plan.methods]
    in_flight = {config.run.problems_in_flight * config.run.trials_in_flight for config in configs}
    return ReportOptions(
        currency=plan.match,
        prompt_weight=plan.prompt_weight,
        concurrency=max(in_flight),
        problems=Path(plan.problems.path).name,
        reasoner=model_of(configs, "reasoner"),
        critic=model_of(configs, "critic"),
        grader=plan.grader,
        margin=plan.margin,
        num_rows_without_reference=problems.num_without_reference,
    )


def model_of(configs: "Sequence[EngineConfig]", role: str) -> str:
    """Return the name of the model that all configurations have in a role; empty if they differ or none uses one."""
    if role == "reasoner":
        names = {config.reasoner.model for config in configs}
    else:
        names = {config.critic.model for config in configs if config.needs_critic}
        names |= {config.reward_model.model for config in configs if config.needs_reward_model}
    return names.pop() if len(names) == 1 else ""


def say_left_out(rows: Sequence[FailedRow]) -> None:
    """Name the first rows that are left out, and count the others."""
    for row in rows[:_NUM_LEFT_OUT_SHOWN]:
        click.echo(f"row {row.row} ({one_line(row.id, max_chars=60)}) is left out: {one_line(row.reason)}", err=True)
    if len(rows) > _NUM_LEFT_OUT_SHOWN:
        click.echo(f"… and {len(rows) - _NUM_LEFT_OUT_SHOWN:,} more rows are left out", err=True)


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
        outcomes = check_gates(report, self.gates)
        if folder is not None:
            write_graded(folder, runs, references=self.references, seeds=self.seeds)
            write_report(report, folder, runs=runs, references=self.references)
        if is_json:
            gates = [dataclasses.asdict(outcome) for outcome in outcomes]
            click.echo(json_line({**report.model_dump(), "gates": gates}))
        else:
            console = Console()
            print_report(report, console)
            print_gates(outcomes, console)
        if folder is not None:
            click.echo(f"the report is in {folder / 'report.md'}, and every graded answer in graded.jsonl", err=True)
        if self.gates:
            return gate_exit_code(outcomes)
        num_failed = sum(method.num_failed for method in report.methods)
        if num_failed:
            click.echo(f"{num_failed:,} problems failed, and count as wrong; graded.jsonl says why", err=True)
        return int(num_failed > 0)
