"""The guard against training on problems of evaluation sets."""

import hashlib
import logging
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from critic_engine.config.problem_files import ProblemFilesConfig
from critic_engine.config.search import RunConfig
from critic_engine.data.filters.near_duplicate_index import NearDuplicateIndex, sketch_of
from critic_engine.data.filters.text_normalization import normal_words
from critic_engine.data.problems import ProblemsFile, read_problems
from critic_engine.errors import ImageError, ProblemError
from critic_engine.types import FailedRow, Problem, ProblemRow

_logger = logging.getLogger(__name__)
_LIMITS = RunConfig()
_READING = ProblemFilesConfig()
_MAX_SHOWN = 80


class Guard:
    """Finds problems that repeat one of an evaluation set.

    A problem repeats another if both have the same content; or if their questions are like each other and so are all
    their images, in order; or, where neither has an image, if their questions are and their choices are the same in any
    order, or one of them has none. ``NearDuplicateIndex`` says what is alike: a question of fewer than six
    words must have the very same words.

    A problem takes about 550 bytes, and 650 more an image.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        limits: RunConfig = _LIMITS,
        image_root: Path | None = None,
        reading: ProblemFilesConfig = _READING,
    ) -> None:
        """Take up the problems in ``paths``, which need no answers; each file is streamed once.

        Args:
            paths: Problems files; each is named in objections by its file name.
            limits: The limits on images of a row, as in a run.
            image_root: The folder that paths of images are relative to; by default that of each file.
            reading: How a file is read whose own columns are not known.

        Raises:
            ProblemError: a file cannot be read, or no row of it can.
        """
        self.num_unreadable = 0
        """Rows of the evaluation sets that could not be read, against which nothing is guarded."""
        self._index = NearDuplicateIndex()
        self._by_content: dict[int, int] = {}
        self._choices = array("Q")
        self._ids: list[str] = []
        self._set_names: list[str] = []
        for path in paths:
            self._add_file(Path(path), _open(path, limits, image_root, reading))

    def __len__(self) -> int:
        """Return the number of problems guarded against; those of the same content count once."""
        return len(self._ids)

    def objection(self, problem: Problem) -> str | None:
        """Return the set and the row that ``problem`` repeats, in one line; None when it repeats none.

        Raises:
            ImageError: an image of it cannot be decoded.
        """
        same = self._by_content.get(int(problem.problem_id, 16))
        if same is not None:
            return f"it is {self._named(same)}"
        choices = _choices_key(problem)
        for row in self._index.matches(sketch_of(problem.question, problem.images)):
            if problem.images or not choices or self._choices[row] in (0, choices):
                return f"it repeats {self._named(row)}"
        return None

    def _add_file(self, path: Path, problems: ProblemsFile) -> None:
        num_rows, num_unreadable, first_reason = 0, 0, ""
        for row in problems:
            num_rows += 1
            reason = self._add(row, path.name) if isinstance(row, ProblemRow) else row.reason
            if reason is not None:
                num_unreadable += 1
                first_reason = first_reason or f"row {row.row}: {reason}"
        self.num_unreadable += num_unreadable
        if num_unreadable == num_rows:
            raise ProblemError(f"{path}: no row can be read, so nothing can be guarded; {first_reason}")
        if num_unreadable:
            _logger.warning(
                "%s: %d of %d rows cannot be read and are not guarded against; %s",
                path,
                num_unreadable,
                num_rows,
                first_reason,
            )

    def _add(self, row: ProblemRow, set_name: str) -> str | None:
        """Take up a problem; return why that is impossible."""
        content = int(row.problem.problem_id, 16)
        if content in self._by_content:
            return None
        try:
            sketch = sketch_of(row.problem.question, row.problem.images)
        except ImageError as error:
            return str(error)
        self._by_content[content] = self._index.add(sketch)
        self._choices.append(_choices_key(row.problem))
        self._ids.append(row.id)
        self._set_names.append(set_name)
        return None

    def _named(self, row: int) -> str:
        return f"row {self._ids[row][:_MAX_SHOWN]!r} of {self._set_names[row][:_MAX_SHOWN]!r}"


def guarded(rows: Iterable[ProblemRow | FailedRow], guard: Guard) -> Iterator[ProblemRow | FailedRow]:
    """Yield the rows, failed where they repeat a problem that is guarded, or cannot be compared."""
    way_out = "an evaluation set; leave it out, or take the set from collect.filters.evaluation_sets"
    for row in rows:
        try:
            objection = guard.objection(row.problem) if isinstance(row, ProblemRow) else None
        except ImageError as error:
            yield FailedRow(row.row, row.id, str(error))
        else:
            is_kept = objection is None
            yield row if is_kept else FailedRow(row.row, row.id, f"{objection}, {way_out}", "evaluation_set")


def _open(path: str | Path, limits: RunConfig, image_root: Path | None, reading: ProblemFilesConfig) -> ProblemsFile:
    """Return an evaluation set without its answers, which may be of any form; its own columns go first."""
    try:
        return read_problems(path, limits=limits, image_root=image_root).without_answers()
    except ProblemError:
        if reading == _READING:
            raise
    schema, columns = reading.schema_name, reading.columns
    problems = read_problems(path, limits=limits, image_root=image_root, schema=schema, columns=columns)
    return problems.without_answers()


def _choices_key(problem: Problem) -> int:
    """Return a key of the choices in any order; 0 when there are none."""
    if not problem.choices:
        return 0
    texts = sorted(" ".join(normal_words(choice)) or choice for choice in problem.choices)
    return int.from_bytes(hashlib.blake2b(ascii(texts).encode(), digest_size=8).digest()) | 1
