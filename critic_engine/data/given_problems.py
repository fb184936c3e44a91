"""Problems as a program hands them in: a text, a mapping with the columns of a problems file, or a ``Problem``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy

from critic_engine.config.search import RunConfig
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.run.problem_size import check_num_images, check_size
from critic_engine.types import FailedRow, Image, Problem, ProblemRow

GivenProblem: TypeAlias = Problem | ProblemRow | FailedRow | Mapping[str, object] | str
"""A problem; a row of a problems file; a mapping with ``question`` and optionally ``images`` or ``image``, ``choices``,
``id`` and ``answer``; or the text of a question. Images of a mapping are what ``load_image`` takes."""

_COLUMNS = ("question", "images", "image", "choices", "id", "answer")
_WANTED = 'give a Problem, the text of a question, or a row {"question": …, "images": […]}'


def given_problem(given: GivenProblem, limits: RunConfig) -> Problem:
    """Return the problem that a program hands in; a reference answer beside it is left behind.

    Raises:
        ProblemError: it is no problem, or exceeds the limits of the run.
        TypeError: ``given`` has another type.
    """
    row = given_row(given, 1, limits)
    if isinstance(row, FailedRow):
        raise ProblemError(row.reason, row=0)
    return row.problem


def given_row(given: GivenProblem, number: int, limits: RunConfig) -> ProblemRow | FailedRow:
    """Return the row of a problem that a program hands in; one that cannot be used becomes a ``FailedRow``.

    Args:
        given: The problem.
        number: Its place in the input, from 1; its id unless it has one.
        limits: The limits on its size.

    Raises:
        TypeError: ``given`` has another type.
    """
    if isinstance(given, FailedRow):
        return given
    row_id = str(number)
    try:
        if isinstance(given, ProblemRow):
            row, number, row_id = given, given.row, given.id
        elif isinstance(given, Problem):
            row_id = given.name or row_id
            row = ProblemRow(number, row_id, given)
        elif isinstance(given, str):
            row = ProblemRow(number, row_id, Problem(given, name=row_id))
        elif isinstance(given, Mapping):
            row_id = _id(given.get("id"), row_id)
            row = _mapping_row(given, number, row_id, limits)
        else:
            raise TypeError(f"the problem is of type {type(given).__name__}; {_WANTED}")
        check_size(row.problem, limits)
    except (ProblemError, ValueError) as error:
        return FailedRow(number, row_id, _one_line(error))
    return row


def given_rows(given: Iterable[GivenProblem], limits: RunConfig) -> Iterable[ProblemRow | FailedRow]:
    """Yield the rows of problems that a program hands in, in order.

    Raises:
        TypeError: ``given`` is one problem, or one of them has another type.
    """
    problems: object = given
    if isinstance(problems, str | Path | Problem | ProblemRow | Mapping) or not isinstance(problems, Iterable):
        kind = type(problems).__name__
        raise TypeError(f"problems is of type {kind}; give a list of problems, or read_problems(path) for a file")
    return (given_row(each, number, limits) for number, each in enumerate(given, start=1))


def _mapping_row(given: Mapping[str, object], number: int, row_id: str, limits: RunConfig) -> ProblemRow:
    question = given.get("question")
    if not isinstance(question, str):
        names = ", ".join(map(str, given)) or "none"
        what = "missing" if question is None else f"of type {type(question).__name__}"
        raise ProblemError(f"question is {what}; a row needs a text there (its columns are {names[:200]})")
    images = _images([*_entries(given.get("images")), *_entries(given.get("image"))], limits)
    choices = tuple(_text(choice, "choices") for choice in _entries(given.get("choices")))
    problem = Problem(question, images, choices, name=row_id)
    answers = tuple(_text(answer, "answer") for answer in _entries(given.get("answer")))
    extras = {str(name): value for name, value in given.items() if name not in _COLUMNS}
    return ProblemRow(number, row_id, problem, answers, extras)


def _images(entries: list[object], limits: RunConfig) -> tuple[Image, ...]:
    check_num_images(len(entries), limits.max_images)
    return tuple(_image(entry, limits) for entry in entries)


def _image(entry: object, limits: RunConfig) -> Image:
    if isinstance(entry, Image):
        return entry
    if isinstance(entry, Mapping):
        # Data sets of Hugging Face keep an image as {"bytes": …, "path": …}.
        entry = entry.get("path") if entry.get("bytes") is None else entry["bytes"]
    return load_image(entry, max_pixels=limits.max_image_pixels)  # type: ignore[arg-type]  # it refuses other types


def _entries(cell: object) -> list[object]:
    """Return the entries of a cell that holds a list, an array of texts, or one entry."""
    if cell is None:
        return []
    if isinstance(cell, numpy.ndarray) and cell.dtype.kind in "OU":
        return list(cell)
    return list(cell) if isinstance(cell, list | tuple) else [cell]


def _text(cell: object, name: str) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, numpy.number):
        cell = cell.item()
    if not isinstance(cell, str | int | float):
        raise ProblemError(f"{name} holds one of type {type(cell).__name__}; give a text or a number")
    if not str(cell).strip():
        raise ProblemError(f"{name} is empty text; give one, or leave it out")
    return str(cell)


def _id(cell: object, default: str) -> str:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return default
    return _text(cell, "id").strip()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
