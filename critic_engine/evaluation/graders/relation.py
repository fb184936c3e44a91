"""Rules that hold for every data set: the engine's answer relation, the named choice, and equal text."""

import unicodedata
from collections.abc import Sequence

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import foreign_reference, quoted, reference_indices, unsure
from critic_engine.parsing.answers import AnswerRelation, choice_letter
from critic_engine.parsing.answers.equality import compare
from critic_engine.parsing.answers.mathematics import FormulaProver, shared_prover
from critic_engine.parsing.answers.reading import ReadAnswer
from critic_engine.parsing.answers.values import NamedChoice
from critic_engine.types import ProblemRow


class RelationRule:
    """The answer relation that votes and searches use, over all accepted references.

    An answer is right if it means the same as one of the references, and wrong only if it surely differs from each.
    """

    def __init__(self, prover: FormulaProver | None = None) -> None:
        """Take the prover of formulas; None takes that of this process."""
        self._prover = prover

    def __call__(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of ``answer``; the response is not read."""
        relation = AnswerRelation(row.problem.question, row.problem.choices)
        read = relation.read(answer)
        late: list[str] = []
        found = {each: self._compare(read, relation.read(each), late) for each in row.reference_answers}
        if True in found.values():
            return Grade(True, read_as=read.key)
        if late and None in found.values():
            reason = f"comparing {quoted(answer)} with {quoted(late[0])} took too long"
            return unsure(reason, read_as=read.key, is_timeout=True)
        open_ones = [each for each, same in found.items() if same is None]
        if open_ones:
            return unsure(f"{quoted(answer)} and {quoted(open_ones[0])} may mean the same", read_as=read.key)
        return Grade(False, read_as=read.key)

    def _compare(self, read: ReadAnswer, reference: ReadAnswer, late: list[str]) -> bool | None:
        prover = self._prover or shared_prover()

        def prove(left: str, right: str) -> bool | None:
            verdict = prover.prove(left, right)
            if verdict is None and prover.is_late(left, right):
                late.append(right)
            return verdict

        return compare(read, reference, prove)


def grade_choice(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by the choice that ``answer`` names by its letter or text, and no other; unsure if it names none."""
    if not row.problem.choices:
        return unsure("the row has no choices")
    indices = reference_indices(row)
    if not indices:
        return unsure(foreign_reference(row))
    read = AnswerRelation(row.problem.question, row.problem.choices).read(answer)
    if not isinstance(read.value, NamedChoice) or read.others:
        return unsure(f"{quoted(answer)} names no choice for certain")
    letter = choice_letter(read.value.index)
    return Grade(_says_one_of(read.value.index, sorted(indices), row.problem.choices), read_as=letter)


def _says_one_of(index: int, indices: Sequence[int], choices: Sequence[str]) -> bool:
    return choices[index] in [choices[each] for each in indices]


def grade_exact(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by equal text: Unicode in its composed form, without the spaces around, case as it is."""
    read_as = _composed(answer)
    return Grade(read_as in map(_composed, row.reference_answers), read_as=read_as)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
