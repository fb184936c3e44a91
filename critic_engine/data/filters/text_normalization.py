"""Normalising text to its words: case, spacing, punctuation and invisible characters are dropped."""

import re
import unicodedata

_MAX_MARKS = (
    8  # Unicode's normal forms sort the marks on one letter, in time that grows with the square of their number
)
_PLACEHOLDER = re.compile(r"<image[ _]?[0-9]{0,2}>", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_BARE_FRACTION = re.compile(r"(?<![\w.])\.(?=[0-9])")
_SIGN = re.compile(r"(?<!\*)[*-](?= ?[0-9])")
_DOT = re.compile(r"(?<![0-9])\.|\.(?![0-9])")
_PUNCTUATION = str.maketrans({"-": " ", "*": " "})
_SIGN_NAMES = {"-": " \N{MINUS SIGN} ", "*": " \N{MULTIPLICATION SIGN} "}
_LONE_SCRIPTS = ("CJK ", "HIRAGANA ", "KATAKANA ", "HANGUL ")  # a run of their letters is no single word


def clean_text(text: str) -> str:
    """Return ``text`` in Unicode's form NFKC, without invisible characters; every other control is a space."""
    if text.isascii():
        return "".join(character if character.isprintable() else " " for character in text)
    kept: list[str] = []
    num_marks = 0
    for character in text:
        num_marks = num_marks + 1 if unicodedata.combining(character) else 0
        category = unicodedata.category(character)
        if category != "Cf" and num_marks <= _MAX_MARKS:
            kept.append(" " if category in ("Cc", "Zs", "Zl", "Zp") else character)
    return unicodedata.normalize("NFKC", "".join(kept))


def normal_words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, in order; equal for texts that differ only in appearance.

    Symbols of arithmetic are words, as "3 + 4" and "3 - 4" ask different things; other punctuation is not. Thousands
    lose their commas and ".5" is "0.5". Letters of scripts without spaces are a word each. Placeholders of images,
    such as ``<image>``, are no part of the text.
    """
    plain = _PLACEHOLDER.sub(" ", clean_text(text)).casefold().replace("\N{MINUS SIGN}", "-")
    plain = _BARE_FRACTION.sub("0.", _THOUSANDS.sub("", plain))
    plain = _SIGN.sub(lambda sign: _SIGN_NAMES[sign[0]], plain).translate(_PUNCTUATION)
    return "".join(map(_spaced, _DOT.sub(" ", plain))).split()


def _spaced(character: str) -> str:
    """Return the replacement of a character: itself within a word, itself between spaces, or a space."""
    if character.isascii():
        if character.isalnum() or character == ".":
            return character
        return f" {character} " if character in "+/<=>^%|~" else " "
    category = unicodedata.category(character)
    if category[0] in "LNM":
        is_alone = unicodedata.name(character, "").startswith(_LONE_SCRIPTS)
        return f" {character} " if is_alone else character
    return f" {character} " if category in ("Sm", "So") else " "
