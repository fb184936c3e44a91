"""``critic-engine collect --estimate``: a forecast of a run from a small sample, of which nothing is kept."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from critic_engine.cli.answer_view import Tally, failed_line
from critic_engine.cli.command import interrupted_with
from critic_engine.cli.follow_run import closing_answers
from critic_engine.cli.progress import load_models, show_progress
from critic_engine.cli.survey_view import duration_words, range_words
from critic_engine.config.engine import EngineConfig
from critic_engine.config.search import RunConfig
from critic_engine.data.selection.forecast import Estimate, Forecast, ProblemFigures, Range, sample_rows
from critic_engine.data.selection.survey import survey
from critic_engine.engine import Engine
from critic_engine.roles.checker import Checker
from critic_engine.run.report import json_line
from critic_engine.run.store import RunStore
from search import StopReason

if TYPE_CHECKING:
    from critic_engine.data.problems import ProblemsFile
    from critic_engine.types import FailedRow, ProblemRow

# A problem that a limit of the run cut has not failed.
_CUTS = (StopReason.RUN_TOKENS, StopReason.RUN_SECONDS)


def estimate(config: EngineConfig, problems: "ProblemsFile", *, limit: int | None, size: int) -> Estimate:
    """Return the forecast of the first ``limit`` rows from ``size`` of them, which are run in a temporary folder.

    The sample keeps to the limits of the run. If one cuts it, the problems that are done by then stand for all.

    Raises:
        ModelLoadError: a model cannot be loaded.
        Interrupted: Ctrl-C.
    """
    num_rows = len(problems) if limit is None else min(limit, len(problems))
    rows = sample_rows(problems, num_rows=num_rows, size=size, seed=config.run.seed)
    with tempfile.TemporaryDirectory(prefix="critic-engine-") as folder:
        run, tally = Path(folder) / "run", Tally()
        with Engine(config, checker=Checker()) as engine:
            load_models(engine)
            start_s = time.perf_counter()
            _run(engine, rows, run, tally)
            wall_s = time.perf_counter() - start_s
            usd = sum(figures.usd for figures in engine.figures().values())
            num_tokens = sum(figures.usage.generated_tokens for figures in engine.figures().values())
        with RunStore.view(run) as store:
            facts = survey(store)
    num_left = facts.num_problems - len(facts.sample)
    num_unsearchable, share = facts.num_unsearchable, 1.0
    if num_left:
        # Of the rows that cost nothing as many go with the problems that count, and of what was spent their tokens.
        num_unsearchable = round(num_unsearchable * len(facts.sample) / facts.num_problems)
        share = facts.sample.num_tokens / max(1, num_tokens)
    for _ in range(num_unsearchable):
        facts.sample.add(ProblemFigures())
    return Estimate(
        num_rows=num_rows,
        sample=facts.sample,
        num_unsearchable=num_unsearchable,
        num_left=num_left,
        failed=(*tally.failed, *(failed_line(each.id, each.reason) for each in facts.failed)),
        limit=_limit_reached(config.run, num_tokens=num_tokens, wall_s=wall_s) if facts.num_left else None,
        wall_s=wall_s * share,
        usd=usd * share,
        max_tokens=config.run.max_tokens,
    )


def print_estimate(found: Estimate, *, is_json: bool) -> int:
    """Print an estimate, for a program on stdout if asked; return the exit code."""
    for line in found.failed:
        click.echo(f"failed in the sample: {line}", err=True)
    if is_json:
        click.echo(json_line(found.fields()))
    else:
        for line in _lines(found):
            click.echo(line)
    return int(bool(found.failed))


def _run(engine: Engine, rows: "Iterator[ProblemRow | FailedRow]", run: Path, tally: Tally) -> None:
    with (
        interrupted_with("interrupted; an estimate keeps nothing"),
        show_progress() as progress,
        closing_answers(engine.solve_many(rows, run=run, on_progress=progress)) as found,
    ):
        for answer in found:
            if answer.stop_reason not in _CUTS:
                tally.count(answer)


def _limit_reached(limits: RunConfig, *, num_tokens: int, wall_s: float) -> str | None:
    """Return the limit that cut a run of so much, as it is set."""
    if limits.max_tokens is not None and num_tokens >= limits.max_tokens:
        return f"run.max_tokens={limits.max_tokens}"
    if limits.max_wall_s is not None and wall_s >= limits.max_wall_s:
        return f"run.max_wall_s={limits.max_wall_s:g}"
    return None


def _lines(found: Estimate) -> Iterator[str]:
    forecast = found.forecast()
    yield (
        f"sampled {len(found.sample):,} of {found.num_rows:,} rows: {found.sample.num_tokens:,} tokens in "
        f"{found.wall_s:.1f} s (nothing of it is kept)"
    )
    if found.num_unsearchable:
        yield f"  {found.num_unsearchable:,} of them hold no problem that can be searched, and count as costing nothing"
    if found.num_left:
        yield f"  {found.num_left:,} more could not be finished, or only out of turn, and do not count"
    if found.limit is not None:
        yield (
            f"  the sample was cut by {found.limit}: what was done by then stands for all rows, which may take more: "
            "the costly ones are done last; a higher limit, or run.problems_in_flight=1, says more"
        )
    if forecast is None:
        raise_it = "" if found.limit is None else f"; raise {found.limit.partition('=')[0]}"
        yield f"estimate: none, for it takes two sampled rows at least{raise_it}"
        return
    yield f"all {found.num_rows:,} rows, in brackets the 90 % interval by the sampled ones:"
    yield from _forecast_lines(forecast, found)


def _forecast_lines(forecast: Forecast, found: Estimate) -> Iterator[str]:
    share, wall_s, usd = (of(forecast.num_tokens) for of in (found.share_of_max_tokens, found.wall_s_of, found.usd_of))
    yield f"  tokens          {range_words(forecast.num_tokens)}"
    yield f"    of searches   {range_words(forecast.search_tokens)}"
    yield f"    of findings   {range_words(forecast.finding_tokens)}"
    if share is not None:
        yield f"    of the limit  {_decimals(share.times(100))} %"
    if wall_s is not None:
        yield f"  time            {duration_words(wall_s)} at the sample's pace; more in flight is faster"
    yield f"  USD             {'no model has a price' if usd is None else _decimals(usd)}"
    yield f"  pairs           {range_words(forecast.num_pairs)}"
    yield f"  critiques kept  {range_words(forecast.num_critiques)}, less what nearly repeats another problem"
    if forecast.num_pairs is None or forecast.num_critiques is None:
        yield "  where the sample has none, a larger --sample says more"


def _decimals(found: Range) -> str:
    return f"{found.estimate:,.2f} ({found.low:,.2f} to {found.high:,.2f})"
