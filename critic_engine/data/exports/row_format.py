"""The interface of export formats: the rows they take, their columns, and how records are written and read back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from critic_engine.data.exports.column_types import Column
from critic_engine.data.row_types import Demonstration, Preference, Rated, TrainingRow
from critic_engine.types import Image, Message, Role

Container: TypeAlias = Literal["parquet", "jsonl"]
ImageReference: TypeAlias = str | dict[str, Any]
"""A path relative to the file, or the embedded ``bytes`` and a ``path`` that only names them."""
Record: TypeAlias = dict[str, Any]
"""One row as it is written, by the names of its columns."""
RowT = TypeVar("RowT", bound=TrainingRow)

IMAGE_TAG = "<image>"
_WORTH_COLUMNS: Mapping[type[TrainingRow], Column] = {
    Preference: Column("margin", "float"),
    Demonstration: Column("value", "float"),
    Rated: Column("label", "bool"),
}
MARGIN_NOTE = (
    "`margin` is how much better the chosen answer is: trainers of reward models subtract it in their loss, DPO passes "
    "over it."
)
UNDRAWN = (
    "the solution's answer says it of the last step; of others a binary search, which takes every step before the "
    "first wrong one for right, and every one from there on for wrong."
)
"""Where labels of steps come from for which no completion was drawn."""


@dataclass(frozen=True, slots=True)
class RowSummary:
    """The properties of all rows together, needed before the first is written."""

    num_rows: int
    has_images: bool
    facts: tuple[Column, ...]
    """The rows' facts, in order, with the type that holds every row's value."""
    gaps: frozenset[str]
    """Facts that some rows have and others do not."""
    is_mixed: bool
    """Whether some rows have images and others do not."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue, without placeholders for images."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """The dialogues and images that a trainer reads from a record."""

    dialogues: tuple[tuple[Turn, ...], ...]
    """Whole dialogues, from the prompt to an answer: of a preference two, which must differ."""
    images: tuple[ImageReference, ...]
    num_placeholders: int
    """Equals the number of images where the format has placeholders; the number of images where it has none."""


class TokenCount(Protocol):
    """A counter of the tokens of one model."""

    def count(self, messages: tuple[Message, ...]) -> int:
        """Return the tokens of a whole dialogue, image tokens included.

        Raises:
            GenerationError: it cannot be encoded.
        """
        ...

    def count_plain(self, texts: tuple[str, ...]) -> int:
        """Return the tokens of texts one behind the other, each encoded on its own, without a chat template.

        Raises:
            GenerationError: they cannot be encoded.
        """
        ...


class RowFormat(ABC, Generic[RowT]):
    """One export format."""

    name: ClassVar[str]
    trainer: ClassVar[str]
    """The trainer that loads the format, as the card names it."""
    row_type: ClassVar[type[TrainingRow]]
    containers: ClassVar[tuple[Container, ...]]
    """The containers that the trainer can load, the default first."""
    reserved: ClassVar[tuple[str, ...]] = ()
    """Texts that the loader takes for images or other media; no text of a row may hold one."""
    num_images: ClassVar[tuple[int, int]] = (0, 1_000_000)
    """The least and the most images of a row."""
    has_images: ClassVar[bool] = True
    """Whether images are written; the others leave them out."""
    notes: ClassVar[tuple[str, ...]] = ()
    """Sentences for the card and the report on information lost and choices made."""

    @abstractmethod
    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the columns, in order."""

    @abstractmethod
    def record(self, row: RowT, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return a row as it is written; its keys are exactly ``columns``."""

    @abstractmethod
    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogues and images that a trainer reads from a record of either container.

        Raises:
            KeyError, TypeError, ValueError: the record is no row of this format.
        """

    def num_tokens(self, record: Mapping[str, Any], images: tuple[Image, ...], counter: TokenCount) -> int:
        """Return the tokens of a record's longest dialogue, by the model's chat template.

        Args:
            record: The row as it is written.
            images: The row's images.
            counter: The counter of the model that is trained.

        Raises:
            GenerationError: the model cannot read it.
        """
        return max(counter.count(_messages(dialogue, images)) for dialogue in self.read(record).dialogues)

    def refuse_container(self, container: Container, summary: RowSummary) -> str | None:
        """Return why the trainer could not load these rows from such files; None when it can."""
        return None

    def index(self, files: Mapping[str, str], summary: RowSummary, role: str) -> dict[str, str]:
        """Return further files by name, such as the list of data sets that a trainer reads first.

        Args:
            files: The data file of each split.
            summary: The summary of the rows.
            role: The role that the rows train.
        """
        return {}

    @abstractmethod
    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return how the trainer loads the export, as Markdown."""


def further_columns(row_type: type[TrainingRow], summary: RowSummary) -> tuple[Column, ...]:
    """Return the columns that rate a row's answers and tell its provenance, for trainers that ignore unknown columns.

    Labelled steps have none that rates them.
    """
    worth = (_WORTH_COLUMNS[row_type],) if row_type in _WORTH_COLUMNS else ()
    return (*worth, Column("row_id", "text"), Column("problem_id", "text"), Column("source", "text"), *summary.facts)


def further_values(row: TrainingRow, summary: RowSummary) -> Record:
    """Return a row's values in ``further_columns``; a number that is not finite becomes None."""
    known = _worth(row) | {"row_id": row.row_id, "problem_id": row.problem_id, "source": row.source}
    return known | {column.name: _typed(row.facts.get(column.name), column) for column in summary.facts}


def _worth(row: TrainingRow) -> Record:
    match row:
        case Preference():
            return {"margin": _finite(row.margin)}
        case Demonstration():
            return {"value": _finite(row.value)}
        case Rated():
            return {"label": row.is_good}
        case _:
            return {}


def image_columns(summary: RowSummary) -> tuple[Column, ...]:
    """Return the column of images, if any row has some."""
    return (Column("images", "images"),) if summary.has_images else ()


def image_values(images: Sequence[ImageReference], summary: RowSummary) -> Record:
    """Return a row's value in ``image_columns``."""
    return {"images": list(images)} if summary.has_images else {}


def read_tagged(dialogues: Iterable[Iterable[Turn]], images: Sequence[ImageReference] | None) -> ReadRecord:
    """Return the dialogues, without their image tags, and the images of a record."""
    tagged = [tuple(turns) for turns in dialogues]
    # Trainers refuse a row when either of its dialogues has a placeholder too many.
    most = max(sum(turn.text.count(IMAGE_TAG) for turn in turns) for turns in tagged)
    bare = tuple(tuple(replace(turn, text=turn.text.replace(IMAGE_TAG, "")) for turn in turns) for turns in tagged)
    return ReadRecord(bare, tuple(images or ()), most)


def _finite(number: float | None) -> float | None:
    """Return the number; None when it is None or not finite."""
    return float(number) if number is not None and math.isfinite(number) else None


def _messages(dialogue: tuple[Turn, ...], images: tuple[Image, ...]) -> tuple[Message, ...]:
    """Return a dialogue with the images before the text of the user's first turn, which is where placeholders stand."""
    first = next(number for number, turn in enumerate(dialogue) if turn.role == "user")
    return tuple(
        Message(turn.role, turn.text, images if number == first else ()) for number, turn in enumerate(dialogue)
    )


def _typed(value: float | str | None, column: Column) -> float | str | None:
    if value is None or column.type == "text":
        return None if value is None else str(value)
    return int(value) if column.type == "int" else _finite(float(value))
