"""A temporary file of training rows, so that the run they are made from is read only once."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from critic_engine.data.row_types import TrainingRow
from critic_engine.types import Image


class RowSpool:
    """Training rows in a temporary file: each added once, all iterated in order any number of times.

    Each image is written once. In memory are the row at hand, 8 bytes a row, and about 200 an image.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Open an unnamed file in ``folder``; None takes the system's folder for temporary files."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (__exit__ closes it)
        self._rows = array("Q")
        """The place of each row in the file."""
        self._images: dict[str, int] = {}
        """The place of each image, by its digest."""

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file, which removes it."""
        with contextlib.suppress(OSError):  # a full disk refuses the last bytes again
            self._file.close()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def add(self, row: TrainingRow) -> None:
        """Write a row.

        Raises:
            OSError: the disk is full, or the like.
        """
        for image in row.images:
            if image.digest not in self._images:
                self._images[image.digest] = self._write(image)
        self._rows.append(self._write(([image.digest for image in row.images], replace(row, images=()))))

    def retain(self, is_kept: Callable[[TrainingRow], bool]) -> None:
        """Drop the rows for which ``is_kept`` returns False; it is called once for each row, in order."""
        kept = zip(self._rows, map(is_kept, self), strict=True)
        self._rows = array("Q", [place for place, is_row_kept in kept if is_row_kept])

    def __iter__(self) -> Iterator[TrainingRow]:
        """Yield the rows in the order in which they were added, one in memory at a time."""
        images: dict[str, Image] = {}
        for place in self._rows:
            digests, row = self._read(place)
            # The rows of one problem follow one another, and share their images.
            images = {digest: images.get(digest) or self._read(self._images[digest]) for digest in digests}
            yield replace(row, images=tuple(images[digest] for digest in digests))

    def _write(self, value: object) -> int:
        place = self._file.seek(0, 2)
        pickle.dump(value, self._file, pickle.HIGHEST_PROTOCOL)
        return place

    def _read(self, place: int) -> Any:
        self._file.seek(place)
        return pickle.load(self._file)
