"""The dialects of the pocket models: how the solver's facts are worded.

Boards, questions, prompts and the oracle are the same in all; the oracle reads every dialect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from critic_engine.pocket.prose.words import PROSE_WORDS
from critic_engine.pocket.prose.writer import Wording
from critic_engine.pocket.vocabulary import WORDS


@dataclass(frozen=True)
class Dialect:
    """One way to word facts."""

    name: str
    words: tuple[str, ...]
    """Words by word id; those of the terse dialect have the same ids in all."""
    write: Callable[[Sequence[str], random.Random], tuple[str, ...]]
    """Return a solution that states the given steps of the solver in their order."""
    say: Callable[[str, random.Random], str]
    """Return one sentence for a step of the solver, or for a reason of the oracle."""
    has_one_wording: bool
    """Whether a fact is always worded alike."""
    max_words: int
    """More words than a solution has."""

    @cached_property
    def word_ids(self) -> Mapping[str, int]:
        """Word ids by word."""
        return {word: number for number, word in enumerate(self.words)}


TERSE = Dialect(
    name="terse",
    words=WORDS,
    write=lambda facts, rng: tuple(facts),
    say=lambda fact, rng: fact,
    has_one_wording=True,
    max_words=80,
)
PROSE = Dialect(
    name="prose",
    words=tuple(dict.fromkeys((*WORDS, *PROSE_WORDS))),
    write=lambda facts, rng: Wording(rng).steps(facts),
    say=lambda fact, rng: Wording(rng).fact(fact),
    has_one_wording=False,
    max_words=240,
)
DIALECTS = {dialect.name: dialect for dialect in (TERSE, PROSE)}
"""Dialects by name."""
