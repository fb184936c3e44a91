"""The answers that flip between two methods: right with one of them alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.report.comparison_report import Outcome
from critic_engine.evaluation.report.method_figures import outcome
from critic_engine.evaluation.report.pair_figures import paired_runs

_SIDES = ("ours", "theirs")


@dataclass(frozen=True, slots=True)
class FlippedSide:
    """One method's answer to a problem that flips."""

    method: str
    """Method and budget."""
    answer: str | None
    read_as: str | None
    """The answer as the grader read it."""
    outcome: Outcome
    reason: str
    """Why it is unsure or failed; else empty."""
    num_tokens: int
    folder: str | None
    """The run directory that holds the search; None if it is not kept."""
    row: int | None
    """The row in its ``answers.jsonl``, from 1."""


@dataclass(frozen=True, slots=True)
class Flip:
    """An answer that one of two methods gave right and the other did not."""

    id: str
    problem_id: str
    seed: int
    """The place of the seed among those of the comparison, from 1."""
    references: tuple[str, ...]
    """The accepted answers; empty if they were not given."""
    right: str
    """The method whose answer is right."""
    ours: FlippedSide
    theirs: FlippedSide

    def row(self) -> dict[str, object]:
        """Return it as a row of ``flips.jsonl``."""
        # Not asdict: it copies each value, and there may be a hundred thousand flips.
        row = {each.name: getattr(self, each.name) for each in fields(self)}
        sides = {name: {each.name: getattr(row[name], each.name) for each in fields(row[name])} for name in _SIDES}
        return {**row, **sides}


def flips(runs: Sequence[MethodRun], references: Sequence[Sequence[str]] = ()) -> Iterator[Flip]:
    """Yield the flips of all judged pairs: by pair, problem and seed, in order.

    Args:
        runs: Those of the comparison.
        references: The accepted answers of each problem, in the order of ``answers``; empty leaves them out.
    """
    for ours, theirs in paired_runs(runs):
        for index, problem in enumerate(ours.answers):
            accepted = tuple(references[index]) if references else ()
            for seed, (one, other) in enumerate(zip(problem, theirs.answers[index], strict=True)):
                is_ours_right = outcome(one) == "right"
                if is_ours_right != (outcome(other) == "right"):
                    yield Flip(
                        id=one.answer.id,
                        problem_id=one.answer.problem_id,
                        seed=seed + 1,
                        references=accepted,
                        right=ours.name if is_ours_right else theirs.name,
                        ours=_side(ours, one, index, seed),
                        theirs=_side(theirs, other, index, seed),
                    )


def _side(run: MethodRun, graded: GradedAnswer, index: int, seed: int) -> FlippedSide:
    is_kept = seed < len(run.folders) and index < len(run.rows)
    return FlippedSide(
        method=run.name,
        answer=graded.answer.answer,
        read_as=graded.grade.read_as,
        outcome=outcome(graded),
        reason=graded.grade.reason or graded.answer.error or "",
        num_tokens=graded.answer.num_tokens,
        folder=run.folders[seed] if is_kept else None,
        row=run.rows[index] if is_kept else None,
    )
