"""The parts of a problem in one row, read by a schema."""

from collections.abc import Mapping
from dataclasses import dataclass

from critic_engine.data.schemas.cells import first_filled, id_of, is_missing, kind_of, text_of
from critic_engine.data.schemas.choice_reading import Choices, read_choices, split_question
from critic_engine.data.schemas.image_cells import FindCell, read_images
from critic_engine.data.schemas.reference_reading import read_references
from critic_engine.data.schemas.schema import LETTERS, Schema
from critic_engine.errors import ProblemError

_FORMS_KEPT = ("marked", "boxed", "index", "label", "plain", "named", "unsure", "list")
"""Forms of answers of which the reference is a part or a reading; the cell stays among the other columns."""


@dataclass(frozen=True, slots=True)
class RowParts:
    """The parts of a problem as a row gives them; its images are not loaded yet."""

    question: str
    images: tuple[str | bytes, ...]
    choices: tuple[str, ...]
    reference_answers: tuple[str, ...]
    extras: Mapping[str, object]
    """The columns that hold none of the parts, and the cell of an answer that is not itself the reference."""


def row_id(schema: Schema, raw: Mapping[str, object]) -> str:
    """Return a row's id; empty text if it has none.

    Raises:
        ProblemError: it is neither text nor a whole number.
    """
    return id_of(first_filled(raw, schema.id))


def read_row(schema: Schema, raw: Mapping[str, object], find_cell: FindCell | None = None) -> RowParts:
    """Return the parts of a problem in a row.

    Args:
        schema: The schema of the file.
        raw: The cells of the row by column.
        find_cell: Finds the cell of another row by that row's id, for images that refer to it.

    Raises:
        ProblemError: a part is missing, of another kind, or could mean two things.
    """
    question = _question(schema, raw)
    choices = read_choices(schema, raw)
    column = next((name for name in schema.answer if not is_missing(raw.get(name))), "")
    if schema.has_inline_choices:
        question, choices = _with_inline_choices(question, choices, raw.get(column))
    form = schema.choice_answer if choices.texts else schema.open_answer
    if form == "plain" and column.casefold() == "label" and isinstance(raw[column], int) and not choices.texts:
        raise ProblemError(
            f"label is the number {raw[column]}, which may stand for a class; if it is the answer, say "
            "--map answer=label"
        )
    is_solution = column.casefold() == "solution"
    references = read_references(raw.get(column), form, choices, is_solution=is_solution)
    posed = _posed(schema, raw, question, has_choices=bool(choices.texts))
    images, texts = read_images(schema, raw, [posed, *choices.texts], find_cell)
    used = {name for columns in schema.parts.values() for name in columns}
    is_kept = form in _FORMS_KEPT and references != (raw.get(column),) and isinstance(raw.get(column), str | list)
    return RowParts(
        question=texts[0],
        images=tuple(images),
        choices=tuple(texts[1:]),
        reference_answers=references,
        extras={name: cell for name, cell in raw.items() if name not in used or (is_kept and name == column)},
    )


def _question(schema: Schema, raw: Mapping[str, object]) -> str:
    cell = first_filled(raw, schema.question)
    cell = next((raw[name] for name in schema.question if name in raw), None) if cell is None else cell
    if not isinstance(cell, str):
        raise ProblemError(f"question is {kind_of(cell)}; write it as text")
    return text_of(cell, "question")


def _posed(schema: Schema, raw: Mapping[str, object], question: str, *, has_choices: bool) -> str:
    """Return the question as the benchmark poses it."""
    if schema.open_question is not None and not has_choices and not is_missing(raw.get(schema.open_question)):
        return text_of(raw[schema.open_question], "question")
    if schema.context is None or is_missing(raw.get(schema.context)):
        return question
    return schema.posing.format(context=text_of(raw[schema.context], schema.context).strip(), question=question)


def _with_inline_choices(question: str, given: Choices, answer: object) -> tuple[str, Choices]:
    """Return the question and the choices apart, if the answer fits them; a question kept whole shows its letters."""
    if given.texts:
        return question, given
    shortened, choices = split_question(question)
    is_letter = isinstance(answer, str) and answer.strip() in LETTERS[: len(choices)]
    is_fitting = is_missing(answer) or is_letter or (isinstance(answer, str) and answer.strip() in choices)
    return (shortened, Choices(choices)) if is_fitting and shortened else (question, given)
