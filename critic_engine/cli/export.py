"""``critic-engine export``: the rows of a labelled run as files that trainers load."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from critic_engine.cli.command import EngineCommand, interrupted_with
from critic_engine.cli.filter_options import changed_filters, filter_option

if TYPE_CHECKING:
    from critic_engine.data.exports import ExportOptions, ExportReport

_EPILOG = """\b
Formats:
  trl-dpo trl-sft trl-kto trl-prm  llamafactory-dpo llamafactory-sft
  swift-dpo swift-sft  rlaifv  visualprm
  inspect  (any run, as a log of inspect_ai)

\b
Examples:
  critic-engine export runs/labelled --format trl-dpo --out data/critic-dpo
  critic-engine export runs/labelled --format trl-prm --role reasoner --out data/steps
  critic-engine export runs/labelled --format llamafactory-sft --out data/lf --validation-share 0.1
  critic-engine export runs/labelled --format trl-sft --out data/strict --set collect.filters.min_right=6
  critic-engine export runs/labelled --format trl-sft --out data/sft --max-length 2048 --tokenizer Qwen/Qwen2.5-VL-7B-Instruct
  critic-engine export runs/labelled --format swift-dpo --out data/swift --push-to-hub me/critic-pairs --private
  critic-engine export runs/a --format inspect --out logs/a.eval --problems problems.jsonl
