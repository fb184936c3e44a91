"""Grading runs that exist: ``critic-engine evaluate --score`` and ``--compare``."""

from collections.abc import Sequence
from pathlib import Path

import click

from critic_engine.cli.evaluation_end import DEFAULT_MARGIN, EvaluationEnd, model_of, say_left_out
from critic_engine.cli.evaluation_request import EvaluateRequest
from critic_engine.cli.problem_options import open_problems
from critic_engine.config.engine import EngineConfig
from critic_engine.evaluation.graders.named_graders import grader_name, make_grader
from critic_engine.evaluation.plan import PLAN_FILE
from critic_engine.evaluation.problem_set import ProblemSet, read_problem_set
from critic_engine.evaluation.report.gates import parse_gate
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.evaluation.scored_runs import ScoredRun, common_problems
from critic_engine.evaluation.scoring import Scorekeeper
from critic_engine.run.database import holds_run
from critic_engine.run.store import RunStore


def score_run(request: EvaluateRequest, folder: Path) -> int:
    """Grade the answers of one run, and report; return the exit code."""
    _check_out(request.out)
    references = _references(request, folder)
    run = ScoredRun.open(folder, references)
    say_left_out(run.left_out)
    return _report(request, [run], references)


def compare_runs(request: EvaluateRequest, folders: tuple[Path, Path]) -> int:
    """Compare the answers of two runs to the same problems, and report; return the exit code."""
    if folders[0].resolve() == folders[1].resolve():
        raise click.UsageError("--compare names one run twice; name two.")
    _check_out(request.out)
    references = _references(request, folders[0])
    runs = [ScoredRun.open(folder, references) for folder in folders]
    for run in runs:
        say_left_out(run.left_out)
    return _report(request, common_problems(*runs, is_common=request.is_common), references)


def _check_out(folder: Path | None) -> None:
    """Refuse a folder whose own report would be replaced."""
    if folder is not None and (holds_run(folder) or (folder / PLAN_FILE).is_file()):
        raise click.UsageError(f"--out {folder} holds a run or an evaluation with its own report; name another folder.")


def _references(request: EvaluateRequest, folder: Path) -> ProblemSet | None:
    """Return the reference answers of the problems file; None where no file is named."""
    if request.problems is None:
        return None
    with RunStore.view(folder) as store:
        config = store.config()
    file, _ = open_problems(
        request.problems, config, image_root=request.image_root, schema=request.schema, maps=request.maps
    )
    return read_problem_set(file, name=str(request.problems), limit=request.limit)


def _report(request: EvaluateRequest, runs: Sequence[ScoredRun], references: ProblemSet | None) -> int:
    configs = [run.config for run in runs]
    grader = grader_name(request.grader, schema_name=_schema(configs[0], references))
    keeper = Scorekeeper(make_grader(grader))
    end = EvaluationEnd(
        references=tuple(each.row.reference_answers for each in runs[0].problems),
        seeds=(None,),
        gates=tuple(map(parse_gate, request.gates)),
        options=ReportOptions(
            currency="tokens",
            prompt_weight=1.0 if request.prompt_weight is None else request.prompt_weight,
            concurrency=max(config.run.problems_in_flight * config.run.trials_in_flight for config in configs),
            problems=str(runs[0].folder) if request.problems is None else request.problems.name,
            reasoner=model_of(configs, "reasoner"),
            critic=model_of(configs, "critic"),
            grader=grader,
            margin=DEFAULT_MARGIN if request.margin is None else request.margin,
            num_rows_without_reference=sum(row.fault == "no_reference_answer" for row in runs[0].left_out),
        ),
    )
    if request.out is not None:
        request.out.mkdir(parents=True, exist_ok=True)
    folders = [run.folder.resolve() for run in runs]
    are_distinct = len({folder.name for folder in folders}) == len(runs)
    names = [folder.name if are_distinct else str(run.folder) for run, folder in zip(runs, folders, strict=True)]
    graded = [run.graded(keeper, method=name) for run, name in zip(runs, names, strict=True)]
    return end.report(graded, request.out, is_json=request.is_json)


def _schema(config: EngineConfig, references: ProblemSet | None) -> str | None:
    return config.problems.schema_name if references is None else references.file.schema.name
