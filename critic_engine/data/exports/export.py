"""Exporting a run's rows to a folder that a trainer loads: filtered, written, read back, and then put in place."""

from __future__ import annotations

import importlib.metadata
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from critic_engine.data.exports.atomic_folder import MANIFEST, check_target, new_folder
from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.data_files import JsonlWriter, ParquetWriter, new_writer
from critic_engine.data.exports.dataset_card import CardContents, write_card
from critic_engine.data.exports.exclusions import ExclusionReason, exclusion_reason, length_exclusion
from critic_engine.data.exports.formats import format_named
from critic_engine.data.exports.options import ExportOptions, ExportReport
from critic_engine.data.exports.row_format import Container, RowFormat, RowSummary
from critic_engine.data.exports.row_summary import summarise_rows
from critic_engine.data.exports.verification import ExportVerifier, Fingerprint
from critic_engine.data.row_spool import RowSpool
from critic_engine.data.row_types import StageCounts, TrainingRow
from critic_engine.errors import ConfigError
from critic_engine.run.written_report import NOT_DONE
from critic_engine.seeds import derive_seed

_SPLITS = ("train", "validation")
_MAX_REASONS = 3


class RowSource(Protocol):
    """A source of training rows, such as a labelled run."""

    def fill(self, spool: RowSpool) -> None:
        """Write all rows into an empty spool."""
        ...

    @property
    def stages(self) -> Sequence[StageCounts]:
        """The counts of each stage between the run's problems and the rows; valid after ``fill``."""
        ...

    @property
    def config_yaml(self) -> str:
        """The resolved configuration of the run."""
        ...


def export_rows(rows: RowSource, options: ExportOptions) -> ExportReport:
    """Write all rows that the format can take into the new folder ``options.out``, and verify them there.

    Raises:
        ConfigError: there is no such format, the trainer cannot load such files, ``out`` is taken, or no row is left.
        ExportError: what was read back is not what was written.
        OSError: the disk is full, or the like. In every case nothing new is left at ``out``.
    """
    row_format = format_named(options.format)
    container = options.container or row_format.containers[0]
    if container not in row_format.containers:
        raise ConfigError(
            f"{row_format.trainer} cannot load {options.format} from {container} files; use {row_format.containers[0]}",
            field="container",
        )
    check_target(options.out, is_overwritten=options.is_overwritten)
    with new_folder(options.out) as folder, RowSpool(folder) as spool:
        rows.fill(spool)
        summary = summarise_rows(spool, row_format)
        refusal = row_format.refuse_container(container, summary)
        if refusal:
            raise ConfigError(refusal, field="container")
        columns, stages = row_format.columns(summary), tuple(rows.stages)
        writer = new_writer(container, folder, columns)
        report = _Export(row_format, summary, options, container, folder, columns, writer).write(spool, stages)
        facts = CardContents(report, options, columns, rows.config_yaml, stages)
        write_card(folder / "README.md", facts, row_format.usage(report.files, summary, options.role))
    return report


def split_of(problem_id: str, validation_share: float) -> str:
    """Return the split of a problem's rows; a problem in the validation split stays there as the share grows."""
    return _SPLITS[derive_seed("validation", problem_id) / 2**63 < validation_share]


@dataclass(slots=True)
class _Export:
    """One export under way."""

    format: RowFormat[Any]
    summary: RowSummary
    options: ExportOptions
    container: Container
    folder: Path
    columns: tuple[Column, ...]
    writer: JsonlWriter | ParquetWriter
    meant: dict[str, Fingerprint] = field(default_factory=dict)
    sources: dict[str, Counter[str]] = field(default_factory=dict)
    left_out: Counter[ExclusionReason] = field(default_factory=Counter)

    def write(self, rows: RowSpool, stages: Sequence[StageCounts]) -> ExportReport:
        """Write the data files, the trainer's index and the report; read the data files back."""
        try:
            for row in _complete_first(rows, self.summary, self.container):
                self._take(row)
        finally:
            self.writer.close()
        if "train" not in self.meant:
            raise ConfigError(self._nothing_left(stages))
        files = {split: f"{split}.{self.container}" for split in _SPLITS if split in self.meant}
        verifier = ExportVerifier(self.folder, self.format, self.columns)
        for split, file in files.items():
            verifier.check(file, self.meant[split])
        report = self._report(files, stages)
        texts = self.format.index(files, self.summary, self.options.role)
        texts[MANIFEST] = json.dumps(report.fields(), indent=2) + "\n"
        for name, text in texts.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        return report

    def _take(self, row: TrainingRow) -> None:
        """Write a row, or count the reason for which it is left out."""
        images = row.images if self.format.has_images else ()
        reason = exclusion_reason(row, self.format)
        if reason is None:
            record = self.format.record(row, [self.writer.reference(image) for image in images], self.summary)
            reason = length_exclusion(record, images, self.format, self.options.limit)
        if reason is not None:
            self.left_out[reason] += 1
            return
        split = split_of(row.problem_id, self.options.validation_share)
        self.meant.setdefault(split, Fingerprint()).add(record, [image.digest for image in images])
        self.sources.setdefault(split, Counter())[row.source] += 1
        self.writer.write(split, record, images)

    def _report(self, files: dict[str, str], stages: Sequence[StageCounts]) -> ExportReport:
        num_left = sum(stage.left_out.get(NOT_DONE, 0) for stage in stages)
        unfinished = f"The run is not complete: {num_left:,} of its problems are not done yet, and have no rows here."
        return ExportReport(
            critic_engine_version=importlib.metadata.version("critic-engine"),
            format=self.format.name,
            container=self.container,
            role=self.options.role,
            files=files,
            num_rows={split: self.meant[split].num_rows for split in files},
            num_rows_by_source={split: dict(sorted(self.sources[split].items())) for split in files},
            num_left_out=dict(sorted(self.left_out.items())),
            has_images=self.summary.has_images,
            notes=(*([unfinished] if num_left else []), *self.format.notes),
        )

    def _nothing_left(self, stages: Sequence[StageCounts]) -> str:
        if "validation" in self.meant:
            return "all rows fell to validation, which leaves nothing to train on; lower --validation-share"
        if not self.summary.num_rows:
            return f"the run has no rows for {self.format.name}{_named(_largest_reasons(stages))}"
        reasons = _named(sorted(self.left_out.items()))
        return f"no row of the run can be written as {self.format.name}{reasons}"


def _largest_reasons(stages: Sequence[StageCounts]) -> list[tuple[str, int]]:
    """Return the reasons that left out most, with their counts; of equal counts those of earlier stages first."""
    found = [(f"{stage.name} ({reason})", num) for stage in stages for reason, num in sorted(stage.left_out.items())]
    return sorted(found, key=lambda each: -each[1])[:_MAX_REASONS]


def _named(reasons: Sequence[tuple[str, int]]) -> str:
    counts = ", ".join(f"{number} {reason}" for reason, number in reasons)
    return f"; left out: {counts}" if counts else ""


def _complete_first(rows: RowSpool, summary: RowSummary, container: Container) -> Iterator[TrainingRow]:
    """Yield all rows; before JSON lines' incomplete ones those that have images and every fact.

    Loaders of JSON lines take the types of a column from the first megabytes of the file.
    """
    if container == "parquet" or not (summary.is_mixed or summary.gaps):
        yield from rows
        return
    for is_complete in (True, False):
        for row in rows:
            has_all_facts = all(row.facts.get(name) is not None for name in summary.gaps)
            if (has_all_facts and bool(row.images) == summary.has_images) == is_complete:
                yield row
