"""Faults of a critique that its text alone shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.data.filters.text_normalization import normal_words
from critic_engine.parsing.answers import stated_answer

TextFault: TypeAlias = Literal["empty", "too_long", "answers", "repeats"]

_MAX_PHRASE_WORDS = 6
_LONGEST_WORD = 40


@dataclass(frozen=True, slots=True)
class CritiqueTextOptions:
    """The limits on the text of a critique."""

    max_characters: int = 4000
    """The most characters of a text; at least 1."""
    max_repeated_share: float = 0.5
    """The largest share of phrases that may repeat an earlier one, in [0, 1]; see ``repeated_share``."""

    def __post_init__(self) -> None:
        """Refuse limits out of range."""
        if self.max_characters < 1:
            raise ValueError(f"max_characters is {self.max_characters}; it must be at least 1")
        if not 0 <= self.max_repeated_share <= 1:
            raise ValueError(f"max_repeated_share is {self.max_repeated_share}; it must be in [0, 1]")


_OPTIONS = CritiqueTextOptions()


def text_fault(words: str, options: CritiqueTextOptions = _OPTIONS) -> TextFault | None:
    """Return why a critique's text is unfit for training; None when nothing is wrong with it.

    ``empty`` has no letter or digit, ``too_long`` too many characters, ``answers`` states a final answer (see
    ``stated_answer``), ``repeats`` says one thing over and over. The first of them that applies is named.
    """
    if not any(map(str.isalnum, words)):
        return "empty"
    if len(words) > options.max_characters:
        return "too_long"
    if stated_answer(words) is not None:
        return "answers"
    return "repeats" if repeated_share(words) > options.max_repeated_share else None


def repeated_share(text: str) -> float:
    """Return the share, in [0, 1), of the phrases in ``text`` that repeat an earlier phrase.

    A phrase is any run of six words, or of half as many words as the text has where these are fewer. A text said k
    times over has a share of about 1 - 1/k. Characters of a word of more than 40 count as words.
    """
    words = [piece for word in normal_words(text) for piece in _pieces(word)]
    num_words = min(_MAX_PHRASE_WORDS, max(1, len(words) // 2))
    phrases = [tuple(words[start : start + num_words]) for start in range(len(words) - num_words + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


def _pieces(word: str) -> Sequence[str]:
    return [word] if len(word) <= _LONGEST_WORD else word
