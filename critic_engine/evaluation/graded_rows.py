"""The file ``graded.jsonl``: every graded answer of an evaluation, a row each."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from critic_engine.errors import RunError
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.report.method_figures import outcome
from critic_engine.run.report import json_line

GRADED_FILE = "graded.jsonl"


def write_graded(
    folder: Path, runs: Iterable[MethodRun], *, references: Sequence[Sequence[str]], seeds: Sequence[int | None]
) -> Path:
    """Write the file as a whole into a folder that exists, and return its path.

    Args:
        folder: The evaluation's.
        runs: The graded answers.
        references: The accepted answers of each problem.
        seeds: The seed of each answer to a problem; None where it is unknown.

    Raises:
        RunError: it cannot be written.
    """
    path, part = folder / GRADED_FILE, folder / f"{GRADED_FILE}.part"
    try:
        with part.open("w", encoding="utf-8") as file:
            for run in runs:
                file.writelines(f"{json_line(row)}\n" for row in _rows(run, references, seeds))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {error.strerror}; make room and repeat the command") from error
    return path


def _rows(
    run: MethodRun, references: Sequence[Sequence[str]], seeds: Sequence[int | None]
) -> Iterator[dict[str, object]]:
    for index, (problem, accepted) in enumerate(zip(run.answers, references, strict=True)):
        for place, (seed, graded) in enumerate(zip(seeds, problem, strict=True)):
            folder = run.folders[place] if run.folders else None
            row = run.rows[index] if run.rows else None
            where = {"method": run.method, "budget": run.budget, "seed": seed, "folder": folder, "row": row}
            yield where | _graded_fields(graded, accepted)


def _graded_fields(graded: GradedAnswer, accepted: Sequence[str]) -> dict[str, object]:
    answer = graded.answer
    return {
        "id": answer.id,
        "problem_id": answer.problem_id,
        "answer": answer.answer,
        "references": list(accepted),
        "outcome": outcome(graded),
        "reason": graded.grade.reason,
        "read_as": graded.grade.read_as,
        "num_tokens": answer.num_tokens,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
        "critic_tokens": answer.critic_tokens,
        "critic_prompt_tokens": answer.critic_prompt_tokens,
        "critic_cached_tokens": answer.critic_cached_tokens,
        "wall_s": answer.wall_s,
        "stop_reason": answer.stop_reason,
    }
