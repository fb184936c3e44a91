"""An index of texts with their images that finds near-duplicates without comparing all of them."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from critic_engine.data.filters.image_sketch import SKETCH_BYTES, PictureSketch, sketch_image
from critic_engine.data.filters.minhash import NUM_HASHES, TextSketch, sketch_text
from critic_engine.types import Image

MIN_JACCARD = 0.9
"""The share of all runs of three words in either text that both have, from which on texts are like each other."""

_FIRST_SLOTS = 1024


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sketches of a text and its images."""

    text: TextSketch
    pictures: tuple[PictureSketch, ...]

    @property
    def bucket_keys(self) -> list[int]:
        """The keys it is found by, one a band."""
        picture = self.pictures[0].bucket if self.pictures else b""
        return [_key(band, len(self.pictures), picture) for band in self.text.bands]

    def wanted_keys(self) -> Iterator[int]:
        """Yield the keys of every bucket that may hold something like it."""
        pictures = list(self.pictures[0].buckets()) if self.pictures else [b""]
        return (_key(band, len(self.pictures), picture) for band in self.text.bands for picture in pictures)


def sketch_of(text: str, images: Sequence[Image]) -> Sketch:
    """Return the sketch of a text and its images.

    Raises:
        ImageError: one of them cannot be decoded.
    """
    return Sketch(sketch_text(text), tuple(map(sketch_image, images)))


class NearDuplicateIndex:
    """Finds sketches with the same number of images, each a copy of its counterpart, and with a similar text.

    Texts are like each other if their words are the same, or if their numbers are and the similarity that 128 hashes
    estimate reaches ``MIN_JACCARD``. Equal texts are always found, others with a probability of 0.9998 at a true
    similarity of 0.9 (8 bands of 4 hashes), before the estimate's standard error.

    A row takes about 350 bytes, and 650 more an image.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._buckets = _Buckets()
        self._signatures = bytearray()
        self._levels = bytearray()
        self._sides = array("H")
        self._first_pictures = array("Q", [0])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._first_pictures) - 1

    def add(self, sketch: Sketch) -> int:
        """Take up ``sketch`` and return its row, counted from 0."""
        row = len(self)
        for key in sketch.bucket_keys:
            self._buckets.add(key, row)
        self._signatures += sketch.text.signature.tobytes()
        for picture in sketch.pictures:
            self._levels += picture.levels.tobytes()
            self._sides.append(picture.side)
        self._first_pictures.append(len(self._sides))
        return row

    def matches(self, sketch: Sketch) -> Iterator[int]:
        """Yield the rows that are like ``sketch``, earliest first."""
        met = {row for key in sketch.wanted_keys() for row in self._buckets.rows(key)}
        rows = np.array(sorted(met), dtype=np.int64)
        signatures = np.frombuffer(self._signatures, dtype=np.uint8).reshape(-1, NUM_HASHES)[rows]
        num_equal = (signatures == sketch.text.signature).sum(axis=1)
        for row in rows[num_equal >= MIN_JACCARD * NUM_HASHES].tolist():
            if all(map(PictureSketch.is_copy, sketch.pictures, self._pictures(row))):
                yield row

    def _pictures(self, row: int) -> Iterator[PictureSketch]:
        for place in range(self._first_pictures[row], self._first_pictures[row + 1]):
            levels = self._levels[place * SKETCH_BYTES : (place + 1) * SKETCH_BYTES]
            yield PictureSketch(np.frombuffer(levels, dtype=np.uint8), self._sides[place])


class _Buckets:
    """Rows by 64-bit keys: chains in flat arrays, about 22 bytes an entry where a dictionary takes over 100."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._rows = array("I")
        self._next = array("I")
        self._heads = array("I", bytes(4 * _FIRST_SLOTS))

    def add(self, key: int, row: int) -> None:
        if len(self._keys) == len(self._heads):
            self._grow()
        self._keys.append(key)
        self._rows.append(row)
        self._next.append(0)
        self._link(len(self._keys))

    def rows(self, key: int) -> Iterator[int]:
        entry = self._heads[key % len(self._heads)]
        while entry:
            if self._keys[entry - 1] == key:
                yield self._rows[entry - 1]
            entry = self._next[entry - 1]

    def _grow(self) -> None:
        self._heads = array("I", bytes(8 * len(self._heads)))
        for entry in range(1, len(self._keys) + 1):
            self._link(entry)

    def _link(self, entry: int) -> None:
        slot = self._keys[entry - 1] % len(self._heads)
        self._next[entry - 1] = self._heads[slot]
        self._heads[slot] = entry


def _key(band: bytes, num_pictures: int, picture: bytes) -> int:
    whole = band + num_pictures.to_bytes(4) + picture
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest())
