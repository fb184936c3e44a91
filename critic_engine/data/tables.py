"""Rows of a JSON Lines, CSV or Parquet file as plain mappings, looked over first and then streamed."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from critic_engine.errors import ProblemError

MAX_LINE_BYTES = 256 * 1024 * 1024
"""A line of text with more bytes is refused, so that a file without line ends is never held in memory."""

_NUM_LOOKED_AT = 100
_PARQUET_BATCH_ROWS = 16

RawRow: TypeAlias = Mapping[str, object] | ProblemError


@dataclass(frozen=True)
class Table:
    """A readable file; its rows are streamed, never held in memory."""

    num_rows: int
    """The number of rows, unreadable ones included."""
    columns: tuple[str, ...]
    """The columns of the first row that has the required one."""
    rows: Callable[[], Iterator[RawRow]]
    """Streams the file from its beginning; a row that cannot be read comes as the error that says why."""


def open_table(path: Path, *, required: str) -> Table:
    """Return the table in a file after one pass over it.

    Raises:
        ProblemError: the file as a whole cannot be used; the message names the file and what to do.
    """
    if not path.exists():
        raise ProblemError(f"{path} does not exist; give the path of a problems file")
    if not path.is_file():
        raise ProblemError(f"{path} is not a file; give the path of a problems file")
    openers = {".jsonl": _open_json_lines, ".csv": _open_csv, ".parquet": _open_parquet}
    opener = openers.get(path.suffix.lower())
    if opener is None:
        raise ProblemError(f"{path} must end in {', '.join(openers)}; convert or rename it")
    try:
        table = opener(path, required)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror or error}") from error
    if not table.num_rows:
        raise ProblemError(f"{path} is empty; it needs at least one row")
    return table


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line with its 1-based number, blank ones included."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise ProblemError(f"{path}: line {number} has over {MAX_LINE_BYTES:,} bytes; write one row a line")
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{error.object[error.start]:02x} at line {number}, column {error.start + 1}"
                raise ProblemError(f"{path} is not UTF-8: {wrong}; save it as UTF-8") from error


def _open_json_lines(path: Path, required: str) -> Table:
    num_rows, number, last = 0, 0, ""
    seen: dict[str, None] = {}
    is_found, complaint = False, ""
    for number, line in _lines(path):
        if not line.strip():
            continue
        num_rows, last = num_rows + 1, line
        if not is_found and num_rows <= _NUM_LOOKED_AT:
            row = _parse_line(number, line)
            if isinstance(row, ProblemError):
                complaint = complaint or str(row)
            elif is_found := required in row:
                seen = {}
            seen.update(dict.fromkeys(row if isinstance(row, Mapping) else ()))
    if not last.endswith("\n") and isinstance(_parse_line(number, last), ProblemError) and last:
        raise ProblemError(f"{path}: line {number}, the last, is cut off; get the whole file, or delete that line")
    if num_rows and not is_found:
        raise _no_column(path, required, tuple(seen), complaint)
    return Table(num_rows, tuple(seen), lambda: _read_json_lines(path))


def _read_json_lines(path: Path) -> Iterator[RawRow]:
    for number, line in _lines(path):
        if line.strip():
            yield _parse_line(number, line)


def _parse_line(number: int, line: str) -> RawRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return ProblemError(f"line {number} is not JSON: {error}")
    if not isinstance(row, dict):
        return ProblemError(f"line {number} is no JSON object; write one {{…}} a line")
    return row


def _open_csv(path: Path, required: str) -> Table:
    reader = _csv_reader(path)
    header = next(reader, None)
    if isinstance(header, ProblemError):
        raise ProblemError(f"{path}: {header}") from header
    columns = tuple(header or ())
    repeated = [name for index, name in enumerate(columns) if name in columns[:index]]
    if repeated:
        raise ProblemError(f"{path} has two columns {repeated[0]!r}; rename one")
    if columns and required not in columns:
        raise _no_column(path, required, columns, "")
    num_rows = 0
    for row in reader:
        num_rows += 1
        if isinstance(row, ProblemError) and "unexpected end of data" in str(row):
            raise ProblemError(f"{path}: {row}; a quote is never closed: get the whole file, or close it")
    return Table(num_rows, columns, lambda: _read_csv(path))


def _read_csv(path: Path) -> Iterator[RawRow]:
    reader = _csv_reader(path)
    header = next(reader)
    assert not isinstance(header, ProblemError)  # the pass before has read it
    for row in reader:
        if isinstance(row, ProblemError):
            yield row
        elif len(row) != len(header):
            yield ProblemError(
                f"the row has {len(row)} fields and the header {len(header)}; quote cells that hold commas"
            )
        else:
            yield {name: cell for name, cell in zip(header, row, strict=True) if cell}


def _csv_reader(path: Path) -> Iterator[list[str] | ProblemError]:
    """Yield the fields of each row that is not blank, the header first."""
    csv.field_size_limit(MAX_LINE_BYTES)  # the default of 128 KiB refuses images in data URLs
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield ProblemError(f"line {reader.line_num} is not CSV: {error}")
        else:
            if row:
                yield row


def _open_parquet(path: Path, required: str) -> Table:
    with _parquet_file(path) as file:
        num_rows, columns = file.metadata.num_rows, tuple(file.schema_arrow.names)
    if required not in columns:
        raise _no_column(path, required, columns, "")
    return Table(num_rows, columns, lambda: _read_parquet(path))


def _read_parquet(path: Path) -> Iterator[Mapping[str, object]]:
    """Yield the rows in order, a few in memory at a time.

    Raises:
        ProblemError: the file is broken.
    """
    with _parquet_file(path) as file:
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH_ROWS, use_threads=False):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _parquet_file(path: Path) -> Iterator[Any]:
    """Give the open file; an error of reading it becomes a ``ProblemError``."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ProblemError(
            f"{path} is Parquet, which needs pyarrow; install it by pip install 'critic-engine[parquet]'"
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ProblemError(f"{path} is truncated or no Parquet file: {reason}; get it again") from error


def _no_column(path: Path, required: str, columns: tuple[str, ...], complaint: str) -> ProblemError:
    if not columns:
        return ProblemError(f"{path} holds no readable row: {complaint}")
    names = ", ".join(column[:40] for column in columns[:20])
    return ProblemError(f"{path} has no column {required!r}; its columns are {names}: rename the one that holds it")
