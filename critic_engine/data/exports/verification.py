"""Reading an export back before it is put in place, to stop one that its trainer could not load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.data_files import read_records
from critic_engine.data.exports.row_format import ImageReference, RowFormat, Turn
from critic_engine.errors import ExportError, ImageError
from critic_engine.images.loading import load_image

_MAX_PIXELS = 2**31


class Fingerprint:
    """A hash over all records of a split, to compare the records read back with those meant to be written."""

    def __init__(self) -> None:
        """Begin with no record."""
        self.num_rows = 0
        self._hash = hashlib.sha256()

    def add(self, record: Mapping[str, Any], image_digests: Iterable[str]) -> None:
        """Take in the next record: the values of all columns, and the SHA-256 digests of its images, in order."""
        self.num_rows += 1
        whole = json.dumps([record, list(image_digests)], sort_keys=True, default=_embedded)
        self._hash.update(whole.encode() + b"\n")

    @property
    def digest(self) -> str:
        """Hexadecimal; equal for equal records in the same order."""
        return self._hash.hexdigest()


def _embedded(data: bytes) -> None:
    """Hash the bytes of an image as null; its digest is hashed beside the record."""


@dataclass(frozen=True, slots=True)
class ExportVerifier:
    """Checks the data files of one export."""

    folder: Path
    format: RowFormat[Any]
    columns: tuple[Column, ...]
    seen: set[str] = field(default_factory=set)
    """The digests of images that opened."""

    def check(self, file: str, meant: Fingerprint) -> None:
        """Read a data file back.

        Raises:
            ExportError: a record breaks a rule of its format, an image is missing or broken, or the records are not
                those that were meant, in any column or image.
        """
        found, names = Fingerprint(), {column.name for column in self.columns}
        for number, record in enumerate(self._records(file), start=1):
            where = f"{file}, row {number}"
            if set(record) != names:
                raise ExportError(f"{where}: its columns are {sorted(record)}, not {sorted(names)}")
            found.add(record, self._check_record(record, where))
        if (found.num_rows, found.digest) != (meant.num_rows, meant.digest):
            raise ExportError(f"{file} holds {found.num_rows} rows that are not the {meant.num_rows} rows written")

    def _records(self, file: str) -> Iterator[Mapping[str, Any]]:
        try:
            yield from read_records(self.folder / file)
        except ValueError as error:  # of JSON's and Arrow's parsers, which raise kinds of it
            raise ExportError(f"{file} cannot be read back: {' '.join(str(error).split())}") from error

    def _check_record(self, record: Mapping[str, Any], where: str) -> list[str]:
        """Return the digests of the record's images."""
        try:
            read = self.format.read(record)
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(f"{where}: it is no row of {self.format.name}: {error}") from error
        if read.num_placeholders != len(read.images):
            raise ExportError(f"{where}: {read.num_placeholders} placeholders stand for {len(read.images)} images")
        for dialogue in read.dialogues:
            check_dialogue(dialogue, where)
        if len(set(read.dialogues)) != len(read.dialogues):
            raise ExportError(f"{where}: both answers are the same")
        return [self._check_image(image, where) for image in read.images]

    def _check_image(self, image: ImageReference, where: str) -> str:
        """Return the digest of an image, which opens."""
        try:
            data = (self.folder / image).read_bytes() if isinstance(image, str) else image["bytes"]
        except FileNotFoundError as error:
            raise ExportError(f"{where}: its image {image} is not there") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self.seen:
            try:
                load_image(data, max_pixels=_MAX_PIXELS)
            except ImageError as error:
                raise ExportError(f"{where}: {error}") from error
            self.seen.add(digest)
        return digest


def check_dialogue(dialogue: tuple[Turn, ...], where: str) -> None:
    """Refuse a dialogue unless user and assistant alternate, the assistant ends it, and no turn is empty.

    Raises:
        ExportError: it is not; ``where`` begins the message.
    """
    turns = dialogue[1:] if dialogue and dialogue[0].role == "system" else dialogue
    roles = [turn.role for turn in turns]
    if not roles or len(roles) % 2 or roles != ["user", "assistant"] * (len(roles) // 2):
        raise ExportError(f"{where}: its turns are {', '.join(roles) or 'none'}; user and assistant must alternate")
    if not all(turn.text.strip() for turn in dialogue):
        raise ExportError(f"{where}: a turn has no word in it")
