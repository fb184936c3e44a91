"""The options of an export and the report on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from critic_engine.data.exports.exclusions import ExclusionReason, LengthLimit
from critic_engine.data.exports.row_format import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The format, the folder and the options of an export."""

    format: str
    """One of ``FORMATS``."""
    out: Path
    """The folder to make."""
    role: str = "critic"
    """The role that the rows train; names the data set where the trainer wants names."""
    container: Container | None = None
    """None takes the trainer's usual one."""
    validation_share: float = 0.05
    """In [0, 1): the share of problems, by a hash of their ids, whose rows are for validation."""
    limit: LengthLimit | None = None
    license: str = "unknown"
    is_overwritten: bool = False
    """Whether an earlier export at ``out`` is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """The contents of ``export.json``: the files, the rows by split, source and reason, and the notes."""

    critic_engine_version: str
    format: str
    container: Container
    role: str
    files: Mapping[str, str]
    """The data file of each split."""
    num_rows: Mapping[str, int]
    """The number of rows of each split."""
    num_rows_by_source: Mapping[str, Mapping[str, int]]
    """The number of rows of each split, by source."""
    num_left_out: Mapping[ExclusionReason, int]
    """Rows that the format cannot take, by reason."""
    has_images: bool
    notes: tuple[str, ...]
    """Sentences on information lost and choices made in the export."""

    def fields(self) -> dict[str, object]:
        """Return everything as JSON can hold it, names in order."""
        return {"critic_engine_export": 1, **asdict(self)}
