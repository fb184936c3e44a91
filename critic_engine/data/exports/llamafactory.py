"""The formats of LLaMA-Factory: ShareGPT turns, and the ``dataset_info.json`` that lists the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from critic_engine.data.exports.columns import Column
from critic_engine.data.exports.row_format import (
    IMAGE_TAG,
    ImageReference,
    ReadRecord,
    Record,
    RowFormat,
    RowSummary,
    RowT,
    Turn,
    finite,
    provenance,
    provenance_columns,
)
from critic_engine.data.records import Demonstration, Preference
from critic_engine.types import Role

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "gpt": "assistant"}


class _ShareGpt(RowFormat[RowT]):
    trainer = "LLaMA-Factory"
    containers = ("jsonl", "parquet")
    reserved = (IMAGE_TAG, "<video>", "<audio>")
    is_ranking: ClassVar[bool]

    def opening(self, row: RowT, num_images: int) -> list[Record]:
        """Return the user's turn, a placeholder for each image first."""
        return [turn("human", IMAGE_TAG * num_images + row.prompt)]

    def index(self, files: Mapping[str, str], summary: RowSummary, role: str) -> dict[str, str]:
        """Return ``dataset_info.json``; the trainer passes over columns that it does not name."""
        names = {"messages": "conversations"}
        if self.is_ranking:
            names |= {"chosen": "chosen", "rejected": "rejected"}
        if summary.has_images:
            names["images"] = "images"
        entries = {
            self._data_set(role, split): {
                "file_name": file,
                "formatting": "sharegpt",
                **({"ranking": True} if self.is_ranking else {}),
                "columns": names,
            }
            for split, file in files.items()
        }
        return {"dataset_info.json": json.dumps(entries, indent=2) + "\n"}

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return the lines of its YAML that name the data."""
        program = ["dataset_dir: THIS_FOLDER", f"dataset: {self._data_set(role, 'train')}"]
        if "validation" in files:
            program.append(f"eval_dataset: {self._data_set(role, 'validation')}")
        why = "Paths of images are relative to `dataset_dir`, which is where `media_dir` points when it is not set."
        return "\n".join(["```yaml", *program, "```", *(["", why] if summary.has_images else [])])

    def _data_set(self, role: str, split: str) -> str:
        name = f"{role}_{self.name.partition('-')[2]}"
        return name if split == "train" else f"{name}_{split}"


class LlamaFactoryPreference(_ShareGpt[Preference]):
    """Rows of its stages ``dpo`` and ``rm``."""

    name = "llamafactory-dpo"
    row_type = Preference
    is_ranking = True
    notes = ("`margin` is how much better the chosen answer is; this trainer passes over it.",)

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the prompt, its two answers, the images, and where the row comes from."""
        columns = (Column("conversations", "turns"), Column("chosen", "turn"), Column("rejected", "turn"))
        return columns + image_columns(summary) + (Column("margin", "float"),) + provenance_columns(summary)

    def record(self, row: Preference, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row."""
        answers = {"chosen": turn("gpt", row.chosen), "rejected": turn("gpt", row.rejected)}
        dialogue = {"conversations": self.opening(row, len(images))} | answers | image_values(images, summary)
        return dialogue | {"margin": finite(row.margin)} | provenance(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return both dialogues."""
        dialogues = [[*record["conversations"], record[side]] for side in ("chosen", "rejected")]
        return read_turns(dialogues, record)


class LlamaFactoryDemonstration(_ShareGpt[Demonstration]):
    """Rows of its stage ``sft``."""

    name = "llamafactory-sft"
    row_type = Demonstration
    is_ranking = False

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the dialogue, the images, the value of what the prompt shows, and where the row comes from."""
        columns = (Column("conversations", "turns"), *image_columns(summary), Column("value", "float"))
        return columns + provenance_columns(summary)

    def record(self, row: Demonstration, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row."""
        dialogue: Record = {"conversations": [*self.opening(row, len(images)), turn("gpt", row.completion)]}
        return dialogue | image_values(images, summary) | {"value": finite(row.value)} | provenance(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue."""
        return read_turns([record["conversations"]], record)


def turn(speaker: str, text: str) -> Record:
    """Return a turn in ShareGPT's words."""
    return {"from": speaker, "value": text}


def image_columns(summary: RowSummary) -> tuple[Column, ...]:
    """Return the column of images, where any row has some."""
    return (Column("images", "images"),) if summary.has_images else ()


def image_values(images: Sequence[ImageReference], summary: RowSummary) -> Record:
    """Return a row's value in ``image_columns``."""
    return {"images": list(images)} if summary.has_images else {}


def read_turns(dialogues: Sequence[Sequence[Mapping[str, str]]], record: Mapping[str, Any]) -> ReadRecord:
    """Return ShareGPT's turns as ours, without their placeholders."""
    read = tuple(tuple(Turn(_ROLES[turn["from"]], turn["value"]) for turn in turns) for turns in dialogues)
    # A row is refused by its trainer when either of its dialogues has a placeholder too many.
    most = max(sum(turn.text.count(IMAGE_TAG) for turn in turns) for turns in read)
    bare = tuple(tuple(Turn(turn.role, turn.text.replace(IMAGE_TAG, "")) for turn in turns) for turns in read)
    return ReadRecord(bare, tuple(record.get("images") or ()), most)
