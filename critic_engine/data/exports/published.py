"""The formats of published data sets whose trainers take no others: RLAIF-V and VisualPRM400K."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.data.exports.columns import Column
from critic_engine.data.exports.llamafactory import read_turns, turn
from critic_engine.data.exports.row_format import (
    IMAGE_TAG,
    UNDRAWN,
    ImageReference,
    Layout,
    ReadRecord,
    Record,
    Survey,
    Turn,
)
from critic_engine.data.records import Preference, StepLabelled
from critic_engine.seeds import derive_seed

_GRADER = (
    "You check the steps of a solution to a problem. The first turn gives the problem and the first step, every later "
    "turn one more step. Answer + when the solution is right up to this step, and - when it is not."
)


class RlaifV(Layout[Preference]):
    """Rows of RLAIF-V, whose trainer puts the one image before the question itself."""

    name = "rlaifv"
    trainer = "RLAIF-V"
    row_type = Preference
    containers = ("parquet",)
    reserved = (IMAGE_TAG,)
    num_images = (1, 1)

    def columns(self, survey: Survey) -> tuple[Column, ...]:
        """Return the columns of the published data set."""
        return (
            Column("ds_name", "text"),
            Column("image", "image"),
            Column("question", "text"),
            Column("chosen", "text"),
            Column("rejected", "text"),
            Column("origin_dataset", "text"),
            Column("origin_split", "text"),
            Column("idx", "int"),
            Column("image_path", "text"),
        )

    def record(self, row: Preference, images: Sequence[ImageReference], survey: Survey) -> Record:
        """Return the row."""
        (image,) = images
        return {
            "ds_name": "critic-engine",
            "image": image,
            "question": row.prompt,
            "chosen": row.chosen,
            "rejected": row.rejected,
            "origin_dataset": row.source,
            "origin_split": json.dumps({"problem_id": row.problem_id, "row_id": row.row_id}),
            "idx": derive_seed(row.row_id),
            "image_path": image["path"] if isinstance(image, dict) else image,
        }

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return both dialogues."""
        sides = (record["chosen"], record["rejected"])
        dialogues = tuple((Turn("user", record["question"]), Turn("assistant", side)) for side in sides)
        return ReadRecord(dialogues, (record["image"],), 1)

    def usage(self, files: Mapping[str, str], survey: Survey, role: str) -> str:
        """Return its argument."""
        why = "Its loader takes `train.parquet` of this folder and writes a folder `logps` beside it."
        return f"```bash\n--data_dir THIS_FOLDER\n```\n\n{why}"


class VisualPrm(Layout[StepLabelled]):
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

    def columns(self, survey: Survey) -> tuple[Column, ...]:
        """Return the columns of the published data set; that of images where any row has some."""
        images = (Column("image", "images"),) if survey.has_images else ()
        return (Column("id", "text"), *images, Column("conversations", "turns"))

    def record(self, row: StepLabelled, images: Sequence[ImageReference], survey: Survey) -> Record:
        """Return the row."""
        opening = f"{IMAGE_TAG}\n" * len(images) + f"### Question:\n{row.prompt}\n\n### Solution Process:\n"
        turns = [turn("system", _GRADER)]
        for number, (step, value) in enumerate(zip(row.steps, row.values, strict=True)):
            turns += [turn("human", step if number else opening + step), turn("gpt", "+" if value > 0 else "-")]
        shown: Record = {"image": list(images)} if survey.has_images else {}
        return {"id": row.row_id} | shown | {"conversations": turns}

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue."""
        return read_turns([record["conversations"]], {"images": record.get("image")})

    def index(self, files: Mapping[str, str], survey: Survey, role: str) -> dict[str, str]:
        """Return the lists of data sets that InternVL reads first, one a split: it trains on all that a list names.

        Their paths are relative to this folder.
        """
        common = {"root": "", "data_augment": False, "repeat_time": 1}
        entries = {split: {f"{role}_prm_{split}": {"annotation": file, **common}} for split, file in files.items()}
        return {_list_name(split): json.dumps(entry, indent=2) + "\n" for split, entry in entries.items()}

    def usage(self, files: Mapping[str, str], survey: Survey, role: str) -> str:
        """Return its argument."""
        why = "Paths in it are relative to this folder: start the trainer here, or write THIS_FOLDER before them."
        if "validation" in files:
            why += f" It trains on all that the file lists; `{_list_name('validation')}` lists the rows for validation."
        return f"```bash\n--meta_path THIS_FOLDER/{_list_name('train')}\n```\n\n{why}"


def _list_name(split: str) -> str:
    return "meta.json" if split == "train" else f"meta_{split}.json"
