"""``critic-engine evaluate-critic``: the card of a critic or reward model."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import EngineCommand, interrupted_with
from critic_engine.cli.engine_options import EngineRequest, engine_options, file_options
from critic_engine.cli.placement_options import placement_options
from critic_engine.cli.problem_options import open_problems, schema_options

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.data.given_problems import GivenProblem
    from critic_engine.evaluation.critic_card.card_options import CardOptions
    from critic_engine.evaluation.critic_card.measure import Measurement

_EPILOG = """\b
Examples:
  critic-engine evaluate-critic problems.jsonl --out cards/pocket
  critic-engine evaluate-critic problems.jsonl --limit 200 --num-solutions 8 --out cards/wide
  critic-engine evaluate-critic problems.jsonl --num-rollouts 8 --out cards/rollouts
  critic-engine evaluate-critic runs/labelled --out cards/labelled
  critic-engine evaluate-critic problems.jsonl --reasoner Qwen/Qwen2.5-VL-7B-Instruct \\
      --critic openai:judge --base-url http://localhost:8000/v1 --out cards/judge
  critic-engine evaluate-critic problems.jsonl --reward-model runs/reward/model \\
      --reasoner Qwen/Qwen2.5-VL-7B-Instruct --out cards/reward
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _CardRequest(EngineRequest):
    """The parsed command line."""

    source: Path
    out: Path
    limit: int | None
    image_root: Path | None
    schema: str | None
    maps: tuple[str, ...]
    num_solutions: int
    num_checked: int
    num_rewrites: int
    num_rollouts: int
    is_json: bool

    @property
    def is_run(self) -> bool:
        """Whether the solutions are those of a run that exists."""
        return (self.source / "run.sqlite").is_file()

    @property
    def options(self) -> CardOptions:
        """The size of the measurement."""
        from critic_engine.evaluation.critic_card.card_options import CardOptions

        return CardOptions(
            num_solutions=self.num_solutions,
            num_checked=self.num_checked,
            num_rewrites=self.num_rewrites,
            num_rollouts=self.num_rollouts,
        )

    def check(self) -> None:
        """Refuse contradictory options."""
        if self.critic is not None and self.reward_model is not None:
            raise click.UsageError("a card is of one model: give --critic or --reward-model.")
        for_problems = {"--limit": self.limit, "--image-root": self.image_root, "--schema": self.schema}
        for name, value in {**for_problems, "--map": self.maps, "--reasoner": self.reasoner}.items():
            if value and self.is_run:
                raise click.UsageError(f"{name} goes with a problems file only; {self.source} is a run.")

    def judging(self) -> EngineConfig:
        """Return the config whose evaluator asks the model to be measured."""
        kind = "critic" if self.reward_model is None else "reward_model"
        if self.reward_model is None and self.critic is None:
            kind = self._usual_kind()
        return replace(self, settings=(f"evaluator={{kind: {kind}}}", *self.settings)).load_config()

    def _usual_kind(self) -> str:
        config = self.load_config()
        return "reward_model" if config.needs_reward_model and not config.needs_critic else "critic"


@click.command("evaluate-critic", cls=EngineCommand, epilog=_EPILOG, short_help="Measure a critic or reward model.")
@click.argument("source", type=click.Path(path_type=Path), metavar="PROBLEMS|RUN")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", required=True,
    help="Folder of the card; the same command goes on with one that was stopped.",
)  # fmt: skip
@engine_options("best_of_n")
@placement_options
@click.option(
    "--num-solutions", type=click.IntRange(min=1), default=4, show_default=True, metavar="N",
    help="Solutions of each problem.",
)  # fmt: skip
@click.option(
    "--num-checked", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
    help="Problems of which one solution is also judged twice, reworded, and rewritten by its critique.",
)  # fmt: skip
@click.option(
    "--num-rewrites", type=click.IntRange(min=0), default=2, show_default=True, metavar="N",
    help="Rewrites of each of these with the critique, and as many fresh solutions; 0 measures no lift.",
)  # fmt: skip
@click.option(
    "--num-rollouts", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
    help="Completions of each intermediate step of these, to compare with the critic's value there.",
)  # fmt: skip
@file_options
@schema_options
@click.option("--json", "is_json", is_flag=True, help="Print the card as JSON on stdout.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Measure how far a critic or reward model can be trusted, on solutions whose answers are known.

    PROBLEMS is a file that `solve` reads, with a column `answer`: the reasoner draws solutions, and the reference
    answers say which are right. RUN is a labelled run, whose finished paths are judged. The critic never sees a
    reference answer. The folder gets critic_card.json, which the config field critic.health takes, report.md,
    reliability.png and judgements.jsonl.
    """
    request = _CardRequest(**options)
    request.check()
    if request.is_run:
        is_chosen = context.get_parameter_source("config") is not click.core.ParameterSource.DEFAULT
        run_config = str(request.source / "config.yaml")
        request = replace(request, config=(run_config, *(request.config if is_chosen else ())))
    return _evaluate(request)


def _evaluate(request: _CardRequest) -> int:
    from critic_engine.cli.progress import show_progress
    from critic_engine.errors import ProblemError
    from critic_engine.evaluation.critic_card.measure import evaluate_critic

    config, source = request.judging(), request.source
    given: Path | Iterable[GivenProblem] = source
    if not request.is_run:
        problems, config = open_problems(
            source, config, image_root=request.image_root, schema=request.schema, maps=request.maps
        )
        if not problems.has_reference_answers(request.limit):
            raise ProblemError(
                f"{source} has no reference answer in the rows to solve; write them in a column 'answer', or name "
                "their column by --map answer=COLUMN"
            )
        given = itertools.islice(problems, request.limit)
    again = f"interrupted; the work is kept in {shlex.quote(str(request.out))}; run the same command again to go on"
    with interrupted_with(again), show_progress() as progress:
        measurement = evaluate_critic(
            given, config, request.out, task=source.name, options=request.options, on_progress=progress
        )
        return _report(measurement, request)


def _report(measurement: Measurement, request: _CardRequest) -> int:
    """Write and print the card; return 1 if rows were left out, else 0."""
    from critic_engine.cli.answer_view import failed_line, failed_lines
    from critic_engine.cli.text import printable
    from critic_engine.evaluation.critic_card.card_files import write_card
    from critic_engine.evaluation.critic_card.card_report import summary_lines

    card = measurement.card()
    missing = write_card(card, request.out)
    if request.is_json:
        click.echo(json.dumps(card.model_dump(mode="json")))
    else:
        for line in summary_lines(card):
            click.echo(printable(line))
    failed = [failed_line(row.id, row.reason) for row in measurement.unlabelled]
    for line in (*failed_lines(failed, num=len(failed), where="the rows without labelled solutions"), *missing):
        click.echo(line, err=True)
    click.echo(f"the card is in {request.out}", err=True)
    return int(bool(failed))
