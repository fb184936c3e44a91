"""The values that answers are read into; each has a key, and answers with equal keys mean the same."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from critic_engine.parsing.answers.units import NO_UNIT, Unit

_MAX_PLAIN_DIGITS = 80


@dataclass(frozen=True, slots=True)
class NamedChoice:
    """One of the problem's choices."""

    index: int
    """0-based."""
    text_key: str
    """The key of what it says: choices that say the same are not different."""

    @property
    def key(self) -> str:
        """The choice's letter in brackets."""
        return f"({choice_letter(self.index)})"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, with its unit if it has one."""

    amount: Fraction
    """In the basic unit of its dimension: 14 cm are 0.14, and 5% is 0.05."""
    unit: Unit = NO_UNIT
    """As it was written, or as the question asks for it."""
    grain: Fraction = Fraction(0)
    """The last digit's worth, by which a rounded number may differ from the exact one; 0 for a whole number or a
    fraction."""
    is_whole: bool = False
    """Whether it was written without decimals, as one whole number."""
    is_bare: bool = False
    """Whether it was written without a unit; ``unit`` is then what the question asks for."""

    @property
    def written(self) -> Fraction:
        """The number as it was written, in its own unit."""
        return self.amount / self.unit.factor

    @property
    def key(self) -> str:
        """The number as plainly as it can be written, and its dimension."""
        return f"{plain_number(self.amount)} {self.unit.dimension}".rstrip()


@dataclass(frozen=True, slots=True)
class Measure:
    """A unit of measure without a number."""

    unit: Unit

    @property
    def key(self) -> str:
        """Its size and dimension."""
        return f"unit of {self.unit.factor} {self.unit.dimension}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or a time of the day."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    minute: int | None = None
    """Minutes since midnight."""
    written: str = ""
    """The text, where it may be another date as well: "01/05/2020"."""

    @property
    def key(self) -> str:
        """The parts in order, with ``?`` for those unknown; the text where it is not clear."""
        if self.written:
            return self.written
        parts = ("?" if part is None else str(part) for part in (self.year, self.month, self.day, self.minute))
        return f"at {'-'.join(parts)}"


@dataclass(frozen=True, slots=True)
class Group:
    """Several values: a pair or an interval in its brackets, a set, or a list without brackets."""

    brackets: str
    """Both brackets, such as ``()``, ``[)`` or ``{}``, which is a set; empty for a list without them."""
    items: tuple["Value", ...]

    @property
    def key(self) -> str:
        """The items' keys between the brackets; those of a set are sorted, each once."""
        keys = [item.key for item in self.items]
        if self.brackets == "{}":
            keys = sorted(set(keys))
        return f"{self.brackets[:1]}{'; '.join(keys)}{self.brackets[1:]}"


@dataclass(frozen=True, slots=True)
class Formula:
    """Mathematics, without spaces that mean nothing."""

    text: str

    @property
    def key(self) -> str:
        """The text itself."""
        return self.text


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words, in the spelling that their variants share."""

    words: tuple[str, ...]
    asked: str = ""
    """The kind of word that the question asks for, such as a colour; empty if it names none."""

    @property
    def key(self) -> str:
        """The words with single spaces."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Unclear:
    """A text that can be compared with no other, such as two choices at once."""

    text: str

    @property
    def key(self) -> str:
        """The text itself."""
        return self.text


Value: TypeAlias = NamedChoice | Quantity | Measure | Moment | Group | Formula | Phrase | Unclear


def choice_letter(index: int) -> str:
    """Return the letter of the 0-based ``index``: A to Z, then AA, AB and so on."""
    letters = ""
    index += 1
    while index:
        index, place = divmod(index - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def plain_number(number: Fraction) -> str:
    """Return the number with its decimals if they end, else as a fraction in lowest terms."""
    rest, num_twos, num_fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, num_twos = rest // 2, num_twos + 1
    while rest % 5 == 0:
        rest, num_fives = rest // 5, num_fives + 1
    decimals = max(num_twos, num_fives)
    if rest != 1 or decimals > _MAX_PLAIN_DIGITS:
        return f"{number.numerator}/{number.denominator}"
    digits = str(abs(number.numerator) * 10**decimals // number.denominator).rjust(decimals + 1, "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"
