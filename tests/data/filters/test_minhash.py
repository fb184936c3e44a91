"""Sketches of texts: the share of equal hashes is the similarity, and numbers keep texts apart."""

import random

import numpy as np

from critic_engine.data.filters.minhash import NUM_HASHES, TextSketch, sketch_text


def similarity(one: TextSketch, other: TextSketch) -> float:
    return float(np.mean(one.signature == other.signature))


def meet(one: TextSketch, other: TextSketch) -> bool:
    return any(map(bytes.__eq__, one.bands, other.bands))


def text(rng: random.Random, num_words: int) -> list[str]:
    return ["".join(rng.choices("abcdefgh", k=6)) for _ in range(num_words)]


def test_share_of_equal_hashes_estimates_the_jaccard_similarity() -> None:
    rng = random.Random(3)
    errors = []
    for _ in range(50):
        words = text(rng, 200)
        changed = words[:-8] + text(rng, 8)
        errors.append(similarity(sketch_text(" ".join(words)), sketch_text(" ".join(changed))) - 190 / 206)
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.04


def test_nearly_all_texts_that_are_alike_meet() -> None:
    rng = random.Random(4)
    num_met = 0
    for _ in range(200):
        words = text(rng, 200)
        num_met += meet(sketch_text(" ".join(words)), sketch_text(" ".join(words[:-8] + text(rng, 8))))
    assert num_met >= 199


def test_texts_whose_numbers_differ_never_meet() -> None:
    words = " ".join(text(random.Random(5), 300))
    assert meet(sketch_text(f"{words} 3 + 4"), sketch_text(f"{words} 3 + 4 !"))
    assert not meet(sketch_text(f"{words} 3 + 4"), sketch_text(f"{words} 3 + 5"))
    assert not meet(sketch_text(f"{words} 3 + 4"), sketch_text(f"{words} 4 + 3"))


def test_short_text_is_like_its_own_words_alone() -> None:
    assert similarity(sketch_text("What is this?"), sketch_text("what is this")) == 1
    assert similarity(sketch_text("What is this?"), sketch_text("what is that")) < 0.1


def test_texts_without_words_are_like_themselves_alone() -> None:
    assert similarity(sketch_text("?!"), sketch_text("?!")) == 1
    assert similarity(sketch_text("?!"), sketch_text("...")) < 0.1


def test_text_without_words_and_huge_text_have_sketches() -> None:
    for odd in ("", "?!", "\ud800", "a " * 50_000, "a" * 100_000):
        sketch = sketch_text(odd)
        assert sketch.signature.shape == (NUM_HASHES,)
