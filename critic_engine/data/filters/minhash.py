"""Sketches of texts: few bytes that tell how much two texts have in common."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critic_engine.data.filters.text_normalization import normal_words

NUM_HASHES = 128
"""Bytes of a signature; the standard error of the similarity estimated from it is 0.027 at 0.9."""

_NUM_BANDS = 8
_BAND_ROWS = 4
_SHINGLE_WORDS = 3
_MIN_WORDS = 6
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class TextSketch:
    """The hashes of a text by which similar texts are found."""

    signature: NDArray[np.uint8]
    """Shape (``NUM_HASHES``,)."""
    bands: tuple[bytes, ...]
    """Two texts are compared only if they share one of these, in its place."""


def sketch_text(text: str) -> TextSketch:
    """Return the MinHash sketch (Broder, 1997) of the runs of three words in ``text``.

    A text of fewer than six words is taken as one run, so that it is like those with the same words alone. Texts whose
    numbers or symbols differ, or stand in another order, share no band: they ask different things, however alike.
    """
    words = normal_words(text) or [text]
    exact = [word for word in words if any(map(str.isnumeric, word)) or not any(map(str.isalpha, word))]
    smallest = _smallest(list(_shingles(words)))
    bands = smallest[: _NUM_BANDS * _BAND_ROWS].reshape(_NUM_BANDS, _BAND_ROWS)
    said = _digest(exact)
    return TextSketch(
        signature=(smallest >> np.uint64(16)).astype(np.uint8),  # its low byte alone (Li and König, 2010)
        bands=tuple(bytes([place]) + said + band.tobytes() for place, band in enumerate(bands)),
    )


def _shingles(words: Sequence[str]) -> Iterator[bytes]:
    if len(words) < _MIN_WORDS:
        yield _digest(words)
        return
    for start in range(len(words) - _SHINGLE_WORDS + 1):
        yield _digest(words[start : start + _SHINGLE_WORDS])


def _digest(words: Sequence[str]) -> bytes:
    return hashlib.blake2b(" ".join(words).encode(errors="surrogatepass"), digest_size=8).digest()


def _smallest(shingles: Sequence[bytes]) -> NDArray[np.uint64]:
    """Return the smallest value that each hash function takes on any shingle."""
    values = np.unique(np.frombuffer(b"".join(shingles), dtype="<u8"))
    factors, offsets = _hash_functions()
    smallest = np.full(NUM_HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(values), _CHUNK):
        hashes = values[start : start + _CHUNK, None] * factors + offsets  # modulo 2**64
        smallest = np.minimum(smallest, hashes.min(axis=0))
    return smallest


@functools.cache
def _hash_functions() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the factor, which is odd, and the offset of each hash function: the same everywhere."""
    numbers = np.frombuffer(hashlib.shake_128(b"minhash").digest(16 * NUM_HASHES), dtype="<u8").astype(np.uint64)
    return numbers[:NUM_HASHES] | np.uint64(1), numbers[NUM_HASHES:]
