"""Questions about a board: their wording, reading them back, and drawing one at random.

The text of a question is complete, so `read_question` turns it back into a `Question`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from critic_engine.pocket.board import CELLS, COLOURS, MOVES, NOTHING, OBJECTS, SHAPES, Board, step_from

WORDINGS = {
    "count": "how many {first} ?",
    "total": "how many {first} plus how many {second} ?",
    "difference": "how many more {first} than {second} ?",
    "navigate": "from {cell} go {moves} wrapping around . {ask}",
    "beside": "from the only {object} go {moves} wrapping around . {ask}",
    "same": "how many other shapes have the {aspect} of {cell} ?",
    "hop": "how many shapes have the {aspect} of the shape {moves} from {cell} wrapping around ?",
}
"""The wording of each family. Slots hold words from the vocabulary of the board; `moves` holds one to three moves."""

FAMILIES = tuple(WORDINGS)
_SHARES = {"count": 1, "total": 2, "difference": 3, "navigate": 1, "beside": 4, "same": 1, "hop": 1}
"""Weight of each family in random draws; hard families are drawn more often, to leave room for improvement."""

ASKS = {"what is there ?": "object", "which colour is there ?": "colour", "which shape is there ?": "shape"}
TRAITS = (*COLOURS, *SHAPES, *OBJECTS)
"""Traits that can be counted: a colour, a shape, or both."""

_PLURALS = {trait: f"{trait} shapes" if trait in COLOURS else f"{trait}s" for trait in TRAITS}
_SINGULARS = {plural: trait for trait, plural in _PLURALS.items()}
_SLOTS = {
    "first": "|".join(_SINGULARS),
    "second": "|".join(_SINGULARS),
    "cell": "|".join(CELLS),
    "moves": "(?:(?:up|down|left|right) ?)+",
    "object": "|".join(OBJECTS),
    "aspect": "colour|shape",
    "ask": "|".join(re.escape(ask) for ask in ASKS),
}


@dataclass(frozen=True)
class Question:
    """One question; fields that the wording of its family does not use stay empty."""

    family: str
    first: str = ""
    """A trait to count."""
    second: str = ""
    """The other trait to count."""
    cell: str = ""
    moves: tuple[str, ...] = ()
    object: str = ""
    """A coloured shape that is on the board exactly once."""
    aspect: str = ""
    """``colour``, ``shape`` or ``object``: the aspect asked for, or the one that others must share."""

    @property
    def text(self) -> str:
        """The question in words."""
        ask = next((ask for ask, aspect in ASKS.items() if aspect == self.aspect), "")
        return WORDINGS[self.family].format(
            first=_PLURALS.get(self.first, ""), second=_PLURALS.get(self.second, ""), cell=self.cell,
            moves=" ".join(self.moves), object=self.object, aspect=self.aspect, ask=ask,
        )  # fmt: skip


def read_question(text: str) -> Question:
    """Return the question that ``text`` words."""
    words = " ".join(text.split())
    for family, wording in WORDINGS.items():
        pattern = re.sub(r"\\{(\w+)\\}", lambda slot: f"(?P<{slot[1]}>{_SLOTS[slot[1]]})", re.escape(wording))
        if match := re.fullmatch(pattern, words):
            slots = match.groupdict()
            return Question(
                family=family,
                first=_SINGULARS.get(slots.get("first", ""), ""),
                second=_SINGULARS.get(slots.get("second", ""), ""),
                cell=slots.get("cell", ""),
                moves=tuple(slots.get("moves", "").split()),
                object=slots.get("object", ""),
                aspect=slots.get("aspect", "") or ASKS.get(slots.get("ask", ""), ""),
            )
    raise ValueError(f"text: {text!r} is not a pocket question")


def draw_question(rng: random.Random, board: Board) -> Question:
    """Return a random question that makes sense on ``board``."""
    while True:
        question = _draw(rng, rng.choices([*_SHARES], [*_SHARES.values()])[0], board)
        if _makes_sense(question, board):
            return question


def count_trait(contents: tuple[str, ...], trait: str) -> int:
    """Return how many of ``contents`` are of colour, shape or colour and shape ``trait``."""
    return sum(trait == content or trait in content.split() for content in contents)


def _draw(rng: random.Random, family: str, board: Board) -> Question:
    if family == "count":
        return Question(family, first=_trait(rng, board))
    if family in ("total", "difference"):
        first, second = _trait(rng, board), _trait(rng, board)
        return Question(family, first=first, second=second)
    if family == "navigate":
        return Question(family, cell=rng.choice(CELLS), moves=_moves(rng, 2, 3), aspect=rng.choice([*ASKS.values()]))
    if family == "beside":
        thing = rng.choice([content for content in board.contents if content != NOTHING])
        return Question(family, object=thing, moves=_moves(rng, 1, 2), aspect=rng.choice([*ASKS.values()]))
    moves = _moves(rng, 1, 1) if family == "hop" else ()
    return Question(family, cell=rng.choice(CELLS), moves=moves, aspect=rng.choice(("colour", "shape")))


def _trait(rng: random.Random, board: Board) -> str:
    """Return a trait to count; one with colour and shape is taken from the board, as most counts would be 0."""
    shown = [content for content in board.contents if content != NOTHING]
    return rng.choice((rng.choice(COLOURS), rng.choice(SHAPES), rng.choice(shown)))


def _moves(rng: random.Random, fewest: int, most: int) -> tuple[str, ...]:
    return tuple(rng.choices(list(MOVES), k=rng.randint(fewest, most)))


def _makes_sense(question: Question, board: Board) -> bool:
    """Return whether differences are not negative, "the only" is unique, and moves end on a shape."""
    if question.family == "count":
        return True
    if question.family in ("total", "difference"):
        first, second = (count_trait(board.contents, trait) for trait in (question.first, question.second))
        return question.first != question.second and (question.family == "total" or first >= second)
    if question.family == "beside" and board.contents.count(question.object) != 1:
        return False
    cell = question.cell or CELLS[board.contents.index(question.object)]
    for move in question.moves:
        cell = step_from(cell, move)
    return board[cell] != NOTHING