"""  # noqa: E501


@dataclass(frozen=True, slots=True, kw_only=True)
class _ExportRequest:
    """The command line of one call."""

    run: Path
    format: str
    role: Literal["critic", "reasoner"]
    out: Path
    container: Literal["parquet", "jsonl"] | None
    validation_share: float
    max_length: int | None
    tokenizer: str | None
    settings: tuple[str, ...]
    license: str
    overwrite: bool
    repo_id: str | None
    is_private: bool
    is_json: bool
    problems: Path | None = None


# The options that a log of inspect_ai has a use for.
_OF_INSPECT = {"run", "format", "out", "problems", "overwrite", "is_json"}


@click.command("export", cls=EngineCommand, epilog=_EPILOG, short_help="Write a run for trainers or inspect_ai.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", metavar="NAME", required=True, help="The format to write; see below.")
@click.option(
    "--role",
    type=click.Choice(["critic", "reasoner"]),
    default="critic",
    show_default=True,
    help="The role to train with the rows.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    required=True,
    help="The folder to make, or the file for inspect; it appears once it is complete.",
)
@click.option(
    "--container",
    type=click.Choice(["parquet", "jsonl"]),
    help="Parquet holds the images; JSON lines lie beside a folder of them. Default: the trainer's usual one.",
)
@click.option(
    "--validation-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of the problems, chosen by a hash of their ids, whose rows are for validation.",
)
@click.option(
    "--max-length",
    type=click.IntRange(min=1),
    metavar="N",
    help="Leave out rows of more tokens, images included; none is ever cut. Needs --tokenizer.",
)
@click.option(
    "--tokenizer",
    metavar="MODEL",
    help="The model whose tokens are counted: a folder, a hub id, pocket or pocket:prose.",
)
@click.option(
    "--problems",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Score the answers by the reference answers in this file; for inspect.",
)
@filter_option
@click.option(
    "--license", metavar="NAME", default="unknown", show_default=True, help="The license for the dataset card."
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export at PATH; nothing else is ever replaced.")
@click.option("--push-to-hub", "repo_id", metavar="REPO_ID", help="Upload the folder as this data set, too.")
@click.option("--private", "is_private", is_flag=True, help="Make a new data set on the hub private.")
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON on stdout.")
def command(**options: Any) -> None:
    """Write the rows of the labelled run RUN in a trainer's own format, verified, with a dataset card.

    The files are read back before the folder appears: values and images are unchanged, each image has a placeholder,
    roles alternate, and answers differ. Rows that the trainer could not load are left out and counted by reason.

    With --format inspect, any run becomes a log that `inspect view` opens: a sample a problem, a span a simulation.
    """
    _export(_ExportRequest(**options))


def _export(request: _ExportRequest) -> None:
    if request.format == "inspect":
        _export_log(request)
        return
    _check_usage(request)
    from critic_engine.data.exports import export_rows, format_named
    from critic_engine.data.exports.hub_upload import push_folder
    from critic_engine.data.selection.rows import open_rows

    kind = format_named(request.format).row_type
    filters = changed_filters(request.run, request.settings)
    message = f"interrupted; nothing was written to {request.out}, run the same command again"
    with (
        interrupted_with(message),
        open_rows(request.run, kind=kind, role=request.role, filters=filters) as rows,
    ):
        report = export_rows(rows, _options(request))
    _print_report(report, request)
    if request.repo_id is not None:
        push_folder(request.out, request.repo_id, is_private=request.is_private)
        click.echo(f"pushed to {request.repo_id}", err=True)


def _export_log(request: _ExportRequest) -> None:
    from critic_engine.data.problems import read_problems
    from critic_engine.evaluation.harnesses.inspect_log import write_inspect_log
    from critic_engine.run.report import json_line

    context = click.get_current_context()
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if is_given and parameter.name not in _OF_INSPECT and parameter.name in _ExportRequest.__dataclass_fields__:
            raise click.UsageError(f"{parameter.opts[0]} is about training data; --format inspect has no use for it.")
    rows = () if request.problems is None else read_problems(request.problems)
    report = write_inspect_log(request.run, request.out, rows=rows, is_overwritten=request.overwrite)
    if request.is_json:
        click.echo(json_line({"out": str(request.out), **asdict(report)}))
    of_rows = "" if report.num_samples == report.num_rows else f" of {report.num_rows:,}"
    click.echo(f"wrote {report.num_samples:,}{of_rows} samples to {request.out}", err=True)
    if report.num_scored or report.num_unsure:
        unsure = f", {report.num_unsure:,} unsure" if report.num_unsure else ""
        click.echo(f"{report.num_right:,} of {report.num_scored:,} are right{unsure}", err=True)


def _check_usage(request: _ExportRequest) -> None:
    if request.max_length is not None and request.tokenizer is None:
        raise click.UsageError("--max-length needs --tokenizer, which says whose tokens are counted.")
    if request.tokenizer is not None and request.max_length is None:
        raise click.UsageError("--tokenizer counts for --max-length, which is missing.")
    if request.problems is not None:
        raise click.UsageError("--problems scores the answers of --format inspect; training data holds references.")
    if request.is_private and request.repo_id is None:
        raise click.UsageError("--private is about a data set on the hub; name it by --push-to-hub.")
    if not request.license.strip():
        raise click.UsageError("--license is empty; name one, such as cc-by-4.0, or leave it out.")


def _options(request: _ExportRequest) -> ExportOptions:
    from critic_engine.backends.huggingface.token_counter import TokenCounter
    from critic_engine.data.exports import ExportOptions
    from critic_engine.data.exports.exclusions import LengthLimit

    limit = None
    if request.max_length is not None and request.tokenizer is not None:
        limit = LengthLimit(request.max_length, request.tokenizer, TokenCounter(request.tokenizer))
    return ExportOptions(
        format=request.format,
        out=request.out,
        role=request.role,
        container=request.container,
        validation_share=request.validation_share,
        limit=limit,
        license=request.license,
        is_overwritten=request.overwrite,
    )


def _print_report(report: ExportReport, request: _ExportRequest) -> None:
    from critic_engine.data.exports.exclusions import MEANINGS
    from critic_engine.run.report import json_line

    if request.is_json:
        click.echo(json_line({"out": str(request.out), **report.fields()}))
    counts = ", ".join(f"{number:,} rows for {split}" for split, number in report.num_rows.items())
    click.echo(f"wrote {counts} to {request.out}", err=True)
    for reason, number in sorted(report.num_left_out.items()):
        click.echo(f"left out {number:,} ({reason}): {MEANINGS[reason]}", err=True)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
