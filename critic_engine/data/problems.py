"""Problems files: each row becomes a problem, or a recorded failure with its reason."""

import dataclasses
import itertools
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from critic_engine.config.search import RunConfig
from critic_engine.data.schemas.cells import first_filled, is_missing
from critic_engine.data.schemas.image_cells import FindCell
from critic_engine.data.schemas.recognition import choose_schema
from critic_engine.data.schemas.row_reading import read_row, row_id
from critic_engine.data.schemas.schema import PLAIN, Schema
from critic_engine.data.table_files.table import NUM_LOOKED_AT, RawRow, Table
from critic_engine.data.tables import open_table
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.run.problem_size import check_num_images
from critic_engine.types import FailedRow, Image, Problem, ProblemRow

_logger = logging.getLogger(__name__)
_LIMITS = RunConfig()
_MAX_IMAGES_BYTES = 256 * 1024 * 1024
_NUM_DUPLICATES_SHOWN = 5
_MAX_LIGHT_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class ProblemsFile:
    """A problems file that was looked over and can be read, from its beginning each time; use ``read_problems``."""

    table: Table
    schema: Schema
    """The columns that hold the parts of a problem, and how they are read."""
    image_root: Path
    limits: RunConfig

    def __len__(self) -> int:
        """Return the number of rows, those that cannot be read included."""
        return self.table.count_rows()

    def __iter__(self) -> Iterator[ProblemRow | FailedRow]:
        """Yield the rows in order, one in memory at a time; rows that repeat a problem or an id are logged as warnings.

        Finding those takes about 250 bytes a row.
        """
        duplicates = _Duplicates()
        for row in self.rows():
            if isinstance(row, ProblemRow):
                duplicates.add(row)
            yield row
        duplicates.report()

    def rows(self) -> Iterator[ProblemRow | FailedRow]:
        """Yield the rows in order, one in memory at a time, without a look at repeated ones."""
        find_cell = self._find_cell()
        for number, raw in enumerate(self.table.rows(), start=1):
            yield self._row(number, raw, find_cell)

    def has_reference_answers(self, limit: int | None = None) -> bool:
        """Return whether any of the first ``limit`` rows holds a reference answer; no image is read."""
        rows = itertools.islice(self.table.rows(), limit)
        return any(isinstance(raw, Mapping) and not is_missing(first_filled(raw, self.schema.answer)) for raw in rows)

    def without_answers(self) -> "ProblemsFile":
        """Return the same problems without reference answers, so that no row fails for its answer."""
        return dataclasses.replace(self, schema=dataclasses.replace(self.schema, answer=()))

    @property
    def unusual_columns(self) -> str:
        """Words for the columns of a file of no known benchmark that are not called as the parts that they hold."""
        if self.schema.name != PLAIN:
            return ""
        parts = self.schema.parts.items()
        usual = {"images": {"images", "image"}}
        named = [
            f"{part} read from {', '.join(map(repr, names))}"
            for part, names in parts
            if names and not usual.get(part, {part}) & set(names)
        ]
        return "; ".join(named)

    def _find_cell(self) -> FindCell | None:
        """Return the function that finds a cell of another row by that row's id, if the file can be searched."""
        find_row = self.table.find_row
        if find_row is None or not self.schema.id:
            return None

        def find(column: str, value: str) -> object:
            row = find_row(self.schema.id[0], value)
            return row.get(column) if isinstance(row, Mapping) else None

        return find

    def _row(self, number: int, raw: RawRow, find_cell: FindCell | None) -> ProblemRow | FailedRow:
        name = str(number)
        try:
            if isinstance(raw, ProblemError):
                raise raw
            name = row_id(self.schema, raw) or name
            return self._problem_row(number, name, raw, find_cell)
        except (ProblemError, ValueError) as error:
            return FailedRow(row=number, id=name, reason=" ".join(str(error).split()))

    def _problem_row(self, number: int, name: str, raw: Mapping[str, object], find_cell: FindCell | None) -> ProblemRow:
        parts = read_row(self.schema, raw, find_cell)
        images = self._images(parts.images)
        problem = Problem(question=parts.question, images=images, choices=parts.choices, name=name)
        return ProblemRow(
            row=number, id=name, problem=problem, reference_answers=parts.reference_answers, extras=parts.extras
        )

    def _images(self, sources: Sequence[str | bytes]) -> tuple[Image, ...]:
        images: list[Image] = []
        check_num_images(len(sources), self.limits.max_images)
        for source in sources:
            image = load_image(source, base=self.image_root, max_pixels=self.limits.max_image_pixels)
            images.append(image)
            if sum(len(image.data) for image in images) > _MAX_IMAGES_BYTES:
                raise ProblemError(f"images have over {_MAX_IMAGES_BYTES:,} bytes together; give fewer or smaller ones")
        return tuple(images)


def read_problems(
    path: str | Path,
    *,
    limits: RunConfig = _LIMITS,
    image_root: Path | None = None,
    schema: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> ProblemsFile:
    """Return the problems in a file that one pass found to be usable as a whole.

    The file is ``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet`` or ``.arrow``, a folder of such shards or one
    that ``datasets`` saved, or ``hf:NAME[/CONFIG][:SPLIT]``, which the package ``datasets`` reads. A row that cannot be
    used becomes a ``FailedRow``.

    Its columns are those of a known benchmark, which is recognised, or ``question``, and if given ``id``, ``images``,
    ``choices`` and ``answer``, or other usual names of these. Others are carried along. In text files, ``images`` and
    ``choices`` are lists as JSON or Python write them, or one entry as it is.

    Args:
        path: The file.
        limits: A row with more images, or an image of more pixels, than a run allows is refused before it is decoded.
        image_root: The folder that paths of images are relative to and may not leave; by default that of the file.
        schema: The name of a benchmark whose columns the file has, or ``plain`` to recognise none.
        columns: The columns of the file by part, ``id``, ``question``, ``images``, ``choices``, ``answer``, and
            ``answer_index`` for an answer that counts the choices from 0; several are separated by commas, and none is
            empty text.

    Raises:
        ProblemError: the file is missing, empty, not UTF-8, cut off, or without a column that holds the question.
    """
    table = open_table(path)
    first_rows = [_lightened(row) for row in itertools.islice(table.rows(), NUM_LOOKED_AT) if isinstance(row, Mapping)]
    try:
        chosen = choose_schema(table.columns, first_rows, name=schema, mapping=columns)
    except ProblemError as error:
        raise ProblemError(f"{path}: {error}") from error
    _logger.info("%s is read by the schema %s", path, chosen.name)
    return ProblemsFile(table, chosen, image_root=table.folder if image_root is None else image_root, limits=limits)


def _lightened(row: Mapping[str, object]) -> Mapping[str, object]:
    """Return a row without its images and long texts, of which many rows would not fit into memory."""
    return {name: cell for name, cell in row.items() if _is_light(cell)}


def _is_light(cell: object, depth: int = 3) -> bool:
    if isinstance(cell, Mapping | list | tuple):
        entries = cell.values() if isinstance(cell, Mapping) else cell
        return depth > 0 and all(_is_light(entry, depth - 1) for entry in entries)
    return not isinstance(cell, bytes) and not (isinstance(cell, str) and len(cell) > _MAX_LIGHT_CHARACTERS)


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
