"""Parquet files, and Arrow files as ``datasets`` saves them."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from critic_engine.data.table_files.table import Table
from critic_engine.errors import ProblemError

_BATCH_ROWS = 16


def open_parquet(path: Path) -> Table:
    """Return the table in a Parquet file."""
    with _parquet_file(path) as file:
        num_rows, columns = file.metadata.num_rows, tuple(file.schema_arrow.names)
    rows = functools.partial(_read_parquet, path)
    return Table(columns=columns, rows=rows, count_rows=lambda: num_rows, folder=path.parent)


def _read_parquet(path: Path) -> Iterator[Mapping[str, object]]:
    """Yield the rows in order, a few in memory at a time.

    Raises:
        ProblemError: the file is broken.
    """
    with _parquet_file(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _parquet_file(path: Path) -> Iterator[Any]:
    """Give the open file; an error of reading it becomes a ``ProblemError``."""
    with _arrow_errors(path, "Parquet"):
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            yield file


def open_arrow(path: Path) -> Table:
    """Return the table in an Arrow file, of streaming format or of file format."""
    num_rows = 0
    with _arrow_batches(path) as (columns, batches):
        for batch in batches:
            num_rows += batch.num_rows
    rows = functools.partial(_read_arrow, path)
    return Table(columns=columns, rows=rows, count_rows=lambda: num_rows, folder=path.parent)


def _read_arrow(path: Path) -> Iterator[Mapping[str, object]]:
    with _arrow_batches(path) as (_, batches):
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                yield from batch.slice(start, _BATCH_ROWS).to_pylist()


@contextlib.contextmanager
def _arrow_batches(path: Path) -> Iterator[tuple[tuple[str, ...], Iterator[Any]]]:
    """Give the columns and the batches, whose memory is the file's."""
    with _arrow_errors(path, "Arrow"):
        import pyarrow.ipc

        with pyarrow.memory_map(str(path)) as source:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            if is_file:
                reader = pyarrow.ipc.open_file(source)
                yield tuple(reader.schema.names), map(reader.get_batch, range(reader.num_record_batches))
            else:
                stream = pyarrow.ipc.open_stream(source)
                yield tuple(stream.schema.names), iter(stream)


@contextlib.contextmanager
def _arrow_errors(path: Path, kind: str) -> Iterator[None]:
    try:
        import pyarrow
    except ImportError as error:
        raise ProblemError(
            f"{path} is {kind}, which needs pyarrow; install it by pip install 'critic-engine[parquet]'"
        ) from error
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ProblemError(f"{path} is truncated or no {kind} file: {reason}; get it again") from error
