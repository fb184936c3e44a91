"""The schema of a file: named, put together from named columns, or recognised by the columns it has."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

from critic_engine.data.schemas.benchmarks import SCHEMAS
from critic_engine.data.schemas.cells import first_filled
from critic_engine.data.schemas.choice_reading import read_choices
from critic_engine.data.schemas.reference_reading import is_place
from critic_engine.data.schemas.schema import LETTERS, NUMBERED_IMAGES, PLAIN, Schema
from critic_engine.errors import ProblemError

FIELDS = ("id", "question", "images", "choices", "answer", "answer_index")
"""The parts of a problem that a column can be named for; ``answer_index`` counts the choices from 0."""
_OF_ANSWERS = {"choices", "answer", "answer_index"}
SCHEMA_NAMES = (PLAIN, *dict.fromkeys(schema.name for schema in SCHEMAS))

# Columns by which people name a part, most usual first. Where a file has several of one line, none is taken.
_ALIASES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "id": (("id",), ("question_id",), ("pid",), ("qid",), ("unique_id",), ("index",), ("idx",), ("sample_id",)),
    "question": (("question",), ("problem", "query", "prompt", "instruction")),
    "choices": (("choices",), ("options",)),
    "answer": (("answer",), ("final_answer", "label", "target", "ground_truth", "answerkey"), ("solution",)),
}
_LIKELY_QUESTIONS = ("text", "input", "content", "user", "question_text", "original_question")
_IMAGES = ("images", "decoded_image", "image", "image_path", "img_path", "imgname", "img")
_MAX_NAMES_SHOWN = 20
_MAX_NAME = 40
_MAX_COMPARED = 200
_MIN_LIKENESS = 0.6


def choose_schema(
    columns: Sequence[str],
    first_rows: Sequence[Mapping[str, object]],
    *,
    name: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Schema:
    """Return the schema of a file, of the columns that the file has.

    Args:
        columns: The columns of the file.
        first_rows: Some of its rows, from the first on.
        name: The name of a schema; None recognises one by the columns, unless the mapping names those of choices or
            answers, or takes the usual names of columns.
        mapping: The columns of the file by ``FIELDS``, several separated by commas, none for a part that the file does
            not have; they go before the schema's own.

    Raises:
        ProblemError: no such schema, field or column; or the columns show none. The message has no file name.
    """
    mapping = mapping or {}
    _check_mapping(columns, mapping)
    if name is not None:
        schema = _plain(columns, mapping) if name == PLAIN else _named(columns, name, mapping)
    elif set(mapping) & _OF_ANSWERS:
        # A schema's form of answers says nothing of a column that is not its own.
        schema = _plain(columns, mapping)
    else:
        schema = _recognised(columns, first_rows) or _plain(columns, mapping)
    schema = _within(columns, _mapped(schema, mapping))
    is_unsure = schema.choice_answer == "plain" and any(_counts_choices(schema, row) for row in first_rows)
    return dataclasses.replace(schema, choice_answer="unsure") if is_unsure else schema


def _counts_choices(schema: Schema, row: Mapping[str, object]) -> bool:
    """Return whether the answer of a row is the place of a choice and not its text."""
    answer = first_filled(row, schema.answer)
    try:
        choices = read_choices(schema, row).texts
    except ProblemError:
        return False
    return isinstance(answer, str) and is_place(answer.strip(), choices) and answer.strip() not in choices


def _recognised(columns: Sequence[str], first_rows: Sequence[Mapping[str, object]]) -> Schema | None:
    for schema in SCHEMAS:
        is_like = _has_marks(schema, columns) and _shows_text(schema, first_rows)
        if is_like and (not schema.is_counting or _counts_from_0(schema, first_rows)):
            return schema
    return None


def _has_marks(schema: Schema, columns: Sequence[str]) -> bool:
    return set(schema.marks) <= set(columns) and not set(schema.unmarked_by) & set(columns)


def _shows_text(schema: Schema, first_rows: Sequence[Mapping[str, object]]) -> bool:
    if schema.marking_text is None:
        return True
    column, text = schema.marking_text
    cells = [row[column] for row in first_rows if row.get(column) is not None]
    return bool(cells) and all(re.search(text, str(cell)) for cell in cells)


def _counts_from_0(schema: Schema, first_rows: Sequence[Mapping[str, object]]) -> bool:
    """Return whether all answers are indices, one of them 0 and one not the text of any choice."""
    answered = [row for row in first_rows if first_filled(row, schema.answer) is not None]
    try:
        rows = [(str(first_filled(row, schema.answer)), read_choices(schema, row).texts) for row in answered]
    except ProblemError:
        return False
    is_index = all(is_place(answer, texts) and int(answer) < len(texts) for answer, texts in rows)
    has_0 = any(answer == "0" for answer, _ in rows)
    return is_index and has_0 and any(answer not in texts for answer, texts in rows)


def _named(columns: Sequence[str], name: str, mapping: Mapping[str, str]) -> Schema:
    """Return the schema of this name that the columns meet; VLMEvalKit keeps each benchmark in columns of its own."""
    if name not in SCHEMA_NAMES:
        near = difflib.get_close_matches(name.casefold(), SCHEMA_NAMES, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]}" if near else ""
        raise ProblemError(f"there is no schema {name[:_MAX_NAME]!r}{hint}; the schemas are {', '.join(SCHEMA_NAMES)}")
    named = [schema for schema in SCHEMAS if schema.name == name]
    others = [schema for schema in SCHEMAS if schema.name == "vlmevalkit" and _has_marks(schema, columns)]
    likely = [schema for schema in named if _has_marks(schema, columns)]
    mapped = [_mapped(schema, mapping) for schema in (*likely, *others, *named)]
    for is_answered in (True, False):  # the answers of a test split may be withheld
        for schema in mapped:
            if not schema.lacks(tuple(columns), is_answered=is_answered):
                return schema
    lacking = mapped[0].lacks(tuple(columns), is_answered=False)
    raise ProblemError(
        f"the schema {name} needs a column {' or '.join(lacking[:3])}; {_shown(columns)}: name another --schema, or "
        "map columns by --map"
    )


def _plain(columns: Sequence[str], mapping: Mapping[str, str]) -> Schema:
    """Return a schema of the usual names of columns, in capitals or not."""
    by_name = {column.casefold(): column for column in reversed(columns)} | {column: column for column in columns}
    found = {field: _alias(by_name, field, mapping) for field in _ALIASES}
    images = tuple((by_name[name],) for name in _IMAGES if name in by_name)
    question = found["question"]
    if not question and "question" not in mapping:
        raise ProblemError(_no_question(columns))
    choices = tuple((name,) for name in found["choices"]) or (LETTERS,)
    if not found["choices"] and not {"A", "B"} <= set(columns):
        choices = ()
    return Schema(
        name=PLAIN,
        id=found["id"],
        question=question,
        images=(*images, NUMBERED_IMAGES),
        choices=choices,
        answer=found["answer"],
        choice_answer="label" if "answerKey" in found["answer"] else "plain",
        open_answer="plain",
    )


def _alias(by_name: Mapping[str, str], field: str, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Return the column that usually holds a part; none if the file has none, or if another is named."""
    if field in mapping or (field == "answer" and "answer_index" in mapping):
        return ()
    for names in _ALIASES[field]:
        found = [by_name[name] for name in names if name in by_name]
        if len(found) > 1:
            raise ProblemError(
                f"the columns {' and '.join(found)} may both hold the {field}; say which: --map {field}={found[0]}"
            )
        if found:
            return (found[0],)
    return ()


