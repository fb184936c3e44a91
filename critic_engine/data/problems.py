"""Problems files: each row becomes a problem, or a recorded failure with its reason."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from critic_engine.config.search import RunConfig
from critic_engine.data.tables import RawRow, Table, open_table
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.run.problem_size import check_num_images
from critic_engine.types import FailedRow, Image, Problem, ProblemRow

_logger = logging.getLogger(__name__)
_COLUMNS = ("id", "question", "images", "choices", "answer")
_LIMITS = RunConfig()
_MAX_IMAGES_BYTES = 256 * 1024 * 1024
_NUM_DUPLICATES_SHOWN = 5
_WANTED = {"choices": 'a list of texts or numbers, ["…", "…"]'}


@dataclass(frozen=True, slots=True)
class ProblemsFile:
    """A problems file that was looked over and can be read, from its beginning each time; use ``read_problems``."""

    table: Table
    """It has a column ``question``."""
    image_root: Path
    limits: RunConfig

    def __len__(self) -> int:
        """Return the number of rows, those that cannot be read included."""
        return self.table.num_rows

    def __iter__(self) -> Iterator[ProblemRow | FailedRow]:
        """Yield the rows in order, one in memory at a time; rows that repeat a problem or an id are logged as warnings.

        Finding those takes about 250 bytes a row.
        """
        duplicates = _Duplicates()
        for number, raw in enumerate(self.table.rows(), start=1):
            row = self._row(number, raw)
            if isinstance(row, ProblemRow):
                duplicates.add(row)
            yield row
        duplicates.report()

    def has_reference_answers(self, limit: int | None = None) -> bool:
        """Return whether any of the first ``limit`` rows holds a reference answer; no image is read."""
        rows = itertools.islice(self.table.rows(), limit)
        return any(isinstance(raw, Mapping) and not _is_missing(raw.get("answer")) for raw in rows)

    def _row(self, number: int, raw: RawRow) -> ProblemRow | FailedRow:
        row_id = str(number)
        try:
            if isinstance(raw, ProblemError):
                raise raw
            row_id = _row_id(raw.get("id")) or row_id
            return self._problem_row(number, row_id, raw)
        except (ProblemError, ValueError) as error:
            return FailedRow(row=number, id=row_id, reason=" ".join(str(error).split()))

    def _problem_row(self, number: int, row_id: str, raw: Mapping[str, object]) -> ProblemRow:
        question = raw.get("question")
        if not isinstance(question, str):
            raise ProblemError(f"question is {_kind(question)}; write it as text")
        answer = raw.get("answer")
        problem = Problem(
            question=_text(question, "question"),
            images=self._images(raw.get("images")),
            choices=tuple(_text(choice, "choices") for choice in _list(raw.get("choices"), "choices")),
            name=row_id,
        )
        return ProblemRow(
            row=number,
            id=row_id,
            problem=problem,
            reference_answers=() if _is_missing(answer) else (_text(answer, "answer"),),
            extras={name: value for name, value in raw.items() if name not in _COLUMNS},
        )

    def _images(self, cell: object) -> tuple[Image, ...]:
        images: list[Image] = []
        entries = _list(cell, "images")
        check_num_images(len(entries), self.limits.max_images)
        for entry in entries:
            source = _image_source(entry)
            image = load_image(source, base=self.image_root, max_pixels=self.limits.max_image_pixels)
            images.append(image)
            if sum(len(image.data) for image in images) > _MAX_IMAGES_BYTES:
                raise ProblemError(f"images have over {_MAX_IMAGES_BYTES:,} bytes together; give fewer or smaller ones")
        return tuple(images)


def read_problems(path: str | Path, *, limits: RunConfig = _LIMITS, image_root: Path | None = None) -> ProblemsFile:
    """Return the problems in a ``.jsonl``, ``.csv`` or ``.parquet`` file that one pass found to be usable as a whole.

    Columns are ``question``, and if given ``id``, ``images``, ``choices`` and ``answer``; all others are carried along.
    In CSV, ``images`` and ``choices`` are JSON lists, or one entry as it is. A row that cannot be used becomes a
    ``FailedRow``.

    Args:
        path: The file.
        limits: A row with more images, or an image of more pixels, than a run allows is refused before it is decoded.
        image_root: The folder that paths of images are relative to and may not leave; by default that of the file.

    Raises:
        ProblemError: the file is missing, empty, not UTF-8, cut off, or without a column ``question``.
    """
    path = Path(path)
    table = open_table(path, required="question")
    if "image" in table.columns and "images" not in table.columns:
        _logger.warning("%s has a column 'image', which is not read: rename it to 'images'", path)
    return ProblemsFile(table, image_root=path.parent if image_root is None else image_root, limits=limits)


class _Duplicates:
    """Remembers the problems read so far, by hash and id alone, and warns of the first that repeat one."""

    def __init__(self) -> None:
        self._first_ids: dict[int, str] = {}
        self._first_rows: dict[str, int] = {}
        self._num_found: Counter[str] = Counter()

    def add(self, row: ProblemRow) -> None:
        key = int(row.problem.problem_id, 16)
        if (first_id := self._first_ids.get(key)) is not None:
            message = f"problem {row.id} (row {row.row}) repeats problem {first_id}; each keeps its row"
            self._warn(message, "repeat an earlier problem")
            return
        self._first_ids[key] = row.id
        first_row = self._first_rows.setdefault(row.id, row.row)
        if first_row != row.row:
            message = f"row {row.row} has the id {row.id} of row {first_row}, another problem; each keeps its row"
            self._warn(message, "have the id of an earlier, other problem")

    def _warn(self, message: str, kind: str) -> None:
        self._num_found[kind] += 1
        if self._num_found[kind] <= _NUM_DUPLICATES_SHOWN:
            _logger.warning("%s", message)

    def report(self) -> None:
        for kind, number in self._num_found.items():
            if number > _NUM_DUPLICATES_SHOWN:
                _logger.warning("%d rows %s", number, kind)


def _row_id(cell: object) -> str:
    if _is_missing(cell):
        return ""
    if not isinstance(cell, str | int) or isinstance(cell, bool):
        raise ProblemError(f"id is {_kind(cell)}; write text or a whole number, or leave it out")
    return _text(cell, "id").strip()


def _image_source(entry: object) -> str | bytes:
    """Return the path, URL or bytes in an entry; datasets keep an image as ``{"bytes": …, "path": …}``."""
    if isinstance(entry, Mapping):
        entry = entry.get("path") if entry.get("bytes") is None else entry["bytes"]
    if isinstance(entry, str | bytes) and entry.strip():
        return entry
    raise ProblemError(f"images holds {_kind(entry)}; write each as a path or data URL, or give the bytes of an image")


def _list(cell: object, name: str) -> list[object]:
    """Return the entries of a cell that holds a list, a list written as JSON, or one entry."""
    if _is_missing(cell):
        return []
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise ProblemError(f'{name} begins like a list and is not JSON; write ["…", "…"]') from error
    return list(cell) if isinstance(cell, list | tuple) else [cell]


def _text(cell: object, name: str) -> str:
    """Return a cell as text that UTF-8 can hold."""
    if isinstance(cell, bool):
        cell = "true" if cell else "false"
    if not isinstance(cell, str | int | float):
        raise ProblemError(f"{name} holds {_kind(cell)}; write {_WANTED.get(name, 'text or a number')}")
    text = str(cell)
    if not text.strip():
        raise ProblemError(f"{name} is empty text; write something, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ProblemError(f"{name} holds half a surrogate pair, which is no character; write the whole one") from error
    return text


def _is_missing(cell: object) -> bool:
    is_nan = isinstance(cell, float) and cell != cell  # pandas writes NaN for a missing cell
    return cell is None or is_nan or (isinstance(cell, str) and not cell.strip())


def _kind(cell: object) -> str:
    kinds = {
        dict: "an object",
        list: "a list",
        str: "empty text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        bytes: "bytes",
    }
    return "missing" if cell is None else kinds.get(type(cell), f"a {type(cell).__name__}")
