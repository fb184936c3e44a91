"""Evaluations that search: a new one, one that goes on, and a model's opinion on their answers."""

import asyncio
import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from critic_engine.cli.command import interrupted_with
from critic_engine.cli.evaluation_end import DEFAULT_MARGIN, EvaluationEnd, model_of, say_left_out
from critic_engine.cli.evaluation_request import EvaluateRequest
from critic_engine.cli.problem_options import open_problems
from critic_engine.cli.progress import load_models, show_progress
from critic_engine.cli.text import one_line
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.data.problems import read_problems
from critic_engine.data.tables import is_on_hub
from critic_engine.evaluation.campaign import Campaign, RunTurn
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graders.audit import audit, write_audit
from critic_engine.evaluation.graders.grader import AnswerGrader
from critic_engine.evaluation.graders.model_judge import ModelJudge, make_judge
from critic_engine.evaluation.graders.named_graders import GRADER_NAMES, grader_name, make_grader
from critic_engine.evaluation.judged_answers import JudgedKey, judge_answers, judged_methods
from critic_engine.evaluation.method_runs import answer_texts, read_method_runs
from critic_engine.evaluation.plan import EvaluationPlan, PlannedMethod, ProblemsSource
from critic_engine.evaluation.problem_set import ProblemSet, read_problem_set
from critic_engine.evaluation.report.figure_words import counted
from critic_engine.evaluation.report.gates import check_names, parse_gate
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.evaluation.scoring import Scorekeeper
from critic_engine.roles.critic_gate import with_card_auroc
from critic_engine.run.runner import Progress
from critic_engine.statistics.verdicts import FEWEST_PROBLEMS

_METHODS = ("greedy", "majority", "best_of_n", "guided")


def evaluate(request: EvaluateRequest) -> int:
    """Run what is missing of an evaluation, and report; return the exit code."""
    if request.problems is None or request.out is None:
        raise click.UsageError("Name a problems file, and a folder by --out.")
    configs = {name: dataclasses.replace(request, config=(name,)).read_config() for name in _named(request)}
    first, *_ = configs.values()
    file, noted = open_problems(
        request.problems, first, image_root=request.image_root, schema=request.schema, maps=request.maps
    )
    configs = {name: config.model_copy(update={"problems": noted.problems}) for name, config in configs.items()}
    problems = read_problem_set(file, name=str(request.problems), limit=request.limit)
    grader = grader_name(request.grader, schema_name=file.schema.name)
    plan = _plan(request, configs, _source(request, request.problems, problems), grader)
    return _run(Campaign(request.out, plan, problems), is_json=request.is_json)


def _source(request: EvaluateRequest, path: Path, problems: ProblemSet) -> ProblemsSource:
    return ProblemsSource(
        path=str(path) if is_on_hub(path) else str(path.absolute()),
        image_root=None if request.image_root is None else str(request.image_root.absolute()),
        limit=request.limit,
        digest=problems.digest,
    )


def _plan(
    request: EvaluateRequest, configs: Mapping[str, EngineConfig], source: ProblemsSource, grader: str
) -> EvaluationPlan:
    first_seed = next(iter(configs.values())).run.seed
    return EvaluationPlan(
        problems=source,
        methods=tuple(PlannedMethod(name=name, config=with_card_auroc(config)) for name, config in configs.items()),
        budgets=tuple(dict.fromkeys(request.budgets)),
        seeds=tuple(range(first_seed, first_seed + (request.seeds or 1))),
        match=request.match or "tokens",
        prompt_weight=1.0 if request.prompt_weight is None else request.prompt_weight,
        grader=grader,
        margin=DEFAULT_MARGIN if request.margin is None else request.margin,
        gates=request.gates,
        judge=None if request.judge is None else _judge_config(request, request.judge),
    )


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
    judge = None if plan.judge is None else make_judge(plan.judge)
    check_names(gates, runs)
    say_left_out(problems.left_out)
    if len(problems.problems) < FEWEST_PROBLEMS:
        click.echo(
            f"warning: {counted(len(problems.problems), 'problem')} cannot tell methods apart; {FEWEST_PROBLEMS} or "
            "more are needed for any verdict",
            err=True,
        )
    command = f"critic-engine evaluate --resume {shlex.quote(str(campaign.folder))}"
    with campaign.begun(), interrupted_with(f"interrupted; the work is kept; go on with: {command}"):
        for change in dict.fromkeys(f"{run.method}: {change}" for run in runs for change in run.changes):
            click.echo(f"{change}, so that it can spend a budget", err=True)
        campaign.run_missing(_watch)
        graded = read_method_runs(campaign, Scorekeeper(grader))
        _audit(campaign, grader)
        end = EvaluationEnd(
            references=tuple(each.row.reference_answers for each in problems.problems),
            seeds=plan.seeds,
            gates=tuple(gates),
            options=_options(plan, problems),
        )
        exit_code = end.report(graded, campaign.folder, is_json=is_json)
        if judge is not None:
            _judge(campaign, judge, graded)
        return exit_code


def _audit(campaign: Campaign, grader: AnswerGrader) -> None:
    """Keep the answers that the answer relation grades otherwise than another grader, for a person to look at."""
    path = campaign.folder / "audit.jsonl"
    if grader.name == GRADER_NAMES[0]:
        path.unlink(missing_ok=True)
        return
    num_cases = sum(write_audit(path, audit(answer_texts(campaign), grader)).values())
    if num_cases:
        click.echo(f"the answer relation grades {num_cases:,} answers otherwise than {grader.name}: {path}", err=True)


def _judge_config(request: EvaluateRequest, model: str) -> ModelConfig:
    if not model.strip():
        raise click.UsageError("--judge is empty; name a model, or leave it out.")
    judge = ModelConfig.model_validate({"model": model})
    if judge.backend != "openai_api" or request.base_url is None:
        return judge
    return judge.model_copy(update={"openai_api": judge.openai_api.model_copy(update={"base_url": request.base_url})})


def _judge(campaign: Campaign, judge: ModelJudge, runs: Sequence[MethodRun]) -> None:
    """Print a model's opinion on the answers of each method, beside the grades."""
    problems, path = campaign.problems.problems, campaign.folder / "judged.jsonl"

    async def opinions() -> dict[JudgedKey, bool | None]:
        try:
            return await judge_answers(judge, ((row, text) for row, text, _ in answer_texts(campaign)), path)
        finally:
            await judge.aclose()

    click.echo(f"asking {judge.name}", err=True)
    for method in judged_methods(runs, problems, asyncio.run(opinions())):
        click.echo(
            f"opinion of {judge.name} on {method.name}: {method.num_right:,} right, {method.num_wrong:,} wrong, "
            f"{method.num_unsure:,} without a verdict; {method.num_other:,} otherwise than the grader",
            err=True,
        )


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
