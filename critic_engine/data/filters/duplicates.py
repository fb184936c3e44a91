"""Rows that say what an earlier row says."""

from collections.abc import Sequence

from critic_engine.data.filters.near_duplicate_index import MIN_JACCARD, NearDuplicateIndex, sketch_of
from critic_engine.types import Image


class NearDuplicates:
    """Finds rows whose text and images are both like those of an earlier row; of rows without images, the text alone.

    What counts as like, and what a row costs in memory, stands with ``NearDuplicateIndex``; its key comes on top. Of rows
    like each other the first one given stays, so the order matters. A row that repeats another is not kept itself:
    likeness is not passed on from row to row.
    """

    def __init__(self, *, min_jaccard: float = MIN_JACCARD) -> None:
        """Start without rows; ``min_jaccard`` is in [0.8, 1]."""
        self._index = NearDuplicateIndex(min_jaccard=min_jaccard)
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
