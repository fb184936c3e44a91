"""The problems of an evaluation: searched without their reference answers, and graded by them afterwards."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from critic_engine.data.problems import ProblemsFile
from critic_engine.errors import ProblemError
from critic_engine.types import FailedRow, ProblemRow


@dataclass(frozen=True, slots=True)
class GradedProblem:
    """One problem with its reference answers, as graders see it."""

    row: ProblemRow
    """Without its images, so that many fit into memory."""
    problem_id: str
    """That of the problem with its images."""

    @classmethod
    def of(cls, row: ProblemRow) -> "GradedProblem":
        """Return the problem of a row."""
        light = dataclasses.replace(row.problem, images=())
        extras = {name: cell for name, cell in row.extras.items() if not _holds_bytes(cell)}
        return cls(dataclasses.replace(row, problem=light, extras=extras), row.problem.problem_id)


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """The rows of a problems file that can be graded, and those that are left out."""

    file: ProblemsFile
    limit: int | None
    """Rows of the file that are looked at; None is all."""
    problems: tuple[GradedProblem, ...]
    """In the order of the file."""
    left_out: tuple[FailedRow, ...]
    """Rows that cannot be read or have no reference answer."""

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over the ids and problems, in order.

        A corrected reference answer changes no search, so it does not change this.
        """
        rows = [[each.row.id, each.problem_id] for each in self.problems]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    @property
    def num_without_reference(self) -> int:
        """Readable rows that are left out."""
        return sum(row.fault == "no_reference_answer" for row in self.left_out)

    def rows(self) -> Iterator[ProblemRow]:
        """Yield the rows to search, read from the file again, with their images and without reference answers."""
        numbers = {each.row.row for each in self.problems}
        for row in itertools.islice(self.file.rows(), self.limit):
            if isinstance(row, ProblemRow) and row.row in numbers:
                yield dataclasses.replace(row, reference_answers=())


def read_problem_set(file: ProblemsFile, *, name: str, limit: int | None = None) -> ProblemSet:
    """Return the problems among the first ``limit`` rows of a file.

    Raises:
        ProblemError: no row has a reference answer; ``name`` is the file's in the message.
    """
    problems: list[GradedProblem] = []
    left_out: list[FailedRow] = []
    for row in itertools.islice(file, limit):
        if isinstance(row, FailedRow):
            left_out.append(row)
        elif not row.reference_answers:
            left_out.append(FailedRow(row.row, row.id, "it has no reference answer", "no_reference_answer"))
        else:
            problems.append(GradedProblem.of(row))
    if not problems:
        raise ProblemError(
            f"{name} has no row with a reference answer, so nothing can be graded; write them in a column 'answer', or "
            "name their column by --map answer=COLUMN"
        )
    return ProblemSet(file, limit, tuple(problems), tuple(left_out))


def _holds_bytes(cell: object) -> bool:
    if isinstance(cell, Mapping):
        return any(map(_holds_bytes, cell.values()))
    return isinstance(cell, bytes | bytearray) or (isinstance(cell, list | tuple) and any(map(_holds_bytes, cell)))
