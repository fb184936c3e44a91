"""Read numbers with their units, as the question asks for them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from critic_engine.parsing.answers.numerals import Numeral, leading_number, scale_factor
from critic_engine.parsing.answers.question import QuestionForm
from critic_engine.parsing.answers.units import PERCENT, Unit, read_unit
from critic_engine.parsing.answers.values import Quantity

_MAX_CHARACTERS = 160
_MONEY_BEFORE = re.compile(r"([+-]?) ?(US\$|[$€£¥₹₩₽]|USD|EUR|GBP|Rs\.?) ?(?=[0-9.+-])")
_PERCENT = re.compile(r"%|per ?cents?|pct\.?|percentage", re.IGNORECASE)
_MARKS = {'"': "in", "''": "in", "'": "ft"}
_TWO_UNITS = re.compile(
    r"([0-9]{1,9} ?[^\W\d_]{1,12}\.?|[0-9]{1,2}(?='))(?:,? and |,? |' ?)"
    r"([0-9][0-9.]{0,8} ?(?:[^\W\d_]{1,12}\.?|\"|''))"
)
_NOUN = re.compile(r"[^\W\d_πθ]{3,}(?:[ '-][^\W\d_πθ]+)*")
_MAX_NOUN_WORDS = 5
_SCALE_GRAIN = 10
"""A number in millions is often rounded to a tenth of itself."""
_NO_NOUNS = frozenset({
    "st", "nd", "rd", "th", "and", "or", "to", "more", "less", "fewer", "greater", "than", "plus", "minus", "times",
    "over", "by", "point", "remainder", "mod", "in", "is", "are", "was", "not", "if", "out", "half", "halves", "each",
    "about", "around", "approximately", "per", "through", "divided", "equals", "pi", "sqrt", "root", "squared",
    "hundred", "hundreds", "thousands", "millions", "billions",
})  # fmt: skip


def read_quantities(text: str, question: QuestionForm) -> tuple[Quantity, ...]:
    """Return the number that ``text`` is, with its unit, the likeliest first; none if it is anything else.

    A bare number is in the unit that the question asks for. The noun behind a number falls away where the question
    asks for that count. Where the question speaks of millions, 5 may be five millions.
    """
    if len(text) > _MAX_CHARACTERS:
        return ()
    sum_of_two = _in_two_units(text, question)
    if sum_of_two is not None:
        return (sum_of_two,)
    money = _MONEY_BEFORE.match(text)
    numeral = leading_number(f"{money[1]}{text[money.end() :]}" if money else text)
    if numeral is None or (money and money[1] and text[money.end()] in "+-"):
        return ()
    quantity = _with_money(numeral, money[2]) if money else _with_rest(numeral, question, text)
    return () if quantity is None else (quantity, *_in_another_scale(quantity, numeral.scale, question.words))


def _in_two_units(text: str, question: QuestionForm) -> Quantity | None:
    """Return the sum of "1 hour 30 minutes" or 5 ft 10 in; None if it is no such sum."""
    match = _TWO_UNITS.fullmatch(text)
    if match is None:
        return None
    texts = (f"{match[1]} ft" if match[1].isdigit() else match[1], match[2])
    found = [each for part in texts for each in read_quantities(part, question)[:1]]
    if len(found) < len(texts):
        return None
    large, small = found
    is_sum = large.unit.is_known and large.unit.dimension == small.unit.dimension != ""
    if not is_sum or large.unit.factor <= small.unit.factor or small.amount >= large.unit.factor:
        return None
    return Quantity(large.amount + small.amount, small.unit, small.grain, small.is_whole)


def _in_another_scale(quantity: Quantity, scale: str, said: frozenset[str]) -> Iterator[Quantity]:
    for word in sorted(said):
        factor = scale_factor(word)
        if factor > 1 and scale in ("", word.removesuffix("s")):
            amount = quantity.amount / factor if scale else quantity.amount * factor
            yield replace(quantity, amount=amount, grain=abs(amount) / _SCALE_GRAIN, is_whole=False)


def _with_money(numeral: Numeral, sign: str) -> Quantity | None:
    unit = read_unit(sign.rstrip("."))
    is_alone = not numeral.rest or read_unit(numeral.rest) == unit
    return _measured(numeral, unit) if unit is not None and is_alone else None


def _with_rest(numeral: Numeral, question: QuestionForm, text: str) -> Quantity | None:
    rest = numeral.rest
    if not rest:
        return _bare(numeral, question)
    if _PERCENT.fullmatch(rest):
        return _measured(numeral, PERCENT)
    unit = read_unit(_MARKS.get(rest, rest.strip("()").removesuffix(" old")))
    if unit is not None:
        return _measured(numeral, unit)
    words = rest.lower().split()
    is_noun = _NOUN.fullmatch(rest) and len(words) <= _MAX_NOUN_WORDS and _NO_NOUNS.isdisjoint(words)
    if not is_noun or leading_number(rest) or not text.endswith(f" {rest}"):
        return None
    if _is_counted(words, question):
        return _bare(numeral, question)
    noun = " ".join([*words[:-1], _singular(words[-1])])
    return Quantity(numeral.amount, Unit(f"of {noun}", is_known=False), numeral.grain, numeral.is_whole)


def _bare(numeral: Numeral, question: QuestionForm) -> Quantity:
    return replace(_measured(numeral, question.unit), is_bare=True)


def _measured(numeral: Numeral, unit: Unit) -> Quantity:
    grain = numeral.grain or Fraction(int(unit.is_percent and numeral.is_whole))  # "67%" is two thirds, rounded
    is_whole = numeral.is_whole and not unit.is_percent
    return Quantity(numeral.amount * unit.factor, unit, grain * unit.factor, is_whole)


def _is_counted(words: list[str], question: QuestionForm) -> bool:
    """Return whether the question names the noun, and counts it if it says what it counts."""
    forms = [{word, _singular(word), f"{word}s"} for word in words]
    is_named = all(not form.isdisjoint(question.words) for form in forms)
    return is_named and (not question.counted or any(not form.isdisjoint(question.counted) for form in forms))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
