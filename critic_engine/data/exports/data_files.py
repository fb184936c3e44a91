"""Writing and reading data files: JSON lines beside a folder of images, or Parquet with the images inside."""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

from critic_engine.data.exports.columns import Column, arrow_schema
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


class DataFileWriter(ABC):
    """Writes the data files of one export, a split a file, and the images where they belong."""

    suffix: ClassVar[str]

    def __init__(self, folder: Path, columns: tuple[Column, ...]) -> None:
        """Write into ``folder``, which is there."""
        self.folder = folder
        self.columns = columns
        self.files: dict[str, str] = {}
        """The data file of each split that has a row."""

    @abstractmethod
    def reference(self, image: Image) -> ImageReference:
        """Return how a record refers to ``image``."""

    @abstractmethod
    def write(self, split: str, record: Record, images: Iterable[Image]) -> None:
        """Add a record to the file of its split, and the images that it refers to where they belong."""

    @abstractmethod
    def close(self) -> None:
        """Write the remaining records and close the files."""

    def _name(self, split: str) -> str:
        self.files[split] = f"{split}{self.suffix}"
        return self.files[split]


class JsonlWriter(DataFileWriter):
    """JSON lines; each image is written once, under the name of its digest."""

    suffix = ".jsonl"

    def __init__(self, folder: Path, columns: tuple[Column, ...]) -> None:
        """Write into ``folder``."""
        super().__init__(folder, columns)
        self._open: dict[str, IO[str]] = {}
        self._closing = contextlib.ExitStack()

    def reference(self, image: Image) -> str:
        """Return its path, relative to the data file."""
        return f"{IMAGES}/{image_name(image)}"

    def write(self, split: str, record: Record, images: Iterable[Image]) -> None:
        """Add a line, and the images that are not there yet."""
        for image in images:
            path = self.folder / self.reference(image)
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(image.data)
        if split not in self._open:
            file = (self.folder / self._name(split)).open("w", encoding="utf-8", newline="\n")
            self._open[split] = self._closing.enter_context(file)
        self._open[split].write(json_line(record) + "\n")

    def close(self) -> None:
        """Close all files, even when closing one of them fails."""
        self._closing.close()


class ParquetWriter(DataFileWriter):
    """Parquet, in groups of bounded size."""

    suffix = ".parquet"

    def __init__(self, folder: Path, columns: tuple[Column, ...]) -> None:
        """Write into ``folder``."""
        super().__init__(folder, columns)
        self._open: dict[str, Any] = {}
        self._waiting: dict[str, list[Record]] = {}
        self._num_bytes: dict[str, int] = {}

    def reference(self, image: Image) -> dict[str, Any]:
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
            path = self.folder / self._name(split)
            self._open[split] = pyarrow.parquet.ParquetWriter(path, arrow_schema(self.columns))
        schema = self._open[split].schema
        self._open[split].write_table(pyarrow.Table.from_pylist(rows, schema=schema), row_group_size=len(rows))


def new_writer(container: Container, folder: Path, columns: tuple[Column, ...]) -> DataFileWriter:
    """Return the writer of a container.

    Raises:
        ConfigError: Parquet is asked for, and pyarrow is not installed.
    """
    if container == "jsonl":
        return JsonlWriter(folder, columns)
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
