"""The format of the RLAIF-V data set, the only one that its trainer takes."""

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
    Turn,
)
from critic_engine.data.row_types import Preference
from critic_engine.seeds import derive_seed


class RlaifV(RowFormat[Preference]):
    """Rows of RLAIF-V; its trainer puts the image, exactly one, before the question."""

    name = "rlaifv"
    trainer = "RLAIF-V"
    row_type = Preference
    containers = ("parquet",)
    reserved = (IMAGE_TAG,)
    num_images = (1, 1)

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
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

    def record(self, row: Preference, images: Sequence[ImageReference], summary: RowSummary) -> Record:
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

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return the argument of the trainer."""
        why = "Its loader takes `train.parquet` of this folder and writes a folder `logps` beside it."
        return f"```bash\n--data_dir THIS_FOLDER\n```\n\n{why}"
