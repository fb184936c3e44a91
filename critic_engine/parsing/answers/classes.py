"""Classes of answers that mean the same, and the one relation that makes them."""

import asyncio
from collections.abc import Iterable, Sequence

from critic_engine.parsing.answers.equality import compare
from critic_engine.parsing.answers.formulas import is_formula, is_mathematics
from critic_engine.parsing.answers.mathematics import FormulaProver, shared_prover
from critic_engine.parsing.answers.question import question_form
from critic_engine.parsing.answers.reading import ReadAnswer, read_answer
from critic_engine.parsing.answers.values import NamedChoice


class AnswerRelation:
    """Tells which answers to one question mean the same."""

    def __init__(self, question: str = "", choices: Sequence[str] = (), *, prover: FormulaProver | None = None) -> None:
        """Take the question and its choices, which say how an answer is meant."""
        self._asked = question_form(question, tuple(choices))
        self._prover = prover if prover is not None else shared_prover()

    def read(self, answer: str) -> ReadAnswer:
        """Return the answer's value."""
        return read_answer(answer, self._asked)

    def is_same(self, given: str, reference: str) -> bool | None:
        """Return whether both mean the same, in either order; None if that is unsure."""
        return compare(self.read(given), self.read(reference), self._prover.prove)

    def choice_index(self, answer: str) -> int | None:
        """Return the 0-based index of the choice that ``answer`` names by its letter or text; None if it names none."""
        value = self.read(answer).value
        return value.index if isinstance(value, NamedChoice) else None

    async def settle(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Compare the mathematics of all pairs in another thread, so that ``is_same`` answers at once."""
        wanted: list[tuple[str, str]] = []

        def note(left: str, right: str) -> bool | None:
            if self._prover.is_known(left, right):
                return self._prover.prove(left, right)
            wanted.append((left, right))
            return None

        for given, reference in pairs:
            compare(self.read(given), self.read(reference), note)
        for left, right in dict.fromkeys(wanted):
            await asyncio.to_thread(self._prover.prove, left, right)


class AnswerClasses:
    """Gives answers to one question keys that are equal for those with the same meaning; votes count these keys.

    An answer's key is that of its value, unless mathematics shows it equal to an answer that came before: then it is
    that one's. So keys do not depend on the order of answers, but for formulas that are written in different ways.
    """

    def __init__(self, question: str = "", choices: Sequence[str] = (), *, prover: FormulaProver | None = None) -> None:
        """Start with no answers."""
        self.relation = AnswerRelation(question, choices, prover=prover)
        self._keys: dict[str, str] = {}
        self._first: dict[str, str] = {}
        """The first answer of each class that mathematics may join others to."""

    def key(self, answer: str) -> str:
        """Return the key of the answer's class."""
        own = self.relation.read(answer).key
        if own not in self._keys:
            alike = (key for key, first in self._first.items() if self._may_be_proved(answer, first)
                     and self.relation.is_same(answer, first))  # fmt: skip
            self.learn(answer, next(alike, own))
        return self._keys[own]

    def learn(self, answer: str, key: str) -> None:
        """Put an answer into the class that it has in the log, as a search that goes on from there needs it."""
        read = self.relation.read(answer)
        if read.key not in self._keys:
            self._keys[read.key] = key
            if is_mathematics(read.value):
                self._first.setdefault(key, answer)

    async def settle(self, answers: Iterable[str]) -> None:
        """Find the classes of these answers, with the mathematics in another thread; ``key`` then answers at once."""
        for answer in answers:
            compared: set[str] = set()
            while self.relation.read(answer).key not in self._keys:
                # Another trial of the search may add classes meanwhile.
                others = (first for first in self._first.values() if first not in compared)
                first = next((other for other in others if self._may_be_proved(answer, other)), None)
                if first is not None:
                    compared.add(first)
                    await self.relation.settle([(answer, first)])
                if first is None or self.relation.is_same(answer, first):
                    self.key(answer)

    def _may_be_proved(self, answer: str, other: str) -> bool:
        values = [self.relation.read(each).value for each in (answer, other)]
        return all(map(is_mathematics, values)) and any(map(is_formula, values))


def is_same_answer(given: str, reference: str, choices: Sequence[str] = (), question: str = "") -> bool | None:
    """Return whether two answers to a question mean the same, in either order; None if that is unsure."""
    return AnswerRelation(question, choices).is_same(given, reference)
