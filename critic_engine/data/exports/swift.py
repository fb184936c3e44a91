"""The formats of ms-swift: messages with placeholders in their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.row_format import (
    IMAGE_TAG,
    MARGIN_NOTE,
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


class _Swift(RowFormat[RowT]):
    trainer = "ms-swift"
    containers = ("jsonl", "parquet")
    reserved = (IMAGE_TAG, "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>")

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the dialogue, then a preference's other answer, images, the answers' worth, and the provenance."""
        rejected = (Column("rejected_response", "text"),) if self.row_type is Preference else ()
        columns = (Column("messages", "messages"), *rejected, *image_columns(summary))
        return columns + further_columns(self.row_type, summary)

    def record(self, row: RowT, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row, a placeholder for each image before its prompt."""
        rejected = {"rejected_response": row.rejected} if isinstance(row, Preference) else {}
        prompt = {"role": "user", "content": IMAGE_TAG * len(images) + row.prompt}
        dialogue: Record = {"messages": [prompt, {"role": "assistant", "content": row.answers[0]}]}
        return dialogue | rejected | image_values(images, summary) | further_values(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue, and the one that ends with the rejected response instead."""
        turns = [Turn(message["role"], message["content"]) for message in record["messages"]]
        dialogues = [turns]
        if "rejected_response" in record:
            dialogues.append([*turns[:-1], replace(turns[-1], text=record["rejected_response"])])
        return read_tagged(dialogues, record.get("images"))

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return the command line of the trainer."""
        command = "swift rlhf --rlhf_type dpo" if self.row_type is Preference else "swift sft"
        program = [f"{command} --model MODEL --dataset THIS_FOLDER/{files['train']}"]
        if "validation" in files:
            program.append(f"--val_dataset THIS_FOLDER/{files['validation']}")
        if summary.has_images and files["train"].endswith(".jsonl"):
            # Paths that it does not find from its own folder it looks for here.
            program.insert(0, "ROOT_IMAGE_DIR=THIS_FOLDER")
        return "\n".join(["```bash", " \\\n  ".join(program), "```"])


class SwiftPreference(_Swift[Preference]):
    """Rows of ``swift rlhf`` with ``--rlhf_type dpo`` or ``rm``."""

    name = "swift-dpo"
    row_type = Preference
    notes = (MARGIN_NOTE,)


class SwiftDemonstration(_Swift[Demonstration]):
    """Rows of ``swift sft``."""

    name = "swift-sft"
    row_type = Demonstration
