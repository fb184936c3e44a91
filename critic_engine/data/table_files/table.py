"""A readable table, whose rows are streamed and never held in memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from critic_engine.errors import ProblemError

RawRow: TypeAlias = Mapping[str, object] | ProblemError
"""The cells of a row by column; of a row that cannot be read, the error that says why."""
NUM_LOOKED_AT = 100
"""The first rows of a file that say which columns it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table in a file or several."""

    columns: tuple[str, ...]
    """The columns of the first ``NUM_LOOKED_AT`` rows."""
    rows: Callable[[], Iterator[RawRow]]
    """Streams the rows from the beginning."""
    count_rows: Callable[[], int]
    """Returns the number of rows, unreadable ones included."""
    folder: Path
    """The folder that paths in it are relative to."""
    find_row: Callable[[str, str], RawRow | None] | None = None
    """Returns the row whose cell of a column is a text; None if the table is no text file."""


def no_readable_row(path: Path, complaint: str) -> ProblemError:
    """Return the error of a file of which no row can be read, for the reason of the first."""
    return ProblemError(f"{path} holds no readable row: {complaint}")
