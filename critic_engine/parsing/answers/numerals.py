"""Numbers as people write them: digits, fractions, mixed numbers, powers and words."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_MAX_DIGITS = 64
_MAX_EXPONENT = 99
_MAX_SPOKEN = 200
_SIGN = r"(?P<sign>[+-]?)"
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?"
_EXPONENT = r"\^ ?(?:\{ ?(?P<exponent>[+-]?[0-9]{1,3}) ?\}|(?P<bare_exponent>[+-]?[0-9]{1,3}))"
_MIXED = re.compile(
    _SIGN + r"(?P<whole>[0-9]{1,12})(?: ?(?:\\frac\{ ?(?P<top>[0-9]{1,12}) ?\}\{ ?(?P<bottom>[0-9]{1,12}) ?\})"
    r"| (?P<plain_top>[0-9]{1,12})/(?P<plain_bottom>[0-9]{1,12}))"
)
_FRACTION = re.compile(_SIGN + rf"\\frac\{{ ?(?P<top>-?(?:{_DECIMAL})) ?\}}\{{ ?(?P<bottom>-?(?:{_DECIMAL})) ?\}}")
_RATIO = re.compile(_SIGN + rf"(?P<top>{_DECIMAL}) ?/ ?(?P<bottom>{_DECIMAL})")
_SCIENTIFIC = re.compile(
    _SIGN + rf"(?P<mantissa>{_DECIMAL})(?: ?[*x] ?10{_EXPONENT}|[eE](?P<e>[+-]?[0-9]{{1,2}})(?![0-9]))"
)
_POWER = re.compile(_SIGN + rf"(?P<base>[0-9]{{1,12}}) ?{_EXPONENT}")
_PLAIN = re.compile(_SIGN + rf"(?P<digits>{_DECIMAL})")
_GOES_ON = re.compile(r" ?(?:[.,]?[0-9]|[\^_!/\\]|\.\.|[+*=<>:](?!$)|-(?=[0-9.\\(]))")
_WORD = re.compile(r"[^\W\d_]+")

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL_WORDS = {word: value for value, word in enumerate(_SMALL.split())}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS_WORDS = {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_SCALE_WORDS = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10,
}  # fmt: skip
_SCALE = re.compile(r" ?(thousand|million|billion|trillion|mn|bn|dozen)(?![^\W\d_])", re.IGNORECASE)
_SCALES = {"mn": 10**6, "bn": 10**9, "dozen": 12} | _SCALE_WORDS


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number at the start of a text."""

    amount: Fraction
    grain: Fraction = Fraction(0)
    """The last digit's worth, by which a rounded number may be off; 0 for a whole number or a fraction."""
    is_whole: bool = False
    """Whether it is one whole number."""
    rest: str = ""
    """The text behind it, stripped."""
    scale: str = ""
    """The word that multiplied it, such as "million"; in lower case."""


def scale_factor(word: str) -> int:
    """Return the number that a word such as "million" multiplies by; 1 for any other word."""
    return _SCALES.get(word.removesuffix("s"), 1)


def leading_number(text: str) -> Numeral | None:
    """Return the number at the start of ``text`` and what stands behind it; None if it begins with none."""
    found = _in_digits(text) or _in_words(text)
    if found is None:
        return None
    scale = _SCALE.match(f" {found.rest}")
    if scale is None:
        return found
    factor = _SCALES[scale[1].lower()]
    is_exact = factor == 12 or (not found.is_whole and not found.grain)
    grain = Fraction(0) if is_exact else factor * (found.grain or Fraction(1, 2))
    rest = f" {found.rest}"[scale.end() :].strip()
    amount = found.amount * factor
    return Numeral(amount, grain, is_exact and amount.denominator == 1, rest, scale[1].lower())


def _in_digits(text: str) -> Numeral | None:
    for pattern in (_MIXED, _FRACTION, _RATIO, _SCIENTIFIC, _POWER, _PLAIN):
        match = pattern.match(text)
        if match is None or match.end() > 2 * _MAX_DIGITS:
            continue
        rest = text[match.end() :]
        if _GOES_ON.match(rest):
            continue
        numeral = _READERS[pattern](match.groupdict())
        if numeral is not None:
            amount = -numeral.amount if match["sign"] == "-" else numeral.amount
            return Numeral(amount, numeral.grain, numeral.is_whole, rest.strip())
    return None


def _decimal(digits: str | None) -> Numeral | None:
    plain = (digits or "").replace(",", "").replace(" ", "")
    unsigned = plain.removeprefix("-")
    if not unsigned or len(unsigned) > _MAX_DIGITS:
        return None
    num_decimals = len(unsigned.partition(".")[2])
    amount = Fraction(plain)
    return Numeral(amount, Fraction(1, 10**num_decimals) if num_decimals else Fraction(0), not num_decimals)


