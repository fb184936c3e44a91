"""Reading Parquet files; those of exports are written, and read back, where they are made."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from critic_engine.errors import ProblemError

_BATCH_ROWS = 16


def parquet_shape(path: Path) -> tuple[int, tuple[str, ...]]:
    """Return the number of rows and the names of the columns, from the footer alone."""
    arrow = _pyarrow(path)
    with _opened(arrow, path) as file:
        return file.metadata.num_rows, tuple(file.schema_arrow.names)


def iterate_parquet(path: Path) -> Iterator[Mapping[str, object]]:
    """Yield the rows in order, a few in memory at a time.

    Raises:
        ProblemError: the file is broken.
    """
    arrow = _pyarrow(path)
    with _opened(arrow, path) as file:
        batches = file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                rows = [] if batch is None else batch.to_pylist()
            except (arrow.ArrowException, OSError, ValueError) as error:
                raise _broken(path, error) from error
            if batch is None:
                return
            yield from rows


def _pyarrow(path: Path) -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ProblemError(
            f"{path} is Parquet, which needs pyarrow; install it by pip install 'critic-engine[parquet]'"
        ) from error
    return pyarrow  # type: ignore[no-any-return, unused-ignore]


def _opened(arrow: ModuleType, path: Path) -> Any:
    try:
        return arrow.parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> ProblemError:
    reason = " ".join(str(error).split())[:200]
    return ProblemError(f"{path} is truncated or no Parquet file: {reason}; get it again")