def _mapped(schema: Schema, mapping: Mapping[str, str]) -> Schema:
    groups = {field: tuple(filter(None, map(str.strip, names.split(",")))) for field, names in mapping.items()}
    changes: dict[str, object] = {field: groups[field] for field in ("id", "question", "answer") if field in groups}
    changes |= {field: (groups[field],) for field in ("images", "choices") if field in groups}
    if "question" in groups:
        changes |= {"open_question": None}
    if "choices" in groups:
        changes |= {"has_inline_choices": False}
    if "answer" in groups and schema.name == PLAIN:
        changes |= {"choice_answer": "named"}
    if "answer" in groups and schema.open_answer in ("plain", "marked", "boxed"):
        changes |= {"open_answer": "named"}
    if "answer_index" in groups:
        changes |= {"answer": groups["answer_index"], "choice_answer": "index"}
    return dataclasses.replace(schema, **changes)  # type: ignore[arg-type]


def _within(columns: Sequence[str], schema: Schema) -> Schema:
    """Return the schema of only those columns that the file has."""

    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in known)

    known = set(columns)
    return dataclasses.replace(
        schema,
        id=kept(schema.id),
        question=kept(schema.question),
        images=tuple(group for group in map(kept, schema.images) if group),
        choices=tuple(group for group in map(kept, schema.choices) if group),
        answer=kept(schema.answer),
    )


def _check_mapping(columns: Sequence[str], mapping: Mapping[str, str]) -> None:
    if {"answer", "answer_index"} <= set(mapping):
        raise ProblemError("--map names both answer and answer_index; name the one that the file has")
    for field, names in mapping.items():
        if field not in FIELDS:
            near = difflib.get_close_matches(field, FIELDS, n=1, cutoff=0.5)
            hint = f", did you mean {near[0]}" if near else ""
            raise ProblemError(f"a problem has no part {field[:_MAX_NAME]!r}{hint}; its parts are {', '.join(FIELDS)}")
        for name in names.split(",") if names.strip() or field == "question" else ():
            if name.strip() not in columns:
                raise ProblemError(_no_column(name.strip(), field, columns))


def _no_question(columns: Sequence[str]) -> str:
    wanted = [*_LIKELY_QUESTIONS, *(name for names in _ALIASES["question"] for name in names)]
    others = {name for part, lines in _ALIASES.items() if part != "question" for names in lines for name in names}
    free = [column for column in columns[:_MAX_COMPARED] if column.casefold() not in others.union(_IMAGES)]
    scored = [(_likeness(name, column), column) for column in free for name in wanted]
    likeness, column = max(scored, default=(0.0, ""))
    column = column if likeness >= _MIN_LIKENESS else "COLUMN"
    return f"there is no column 'question'; {_shown(columns)}: say which holds it, --map question={column[:_MAX_NAME]}"


def _likeness(name: str, column: str) -> float:
    return difflib.SequenceMatcher(None, name, column[:_MAX_NAME].casefold()).ratio()


def _no_column(name: str, field: str, columns: Sequence[str]) -> str:
    known = [column[:_MAX_NAME] for column in columns[:_MAX_COMPARED]]
    near = difflib.get_close_matches(name[:_MAX_NAME], known, n=1, cutoff=_MIN_LIKENESS)
    hint = f"; did you mean --map {field}={near[0]}?" if near else ""
    return f"there is no column {name[:_MAX_NAME]!r} for {field}{hint}; {_shown(columns)}"


def _shown(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - _MAX_NAMES_SHOWN} more" if len(columns) > _MAX_NAMES_SHOWN else ""
    return f"the columns are {', '.join(column[:_MAX_NAME] for column in columns[:_MAX_NAMES_SHOWN])}{more}"
