"""Solve a question in steps, correctly or with slips that carry through to the answer.

One line a step. The board is described first, a row a step, then the reasoning, then the answer:

    row 1 : a1 red circle b1 none c1 blue square        perception
    red : 1 + 0 + 2 = 3                                 counting (and its sum: arithmetic)
    3 - 1 = 2                                           arithmetic
    up from b2 is b1                                    moving
    the blue square is c1                               lookup
    b1 is red circle                                    lookup
    answer : 3                                          answer
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from critic_engine.pocket.board import CELLS, COLOURS, CONTENTS, NOTHING, ROWS, SHAPES, Board, step_from
from critic_engine.pocket.questions import TRAITS, Question, count_trait

MOST = 18
"""The largest number that a step can hold: two counts of nine."""


def solve(question: Question, board: Board) -> tuple[str, ...]:
    """Return the right steps; the last is ``answer : ...``."""
    return _Solver(board).run(question)


def solve_with_slips(
    question: Question, board: Board, *, slips: Collection[int], rng: random.Random
) -> tuple[str, ...]:
    """Return steps in which those numbered in ``slips`` (1-based) hold a wrong value; later steps build on it.

    A slip may leave a step true, for example when it counts the second trait twice; the oracle tells.
    """
    return _Solver(board, slips=slips, rng=rng).run(question)


def answer_of(step: str) -> str | None:
    """Return the answer that ``step`` gives, None when it is no answer step."""
    words = step.split()
    return " ".join(words[2:]) if words[:2] == ["answer", ":"] and len(words) > 2 else None


class _Solver:
    """Solves one question from its own reading of the board, so that a misread cell misleads later steps."""

    def __init__(self, board: Board, *, slips: Collection[int] = (), rng: random.Random | None = None) -> None:
        self._believed = list(board.contents)
        self._slips = slips
        self._rng = rng or random.Random(0)
        self._steps: list[str] = []

    def run(self, question: Question) -> tuple[str, ...]:
        for row in range(len(ROWS)):
            self._describe(row)
        self._steps.append(f"answer : {self._slip(*self._reason(question))}")
        return tuple(self._steps)

    def _reason(self, question: Question) -> tuple[str, Sequence[str]]:
        """Return the answer, and the answers among which a slip chooses."""
        numbers = [str(number) for number in range(10)]
        if question.family == "count":
            return str(self._count(question.first)), numbers
        if question.family in ("total", "difference"):
            first, second = self._count(question.first), self._count(question.second)
            return str(self._combine(first, "+" if question.family == "total" else "-", second)), numbers
        cell = self._find(question.object) if question.family == "beside" else question.cell
        thing = self._look(self._walk(cell, question.moves))
        if question.family in ("navigate", "beside"):
            return _aspect(thing, question.aspect), sorted({_aspect(other, question.aspect) for other in CONTENTS})
        count = self._count(_aspect(thing, question.aspect))
        return str(self._combine(count, "-", 1) if question.family == "same" else count), numbers

    def _describe(self, row: int) -> None:
        cells = range(3 * row, 3 * row + 3)
        slipping = self._rng.choice(cells) if self._is_slip else None
        for cell in cells:
            if cell == slipping:
                self._believed[cell] = self._misread(self._believed[cell])
        self._steps.append(f"row {ROWS[row]} : " + " ".join(f"{CELLS[cell]} {self._believed[cell]}" for cell in cells))

    def _count(self, trait: str) -> int:
        parts = [count_trait(tuple(self._believed[start : start + 3]), trait) for start in (0, 3, 6)]
        kind = self._rng.choices(("part", "sum", "trait"), (6, 3, 1))[0] if self._is_slip else None
        if kind == "part":
            row = self._rng.randrange(3)
            near = [number for number in range(4) if abs(number - parts[row]) == 1] * 3
            parts[row] = int(self._other(str(parts[row]), [*map(str, near), "0", "1", "2", "3"]))
        elif kind == "trait":
            trait = self._other(trait, TRAITS)
            parts = [count_trait(tuple(self._believed[start : start + 3]), trait) for start in (0, 3, 6)]
        total = sum(parts)
        if kind == "sum":
            total = int(self._other(str(total), [str(max(0, total - 1)), str(total + 1), str(self._rng.randint(0, 9))]))
        self._steps.append(f"{trait} : {parts[0]} + {parts[1]} + {parts[2]} = {total}")
        return total

    def _combine(self, first: int, sign: str, second: int) -> int:
        kind = self._rng.choices(("result", "first", "second"), (3, 1, 1))[0] if self._is_slip else None
        first = self._nearby(first) if kind == "first" else first
        second = self._nearby(second) if kind == "second" else second
        result = first + second if sign == "+" else max(0, first - second)
        result = self._nearby(result) if kind == "result" else result
        self._steps.append(f"{first} {sign} {second} = {result}")
        return result

    def _find(self, thing: str) -> str:
        cell = CELLS[self._believed.index(thing)] if thing in self._believed else self._rng.choice(CELLS)
        cell = self._slip(cell, CELLS)
        self._steps.append(f"the {thing} is {cell}")
        return cell

    def _walk(self, cell: str, moves: Sequence[str]) -> str:
        for move in moves:
            start = self._other(cell, CELLS) if self._is_slip and self._rng.random() < 0.2 else cell
            cell = self._slip(step_from(start, move), CELLS) if start == cell else step_from(start, move)
            self._steps.append(f"{move} from {start} is {cell}")
        return cell

    def _look(self, cell: str) -> str:
        thing = self._believed[CELLS.index(cell)]
        if self._is_slip and self._rng.random() < 0.3:
            cell = self._other(cell, CELLS)
            thing = self._believed[CELLS.index(cell)]
        elif self._is_slip:
            thing = self._misread(thing)
        self._steps.append(f"{cell} is {thing}")
        return thing

    @property
    def _is_slip(self) -> bool:
        """Whether the step being written is to be wrong."""
        return len(self._steps) + 1 in self._slips

    def _slip(self, right: str, choices: Sequence[str]) -> str:
        return self._other(right, choices) if self._is_slip else right

    def _other(self, right: str, choices: Sequence[str]) -> str:
        return self._rng.choice([choice for choice in choices if choice != right])

    def _nearby(self, number: int) -> int:
        near = [number - 1, number + 1, number - 1, number + 1, self._rng.randint(0, 9)]
        return int(self._other(str(number), [str(other) for other in near if 0 <= other <= MOST]))

    def _misread(self, content: str) -> str:
        """Return another content, most often one that shares the colour or the shape."""
        alike = [other for other in CONTENTS if set(other.split()) & set(content.split())]
        return self._other(content, [*CONTENTS, *alike * 3])


def _aspect(thing: str, aspect: str) -> str:
    """Return the colour or the shape of ``thing``, or all of it."""
    if thing == NOTHING or aspect == "object":
        return thing
    return next(word for word in thing.split() if word in (COLOURS if aspect == "colour" else SHAPES))
