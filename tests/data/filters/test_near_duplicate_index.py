"""The index finds the same pairs as comparing every pair."""

import random

import numpy as np

from critic_engine.data.filters.image_sketch import SKETCH_BYTES, PictureSketch
from critic_engine.data.filters.minhash import sketch_text
from critic_engine.data.filters.near_duplicate_index import NearDuplicateIndex, Sketch


def random_sketch(rng: random.Random) -> Sketch:
    """A text of few kinds and up to two flat pictures with levels around the edges of buckets."""
    text = sketch_text(rng.choice(("how many are there ?", "which one is red ?", "what is at b2 ?")))
    levels = [rng.choice((20, 22, 24, 26, 30, 60)) for _ in range(rng.randrange(3))]
    pictures = (PictureSketch(np.full(SKETCH_BYTES, level, dtype=np.uint8), 48) for level in levels)
    return Sketch(text, tuple(pictures))


def is_like(one: Sketch, other: Sketch) -> bool:
    same_text = bool((one.text.signature == other.text.signature).all())
    same_number = len(one.pictures) == len(other.pictures)
    return same_text and same_number and all(map(PictureSketch.is_copy, one.pictures, other.pictures))


def test_matches_are_those_that_comparing_every_pair_finds() -> None:
    rng = random.Random(6)
    index = NearDuplicateIndex()
    sketches = [random_sketch(rng) for _ in range(300)]
    assert [index.add(sketch) for sketch in sketches] == list(range(300))
    for wanted in sketches[:40]:
        near = [row for row, sketch in enumerate(sketches) if is_like(wanted, sketch)]
        # Levels of 20 and 30 are within the tolerance of one image, and may lie two buckets apart.
        found = list(index.matches(wanted))
        assert set(found) <= set(near)
        assert found == sorted(found)
        assert {row for row in near if drift(wanted, sketches[row]) <= 4} <= set(found)


def drift(one: Sketch, other: Sketch) -> int:
    pairs = zip(one.pictures, other.pictures, strict=True)
    return max((abs(int(a.levels[0]) - int(b.levels[0])) for a, b in pairs), default=0)


def test_index_that_has_grown_still_finds_every_row() -> None:
    index = NearDuplicateIndex()
    texts = [f"row {number} of the table" for number in range(1500)]
    for text in texts:
        index.add(Sketch(sketch_text(text), ()))
    assert len(index) == 1500
    for row in range(0, 1500, 100):
        assert list(index.matches(Sketch(sketch_text(texts[row]), ()))) == [row]
