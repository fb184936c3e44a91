"""Opinions of a model judge on the answers of an evaluation, kept apart from the grades in ``judged.jsonl``."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeAlias

from critic_engine.concurrency import gather_or_cancel
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graders.model_judge import ModelJudge
from critic_engine.evaluation.problem_set import GradedProblem
from critic_engine.run.report import json_line
from critic_engine.types import ProblemRow

JudgedKey: TypeAlias = tuple[str, tuple[str, ...], str]
"""A problem's row id, its reference answers, and the answer that is judged."""
_MAX_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class JudgedMethod:
    """The judge's opinion on the answers of one method at one budget, over all problems and seeds."""

    name: str
    num_right: int
    num_wrong: int
    """Problems that failed included."""
    num_unsure: int
    """Answers that the judge gave no verdict on."""
    num_other: int
    """Answers that the grader calls right and the judge wrong, or the reverse."""


async def judge_answers(
    judge: ModelJudge, answers: Iterable[tuple[ProblemRow, str]], path: Path
) -> dict[JudgedKey, bool | None]:
    """Return the judge's verdict on each distinct answer; those in the file at ``path`` are not judged again.

    New ones are added to the file one by one, so that a stop loses none.
    """
    known = _read(path, judge.name)
    rows = {(row.id, row.reference_answers, answer): row for row, answer in answers}
    places = asyncio.Semaphore(_MAX_IN_FLIGHT)
    with path.open("a", encoding="utf-8") as file:
        work = (_judge(judge, key, row, file, places) for key, row in rows.items() if key not in known)
        new = dict(await gather_or_cancel(work))
    return {key: verdict for key, verdict in (known | new).items() if key in rows}


def judged_methods(
    runs: Iterable[MethodRun], problems: Sequence[GradedProblem], verdicts: Mapping[JudgedKey, bool | None]
) -> list[JudgedMethod]:
    """Return the judge's opinion on each method, beside the grader's."""
    return [_judged_method(run, problems, verdicts) for run in runs]


def _judged_method(
    run: MethodRun, problems: Sequence[GradedProblem], verdicts: Mapping[JudgedKey, bool | None]
) -> JudgedMethod:
    found: list[tuple[bool | None, bool | None]] = []
    for problem, answers in zip(problems, run.answers, strict=True):
        for graded in answers:
            key = (problem.row.id, problem.row.reference_answers, graded.answer.answer or "")
            verdict = False if graded.answer.answer is None else verdicts.get(key)
            found.append((graded.grade.is_right, verdict))
    judged = [verdict for _, verdict in found]
    num_other = sum(None not in pair and pair[0] is not pair[1] for pair in found)
    return JudgedMethod(run.name, judged.count(True), judged.count(False), judged.count(None), num_other)


async def _judge(
    judge: ModelJudge, key: JudgedKey, row: ProblemRow, file: IO[str], places: asyncio.Semaphore
) -> tuple[JudgedKey, bool | None]:
    async with places:
        opinion = await judge.judge(row, key[2])
    fields = {"judge": judge.name, "id": key[0], "references": list(key[1]), "answer": key[2]}
    grade = {"is_right": opinion.grade.is_right, "reason": opinion.grade.reason, "words": opinion.words}
    file.write(json_line({**fields, **grade, "usage": asdict(opinion.usage)}) + "\n")
    file.flush()
    return key, opinion.grade.is_right


def _read(path: Path, name: str) -> dict[JudgedKey, bool | None]:
    """Return the verdicts in the file of the judge with this name; answers without one are judged again."""
    known: dict[JudgedKey, bool | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        # A kill may have cut the last line.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            row = json.loads(line)
            if row["judge"] == name and isinstance(row["is_right"], bool):
                known[row["id"], tuple(row["references"]), row["answer"]] = row["is_right"]
    return known
