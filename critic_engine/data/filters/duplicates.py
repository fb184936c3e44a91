"""Finding rows that nearly repeat an earlier row."""

from collections.abc import Sequence

from critic_engine.data.filters.near_duplicate_index import NearDuplicateIndex, sketch_of
from critic_engine.types import Image


class NearDuplicates:
    """Finds rows with the same images and nearly the same text as an earlier row; without images, by the text alone.

    ``NearDuplicateIndex`` says which rows are alike and how much memory a row takes; the row's key adds to that. The
    first of several rows that are alike stays, so the order matters. A row that repeats another is not remembered:
    being alike is not passed on from row to row.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self._index = NearDuplicateIndex()
        self._keys: list[str] = []

    def repeated(self, key: str, text: str, images: Sequence[Image] = ()) -> str | None:
        """Return the key of the earliest row that this one repeats; None when there is none, and the row is remembered.

        Raises:
            ImageError: an image cannot be decoded; nothing is remembered.
        """
        sketch = sketch_of(text, images)
        row = next(self._index.matches(sketch), None)
        if row is not None:
            return self._keys[row]
        self._index.add(sketch)
        self._keys.append(key)
        return None
