"""``critic-engine inspect``: the findings of a labelled run, the reasons for those left out, and their cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.filter_options import changed_filters, filter_option

if TYPE_CHECKING:
    from critic_engine.data.selection.survey import Session, Survey

_EPILOG = """\b
Examples:
  critic-engine inspect runs/labelled
  critic-engine inspect runs/labelled --examples 10
  critic-engine inspect runs/labelled --pair p17
  critic-engine inspect runs/labelled --pair 000017-critique-002
  critic-engine inspect runs/labelled --set collect.filters.min_lift=0.1
  critic-engine inspect runs/labelled --examples 0 --json
"""


_NUM_EXAMPLES = 2


@click.command("inspect", cls=EngineCommand, epilog=_EPILOG, short_help="Show what a labelled run found and kept.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--examples",
    "num_examples",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Pairs to show side by side, one a problem, chosen by a hash; {_NUM_EXAMPLES} without this.",
)
@click.option(
    "--pair",
    metavar="ID",
    help="Show these pairs alone: of a row's id, of a problem id, or of the row_id that an export gives a pair, a "
    "critique or a corrected answer.",
)
@filter_option
@click.option("--json", "is_json", is_flag=True, help="Print all of it as one JSON object on stdout.")
def command(run: Path, num_examples: int | None, pair: str | None, settings: tuple[str, ...], is_json: bool) -> None:
    """Show the findings of the labelled run in the folder RUN; another process may go on with it meanwhile.

    The funnel counts rows, trees, paths, pairs and critiques, and those left out by reason. The lift is the share of
    right solutions with a critique less that without, after each filter. The cost so far follows, and for an unfinished
    run a forecast of the rest.
    """
    from critic_engine.data.selection.survey import last_session, survey
    from critic_engine.errors import RunError
    from critic_engine.run.report import json_line
    from critic_engine.run.store import RunStore

    if pair is not None and num_examples is not None:
        raise click.UsageError("--pair shows these pairs alone; leave --examples out.")
    if pair is None and num_examples is None:
        num_examples = _NUM_EXAMPLES
    filters = changed_filters(run, settings)
    with RunStore.view(run) as store:
        facts = survey(store, filters=filters, num_examples=num_examples or 0, name=pair)
    if pair is not None and not facts.examples:
        raise RunError(
            f"{run} has no pair of {pair!r}; name a row's id or a problem id, of a problem with right "
            "and wrong paths, or the row_id that an export gives a pair, a critique or a corrected answer"
        )
    session = last_session(run)
    if is_json:
        click.echo(json_line({"run": str(run), **facts.fields(), "last_session": session and asdict(session)}))
    else:
        _print(facts, session, is_pair_alone=pair is not None)


def _print(facts: Survey, session: Session | None, *, is_pair_alone: bool) -> None:
    from rich.console import Console

    from critic_engine.cli.pair_view import print_example
    from critic_engine.cli.survey_view import print_survey

    console = Console(markup=False, emoji=False, highlight=False)
    if not is_pair_alone:
        print_survey(console, facts, session)
    for example in facts.examples:
        console.print()
        print_example(console, example)
