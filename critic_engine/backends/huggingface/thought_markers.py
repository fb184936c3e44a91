"""The markers around a model's thoughts, found in its tokenizer and its chat template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from critic_engine.parsing.thoughts import find_openings

_HARMONY_TOKENS = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>")
_GEMMA_TOKENS = ("<|channel>", "<channel|>")


@dataclass(frozen=True, slots=True)
class ThoughtMarkers:
    """How a model sets its thoughts apart from its text."""

    opening: str
    """Text before a thought; a chat template may write it."""
    closing: str
    """Text behind it."""
    tokens: tuple[str, ...]
    """The tokens of the tokenizer that belong to markers; some may be special tokens."""
    always_thinks: bool = False
    """Whether every turn begins inside a thought, until the closing."""
    inner_end: str = ""
    """A token that ends a turn elsewhere, and not inside a thought; empty for none."""
    is_known_to_template: bool = True
    """Whether the chat template names a marker: the model was taught to think in this form."""

    @property
    def empty_thought(self) -> str:
        """A thought without a word, as a model that does not think is given it."""
        if self.always_thinks:
            return f"{self.opening}{self.inner_end}<|start|>assistant{self.closing}"
        gap = "\n\n" if self.opening.startswith("<") else ""
        return f"{self.opening}{gap}{self.closing}{gap}"

    def is_open(self, text: str) -> bool:
        """Return whether ``text``, the model's turn so far, ends inside a thought."""
        if self.always_thinks:
            return self.closing not in text
        return text.rfind(self.opening) > text.rfind(self.closing)


def find_markers(tokenizer: Any, template: str) -> ThoughtMarkers | None:
    """Return the markers of the model's thoughts; None if it knows none.

    Args:
        tokenizer: Its added tokens are looked through.
        template: The source of the chat template.
    """
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    if {"<|start|>", "<|channel|>", "<|message|>"} <= added:
        return ThoughtMarkers(
            "<|channel|>analysis<|message|>",
            "<|channel|>final<|message|>",
            tuple(token for token in _HARMONY_TOKENS if token in added),
            always_thinks=True,
            inner_end="<|end|>",
        )
    if set(_GEMMA_TOKENS) <= added:
        return ThoughtMarkers(
            "<|channel>thought", "<channel|>", _GEMMA_TOKENS, is_known_to_template=_GEMMA_TOKENS[0] in template
        )
    # Every Gemma has these tokens, and few think.
    if "<unused94>" in template:
        return ThoughtMarkers("<unused94>", "<unused95>", ("<unused94>", "<unused95>"))
    return _tags(template, added) or _tags(" ".join(sorted(added)), added, is_known_to_template=False)


def _tags(text: str, added: set[str], *, is_known_to_template: bool = True) -> ThoughtMarkers | None:
    """Return the pair of tags in ``text`` that closes first of all styles; one written as a single token goes first."""
    found = [
        (not {opening, closing} & added, place, opening, closing)
        for place, opening, closing in find_openings(text)
        if closing in text or closing in added
    ]
    if not found:
        # A template may cut thoughts off old turns by the closing alone.
        closings = [(place, token) for token in ("</think>", "[/THINK]") if (place := text.find(token)) >= 0]
        if not closings:
            return None
        closing = min(closings)[1]
        found = [(True, 0, closing.replace("/", ""), closing)]
    _, _, opening, closing = min(found)
    tokens = tuple(token for token in (opening, closing) if token in added)
    return ThoughtMarkers(opening, closing, tokens, is_known_to_template=is_known_to_template)
