"""The files of a run directory for people and scripts: ``answers.jsonl`` and ``report.json``."""

import contextlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from critic_engine.errors import RunError
from critic_engine.models.metering import ModelFigures
from critic_engine.types import Answer

# In a labelled run: problems with a right path, with a wrong one, and with both; and the rollouts of all trees.
_LABELLING = ("num_with_right", "num_with_wrong", "num_with_both", "num_rollouts")
SPENT = (
    *("num_tokens", "prompt_tokens", "cached_tokens", "num_requests", "num_simulations"),
    *("critic_tokens", "critic_prompt_tokens", "critic_cached_tokens"),
)
"""The fields of an answer that say what it cost, of which reports give the sums."""
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def json_line(fields: Mapping[str, object]) -> str:
    """Return one line of JSON in UTF-8, with all control characters escaped, so that it is safe to print."""
    text = json.dumps(fields, ensure_ascii=False)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class RunOutputs:
    """Writes each answer as it comes, and at the end all of them in input order and a report.

    The files that appear at the end take the place of others at once, so a process that is killed at any time leaves
    whole rows behind, each with its number. With no folder nothing is written.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        duplicates: list[tuple[str, ...]],
        is_labelled: bool = False,
        stored: Iterable[tuple[int, Answer]] = (),
    ) -> None:
        """Prepare for one session.

        Args:
            folder: The run's; None writes nothing.
            duplicates: The ids of the rows that hold the same problem.
            is_labelled: Whether it is a labelled run.
            stored: The answers of earlier sessions by their positions, in input order.
        """
        self._folder = folder
        self._duplicates = duplicates
        self._stored = stored
        self._file: IO[str] | None = None
        self._ordered: IO[str] | None = None
        self._num_ordered = 0
        self._counts: Counter[str] = Counter()
        self._stop_reasons: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._labelling: Counter[str] | None = Counter() if is_labelled else None
        self._models: dict[str, ModelFigures] = {}
        self._cut_by: str | None = None
        self.collection: Mapping[str, object] | None = None
        """The summary of a labelled run's findings; None while there is none."""
        self.judged: list[tuple[tuple[float, bool], ...]] = []
        """By problem of a labelled run, the critic's values of right and wrong paths, and whether each is right."""

    def __enter__(self) -> Self:
        """Write the answers of earlier sessions, and delete the report, which is written at the end.

        Raises:
            RunError: they cannot be written.
        """
        self._started_s = time.perf_counter()
        if self._folder is None:
            return self
        path, part = self._folder / "answers.jsonl", self._folder / "answers.jsonl.part"
        with _writing(self._folder):
            (self._folder / "report.json").unlink(missing_ok=True)
            with part.open("w", encoding="utf-8") as file:
                for position, answer in self._stored:
                    self._count(answer)
                    file.write(_row(position, answer))
            has_stored = part.stat().st_size > 0
            if has_stored:
                part.replace(path)
            self._file = path.open("a" if has_stored else "w", encoding="utf-8")
            self._ordered = part.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the answers into input order and write the report; ``is_complete`` is false when the run was cut.

        Raises:
            RunError: they cannot be written, and nothing else went wrong before; there is no report then.
        """
        if self._file is None or self._ordered is None or self._folder is None:
            return
        report, path = json.dumps(self._report(is_complete=kind is None), indent=2), self._folder / "report.json.part"
        ordered = Path(self._ordered.name)
        try:
            with _writing(self._folder):
                with self._ordered:
                    self._file.close()
                if kind is None:
                    ordered.replace(self._folder / "answers.jsonl")
                path.write_text(report + "\n", encoding="utf-8")
                path.replace(self._folder / "report.json")
        except RunError:
            path.unlink(missing_ok=True)
            if error is None:
                raise
        finally:
            ordered.unlink(missing_ok=True)

    def count_tree(self, *, has_right: bool, has_wrong: bool, num_rollouts: int) -> None:
        """Count the tree of one problem of a labelled run by the finished paths that it has."""
        if self._labelling is not None:
            self._labelling.update(
                num_with_right=has_right,
                num_with_wrong=has_wrong,
                num_with_both=has_right and has_wrong,
                num_rollouts=num_rollouts,
            )

    def add(self, position: int, answer: Answer) -> None:
        """Write a new answer, whichever comes first. Any one thread at a time may call it.

        Raises:
            RunError: it cannot be written.
        """
        self._count(answer)
        if self._file is not None and self._folder is not None:
            with _writing(self._folder):
                self._file.write(_row(position, answer))
                self._file.flush()

    def put_in_order(self, answer: Answer) -> None:
        """Take the next answer in input order, a new or a stored one, for the file at the end.

        Raises:
            RunError: it cannot be written.
        """
        if self._ordered is not None and self._folder is not None:
            with _writing(self._folder):
                self._ordered.write(_row(self._num_ordered, answer))
        self._num_ordered += 1

    def _count(self, answer: Answer) -> None:
        self._counts.update({answer.status: 1, **{name: getattr(answer, name) for name in SPENT}})
        self._stop_reasons[answer.stop_reason] += 1
        self._failures.update(answer.failures)

    def set_end(self, models: dict[str, ModelFigures], *, cut_by: str | None) -> None:
        """Set the figures of each model, by its name, and the limit of the run that was reached; None is none."""
        self._models, self._cut_by = models, cut_by

    def _report(self, *, is_complete: bool) -> dict[str, Any]:
        return {
            "is_complete": is_complete,
            "cut_by": self._cut_by,
            "num_answered": self._counts["answered"],
            "num_failed": self._counts["failed"],
            **{name: self._counts[name] for name in SPENT},
            "wall_s": round(time.perf_counter() - self._started_s, 3),
            "stop_reasons": dict(self._stop_reasons),
            "failures": dict(self._failures),
            "models": {name: _model_fields(figures) for name, figures in self._models.items()},
            "duplicates": [list(ids) for ids in self._duplicates],
            **({} if self._labelling is None else {"labelling": self._labelled(self._labelling)}),
            **({} if self.collection is None else {"collect": self.collection}),
        }

    def _labelled(self, counts: Mapping[str, int]) -> dict[str, object]:
        return {name: counts[name] for name in _LABELLING} | _critic_auroc(self.judged)


def _critic_auroc(judged: Sequence[Sequence[tuple[float, bool]]]) -> dict[str, object]:
    """Return the AUROC of the critic's values with its 95 % interval, null where it cannot be told; {} without any."""
    num_paths = sum(map(len, judged))
    if not num_paths:
        return {}
    # It imports numpy, which no command's help may wait for.
    from critic_engine.statistics.calibration import clustered_auroc

    found = {name: round(figure, 4) for name, figure in asdict(clustered_auroc(judged, seed=0)).items()}
    figures = {name: None if math.isnan(figure) else figure for name, figure in found.items()}
    return {"critic_auroc": {**figures, "num_paths": num_paths}}


def _row(position: int, answer: Answer) -> str:
    """Return the line of one answer; ``row`` counts from 1."""
    return json_line({"row": position + 1, **asdict(answer)}) + "\n"


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
    # A model's own meter does not know for which role it is asked.
    usage = {name: number for name, number in asdict(figures.usage).items() if not name.startswith("critic_")}
    return {
        "num_failed": figures.num_failed,
        **usage,
        "cache_hit_rate": None if rate is None else round(rate, 4),
        "usd": round(figures.usd, 6),
    }
