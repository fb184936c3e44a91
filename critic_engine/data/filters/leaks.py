"""Whether a critique gives the reference answer away, which would teach a critic to copy it."""

import re
from collections.abc import Iterator, Sequence

from critic_engine.data.filters.text_normalization import clean_text, normal_words
from critic_engine.parsing.answers import AnswerRelation, choice_letter
from critic_engine.parsing.answers.markup import bare
from critic_engine.parsing.answers.numerals import leading_number
from critic_engine.parsing.answers.values import Quantity, plain_number

_NUMBER = re.compile(
    r"(?<!\w)(?<![0-9][.,])(?P<sign>[+-] ?)?"
    r"(?P<digits>\.?[0-9][0-9,.]*+(?:e[+-]?[0-9]{1,2})?)(?!\w) ?(?P<percent>%?)",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    r"(?<![\w./])-?[0-9]{1,12} ?/ ?[0-9]{1,12}(?![\w/])|-?\\[dt]?frac ?\{ ?-?[0-9]{1,12} ?\} ?\{ ?-?[0-9]{1,12} ?\}"
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})*(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,2})?", re.IGNORECASE)
_MAX_DIGITS = 64
_UNIT_APART = re.compile(r"(?<=[0-9]) (?=[^\W\d_])")
_UNIT_JOINED = re.compile(r"(?<=[0-9])(?=[^\W\d_])")
_ENGLISH_WORDS = ("a", "i")
# fmt: off
_NUMBER_WORDS = {
    "zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14",
    "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20",
}
# fmt: on
_UNITS = frozenset({"one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
_TENS = frozenset({"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"})
_SCALES = frozenset({"hundred", "thousand", "million", "billion"})


def leaks_answer(words: str, references: Sequence[str], choices: Sequence[str] = ()) -> bool:
    """Return whether a critique's reason holds a reference answer as whole words, in one of the ways to write it.

    These are the answer as it was written, any number that means the same ("5" is in "5.0" and "5%", not in "15" or
    "5.3"; "1/2" is in "0.5"), its number without its unit, and for a choice its own text or its letter, as in "(B)",
    "option B" and "answer is B"; a letter on its own is none. Case, spacing and punctuation do not matter, but that the
    answers "a" and "i" are found as capitals alone.

    The words "zero" to "twenty" are their numbers, here and in an answer: "five chairs" holds "5", and "5" holds the
    answer "five"; "twenty-five" and "five hundred" hold neither. "one" is no number, as it is a pronoun far more often:
    "there is one" does not hold "1".

    Args:
        words: The reason alone: a verdict and the number of a step are to be taken out before.
        references: Every reference answer the problem has.
        choices: The problem's choices.
    """
    said = _Said(words)
    return any(said.gives_away(reference, choices) for reference in references)


class _Said:
    """A reason, read once for all reference answers."""

    def __init__(self, words: str) -> None:
        self._text = clean_text(words).replace("\N{MINUS SIGN}", "-").replace("\N{FRACTION SLASH}", "/")
        plain = normal_words(words)
        with_digits = _with_digits(plain)
        self._words = f" {' '.join(with_digits)} "
        spelled = {digits for word, digits in zip(plain, with_digits, strict=True) if word != digits}
        self._numbers = {*_numbers(self._text), *_fractions(self._text), *spelled}

    def gives_away(self, reference: str, choices: Sequence[str]) -> bool:
        index = AnswerRelation(choices=choices).choice_index(reference) if choices else None
        if index is None:
            return self._has(reference) or self._has(bare(reference))
        return self._names(choice_letter(index)) or self._has(choices[index])

    def _has(self, answer: str) -> bool:
        value = AnswerRelation().read(answer).value
        is_pronoun = answer.strip(" .").casefold() == "one"
        if isinstance(value, Quantity) and not is_pronoun:
            written = {plain_number(value.written)} | ({value.key} if value.unit.is_percent else set())
            if not written.isdisjoint(self._numbers):
                return True
            if value.is_bare and not any(map(str.isalpha, answer)):
                return False
        wanted = " ".join(_with_digits(normal_words(answer)))
        if not wanted:
            return bool(answer.strip()) and answer.strip().casefold() in self._text.casefold()
        if wanted in _ENGLISH_WORDS:
            return re.search(rf"(?<!\w){wanted.upper()}(?!\w)", self._text) is not None
        spellings = {wanted, _UNIT_APART.sub("", wanted), _UNIT_JOINED.sub(" ", wanted)}
        return any(f" {spelling} " in self._words for spelling in spellings)

    def _names(self, letter: str) -> bool:
        """Return whether the text names the choice of ``letter``; a small letter before a word may be an article."""
        named = (
            rf"\(?(?:{letter}(?!\w)|{letter.lower()}(?!\w)(?! {{0,4}}\w))"
            if letter.lower() in _ENGLISH_WORDS
            else rf"\(?(?i:{letter})(?!\w)"
        )
        label = r"(?<!\w)(?i:options?|choices?|answers?|letters?|select|choose|pick)(?!\w)"
        link = r"(?:[\s:=*_\"'`]{0,8}(?i:is|was|be|to|the|should|must|would|correct|right)(?!\w)){0,4}"
        forms = rf"(?<!\w)\(? {{0,2}}(?i:{letter}) {{0,2}}\)|{label}{link}[\s:=*_\"'`]{{0,8}}{named}"
        return re.search(forms, self._text) is not None


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers in ``text`` in canonical form, each with and without a possible sign and percent sign."""
    for match in _NUMBER.finditer(text):
        digits = match["digits"].rstrip(".,")
        for part in [digits] if "," not in digits or _THOUSANDS.fullmatch(digits) else digits.split(","):
            for sign in {"", (match["sign"] or "").strip()}:
                for is_percent in {False, bool(match["percent"])}:
                    yield from _plain(f"{sign}{part}", is_percent=is_percent)


def _fractions(text: str) -> Iterator[str]:
    """Yield the fractions in ``text`` in canonical form."""
    for match in _FRACTION.finditer(text):
        number = leading_number(re.sub(r"\\[dt]frac", r"\\frac", match[0]).replace("} {", "}{").replace("c {", "c{"))
        if number is not None:
            yield plain_number(number.amount)


def _plain(number: str, *, is_percent: bool) -> Iterator[str]:
    """Yield a number in canonical form; nothing for one that is too long."""
    if number.isdigit() and not is_percent and len(number) <= _MAX_DIGITS:
        yield number.lstrip("0") or "0"
        return
    numeral = leading_number(number)
    if numeral is not None:
        yield plain_number(numeral.amount / 100 if is_percent else numeral.amount)


def _with_digits(words: Sequence[str]) -> list[str]:
    """Return ``words`` with those that are numbers in digits; the parts of a longer number stay as they are."""
    around = ["", "", *words, ""]
    return [
        _NUMBER_WORDS.get(word, word) if not _is_part(word, around[at : at + 2], around[at + 3]) else word
        for at, word in enumerate(words)
    ]


def _is_part(word: str, before: Sequence[str], after: str) -> bool:
    """Return whether ``word`` is part of a longer number, such as "five" in "twenty five" or "a hundred and five"."""
    *_, last = before
    is_end = last in _TENS | _SCALES or (last == "and" and before[0] in _SCALES)
    return is_end or after in _SCALES or (word in _TENS and after in _UNITS)
