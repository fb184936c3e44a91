"""The formats of ms-swift: messages with placeholders in their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.data.exports.columns import Column
from critic_engine.data.exports.llamafactory import image_columns, image_values
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
    finite,
    provenance,
    provenance_columns,
)
from critic_engine.data.records import Demonstration, Preference


class _Swift(RowFormat[RowT]):
    trainer = "ms-swift"
    containers = ("jsonl", "parquet")
    reserved = (IMAGE_TAG, "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>")

    def messages(self, row: RowT, answer: str, num_images: int) -> list[Record]:
        """Return the dialogue, a placeholder for each image first."""
        prompt = IMAGE_TAG * num_images + row.prompt
        return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return the dialogue, and the one that ends with the rejected response instead."""
        texts = [(message["role"], message["content"]) for message in record["messages"]]
        dialogues = [texts]
        if "rejected_response" in record:
            dialogues.append([*texts[:-1], (texts[-1][0], record["rejected_response"])])
        most = max(sum(text.count(IMAGE_TAG) for _, text in turns) for turns in dialogues)
        bare = tuple(tuple(Turn(role, text.replace(IMAGE_TAG, "")) for role, text in turns) for turns in dialogues)
        return ReadRecord(bare, tuple(record.get("images") or ()), most)

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return its command line."""
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

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the dialogue, the other answer, the images, and where the row comes from."""
        columns = (Column("messages", "messages"), Column("rejected_response", "text"))
        return columns + image_columns(summary) + (Column("margin", "float"),) + provenance_columns(summary)

    def record(self, row: Preference, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row."""
        dialogue = {"messages": self.messages(row, row.chosen, len(images)), "rejected_response": row.rejected}
        return dialogue | image_values(images, summary) | {"margin": finite(row.margin)} | provenance(row, summary)


class SwiftDemonstration(_Swift[Demonstration]):
    """Rows of ``swift sft``."""

    name = "swift-sft"
    row_type = Demonstration

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the dialogue, the images, the value of what the prompt shows, and where the row comes from."""
        columns = (Column("messages", "messages"), *image_columns(summary), Column("value", "float"))
        return columns + provenance_columns(summary)

    def record(self, row: Demonstration, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row."""
        dialogue: Record = {"messages": self.messages(row, row.completion, len(images))}
        return dialogue | image_values(images, summary) | {"value": finite(row.value)} | provenance(row, summary)
