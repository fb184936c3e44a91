"""Compare answers."""

import decimal
import re
from collections.abc import Sequence
from fractions import Fraction

from critic_engine.parsing.answer_extraction import MARKUP, tidied

_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}")
_CHOICE_LETTER = re.compile(r"(?:(?:option|choice) )?(?:\(([a-z]{1,2})\)|([a-z]{1,2})(?=$|[.):]))(?:[.):]*$|[.):]* )")
_NUMBER = re.compile(r"([+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,2})?) ?(%?)")
_FURTHER_LETTER = re.compile(r"\(([a-z]{1,2})\)|\b(?:or|and) ([a-z]{1,2})(?=$|[.):,])")
_MAX_NUMBER_CHARACTERS = 64
_FRACTION = re.compile(r"([+-]?)(?:\\[dt]?frac ?\{([0-9]+)\} ?\{([0-9]+)\}|([0-9]+) ?/ ?([0-9]+))")
_ARTICLE = re.compile(r"\A(?:an?|the) (?=[^\W\d_]{2})")
_WORD_IN_MARKS = re.compile(r"[(\[]*([^\W\d_]+)[)\].,:;?]*")
_SIGN = r"=<>()\[\]{};:/*^°"
# Without its space "3, 400" would be the number 3,400.
_IDLE_SPACE = re.compile(
    rf" (?=[{_SIGN}]|[+-] |,(?![0-9]{{3}}(?![0-9])))|(?:(?<=[{_SIGN}])|(?<= [+-])) |(?<=,) (?![0-9]{{3}}(?![0-9]))"
    r"|(?<=[0-9]) (?=[^\W\d_])|(?<=[^\W\d_]) (?=[0-9])"
)
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-(?=[^\W\d_]{2})")
# One box and boxes, berry and berries, leaf and leaves.
_PLURAL_LETTERS = "esiyfv"
_MAX_WORDS = 6


def canonical_answer(answer: str, choices: Sequence[str] = ()) -> str:
    """Return a key that is equal for answers with the same meaning; votes count these keys.

    With choices, a letter ("B", "(b)", "B. two dogs") or a choice's own text becomes ``(B)``; "A dog" names no letter,
    and "(B) or (C)" names two. Numbers are written plainly: "14.0" and "+14" are "14", "1,000" is "1000", "5%" is
    "0.05". Any other text is lower-cased, with single spaces and no dot at its end.
    """
    return _key(_loosened(answer), choices)


def choice_index(answer: str, choices: Sequence[str]) -> int | None:
    """Return the 0-based index of the choice that ``answer`` names by text or letter; None if it names none."""
    return _named(_loosened(answer), choices)


def answers_match(given: str | None, reference: str, choices: Sequence[str] = ()) -> bool:
    """Return whether ``given`` and ``reference`` have the same key; a missing answer matches nothing."""
    return given is not None and canonical_answer(given, choices) == canonical_answer(reference, choices)


def is_same_answer(given: str, reference: str, choices: Sequence[str] = ()) -> bool | None:
    r"""Return whether two answers mean the same, in either order; None if that is uncertain.

    They do if they share a key, are the same number ("2/4", "\frac{1}{2}" and "0.5" are), or differ only in spaces
    without meaning ("x = 3", "14cm"), a leading article, or brackets and punctuation around one word.

    They differ only if that is certain, because labels depend on it:

    - with choices, if they name two choices with different texts;
    - as numbers, unless one may be the other rounded to some decimals ("0.33" and "1/3"), or only one is in percent;
    - as plain words, up to 6, of a script with capitals: unless all words of one are among the other's, apart from
      plurals and hyphens, or only one is a single letter, which may name a choice in the question. Synonyms ("sofa",
      "couch") are different answers.
    """
    left, right = _loosened(given), _loosened(reference)
    if _key(left, choices) == _key(right, choices):
        return True
    if choices:
        named, wanted = _named(left, choices), _named(right, choices)
        is_sure = named is not None and wanted is not None and not answers_match(choices[named], choices[wanted])
        return False if is_sure else None
    one, other = _number(left), _number(right)
    if one is not None and other is not None:
        return _is_same_number(left, right, abs(one - other))
    left, right = _bare(left), _bare(right)
    if left == right:
        return True
    return False if _are_other_words(left, right) else None


