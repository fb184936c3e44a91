"""Find the choice that an answer names, by its letter or its text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.parsing.answers.values import choice_letter

_LETTERED = re.compile(
    r"(?:(?:(?:the|la|a|el|die) |l['’])?(?:correct )?"
    r"(?:option|choice|answer|letter|opción|opção|opzione|вариант|选项|選項)(?: is)?[ :]{1,2})?"
    r"(?:[(\[<{] ?([A-Za-z]{1,2}) ?[)\]>}]|([A-Za-z]{1,2})(?=$|[.):](?:\W|$)| [-:] ))[.):-]*(?= |$)(.*)",
    re.IGNORECASE,
)
_FURTHER = re.compile(r"[(\[]([A-Za-z]{1,2})[)\]]|\b(?:or|and|not|than|option|choice) ([A-Za-z]{1,2})(?=$|[.):,])")
_TURNED = re.compile(
    r"\b(?:wrong|incorrect|false|not|isn't|no|neither|unless|instead|but|rather|except|excluded?|eliminated?)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[$€£]?[+-]?[0-9.,/]+")


@dataclass(frozen=True, slots=True)
class ChoiceText:
    """One choice as it is written, and the key of what it says."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Pick:
    """The choice that an answer names."""

    index: int | None
    """0-based; None if the answer may name several, or says that it is none."""
    others: tuple[int, ...] = ()
    """Choices that it may name instead."""


def pick_choice(text: str, key: str, choices: Sequence[ChoiceText]) -> Pick | None:
    """Return the choice that ``text`` names; None if it names none.

    A bare letter names the choice of that letter, as a prompt asks for letters, though it may be another's text. A
    letter before words that contradict it, such as "C. 25" where C is 20, or "(B) is wrong", names none for certain.

    Args:
        text: The answer, without markup.
        key: The key of what it says by itself.
        choices: The problem's choices, in order.
    """
    said = [index for index, choice in enumerate(choices) if choice.text == text]
    said = said or [index for index, choice in enumerate(choices) if choice.key == key]
    match = _LETTERED.fullmatch(text)
    letter = _index(match[1] or match[2], len(choices)) if match else None
    if letter is None or match is None:
        return Pick(said[0], tuple(said[1:])) if said else None
    rest = match[3].lstrip(" .):-,").rstrip(" .,")
    if not rest:
        return Pick(letter, tuple(index for index in said if index != letter))
    if said:
        return Pick(said[0], tuple({*said[1:], letter} - {said[0]}))
    return _with_words(letter, rest, choices)


def _with_words(letter: int, rest: str, choices: Sequence[ChoiceText]) -> Pick:
    own = choices[letter]
    if rest.casefold() == own.text.casefold():
        return Pick(letter)
    further = {_index(each[1] or each[2], len(choices)) for each in _FURTHER.finditer(rest)} - {letter, None}
    words = _words(rest)
    named = [index for index, choice in enumerate(choices) if _holds(words, _words(choice.text))]
    is_own = letter in named
    is_turned = _TURNED.search(rest) is not None and not is_own
    is_contradicted = (bool(named) and not is_own) or (
        _NUMBER.match(rest) is not None and not is_own and _NUMBER.match(own.text) is not None
    )
    if further or is_turned or is_contradicted:
        return Pick(None)
    return Pick(letter)


def _index(letter: str, num_choices: int) -> int | None:
    letters = [choice_letter(index) for index in range(num_choices)]
    return letters.index(letter.upper()) if letter.upper() in letters else None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _holds(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether ``wanted`` stands in ``words``, in a row."""
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(words)} "
