"""The formats of TRL: preferences, demonstrations, rated answers, and labelled steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.row_format import (
    MARGIN_NOTE,
    UNDRAWN,
    Container,
    ImageReference,
    ReadRecord,
    Record,
    RowFormat,
    RowSummary,
    RowT,
    TokenCount,
    Turn,
    further_columns,
    further_values,
    image_columns,
    image_values,
)
from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled
from critic_engine.types import Image

# What PRMTrainer is told to put behind each step.
_SEPARATOR = "\n"


class _Conversational(RowFormat[RowT]):
    """A prompt and its answers as messages: with parts where there are images, as plain text where there are none."""

    trainer = "TRL"
    containers = ("parquet", "jsonl")
    answers: ClassVar[tuple[str, ...]]
    """The columns that hold an answer each, in the order of a row's ``answers``."""
    loader: ClassVar[str]
    """How the names of the trainer and of its config begin."""

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return images, prompt and answers, then the answers' worth, then the provenance."""
        kind: Any = "parts" if summary.has_images else "messages"
        messages = tuple(Column(name, kind) for name in ("prompt", *self.answers))
        return image_columns(summary) + messages + further_columns(self.row_type, summary)

    def record(self, row: RowT, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row; one without images among rows that have some has an empty list of them."""
        record = image_values(images, summary)
        record["prompt"] = _messages("user", row.prompt, len(images), summary)
        for name, answer in zip(self.answers, row.answers, strict=True):
            record[name] = _messages("assistant", answer, 0, summary)
        return record | further_values(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return one dialogue an answer."""
        prompt, num_placeholders = _read_messages(record["prompt"])
        dialogues = []
        for name in self.answers:
            answer, num_further = _read_messages(record[name])
            num_placeholders += num_further
            dialogues.append((*prompt, *answer))
        return ReadRecord(tuple(dialogues), tuple(record.get("images") or ()), num_placeholders)

    def refuse_container(self, container: Container, summary: RowSummary) -> str | None:
        """Refuse images in JSON lines: ``datasets`` would give the trainer their paths as text."""
        if container == "jsonl" and summary.has_images:
            return "TRL takes images from Parquet files only; JSON lines would give it their paths as text"
        return None

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return three lines of Python."""
        length = "max_length=None" if summary.has_images else ""
        program = [
            "from datasets import load_dataset",
            f"from trl import {self.loader}Config, {self.loader}Trainer",
            'data = load_dataset("THIS_FOLDER")',
            f'{self.loader}Trainer(MODEL, args={self.loader}Config("out"{", " if length else ""}{length}), '
            'train_dataset=data["train"]).train()',
        ]
        why = (
            "With images `max_length` must be `None`: a prompt that is cut loses image tokens, and the model fails."
            if summary.has_images
            else "The rows have no images, so that models that read text only take them too."
        )
        return "\n".join(["```python", *program, "```", "", why])


class TrlPreference(_Conversational[Preference]):
    """Rows of ``DPOTrainer``, and of ``RewardTrainer`` where there are no images."""

    name = "trl-dpo"
    row_type = Preference
    answers = ("chosen", "rejected")
    loader = "DPO"
    notes = (MARGIN_NOTE,)


class TrlDemonstration(_Conversational[Demonstration]):
    """Rows of ``SFTTrainer``, which learns the completion and not the prompt."""

    name = "trl-sft"
    row_type = Demonstration
    answers = ("completion",)
    loader = "SFT"


class TrlRated(_Conversational[Rated]):
    """Rows of ``KTOTrainer``."""

    name = "trl-kto"
    row_type = Rated
    answers = ("completion",)
    loader = "KTO"


class TrlSteps(RowFormat[StepLabelled]):
    """Rows of ``PRMTrainer``, which reads text only."""

    name = "trl-prm"
    trainer = "TRL"
    row_type = StepLabelled
    containers = ("parquet", "jsonl")
    has_images = False
    notes = (
        "Images are left out: this trainer reads text only.",
        "A step's label is true when any of the completions from its end were right (its value is above 0).",
        "`values` are shares of right completions where `num_rollouts`, of the same step, is above 0. Where it is 0, "
        f"none were drawn, and the value, 1 or 0, is no share: {UNDRAWN}",
    )

    def columns(self, summary: RowSummary) -> tuple[Column, ...]:
        """Return the trainer's three, then the values behind the labels, and how many completions each is a share of.

        A value of which ``num_rollouts`` is 0 is no share: it is 1 or 0, without any draw.
        """
        steps = (Column("prompt", "text"), Column("completions", "texts"), Column("labels", "bools"))
        values = (Column("values", "floats"), Column("num_rollouts", "ints"))
        return steps + values + further_columns(self.row_type, summary)

    def record(self, row: StepLabelled, images: Sequence[ImageReference], summary: RowSummary) -> Record:
        """Return the row without images."""
        return {
            "prompt": row.prompt,
            "completions": list(row.steps),
            "labels": [value > 0 for value in row.values],
            "values": [float(value) for value in row.values],
            "num_rollouts": list(row.num_rollouts),
        } | further_values(row, summary)

    def read(self, record: Mapping[str, Any]) -> ReadRecord:
        """Return one dialogue in which each step answers the turns before it."""
        lengths = {name: len(record[name]) for name in ("completions", "labels", "values", "num_rollouts")}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"its columns differ in length: {lengths}")
        dialogue = [Turn("user", record["prompt"])]
        for number, step in enumerate(record["completions"]):
            dialogue += [Turn("user", f"step {number + 1}")] if number else []
            dialogue.append(Turn("assistant", step))
        return ReadRecord((tuple(dialogue),), (), 0)

    def num_tokens(self, record: Mapping[str, Any], images: tuple[Image, ...], counter: TokenCount) -> int:
        """Return the tokens of the prompt and of the steps, a separator behind each; its trainer uses no template."""
        steps = (text for step in record["completions"] for text in (step, _SEPARATOR))
        return counter.count_plain((record["prompt"], *steps))

    def usage(self, files: Mapping[str, str], summary: RowSummary, role: str) -> str:
        """Return three lines of Python."""
        program = [
            "from datasets import load_dataset",
            "from trl.experimental.prm import PRMConfig, PRMTrainer  # TRL 0.26 to 1.13; later ones have none",
            f'PRMTrainer(model=MODEL, args=PRMConfig("out", step_separator={json.dumps(_SEPARATOR)}), '
            'processing_class=TOKENIZER, train_dataset=load_dataset("THIS_FOLDER", split="train")).train()',
        ]
        return "\n".join(["```python", *program, "```"])


def _messages(role: str, text: str, num_images: int, summary: RowSummary) -> list[Record]:
    if not summary.has_images:
        return [{"role": role, "content": text}]
    # Every part has both keys: Arrow would fill in the one that is missing.
    parts: list[Record] = [{"type": "image", "text": None} for _ in range(num_images)]
    return [{"role": role, "content": [*parts, {"type": "text", "text": text}]}]


def _read_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Turn], int]:
    turns, num_placeholders = [], 0
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [part["text"] for part in parts if part["type"] == "text"]
        num_placeholders += len(parts) - len(texts)
        turns.append(Turn(message["role"], "\n".join(texts)))
    return turns, num_placeholders
