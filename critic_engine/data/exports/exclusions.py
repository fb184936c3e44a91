"""Reasons for which an export leaves out rows that its format cannot hold; left-out rows are counted by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from critic_engine.data.exports.row_format import RowFormat, TokenCount
from critic_engine.data.row_types import Preference, TrainingRow
from critic_engine.errors import GenerationError
from critic_engine.types import Image

ExclusionReason: TypeAlias = Literal[
    "not_unicode", "empty_prompt", "empty_answer", "equal_answers", "media_tag", "num_images", "not_encodable",
    "too_long",
]  # fmt: skip

MEANINGS: Mapping[ExclusionReason, str] = {
    "not_unicode": "its text holds half a surrogate pair",
    "empty_prompt": "its prompt has no word",
    "empty_answer": "an answer, or a step, has no word",
    "equal_answers": "the chosen and the rejected answer are the same",
    "media_tag": "its text holds what the trainer takes for an image, a video or the like",
    "num_images": "it has more or fewer images than the format holds",
    "not_encodable": "the model of the token count cannot read it, as when its text holds a control token, or when "
    "its chat template has no turn of the system's and the format begins with one",
    "too_long": "it has more tokens than the limit; nothing is ever cut",
}


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """The most tokens that a row may have."""

    max_tokens: int
    model: str
    """The model whose tokens are counted."""
    counter: TokenCount


def exclusion_reason(row: TrainingRow, row_format: RowFormat[Any]) -> ExclusionReason | None:
    """Return the reason to leave ``row`` out, lengths aside; None when it can be written."""
    texts = (row.prompt, *row.answers)
    if not all(map(_is_unicode, (*texts, row.source, *row.facts.values()))):
        return "not_unicode"
    if not row.prompt.strip():
        return "empty_prompt"
    if not row.answers or not all(answer.strip() for answer in row.answers):
        return "empty_answer"
    if isinstance(row, Preference) and row.chosen.strip() == row.rejected.strip():
        return "equal_answers"
    if any(tag in text for tag in row_format.reserved for text in texts):
        return "media_tag"
    fewest, most = row_format.num_images
    return None if fewest <= len(row.images) <= most else "num_images"


def length_exclusion(
    record: Mapping[str, Any], images: tuple[Image, ...], row_format: RowFormat[Any], limit: LengthLimit | None
) -> ExclusionReason | None:
    """Return the reason to leave out a row by the length of its ``record`` and ``images``; None when it fits."""
    if limit is None:
        return None
    try:
        num_tokens = row_format.num_tokens(record, images, limit.counter)
    except GenerationError:
        return "not_encodable"
    return "too_long" if num_tokens > limit.max_tokens else None


def _is_unicode(value: object) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
