"""Summarising all rows, so that the columns of the files are known before the first row is written."""

from collections.abc import Iterable, Mapping
from typing import Any

from critic_engine.data.exports.column_types import Column, ColumnType
from critic_engine.data.exports.row_format import RowFormat, RowSummary, further_columns
from critic_engine.data.row_types import TrainingRow

_WIDTH: Mapping[ColumnType, int] = {"int": 0, "float": 1, "text": 2}


def summarise_rows(rows: Iterable[TrainingRow], row_format: RowFormat[Any]) -> RowSummary:
    """Return the number of the rows, the types of their facts, and whether they have images.

    Raises:
        TypeError: a row is of another kind than the format takes.
        ValueError: a fact has the name of another column.
    """
    num_rows = num_with_images = 0
    types: dict[str, ColumnType | None] = {}
    num_known: dict[str, int] = {}
    for row in rows:
        if not isinstance(row, row_format.row_type):
            raise TypeError(f"{row_format.name} takes {row_format.row_type.__name__} rows, not {type(row).__name__}")
        num_rows += 1
        num_with_images += bool(row.images)
        for name, value in row.facts.items():
            types[name] = _wider(types.get(name), value)
            num_known[name] = num_known.get(name, 0) + (value is not None)
    summary = RowSummary(
        num_rows=num_rows,
        has_images=row_format.has_images and num_with_images > 0,
        facts=tuple(Column(name, type_ or "text") for name, type_ in types.items()),
        gaps=frozenset(name for name, number in num_known.items() if 0 < number < num_rows),
        is_mixed=row_format.has_images and 0 < num_with_images < num_rows,
    )
    _check_names(summary, row_format)
    return summary


def _wider(known: ColumnType | None, value: float | str | None) -> ColumnType | None:
    """Return the type that holds ``value`` and all before it; None as long as all were None."""
    if value is None:
        return known
    found: ColumnType = "text" if isinstance(value, str) else "int" if isinstance(value, int) else "float"
    return found if known is None or _WIDTH[found] > _WIDTH[known] else known


def _check_names(summary: RowSummary, row_format: RowFormat[Any]) -> None:
    columns = row_format.columns(summary)
    if not set(further_columns(row_format.row_type, summary)) <= set(columns):
        return
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"facts named {', '.join(twice)} would hide columns of {row_format.name}; name them otherwise")
