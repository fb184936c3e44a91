"""The rule of free-form mathematics: math-verify's verdict, the reference first."""

import re

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.relation import grade_choice
from critic_engine.evaluation.graders.rule import quoted, unsure
from critic_engine.parsing.answers.mathematics import FormulaProver, shared_prover
from critic_engine.parsing.answers.units import read_unit
from critic_engine.types import ProblemRow

_MAX_CHARACTERS = 300
_SYMBOLS_TEXT = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ",
    "≥": r"\ge ", "°": r"^\circ ", "\u00a0": " ", "\u2009": " ",
}  # fmt: skip
_SYMBOLS = str.maketrans(_SYMBOLS_TEXT)
_DELIMITERS = ("\\boxed", "\\(", "\\[")
_MONEY = re.compile(r"(-?)\$(?=[0-9.])")
_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|cot|sec|csc|log|sqrt|frac|exp)(?![a-z]))[A-Za-z]{3,}")
_IDLE_WORD = re.compile(r"(?<![\\A-Za-z])(?:or|is|in|to|of|no|an|at|by|if|as|it)(?![A-Za-z])", re.IGNORECASE)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox|begin|end)\{[^{}]*\}")
_NUMBER = re.compile(r"[0-9]+")
_PRODUCT = re.compile(r"(?<=[0-9])([A-Za-z])([A-Za-z])(?![A-Za-z])")


class MathRule:
    """math-verify's verdict on an answer, over all accepted references; a row with choices is graded by the choice.

    math-verify drops units and takes a list for a set. It runs in the process that the answer relation uses for
    formulas, with its time limits. An answer in which it may read something else, such as words with several numbers,
    is unsure.
    """

    def __init__(self, prover: FormulaProver | None = None) -> None:
        """Take the prover whose process runs math-verify; None takes that of this process."""
        self._prover = prover

    def __call__(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of ``answer``; the response is not read."""
        if row.problem.choices:
            return grade_choice(row, answer, response)
        given = _as_mathematics(answer)
        if given is None:
            return unsure(f"{quoted(answer)} is not mathematics alone")
        prover = self._prover or shared_prover()
        found: dict[str, bool | None] = {}
        for reference in row.reference_answers:
            wanted = _as_mathematics(reference)
            found[reference] = None if wanted is None else prover.verify(wanted, given)
            if found[reference] is None and wanted is not None and prover.is_late(wanted, given, is_verified=True):
                reason = f"comparing {quoted(answer)} with {quoted(reference)} took too long"
                return unsure(reason, read_as=given, is_timeout=True)
        if True in found.values():
            return Grade(True, read_as=given)
        unread = [reference for reference, verdict in found.items() if verdict is None]
        if unread:
            return unsure(f"math-verify cannot compare {quoted(answer)} with {quoted(unread[0])}", read_as=given)
        return Grade(False, read_as=given)


def _as_mathematics(text: str) -> str | None:
    """Return a text in which math-verify reads the whole, in dollar signs; None if it would read something else."""
    text = text.strip().translate(_SYMBOLS) if len(text) <= _MAX_CHARACTERS else ""
    if not text or not text.isascii():
        return None
    if any(each in text for each in _DELIMITERS) or (text.startswith("$") and text.endswith("$") and len(text) > 2):
        return text
    text = _MONEY.sub(r"\1", text).replace("\\$", "")
    if "$" in text:
        return None
    words = _TEXT.sub(" ", text)
    if _WORD.search(words) or _IDLE_WORD.search(words):
        # "3 apples": between dollar signs the word would be a product of letters.
        return text if len(_NUMBER.findall(text)) == 1 else None
    # math-verify takes "ab" in "2ab" for a unit and drops it.
    text = _PRODUCT.sub(lambda pair: pair[0] if read_unit(pair[0]) else f"{{{pair[1]}}}{pair[2]}", text)
    return f"${text}$"
