"""Putting facts into words, from a grammar whose every choice is drawn at random.

A step holds one fact or two; descriptions of rows may be left out, and a fact may be said twice in other words. The
sentences of one fact differ in words, fillers and order. `Wording.nats` adds up what the choices made were worth.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from critic_engine.pocket.board import COLOURS, NOTHING
from critic_engine.pocket.prose import words
from critic_engine.pocket.prose.words import SEPARATOR, SLOTS, SYNONYMS

LEFT_OUT = 0.6
"""Share of row descriptions that are left out."""
MERGED = 0.2
"""Share of steps, of those that can be, that share a line with the step before."""
RESTATED = 0.05
"""Share of steps that say their fact a second time."""
_T = TypeVar("_T")
_SLOT = re.compile(r"\{(\w+)\}")
_ROW_MARKS = ("row 1", "row 2", "row 3")
_SENTENCES = {
    "answer": ("{weighing} {steps} {carefully} , {thus} the {final} answer {comes} {truly} VALUE",),
    "counting": (
        "{open} {counting} {all} TRAIT {gives} PARTS {altogether} TOTAL",
        "{open} {counting} {all} TRAIT {surely} {gives} PARTS {thus} TOTAL",
        "{open} {all} TRAIT {surely} {number} PARTS , TOTAL {altogether}",
    ),
    "row": ("{open} the LINE {line} {surely} {lists} ITEMS",),
    "find": (
        "{open} the {only} THING {surely} {sits} {at} CELL {close}",
        "{open} {at} CELL {surely} {sits} the {only} THING {close}",
    ),
    "look": (
        "{open} CELL {surely} {holds} THING {close}",
        "{open} {at} CELL {surely} {sits} THING {close}",
    ),
    "move": (
        "{open} {going} MOVE from START {surely} {leads} CELL {close}",
        "{open} from START {going} MOVE {surely} {leads} CELL {close}",
    ),
    "minus": (
        "{open} FIRST MINUS SECOND {surely} {leaves} TOTAL {close}",
        "{open} TAKE SECOND away from FIRST {surely} {leaves} TOTAL {close}",
    ),
    "plus": (
        "{open} FIRST plus SECOND {surely} {leaves} TOTAL {close}",
        "{open} ADD FIRST and SECOND {surely} {leaves} TOTAL {close}",
    ),
    "row_has": ("{open} the LINE {line} {surely} {holds} TOTAL",),
    "sum": ("{open} the sum {surely} {should} TOTAL",),
    "count": ("{open} count {all} TRAIT",),
    "given_answer": ("{open} the answer {should} {surely} VALUE",),
    "not_answer": ("{open} the answer {should} {surely} not VALUE",),
    "unclear": ("{open} this step is {surely} not clear",),
}
_READ = {
    "answer": re.compile(r"answer : (?P<VALUE>[a-z0-9]+(?: [a-z]+)?)"),
    "counting": re.compile(r"(?P<trait>[a-z ]+) : (?P<parts>\d+ \+ \d+ \+ \d+) = (?P<TOTAL>\d+)"),
    "row": re.compile(r"(?P<line>row [123]) : (?P<items>[a-z1-3 ]+)"),
    "find": re.compile(r"the (?P<THING>[a-z]+ [a-z]+) is (?P<CELL>[abc]\d)"),
    "look": re.compile(r"(?P<CELL>[abc]\d) is (?P<thing>none|[a-z]+ [a-z]+)"),
    "move": re.compile(r"(?P<move>up|down|left|right) from (?P<START>[abc]\d) is (?P<CELL>[abc]\d)"),
    "minus": re.compile(r"(?P<FIRST>\d+) - (?P<SECOND>\d+) = (?P<TOTAL>\d+)"),
    "plus": re.compile(r"(?P<FIRST>\d+) \+ (?P<SECOND>\d+) = (?P<TOTAL>\d+)"),
    "row_has": re.compile(r"(?P<line>row [123]) has (?P<TOTAL>\d+)"),
    "sum": re.compile(r"the sum is (?P<TOTAL>\d+)"),
    "count": re.compile(r"count (?P<trait>[a-z ]+)"),
    "not_answer": re.compile(r"the answer is not (?P<VALUE>[a-z0-9]+(?: [a-z]+)?)"),
    "given_answer": re.compile(r"the answer is (?P<VALUE>[a-z0-9]+(?: [a-z]+)?)"),
    "unclear": re.compile(r"the step is not clear"),
}


class Wording:
    """Draws wordings, and adds up their information."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from ``rng``."""
        self.rng = rng
        self.nats = 0.0
        """What the choices so far were worth: the negative log-probability of the words, given the facts."""

    def steps(self, facts: Sequence[str]) -> tuple[str, ...]:
        """Return a solution that states ``facts``, the solver's steps, in their order; some rows are left out."""
        said: list[str] = []
        can_merge = False
        for fact in facts:
            is_row, is_answer = fact.startswith("row "), fact.startswith("answer ")
            if is_row and self._happens(LEFT_OUT):
                continue
            step = self.fact(fact)
            if not is_row and not is_answer and self._happens(RESTATED):
                step = f"{step} {SEPARATOR} {self.fact(fact)}"
            if can_merge and not is_row and not is_answer and self._happens(MERGED):
                said[-1] = f"{said[-1]} {SEPARATOR} {step}"
                can_merge = False
            else:
                said.append(step)
                can_merge = not is_row
        return tuple(said)

    def fact(self, fact: str) -> str:
        """Return one sentence that states ``fact``: a step of the solver, or the oracle's reason for a verdict.

        Raises:
            ValueError: it is neither.
        """
        kind, found = _match(fact)
        sentence = self._one_of(_SENTENCES[kind])
        written = " ".join(self._word(word, found) for word in sentence.split())
        return " ".join(_SLOT.sub(lambda slot: self._one_of(SLOTS[slot[1]]), written).split())

    def _word(self, word: str, found: Mapping[str, str]) -> str:
        if word in found:
            return found[word]
        if word in (words.MINUS, words.TAKE, words.ADD):
            return self._one_of(SYNONYMS[word])
        if word == "MOVE":
            return self._one_of(SYNONYMS[found["move"]])
        if word == "LINE":
            return self._one_of(SYNONYMS[found["line"]])
        return _PHRASES[word](self, found) if word in _PHRASES else word

    def _trait(self, found: Mapping[str, str]) -> str:
        trait = found["trait"]
        if trait == NOTHING:  # a solver that misread a cell counts it
            return self._content(trait)
        return f"{trait} {{shapes}}" if trait in COLOURS else f"{trait}s"

    def _parts(self, found: Mapping[str, str]) -> str:
        rows = [self._one_of(SYNONYMS[mark]) for mark in _ROW_MARKS]
        pairs = list(zip(rows, re.findall(r"\d+", found["parts"]), strict=True))
        return " ".join(f"{row} {part}" for row, part in self._shuffled(pairs))

    def _items(self, found: Mapping[str, str]) -> str:
        items = re.findall(r"([abc]\d) ([a-z ]+?)(?= [abc]\d|$)", found["items"])
        return " , ".join(f"{cell} {{with}} {self._content(thing)}" for cell, thing in self._shuffled(items))

    def _thing(self, found: Mapping[str, str]) -> str:
        thing = found["thing"]
        return self._content(thing) if thing == NOTHING else f"a {thing}"

    def _content(self, thing: str) -> str:
        return self._one_of(SYNONYMS[words.NONE]) if thing == NOTHING else thing

    def _one_of(self, choices: Sequence[_T]) -> _T:
        self.nats += math.log(len(choices))
        return self.rng.choice(choices)

    def _happens(self, share: float) -> bool:
        happens = self.rng.random() < share
        self.nats -= math.log(share if happens else 1 - share)
        return happens

    def _shuffled(self, things: Sequence[_T]) -> list[_T]:
        self.nats += math.lgamma(len(things) + 1)
        return self.rng.sample(things, len(things))


_PHRASES: Mapping[str, Callable[[Wording, Mapping[str, str]], str]] = {
    "TRAIT": Wording._trait,
    "PARTS": Wording._parts,
    "ITEMS": Wording._items,
    "THING": Wording._thing,
}


def _match(fact: str) -> tuple[str, Mapping[str, str]]:
    for kind, form in _READ.items():
        if match := form.fullmatch(fact):
            return kind, match.groupdict()
    raise ValueError(f"fact: {fact!r} is neither a step of the solver nor a reason of the oracle")
