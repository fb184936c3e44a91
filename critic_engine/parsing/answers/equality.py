"""Tell whether two answers mean the same: surely, surely not, or unsure."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from critic_engine.parsing.answers.formulas import formula_of, in_both_logarithms
from critic_engine.parsing.answers.lexicon import are_other_words, is_no_number, is_of_kind
from critic_engine.parsing.answers.reading import ReadAnswer
from critic_engine.parsing.answers.units import NO_UNIT, dimension_units
from critic_engine.parsing.answers.values import Formula, Group, Measure, Moment, NamedChoice, Phrase, Quantity, Value

Prover: TypeAlias = Callable[[str, str], bool | None]
"""Tells whether two formulas in LaTeX are equal; None if it cannot."""

# Two numbers so near to each other may be one, computed in two ways; whole numbers are apart.
_NOISE = Fraction(1, 10_000)
_CONVERSION_NOISE = Fraction(1, 50)
# The dimensions whose units are all in the table: a bare 25 may be in °C and the other in °F.
_WHOLE_DIMENSIONS = ("m", "kg", "USD")
_CURRENCIES = frozenset({"USD", "EUR", "GBP", "INR", "KRW", "RUB"})
# Neither is a time of the day.
_RATIO = re.compile(r"([0-9]{1,9}):([1-9]|[1-9][0-9]{2,8})")
_INEQUALITY = re.compile(r"([^<>=≠]{1,40})([<>]=?|≠)([^<>=≠]{1,40})")
_SCALES = (1, 10**3, 10**6, 10**9, 10**12)


def compare(left: ReadAnswer, right: ReadAnswer, prover: Prover) -> bool | None:
    """Return whether two answers to one question mean the same; None if that is unsure.

    They do if their keys are equal, or the prover finds their mathematics equal. They differ only if that is certain
    of every value that the one may have and every value that the other may have.
    """
    if left.key == right.key:
        return True
    found = [
        _compare(one, other, prover)
        for one in (left.value, *left.others)
        for other in (right.value, *right.others)
    ]  # fmt: skip
    if found == [True]:
        return True
    return False if set(found) == {False} else None


def _compare(left: Value, right: Value, prover: Prover) -> bool | None:
    if left.key == right.key:
        return True
    if isinstance(left, Group) and isinstance(right, Group):
        return _compare_groups(left, right, prover)
    if _differ(left, right):
        return False
    formulas = formula_of(left), formula_of(right)
    if formulas[0] is None or formulas[1] is None or (isinstance(left, Quantity) and isinstance(right, Quantity)):
        return None
    found = {prover(*pair) for pair in in_both_logarithms(formulas[0], formulas[1])}
    return found.pop() if len(found) == 1 else None


def _differ(left: Value, right: Value) -> bool:
    if isinstance(left, NamedChoice) and isinstance(right, NamedChoice):
        return left.text_key != right.text_key
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return _are_other_quantities(left, right)
    if isinstance(left, Measure) and isinstance(right, Measure):
        dimensions = {left.unit.dimension, right.unit.dimension}
        return len(dimensions) == 1 or all(map(str.isalpha, dimensions))  # a kilowatt times an hour is a kWh
    if isinstance(left, Formula) and isinstance(right, Formula):
        return _are_other_formulas(left.text, right.text)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return _are_other_moments(left, right)
    if isinstance(left, Phrase) and isinstance(right, Phrase):
        is_letter = len(left.key) == len(right.key) == 1
        if is_letter:
            return left.key.casefold() != right.key.casefold()
        return are_other_words(left.words, right.words, asked=left.asked)
    if isinstance(left, Phrase):
        left, right = right, left
    if not isinstance(left, Quantity) or not isinstance(right, Phrase):
        return False
    if not left.unit.is_known:
        return False  # "3 red circles" may be red
    return (abs(left.amount) > 1 and is_no_number(right.words)) or is_of_kind(right.words, right.asked)


def _are_other_formulas(left: str, right: str) -> bool:
    """Return whether two infinities, ratios or inequalities surely differ, as they do in nothing but one sign."""
    if {left.lstrip("+-"), right.lstrip("+-")} == {"∞"}:
        return left.startswith("-") != right.startswith("-")
    ratios = _RATIO.fullmatch(left), _RATIO.fullmatch(right)
    if ratios[0] and ratios[1]:
        (one, two), (three, four) = ((int(part) for part in ratio.groups()) for ratio in ratios if ratio)
        return one * four != two * three
    sides = _INEQUALITY.fullmatch(left), _INEQUALITY.fullmatch(right)
    return (
        sides[0] is not None
        and sides[1] is not None
        and ((sides[0][1], sides[0][3]) == (sides[1][1], sides[1][3]) and sides[0][2] != sides[1][2])
    )


def _are_other_quantities(left: Quantity, right: Quantity) -> bool:
    currencies = {left.unit.dimension, right.unit.dimension}
    if len(currencies) == 2 and currencies <= _CURRENCIES and not left.is_bare | right.is_bare:
        return True
    if not left.unit.is_known and not right.unit.is_known:
        nouns = (each.unit.dimension.removeprefix("of ").split() for each in (left, right))
        if are_other_words(*nouns):
            return True
    if left.is_bare != right.is_bare:
        bare, measured = (left, right) if left.is_bare else (right, left)
        if _may_be_measured(bare, measured):
            return False
        if measured.unit.is_percent or (bare.unit == NO_UNIT and measured.unit.dimension in _WHOLE_DIMENSIONS):
            return True
        return bare.unit.dimension == measured.unit.dimension and _are_apart(bare, measured)
    if left.unit.is_percent and left.is_bare and right.is_bare:
        # Asked for a percentage, 0.45 may be 45.
        return _are_apart(left, right) and not any(_is_near(one.written, other.amount, _NOISE)
                                                   for one, other in ((left, right), (right, left)))  # fmt: skip
    return left.unit.dimension == right.unit.dimension and _are_apart(left, right)


def _may_be_measured(bare: Quantity, measured: Quantity) -> bool:
    """Return whether a bare number may be the other with its unit left out: in that unit, or in one like it."""
    unit = measured.unit
    if not unit.is_known:
        return True  # "2 pairs" may be 4
    if unit.is_percent:
        candidates = {measured.amount, measured.written}
        return any(_is_rounded(bare.written, each, bare, measured) for each in candidates)
    if any(_is_near(bare.written, measured.written * scale, _NOISE) for scale in _SCALES):
        return True  # 5 K may be 5,000
    factors = (other.factor for other in dimension_units(unit.dimension))
    return any(_is_near(bare.written * factor, measured.amount, _CONVERSION_NOISE) for factor in factors)


def _is_rounded(number: Fraction, other: Fraction, bare: Quantity, measured: Quantity) -> bool:
    grain = max(bare.grain / bare.unit.factor, measured.grain, measured.grain / measured.unit.factor)
    return abs(number - other) < grain or _is_near(number, other, _NOISE)


def _are_apart(left: Quantity, right: Quantity) -> bool:
    """Return whether two numbers of one dimension differ by more than rounding explains."""
    distance = abs(left.amount - right.amount)
    if left.unit.factor != right.unit.factor:
        grain = max(each.grain or (each.unit.factor if each.is_whole else 0) for each in (left, right))
        return distance >= grain and not _is_near(left.amount, right.amount, _CONVERSION_NOISE)
    if left.is_whole and right.is_whole:
        return True
    if any(one.grain == one.unit.factor / 1000 and one.amount * 1000 == other.amount
           for one, other in ((left, right), (right, left))):  # fmt: skip
        return False  # "1.500" may be 1,500
    grain = max(left.grain, right.grain)
    if (left.is_whole or right.is_whole) and grain < left.unit.factor:
        grain = Fraction(0)
    return distance >= grain and not _is_near(left.amount, right.amount, _NOISE)


def _is_near(left: Fraction, right: Fraction, noise: Fraction) -> bool:
    return abs(left - right) <= noise * max(abs(left), abs(right))


def _are_other_moments(left: Moment, right: Moment) -> bool:
    pairs = ((left.year, right.year), (left.month, right.month), (left.day, right.day), (left.minute, right.minute))
    return any(one != other for one, other in pairs if one is not None and other is not None)


def _compare_groups(left: Group, right: Group, prover: Prover) -> bool | None:
    """Return whether two groups are the same: item by item in equal brackets, as sets otherwise."""
    shapes = {left.brackets, right.brackets}
    if len(shapes) == 2 and shapes & {"[)", "(]"} and shapes <= {"[)", "(]", "()", "[]"}:
        return False
    is_ordered = left.brackets == right.brackets != "{}"
    if is_ordered and len(left.items) == len(right.items):
        found = {_compare(one, other, prover) for one, other in zip(left.items, right.items, strict=True)}
        if found == {True}:
            return True
        if left.brackets:
            return False if False in found else None
    table = [[_compare(one, other, prover) for other in right.items] for one in left.items]
    lines = [*table, *(list(column) for column in zip(*table, strict=True))]
    if any(set(line) == {False} for line in lines):
        return False
    is_set = left.brackets == right.brackets == "{}"
    return True if is_set and all(True in line for line in lines) else None
