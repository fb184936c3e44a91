"""The format of VisualPRM400K, which InternVL's trainer takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.llamafactory import read_turns, turn
from critic_engine.data.exports.row_format import (
    IMAGE_TAG,
    UNDRAWN,
    ImageReference,
    ReadRecord,
    Record,
    RowFormat,
    RowSummary,
)
from critic_engine.data.row_types import StepLabelled

_GRADER = (
    "You check the steps of a solution to a problem. The first turn gives the problem and the first step, every later "
    "turn one more step. Answer + when the solution is right up to this step, and - when it is not."
)


class VisualPrm(RowFormat[StepLabelled]):
    """Rows of VisualPRM400K, with the images in a list and a placeholder for each in the first human turn.

    Of the published rows' single path InternVL's loader puts the placeholder into the very first turn. Here that is the
    system's, in which it then looks for none, and passes over the row. Of a list it leaves the turns as they are.
    """

    name = "visualprm"
    trainer = "InternVL"
    row_type = StepLabelled
    containers = ("jsonl",)
    reserved = (IMAGE_TAG, "<video>", "<img>", "</img>", "<IMG_CONTEXT>")
    notes = (
        "A step is labelled + when any of the completions from its end were right (its value is above 0).",
        f"For some labels no completion was drawn: {UNDRAWN}",
    )

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the columns of the published data set; that of images where any row has some."""
        images = (Column("image", "images"),) if summary.has_images else ()
        return (Column("id", "text"), *images, Column("conversations", "turns"))

    def record(self, row: StepLabelled, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row."""
        opening = f"{IMAGE_TAG}\n" * len(images) + f"### Question:\n{row.prompt}\n\n### Solution Process:\n"
        turns = [turn("system", _GRADER)]
        for number, (step, value) in enumerate(zip(row.steps, row.values, strict=True)):
            turns += [turn("human", step if number else opening + step), turn("gpt", "+" if value > 0 else "-")]
        shown: Record = {"image": list(images)} if summary.has_images else {}
        return {"id": row.row_id} | shown | {"conversations": turns}

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue."""
        return read_turns([record["conversations"]], record.get("image"))

    def index(self, files: Mapping[str, str], summary: RowSummary, role: str) -> dict[str, str]:
        """Return the lists of data sets that InternVL reads first, one a split: it trains on all that a list names.

        Their paths are relative to this folder.
        """
        common = {"root": "", "data_augment": False, "repeat_time": 1}
        entries = {split: {f"{role}_prm_{split}": {"annotation": file, **common}} for split, file in files.items()}
        return {_list_name(split): json.dumps(entry, indent=2) + "\n" for split, entry in entries.items()}

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return the argument of the trainer."""
        why = "Paths in it are relative to this folder: start the trainer here, or write THIS_FOLDER before them."
        if "validation" in files:
            why += f" It trains on all that the file lists; `{_list_name('validation')}` lists the rows for validation."
        return f"```bash\n--meta_path THIS_FOLDER/{_list_name('train')}\n```\n\n{why}"


def _list_name(split: str) -> str:
    return "meta.json" if split == "train" else f"meta_{split}.json"
