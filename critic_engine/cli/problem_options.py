"""Options that say how the columns of a problems file are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from critic_engine.cli.command import combined

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.data.problems import ProblemsFile

schema_options = combined(
    click.option(
        "--schema",
        metavar="NAME",
        help="The benchmark whose columns the file has, such as mathvista, or 'plain' for none; recognised "
        "without this.",
    ),
    click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="PART=COLUMN",
        help="The column that holds a part of the problem: id, question, images, choices, answer, or "
        "answer_index, which "
        "counts the choices from 0; PART= for none; may be repeated.",
    ),
)
"""Adds ``--schema`` and ``--map``."""


def open_problems(
    path: Path, config: EngineConfig, *, image_root: Path | None, schema: str | None, maps: Sequence[str]
) -> tuple[ProblemsFile, EngineConfig]:
    """Return a problems file, and the config that notes how it is read; a schema that was not named is printed.

    Raises:
        UsageError: an entry of ``maps`` is not ``PART=COLUMN``.
        ProblemError: the file as a whole cannot be used.
    """
    from critic_engine.config.problem_files import ProblemFilesConfig
    from critic_engine.data.problems import read_problems

    named = config.problems.schema_name if schema is None else schema
    columns = {**config.problems.columns, **_columns(maps)}
    problems = read_problems(path, limits=config.run, image_root=image_root, schema=named, columns=columns)
    if named is None and problems.schema.name != "plain":
        named = problems.schema.name
        click.echo(f"{path} has the columns of {named} and is read so; name another --schema if it is not", err=True)
    elif not columns and problems.unusual_columns:
        click.echo(f"{path}: {problems.unusual_columns}; see --map if that is not so", err=True)
    noted = ProblemFilesConfig(schema_name=named, columns=columns)
    return problems, config.model_copy(update={"problems": noted})


def _columns(maps: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for each in maps:
        part, sign, column = (text.strip() for text in each.partition("="))
        if not (part and sign and (column or part != "question")):
            raise click.UsageError(f"--map {each!r}: write PART=COLUMN, such as answer=solution.")
        if part in columns:
            raise click.UsageError(f"--map names {part} twice; separate several columns by commas.")
        columns[part] = column
    return columns
