"""Faults of a critique that its text alone shows."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from critic_engine.data.filters.text_normalization import normal_words
from critic_engine.parsing.answer_extraction import announces_answer

TextFault: TypeAlias = Literal["empty", "too_long", "answers", "repeats"]

_MAX_PHRASE_WORDS = 6
_LONGEST_WORD = 40
_MAX_REPEATED_SHARE = 0.5


def text_fault(words: str, *, max_characters: int) -> TextFault | None:
    """Return why a critique's text is unfit for training; None when nothing is wrong with it.

    ``empty`` has no letter or digit, ``too_long`` too many characters, ``answers`` states a final answer (see
    ``announces_answer``), ``repeats`` says one thing over and over: its ``repeated_share`` is above 0.5. The first of
    them that applies is named.
    """
    if not any(map(str.isalnum, words)):
        return "empty"
    if len(words) > max_characters:
        return "too_long"
    if announces_answer(words):
        return "answers"
    return "repeats" if repeated_share(words) > _MAX_REPEATED_SHARE else None


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
