"""Writing and reading data files: JSON lines beside a folder of images, or Parquet with the images inside."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from critic_engine.data.exports.column_types import Column, arrow_schema
from critic_engine.data.exports.row_format import Container, ImageReference, Record
from critic_engine.errors import ConfigError
from critic_engine.run.report import json_line
from critic_engine.types import Image

IMAGES = "images"
"""The folder of images beside JSON lines."""
_SUFFIXES = {"image/jpeg": ".jpg"}
_GROUP_ROWS = 1000
_READ_ROWS = 16
_GROUP_BYTES = 32 * 2**20


class JsonlWriter:
    """JSON lines, a split a file; each image is written once, under the name of its digest."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``, which is there."""
        self._folder = folder
        self._open: dict[str, IO[str]] = {}
        self._closing = contextlib.ExitStack()

    def reference(self, image: Image) -> ImageReference:
        """Return its path, relative to the data file."""
        return f"{IMAGES}/{image_name(image)}"

    def write(self, split: str, record: Record, images: Iterable[Image]) -> None:
        """Add a line, and the images that are not there yet."""
        for image in images:
            path = self._folder / IMAGES / image_name(image)
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(image.data)
        if split not in self._open:
            file = (self._folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n")
            self._open[split] = self._closing.enter_context(file)
        self._open[split].write(json_line(record) + "\n")

    def close(self) -> None:
        """Close all files, even when closing one of them fails."""
        self._closing.close()


class ParquetWriter:
    """Parquet, a split a file, in groups of bounded size; the images are in the rows."""

    def __init__(self, folder: Path, columns: tuple[Column, ...]) -> None:
        """Write into ``folder``, which is there."""
        self._folder = folder
        self._schema = arrow_schema(columns)
        self._open: dict[str, Any] = {}
        self._waiting: dict[str, list[Record]] = {}
        self._num_bytes: dict[str, int] = {}

    def reference(self, image: Image) -> ImageReference:
        """Return the bytes of the image, with a file name made of its digest."""
        return {"bytes": image.data, "path": image_name(image)}

    def write(self, split: str, record: Record, images: Iterable[Image]) -> None:
        """Add a row, which holds its images; a full group goes to the file."""
        waiting = self._waiting.setdefault(split, [])
        waiting.append(record)
        self._num_bytes[split] = self._num_bytes.get(split, 0) + _num_bytes(record)
        if len(waiting) >= _GROUP_ROWS or self._num_bytes[split] >= _GROUP_BYTES:
            self._flush(split)

    def close(self) -> None:
        """Write the last groups and the footers."""
        for split in list(self._waiting):
            self._flush(split)
        while self._open:
            self._open.popitem()[1].close()

    def _flush(self, split: str) -> None:
        import pyarrow
        import pyarrow.parquet

        rows = self._waiting.pop(split)
        self._num_bytes.pop(split)
        if split not in self._open:
            self._open[split] = pyarrow.parquet.ParquetWriter(self._folder / f"{split}.parquet", self._schema)
        self._open[split].write_table(pyarrow.Table.from_pylist(rows, schema=self._schema), row_group_size=len(rows))


def new_writer(container: Container, folder: Path, columns: tuple[Column, ...]) -> JsonlWriter | ParquetWriter:
    """Return the writer of a container.

    Raises:
        ConfigError: Parquet is asked for, and pyarrow is not installed.
    """
    if container == "jsonl":
        return JsonlWriter(folder)
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "Parquet files need pyarrow; install it by pip install 'critic-engine[parquet]'", field="container"
        ) from error
    return ParquetWriter(folder, columns)


def read_records(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a data file, a few in memory at a time."""
    if path.suffix == ".parquet":
        yield from _parquet_records(path)
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _parquet_records(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            # Batches over several groups would keep the bytes of all groups before them in memory.
            for batch in file.iter_batches(batch_size=_READ_ROWS, row_groups=[group], use_threads=False):
                yield from batch.to_pylist()


def image_name(image: Image) -> str:
    """Return the name of an image's file: its digest and the suffix of its type."""
    suffix = _SUFFIXES.get(image.media_type, f".{image.media_type.removeprefix('image/')}")
    return f"{image.digest}{suffix}"


def _num_bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_num_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_num_bytes, value))
    return len(value) if isinstance(value, str | bytes) else 8