def _mixed(parts: dict[str, str | None]) -> Numeral | None:
    top = int(parts["top"] or parts["plain_top"] or 0)
    bottom = int(parts["bottom"] or parts["plain_bottom"] or 0)
    return Numeral(int(parts["whole"] or 0) + Fraction(top, bottom)) if top < bottom else None


def _fraction(parts: dict[str, str | None]) -> Numeral | None:
    top, bottom = _decimal(parts["top"]), _decimal(parts["bottom"])
    return None if top is None or bottom is None or not bottom.amount else Numeral(top.amount / bottom.amount)


def _scientific(parts: dict[str, str | None]) -> Numeral | None:
    mantissa = _decimal(parts["mantissa"])
    exponent = int(parts["exponent"] or parts["bare_exponent"] or parts["e"] or 0)
    if mantissa is None or abs(exponent) > _MAX_EXPONENT:
        return None
    scale = Fraction(10) ** exponent
    return Numeral(mantissa.amount * scale, scale * (mantissa.grain or Fraction(1, 2)))


def _power(parts: dict[str, str | None]) -> Numeral | None:
    base, exponent = int(parts["base"] or 0), int(parts["exponent"] or parts["bare_exponent"] or 0)
    is_small = (base > 0 or exponent > 0) and len(parts["base"] or "") * abs(exponent) <= 4 * _MAX_DIGITS
    return Numeral(Fraction(base) ** exponent, is_whole=exponent >= 0) if is_small else None


_READERS: dict[re.Pattern[str], Callable[[dict[str, str | None]], Numeral | None]] = {
    _MIXED: _mixed,
    _FRACTION: _fraction,
    _RATIO: _fraction,
    _SCIENTIFIC: _scientific,
    _POWER: _power,
    _PLAIN: lambda parts: _decimal(parts["digits"]),
}


@dataclass(slots=True)
class _Spoken:
    """A number as its words come."""

    total: int = 0
    current: int = 0
    last: str = ""
    """The kind of the last word: small, tens, scale, and, dozen, article."""

    def take(self, word: str) -> bool:
        """Take one more word; False if the number ends before it."""
        if word in _SMALL_WORDS:
            is_next = self.last in ("", "scale", "and") or (self.last == "tens" and 0 < _SMALL_WORDS[word] < 10)
            return is_next and self._become(self.current + _SMALL_WORDS[word], "small")
        if word in _TENS_WORDS:
            return self.last in ("", "scale", "and") and self._become(self.current + _TENS_WORDS[word], "tens")
        if word in ("a", "an"):
            return not self.last and self._become(1, "article")
        if word in ("hundred", "dozen"):
            scale = _SCALES[word]
            return self.last in ("small", "article") and self._become(
                self.current * scale, "scale" if scale == 100 else word
            )
        if word in _SCALE_WORDS and self.last in ("small", "tens", "scale", "article"):
            self.total += self.current * _SCALE_WORDS[word]
            return self._become(0, "scale")
        return word == "and" and self.last == "scale" and self._become(self.current, "and")

    def _become(self, current: int, last: str) -> bool:
        self.current, self.last = current, last
        return True


def _in_words(text: str) -> Numeral | None:
    """Return the number that the first words are, such as "twenty-five", "one hundred and five" or "two thirds"."""
    spoken, end = _Spoken(), 0
    for match in _WORD.finditer(text[:_MAX_SPOKEN].lower()):
        if text[end : match.start()] not in (("",) if not end else (" ", "-")):
            break
        if match[0].removesuffix("s") in _PARTS or match[0] in _PARTS:
            return _parts_of(match[0], spoken.total + spoken.current, text[match.end() :])
        if not spoken.take(match[0]):
            break
        end = match.end()
    rest, total = text[end:], Fraction(spoken.total + spoken.current)
    if spoken.last in ("", "and", "article") or rest[:1].isalnum() or rest.startswith(("-", "'")):
        return None
    if rest.lower().startswith(" and a half"):
        return Numeral(total + Fraction(1, 2), rest=rest[11:].strip())
    return Numeral(total, is_whole=True, rest=rest.strip())


def _parts_of(word: str, count: int, rest: str) -> Numeral | None:
    is_plural = word.endswith("s")
    if rest[:1].isalnum() or is_plural != (count > 1) or (not count and word != "half"):
        return None  # "twenty-fifth" is a place in a row
    bottom = _PARTS.get(word) or _PARTS[word.removesuffix("s")]
    return Numeral(Fraction(count if count else 1, bottom), rest=rest.strip())