def choice_letter(index: int) -> str:
    """Return the letter of the 0-based ``index``: A to Z, then AA, AB and so on."""
    letters = ""
    index += 1
    while index:
        index, place = divmod(index - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def _is_same_number(left: str, right: str, distance: Fraction) -> bool | None:
    if not distance:
        return True
    if ("%" in left) != ("%" in right):
        return None
    decimals = [len(plain.partition(".")[2]) for plain in map(_plain_number, (left, right)) if plain is not None]
    num_kept = min(decimals, default=0)
    return None if num_kept and distance < Fraction(1, 10**num_kept) else False


def _number(loose: str) -> Fraction | None:
    plain = _plain_number(loose)
    if plain is not None:
        return Fraction(plain)
    match = _FRACTION.fullmatch(loose) if len(loose) <= _MAX_NUMBER_CHARACTERS else None
    if match is None:
        return None
    sign, *parts = match.groups()
    numerator, denominator = (int(part) for part in parts if part is not None)
    return Fraction(int(f"{sign}{numerator}"), denominator) if denominator else None


def _bare(loose: str) -> str:
    """Return the text without its article, the marks around a single word, and spaces without meaning."""
    text = _ARTICLE.sub("", loose)
    word = _WORD_IN_MARKS.fullmatch(text)
    return word[1] if word else _IDLE_SPACE.sub("", text)


def _are_other_words(left: str, right: str) -> bool:
    words, others = (_HYPHEN.sub(" ", text).split() for text in (left, right))
    # Case is folded: a word that is not lower case is of a script without capitals, which may not separate words.
    is_plain = all(word.isalpha() and word.islower() for word in (*words, *others))
    if not is_plain or max(len(words), len(others)) > _MAX_WORDS or (len(left) == 1) != (len(right) == 1):
        return False
    stems, other_stems = ({word.rstrip(_PLURAL_LETTERS) for word in each} for each in (words, others))
    joined, other_joined = ("".join(each).rstrip(_PLURAL_LETTERS) for each in (words, others))
    return not (stems <= other_stems or other_stems <= stems or joined == other_joined)


def _key(loose: str, choices: Sequence[str]) -> str:
    index = _named(loose, choices)
    return _plain(loose) if index is None else f"({choice_letter(index)})"


def _named(loose: str, choices: Sequence[str]) -> int | None:
    plain = _plain(loose)
    texts = [_plain(_loosened(choice)) for choice in choices]
    return texts.index(plain) if plain in texts else _lettered_choice(loose, len(choices))


def _plain(loose: str) -> str:
    return _plain_number(loose) or loose


def _loosened(answer: str) -> str:
    bare = tidied(answer).strip("$ ").replace("−", "-")
    bare = _TEXT_COMMAND.sub(r"\1", bare).replace(r"\%", "%").strip("\"'" + MARKUP)
    return bare.casefold().rstrip(". ")


def _plain_number(text: str) -> str | None:
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER_CHARACTERS else None
    digits = match[1].replace(",", "") if match else ""
    if match is None or not any(character.isdigit() for character in digits.partition("e")[0]):
        return None
    number = decimal.Decimal(digits).scaleb(-2 if match[2] else 0, decimal.Context(prec=2 * _MAX_NUMBER_CHARACTERS))
    whole, _, fraction = format(number, "f").partition(".")
    plain = whole + ("." + fraction.rstrip("0") if fraction.rstrip("0") else "")
    return "0" if plain == "-0" else plain


def _lettered_choice(loose: str, num_choices: int) -> int | None:
    match = _CHOICE_LETTER.match(loose)
    if match is None:
        return None
    letters = [choice_letter(index) for index in range(num_choices)]
    letter = (match[1] or match[2]).upper()
    further = {(each[1] or each[2]).upper() for each in _FURTHER_LETTER.finditer(loose)} - {letter}
    return letters.index(letter) if letter in letters and further.isdisjoint(letters) else None
