"""The files of a comparison's report."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from critic_engine.errors import RunError
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.report.comparison_report import ComparisonReport
from critic_engine.evaluation.report.curves import curves_csv, curves_png
from critic_engine.evaluation.report.flips import flips
from critic_engine.evaluation.report.markdown_report import markdown_report
from critic_engine.run.report import json_line

_LOGGER = logging.getLogger(__name__)
# Files that others write into the folder before the report.
_BESIDE = ("graded.jsonl", "audit.jsonl")


def write_report(
    report: ComparisonReport,
    folder: Path,
    *,
    runs: Sequence[MethodRun],
    references: Sequence[Sequence[str]] = (),
) -> tuple[Path, ...]:
    """Write the report of a comparison and return its files.

    ``curves.csv``, ``curves.png``, ``flips.jsonl`` and ``report.md`` come first and ``report.json`` last, each of them
    whole or not at all. Without matplotlib, a warning says so and there is no ``curves.png``.

    Args:
        report: The figures.
        folder: Made if it is missing; files of an earlier report are replaced.
        runs: The graded answers of which the report was built.
        references: The accepted answers of each problem, in the order of the answers, for ``flips.jsonl``; empty leaves
            them out.

    Raises:
        RunError: a file cannot be written.
    """
    files = ["report.json", "curves.csv", "flips.jsonl"]
    picture = _picture(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").unlink(missing_ok=True)
        _write(folder / "curves.csv", [curves_csv(report).encode()])
        if picture is None:
            (folder / "curves.png").unlink(missing_ok=True)
        else:
            files.append("curves.png")
            _write(folder / "curves.png", [picture])
        beside = [name for name in _BESIDE if (folder / name).is_file()]
        _write(folder / "flips.jsonl", (f"{json_line(flip.row())}\n".encode() for flip in flips(runs, references)))
        _write(folder / "report.md", [markdown_report(report, files=[*files, *beside]).encode()])
        text = json.dumps(report.model_dump(), indent=2, allow_nan=False)
        _write(folder / "report.json", [f"{text}\n".encode()])
    except OSError as error:
        raise RunError(f"the report cannot be written into {folder}: {error.strerror}") from error
    return tuple(folder / name for name in (*files, "report.md"))


def _picture(report: ComparisonReport) -> bytes | None:
    try:
        return curves_png(report)
    except ImportError:
        _LOGGER.warning("curves.png needs matplotlib: pip install 'critic-engine[plots]'; all else is written")
        return None


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that is whole when it has its name."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
