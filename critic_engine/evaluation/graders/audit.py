"""The audit: answers that one grader and the answer relation grade differently, for a person to look at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from critic_engine.evaluation.graders.grader import AnswerGrader, Grade
from critic_engine.evaluation.graders.named_graders import GRADER_NAMES, make_grader
from critic_engine.run.report import json_line
from critic_engine.types import ProblemRow

Disagreement: TypeAlias = Literal["right_wrong", "known_unsure"]
"""``right_wrong``: one grader says right and the other wrong. ``known_unsure``: one of them is unsure."""


@dataclass(frozen=True, slots=True)
class AuditCase:
    """An answer on which two graders disagree."""

    row: ProblemRow
    answer: str
    response: str
    kind: Disagreement
    grades: tuple[tuple[str, Grade], ...]
    """The name of each grader and its grade, the first grader's first."""

    @property
    def line(self) -> str:
        """One row of ``audit.jsonl``, without the line break."""
        problem = self.row.problem
        graders = [
            {"grader": name, "is_right": grade.is_right, "reason": grade.reason, "read_as": grade.read_as}
            for name, grade in self.grades
        ]
        case = {
            "id": self.row.id,
            "row": self.row.row,
            "kind": self.kind,
            "question": problem.question,
            "choices": problem.choices,
            "references": self.row.reference_answers,
            "answer": self.answer,
            "response": self.response,
            "grades": graders,
        }
        return json_line(case)


def audit(
    answers: Iterable[tuple[ProblemRow, str, str]], grader: AnswerGrader, second: AnswerGrader | None = None
) -> Iterator[AuditCase]:
    """Yield the answers that two graders grade differently, each once, in the order given.

    Args:
        answers: Each a row, an answer to its problem and the response, as ``AnswerGrader.grade`` takes them.
        grader: The grader of the evaluation.
        second: The grader to compare with; None takes the answer relation.
    """
    second = second if second is not None else make_grader(GRADER_NAMES[0])
    seen: set[tuple[int, str, str]] = set()
    for row, answer, response in answers:
        if (row.row, answer, response) in seen:
            continue
        seen.add((row.row, answer, response))
        first_grade, second_grade = (each.grade(row, answer, response) for each in (grader, second))
        if first_grade.is_right is second_grade.is_right:
            continue
        is_unsure = None in (first_grade.is_right, second_grade.is_right)
        kind: Disagreement = "known_unsure" if is_unsure else "right_wrong"
        yield AuditCase(row, answer, response, kind, ((grader.name, first_grade), (second.name, second_grade)))


def write_audit(path: Path, cases: Iterable[AuditCase]) -> dict[Disagreement, int]:
    """Write one line a case to ``path``, which is overwritten, and return how many there are of each kind."""
    counts: dict[Disagreement, int] = {"right_wrong": 0, "known_unsure": 0}
    with path.open("w", encoding="utf-8") as file:
        for case in cases:
            counts[case.kind] += 1
            file.write(case.line + "\n")
    return counts
