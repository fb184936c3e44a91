"""The formats of LLaMA-Factory: ShareGPT turns, and the ``dataset_info.json`` that lists the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.row_format import (
    IMAGE_TAG,
    ImageReference,
    ReadRecord,
    Record,
    RowFormat,
    RowSummary,
    RowT,
    Turn,
    further_columns,
    further_values,
    image_columns,
    image_values,
    read_tagged,
)
from critic_engine.data.row_types import Demonstration, Preference
from critic_engine.types import Role

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "gpt": "assistant"}


class _ShareGpt(RowFormat[RowT]):
    trainer = "LLaMA-Factory"
    containers = ("jsonl", "parquet")
    reserved = (IMAGE_TAG, "<video>", "<audio>")

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the dialogue, then a preference's answers, images, the answers' worth, and the provenance."""
        answers = (Column("chosen", "turn"), Column("rejected", "turn")) if self.row_type is Preference else ()
        columns = (Column("conversations", "turns"), *answers, *image_columns(summary))
        return columns + further_columns(self.row_type, summary)

    def record(self, row: RowT, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row, a placeholder for each image before its prompt."""
        turns = [turn("human", IMAGE_TAG * len(images) + row.prompt)]
        answers: Record = {}
        if isinstance(row, Preference):
            answers = {"chosen": turn("gpt", row.chosen), "rejected": turn("gpt", row.rejected)}
        elif isinstance(row, Demonstration):
            turns.append(turn("gpt", row.completion))
        return {"conversations": turns} | answers | image_values(images, summary) | further_values(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue, or of a preference both."""
        endings = ([record["chosen"]], [record["rejected"]]) if self.row_type is Preference else ([],)
        return read_turns([[*record["conversations"], *ending] for ending in endings], record.get("images"))

    def index(self, files: Mapping[str, str], summary: RowSummary, role: str) -> dict[str, str]:
        """Return ``dataset_info.json``; the trainer passes over columns that it does not name."""
        names = {"messages": "conversations"}
        if self.row_type is Preference:
            names |= {"chosen": "chosen", "rejected": "rejected"}
        if summary.has_images:
            names["images"] = "images"
        entries = {
            self._data_set(role, split): {
                "file_name": file,
                "formatting": "sharegpt",
                **({"ranking": True} if self.row_type is Preference else {}),
                "columns": names,
            }
            for split, file in files.items()
        }
        return {"dataset_info.json": json.dumps(entries, indent=2) + "\n"}

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return the lines of the trainer's YAML that name the data."""
        program = ["dataset_dir: THIS_FOLDER", f"dataset: {self._data_set(role, 'train')}"]
        if "validation" in files:
            program.append(f"eval_dataset: {self._data_set(role, 'validation')}")
        why = "Paths of images are relative to `dataset_dir`, which is where `media_dir` points when it is not set."
        return "\n".join(["```yaml", *program, "```", *(["", why] if summary.has_images else [])])

    def _data_set(self, role: str, split: str) -> str:
        name = f"{role}_{self.name.partition('-')[2]}"
        return name if split == "train" else f"{name}_{split}"


class LlamaFactoryPreference(_ShareGpt[Preference]):
    """Rows of the stages ``dpo`` and ``rm`` of LLaMA-Factory."""

    name = "llamafactory-dpo"
    row_type = Preference
    notes = ("`margin` is how much better the chosen answer is; this trainer passes over it.",)


class LlamaFactoryDemonstration(_ShareGpt[Demonstration]):
    """Rows of the stage ``sft`` of LLaMA-Factory."""

    name = "llamafactory-sft"
    row_type = Demonstration


def turn(speaker: str, text: str) -> Record:
    """Return a turn in ShareGPT's words."""
    return {"from": speaker, "value": text}


def read_turns(dialogues: Sequence[Sequence[Mapping[str, str]]], images: Sequence[ImageReference] | None) -> ReadRecord:
    """Return dialogues of ShareGPT's turns, without their placeholders, and their images."""
    return read_tagged(((Turn(_ROLES[turn["from"]], turn["value"]) for turn in turns) for turns in dialogues), images)
