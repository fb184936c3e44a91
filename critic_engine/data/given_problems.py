"""Problems as a program hands them in: a text, a mapping with the columns of a problems file, or a ``Problem``."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy

from critic_engine.config.search import RunConfig
from critic_engine.data.schemas.cells import id_of
from critic_engine.data.schemas.choice_reading import Choices, read_choices
from critic_engine.data.schemas.reference_reading import is_place, read_references
from critic_engine.data.schemas.schema import LETTERS, PLAIN, Schema
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.run.problem_size import check_num_images, check_size
from critic_engine.types import FailedRow, Image, Problem, ProblemRow

GivenProblem: TypeAlias = Problem | ProblemRow | FailedRow | Mapping[str, object] | str
"""A problem; a row of a problems file; a mapping with ``question`` and optionally ``images`` or ``image``, ``choices``
or ``A``, ``B``, …, ``id``, and ``answer`` or ``answer_index``, which counts the choices from 0; or the text of a
question. Images of a mapping are what ``load_image`` takes."""

_COLUMNS = ("question", "images", "image", "choices", "id", "answer", "answer_index")
_LISTED = Schema(name=PLAIN, choices=(("choices",),))
_LETTERED = Schema(name=PLAIN, choices=(("choices",), LETTERS))
_WANTED = 'give a Problem, the text of a question, or a row {"question": …, "images": […]}'


def given_problem(given: GivenProblem, limits: RunConfig) -> Problem:
    """Return the problem that a program hands in; a reference answer beside it is left behind.

    Raises:
        ProblemError: it is no problem, or exceeds the limits of the run.
        TypeError: ``given`` has another type.
    """
    row = given_row(given, 1, limits, is_labelled=False)
    if isinstance(row, FailedRow):
        raise ProblemError(row.reason, row=0)
    return row.problem


def given_row(
    given: GivenProblem, number: int, limits: RunConfig, *, is_labelled: bool = True
) -> ProblemRow | FailedRow:
    """Return the row of a problem that a program hands in; one that cannot be used becomes a ``FailedRow``.

    Args:
        given: The problem.
        number: Its place in the input, from 1; its id unless it has one.
        limits: The limits on its size.
        is_labelled: Whether the reference answer of a mapping is read; without this no row fails for its answer.

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
            row_id = id_of(_plain(given.get("id"))) or row_id
            row = _mapping_row(given, number, row_id, limits)
            row = dataclasses.replace(row, reference_answers=_references(given, row)) if is_labelled else row
        else:
            raise TypeError(f"the problem is of type {type(given).__name__}; {_WANTED}")
        check_size(row.problem, limits)
    except (ProblemError, ValueError) as error:
        return FailedRow(number, row_id, _one_line(error))
    return row


def given_rows(
    given: Iterable[GivenProblem], limits: RunConfig, *, is_labelled: bool = True
) -> Iterable[ProblemRow | FailedRow]:
    """Yield the rows of problems that a program hands in, in order; see ``given_row``.

    Raises:
        TypeError: ``given`` is one problem, or one of them has another type.
    """
    problems: object = given
    if isinstance(problems, str | Path | Problem | ProblemRow | Mapping) or not isinstance(problems, Iterable):
        kind = type(problems).__name__
        raise TypeError(f"problems is of type {kind}; give a list of problems, or read_problems(path) for a file")
    return (given_row(each, number, limits, is_labelled=is_labelled) for number, each in enumerate(given, start=1))


def _mapping_row(given: Mapping[str, object], number: int, row_id: str, limits: RunConfig) -> ProblemRow:
    question = given.get("question")
    if not isinstance(question, str):
        names = ", ".join(map(str, given)) or "none"
        what = "missing" if question is None else f"of type {type(question).__name__}"
        raise ProblemError(f"question is {what}; a row needs a text there (its columns are {names[:200]})")
    images = _images([*_entries(given.get("images")), *_entries(given.get("image"))], limits)
    choices = _choices(given)
    problem = Problem(question, images, choices.texts, name=row_id)
    used = {*_COLUMNS, *(LETTERS if _schema(given) is _LETTERED else ())}
    extras = {str(name): value for name, value in given.items() if name not in used}
    return ProblemRow(number, row_id, problem, extras=extras)


def _schema(given: Mapping[str, object]) -> Schema:
    return _LETTERED if "A" in given and "B" in given else _LISTED


def _choices(given: Mapping[str, object]) -> Choices:
    return read_choices(_schema(given), {name: _plain(given[name]) for name in ("choices", *LETTERS) if name in given})


def _references(given: Mapping[str, object], row: ProblemRow) -> tuple[str, ...]:
    """Return the accepted answers of a mapping, read as those of a problems file are."""
    if given.get("answer_index") is not None:
        return read_references(_plain(given["answer_index"]), "index", _choices(given))
    answer, choices = _plain(given.get("answer")), row.problem.choices
    if _may_be_place(answer, choices):
        raise ProblemError(
            f"answer is the number {answer}, which may be a choice's text or its place; give the choice's letter or "
            "text, or the place, counted from 0, as answer_index"
        )
    return read_references(answer, "named", _choices(given))


def _may_be_place(answer: object, choices: Sequence[str]) -> bool:
    """Return whether an answer may count the choices: a number unless it is the text there, a text that is none."""
    if isinstance(answer, bool) or not isinstance(answer, int | str) or not is_place(text := str(answer), choices):
        return False
    return text not in choices if isinstance(answer, str) else choices[int(text) : int(text) + 1] != (text,)


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


def _plain(cell: object) -> object:
    """Return a cell with arrays and numbers of numpy as those of Python, as pandas and ``datasets`` hand them in."""
    return cell.tolist() if isinstance(cell, numpy.ndarray | numpy.generic) else cell


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
