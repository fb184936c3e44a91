"""The files of a run directory for people and scripts: ``answers.jsonl`` and ``report.json``."""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from critic_engine.errors import RunError
from critic_engine.models.metering import ModelFigures
from critic_engine.types import Answer

# In a labelled run: problems with a right path, with a wrong one, and with both; and the rollouts of all trees.
_LABELLING = ("num_with_right", "num_with_wrong", "num_with_both", "num_rollouts")
# The fields of answers whose sums the report gives.
_SPENT = ("num_tokens", "prompt_tokens", "cached_tokens", "num_requests", "num_simulations")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def json_line(fields: Mapping[str, object]) -> str:
    """Return one line of JSON in UTF-8, with all control characters escaped, so that it is safe to print."""
    text = json.dumps(fields, ensure_ascii=False)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class RunOutputs:
    """Writes each answer as it comes, in input order, and a report at the end. With no folder it writes nothing."""

    def __init__(self, folder: Path | None, *, duplicates: list[tuple[str, ...]], is_labelled: bool = False) -> None:
        """Take the run's folder, the ids of the rows that hold the same problem, and whether it is a labelled run."""
        self._folder = folder
        self._duplicates = duplicates
        self._file: IO[str] | None = None
        self._counts: Counter[str] = Counter()
        self._stop_reasons: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._labelling: Counter[str] | None = Counter() if is_labelled else None
        self._models: dict[str, ModelFigures] = {}
        self._cut_by: str | None = None
        self.collection: Mapping[str, object] | None = None
        """The summary of a labelled run's findings; None while there is none."""

    def __enter__(self) -> Self:
        """Open an empty ``answers.jsonl`` and delete the report, which is written at the end.

        Raises:
            RunError: it cannot be written.
        """
        self._started_s = time.perf_counter()
        if self._folder is not None:
            with _writing(self._folder):
                (self._folder / "report.json").unlink(missing_ok=True)
                self._file = (self._folder / "answers.jsonl").open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the answers and write the report; ``is_complete`` is false when the run was cut.

        Raises:
            RunError: they cannot be written, and nothing else went wrong before; there is no report then.
        """
        if self._file is None or self._folder is None:
            return
        report, path = json.dumps(self._report(is_complete=kind is None), indent=2), self._folder / "report.json"
        try:
            with _writing(self._folder):
                self._file.close()
                path.write_text(report + "\n", encoding="utf-8")
        except RunError:
            path.unlink(missing_ok=True)
            if error is None:
                raise

    def count_tree(self, *, has_right: bool, has_wrong: bool, num_rollouts: int) -> None:
        """Count the tree of one problem of a labelled run by the finished paths that it has."""
        if self._labelling is not None:
            self._labelling.update(
                num_with_right=has_right,
                num_with_wrong=has_wrong,
                num_with_both=has_right and has_wrong,
                num_rollouts=num_rollouts,
            )

    def write(self, answer: Answer) -> None:
        """Add the next answer.

        Raises:
            RunError: it cannot be written.
        """
        self._counts.update({answer.status: 1, **{name: getattr(answer, name) for name in _SPENT}})
        self._stop_reasons[answer.stop_reason] += 1
        self._failures.update(answer.failures)
        if self._file is not None and self._folder is not None:
            with _writing(self._folder):
                self._file.write(json_line(asdict(answer)) + "\n")
                self._file.flush()

    def set_end(self, models: dict[str, ModelFigures], *, cut_by: str | None) -> None:
        """Set the figures of each model, by its name, and the limit of the run that was reached; None is none."""
        self._models, self._cut_by = models, cut_by

    def _report(self, *, is_complete: bool) -> dict[str, Any]:
        return {
            "is_complete": is_complete,
            "cut_by": self._cut_by,
            "num_answered": self._counts["answered"],
            "num_failed": self._counts["failed"],
            **{name: self._counts[name] for name in _SPENT},
            "wall_s": round(time.perf_counter() - self._started_s, 3),
            "stop_reasons": dict(self._stop_reasons),
            "failures": dict(self._failures),
            "models": {name: _model_fields(figures) for name, figures in self._models.items()},
            "duplicates": [list(ids) for ids in self._duplicates],
            **({} if self._labelling is None else {"labelling": {name: self._labelling[name] for name in _LABELLING}}),
            **({} if self.collection is None else {"collect": self.collection}),
        }


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the files in {folder} cannot be written: {error.strerror}; what was committed is kept; continue with "
            f"`critic-engine resume {folder}`"
        ) from error


def _model_fields(figures: ModelFigures) -> dict[str, Any]:
    rate = figures.cache_hit_rate
    return {
        "num_failed": figures.num_failed,
        **asdict(figures.usage),
        "cache_hit_rate": None if rate is None else round(rate, 4),
        "usd": round(figures.usd, 6),
    }
