"""CSV files, and those whose cells are separated by tabs."""

import csv
from collections.abc import Iterator
from pathlib import Path

from critic_engine.data.table_files.table import RawRow, Table
from critic_engine.data.table_files.text_lines import MAX_LINE_BYTES, read_lines
from critic_engine.errors import ProblemError


def open_csv(path: Path) -> Table:
    """Return the table in a file with a header; one named ``.tsv`` or ``.tsv.gz`` has tabs."""
    reader = _rows(path)
    _, header = next(reader, (0, []))
    if isinstance(header, ProblemError):
        raise ProblemError(f"{path}: {header}") from header
    columns = tuple(header)
    repeated = [name for index, name in enumerate(columns) if name in columns[:index]]
    if repeated:
        raise ProblemError(f"{path} has two columns {repeated[0]!r}; rename one")
    num_rows = 0
    for _, row in reader:
        num_rows += 1
        if isinstance(row, ProblemError) and "unexpected end of data" in str(row):
            raise ProblemError(f"{path}: {row}; a quote is never closed: get the whole file, or close it")
    return Table(
        columns=columns,
        rows=lambda: (row for _, row in _read(path)),
        count_rows=lambda: num_rows,
        folder=path.parent,
        find_row=_RowFinder(path),
    )


class _RowFinder:
    """Finds rows by a cell, by their places in the file, which are noted when the first is looked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, dict[str, int]] = {}

    def __call__(self, column: str, value: str) -> RawRow | None:
        if column not in self._offsets:
            rows = ((offset, row) for offset, row in _read(self._path) if not isinstance(row, ProblemError))
            self._offsets[column] = {str(row.get(column)): offset for offset, row in rows}
        offset = self._offsets[column].get(value)
        return None if offset is None else next((row for _, row in _read(self._path, offset)), None)


def _read(path: Path, start: int | None = None) -> Iterator[tuple[int, RawRow]]:
    """Yield the rows with the offsets of their first bytes, from the offset ``start`` if it is given."""
    reader = _rows(path)
    _, header = next(reader)
    assert not isinstance(header, ProblemError)  # the pass before has read it
    for offset, row in reader if start is None else _rows(path, start):
        if isinstance(row, ProblemError):
            yield offset, row
        elif len(row) != len(header):
            yield (
                offset,
                ProblemError(
                    f"the row has {len(row)} fields and the header {len(header)}; quote cells that hold commas"
                ),
            )
        else:
            yield offset, {name: cell for name, cell in zip(header, row, strict=True) if cell}


def _rows(path: Path, start: int = 0) -> Iterator[tuple[int, list[str] | ProblemError]]:
    """Yield the fields of each row that is not blank and the offset of its first byte, the header first."""
    csv.field_size_limit(MAX_LINE_BYTES)  # the default of 128 KiB refuses images in data URLs
    is_tabbed = ".tsv" in (path.suffix.lower(), path.with_suffix("").suffix.lower())
    offsets: list[int] = []

    def lines() -> Iterator[str]:
        for _, offset, line in read_lines(path, start):
            offsets.append(offset)
            yield line

    reader = csv.reader(lines(), strict=True, delimiter="\t" if is_tabbed else ",")
    while True:
        offsets.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield (offsets or [0])[0], ProblemError(f"line {reader.line_num} is not CSV: {error}")
        else:
            if row:
                yield offsets[0], row
