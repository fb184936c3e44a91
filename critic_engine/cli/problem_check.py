"""``critic-engine doctor --problems``: show how a problems file would be read, and which rows cannot be."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import combined
from critic_engine.cli.engine_options import file_options
from critic_engine.cli.problem_options import open_problems, schema_options
from critic_engine.cli.text import labelled, one_line
from critic_engine.run.report import json_line

if TYPE_CHECKING:
    from critic_engine.data.problems import ProblemsFile
    from critic_engine.types import FailedRow, ProblemRow

_NUM_SHOWN = 3
_MAX_SHOWN = 300

problem_check_options = combined(
    click.option(
        "--problems",
        metavar="FILE",
        help="Instead of all else, show how this problems file would be read: its schema, its columns, the first rows, "
        "and why others cannot be read.",
    ),
    schema_options,
    file_options,
)
"""Adds ``--problems`` and the options that say how the file is read."""


@dataclass
class _ProblemCheck:
    """The rows of a file, counted."""

    first: list[ProblemRow] = field(default_factory=list)
    num_rows: int = 0
    num_failed: int = 0
    num_without_answer: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Number of failed rows by reason, without what differs between them in quotes."""
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, row: ProblemRow | FailedRow) -> None:
        from critic_engine.types import FailedRow

        self.num_rows += 1
        if isinstance(row, FailedRow):
            self.num_failed += 1
            kind = row.reason.split(";")[-1]
            self.reasons[kind] += 1
            self.examples.setdefault(kind, f"row {row.row} (id {row.id!r}): {row.reason}")
            return
        self.num_without_answer += not row.reference_answers
        if len(self.first) < _NUM_SHOWN:
            self.first.append(row)


def check_problems(options: dict[str, Any], *, is_json: bool) -> int | None:
    """Take the options of ``problem_check_options`` out of ``options`` and show the file, if one is named.

    Returns:
        The exit code: 0 if each row can be read, 1 if not. None if no file is named.

    Raises:
        UsageError: options for a file are given, and no file.
        ProblemError: the file as a whole cannot be used.
    """
    path, schema, maps, limit, image_root = (
        options.pop(name) for name in ("problems", "schema", "maps", "limit", "image_root")
    )
    if path is None:
        given = {"--schema": schema, "--map": maps, "--limit": limit, "--image-root": image_root}
        for name, value in given.items():
            if value:
                raise click.UsageError(f"{name} goes with --problems only.")
        return None
    from critic_engine.config.engine import load_config

    problems, _ = open_problems(Path(path), load_config("guided"), image_root=image_root, schema=schema, maps=maps)
    found = _ProblemCheck()
    for row in itertools.islice(problems, limit):
        found.add(row)
    if is_json:
        click.echo(json_line({"problems": str(path), **_fields(problems, found)}))
    else:
        for name, value in _lines(problems, found, path):
            click.echo(labelled(name, value).rstrip())
    return 1 if found.num_failed else 0


def _fields(problems: ProblemsFile, found: _ProblemCheck) -> dict[str, Any]:
    return {
        "schema": problems.schema.name,
        "columns": {part: list(names) for part, names in problems.schema.parts.items() if names},
        "num_rows": found.num_rows,
        "num_without_reference_answer": found.num_without_answer,
        "num_failed": found.num_failed,
        "failures": [{"num_rows": found.reasons[kind], "first": found.examples[kind]} for kind in found.examples],
        "first_rows": [
            {
                "id": row.id,
                "question": row.problem.question,
                "choices": list(row.problem.choices),
                "images": [f"{image.width} x {image.height} {image.media_type}" for image in row.problem.images],
                "reference_answers": list(row.reference_answers),
            }
            for row in found.first
        ],
    }


def _lines(problems: ProblemsFile, found: _ProblemCheck, path: str) -> list[tuple[str, object]]:
    fields = _fields(problems, found)
    columns = "; ".join(f"{part} from {', '.join(names)}" for part, names in fields["columns"].items())
    used = {name for names in fields["columns"].values() for name in names}
    others = [name for name in problems.table.columns if name not in used]
    lines: list[tuple[str, object]] = [("problems", path), ("schema", fields["schema"]), ("columns", columns)]
    lines += [("others", ", ".join(others))] if others else []
    for row in fields["first_rows"]:
        lines += [("", ""), ("id", row["id"]), ("question", one_line(row["question"], max_chars=_MAX_SHOWN))]
        choices = " ".join(f"({chr(ord('A') + place)}) {text}" for place, text in enumerate(row["choices"]))
        lines += [("choices", one_line(choices, max_chars=_MAX_SHOWN))] if choices else []
        lines += [("images", f"{len(row['images'])}: {', '.join(row['images'])}" if row["images"] else "none")]
        lines += [("reference", one_line(" or ".join(row["reference_answers"]) or "none", max_chars=_MAX_SHOWN))]
    lines += [("", ""), ("rows", f"{found.num_rows:,}, of which {found.num_failed:,} cannot be read")]
    lines += [("", f"{found.num_without_answer:,} have no reference answer")] if found.num_without_answer else []
    for failure in fields["failures"]:
        lines += [("failed", f"{failure['num_rows']:,}, the first: {one_line(failure['first'], max_chars=_MAX_SHOWN)}")]
    return lines
