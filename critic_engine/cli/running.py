"""Following a run that is kept in a folder, from its first problem or from where it was stopped."""

import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from critic_engine.cli.answers import Tally
from critic_engine.cli.command import Interrupted
from critic_engine.outputs import json_line
from critic_engine.types import Answer


def follow_run(answers: Iterator[Answer], run: Path) -> Tally:
    """Return the tally of all ``answers``.

    Raises:
        Interrupted: Ctrl-C; the message holds the command that goes on.
    """
    tally = Tally()
    try:
        with closing_answers(answers):
            for answer in answers:
                tally.count(answer)
    except KeyboardInterrupt as error:
        command = f"critic-engine resume {shlex.quote(str(run))}"
        raise Interrupted(f"interrupted; the work is kept, go on with it by: {command}") from error
    return tally


@contextmanager
def closing_answers(answers: Iterator[Answer]) -> Iterator[Iterator[Answer]]:
    """End the search on leaving, so that an interrupt between two answers finds it ended when the engine is closed."""
    try:
        yield answers
    finally:
        if isinstance(answers, Generator):
            answers.close()


def report_run(tally: Tally, run: Path, *, is_json: bool) -> int:
    """Print what a run came to, for a program on stdout if asked; return the exit code."""
    rows = run / "answers.jsonl"
    if is_json:
        click.echo(json_line({"run": str(run), "answers": str(rows), **tally.fields()}))
    return tally.report(where=rows)
