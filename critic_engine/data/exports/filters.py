"""Which rows a format cannot take, and why: each is left out and counted under its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

from critic_engine.data.exports.layouts import Layout
from critic_engine.data.records import Preference, StepLabelled, TrainingRow
from critic_engine.errors import GenerationError
from critic_engine.types import Message

Reason: TypeAlias = Literal[
    "not_unicode", "empty_prompt", "empty_answer", "equal_answers", "media_tag", "num_images", "not_encodable",
    "too_long",
]  # fmt: skip

MEANINGS: Mapping[Reason, str] = MappingProxyType(
    {
        "not_unicode": "its text holds half a surrogate pair",
        "empty_prompt": "its prompt has no word",
        "empty_answer": "an answer, or a step, has no word",
        "equal_answers": "the chosen and the rejected answer are the same",
        "media_tag": "its text holds what the trainer takes for an image, a video or the like",
        "num_images": "it has more or fewer images than the format holds",
        "not_encodable": "the model of the token count cannot read it, as when its text holds a control token",
        "too_long": "it has more tokens than the limit; nothing is ever cut",
    }
)


class TokenCount(Protocol):
    """What counts tokens."""

    def count(self, messages: tuple[Message, ...]) -> int:
        """Return the tokens of a whole dialogue, image tokens included.

        Raises:
            GenerationError: it cannot be encoded.
        """
        ...


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """How long a row may be, by whose count."""

    max_tokens: int
    model: str
    """Whose count it is."""
    counter: TokenCount


def reason_against(row: TrainingRow, layout: Layout[Any], limit: LengthLimit | None) -> Reason | None:
    """Return why ``row`` is left out; None when it is written."""
    answers = answers_of(row)
    texts = (row.prompt, *answers)
    if not all(map(_is_unicode, (*texts, row.source, *filter(_is_text, row.facts.values())))):
        return "not_unicode"
    if not row.prompt.strip():
        return "empty_prompt"
    if not answers or not all(answer.strip() for answer in answers):
        return "empty_answer"
    if isinstance(row, Preference) and row.chosen.strip() == row.rejected.strip():
        return "equal_answers"
    if any(tag in text for tag in layout.reserved for text in texts):
        return "media_tag"
    fewest, most = layout.num_images
    if not fewest <= len(row.images) <= most:
        return "num_images"
    return None if limit is None else _too_long(row, layout, limit)


def answers_of(row: TrainingRow) -> tuple[str, ...]:
    """Return what a row has for the assistant to say: both sides of a preference, every step of a solution."""
    match row:
        case Preference():
            return (row.chosen, row.rejected)
        case StepLabelled():
            return row.steps
        case _:
            return (row.completion,)


def _too_long(row: TrainingRow, layout: Layout[Any], limit: LengthLimit) -> Reason | None:
    prompt = Message("user", row.prompt, row.images if layout.has_images else ())
    answers = ("\n".join(row.steps),) if isinstance(row, StepLabelled) else answers_of(row)
    try:
        lengths = [limit.counter.count((prompt, Message("assistant", answer))) for answer in answers]
    except GenerationError:
        return "not_encodable"
    return "too_long" if max(lengths) > limit.max_tokens else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_unicode(text: object) -> bool:
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True
