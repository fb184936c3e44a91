"""Numbers as people write them: digits, fractions, mixed numbers, powers and words."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_MAX_DIGITS = 64
_MAX_EXPONENT = 99
_SIGN = r"(?P<sign>[+-]?)"
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?"
_EXPONENT = r"\^ ?(?:\{ ?(?P<exponent>[+-]?[0-9]{1,2}) ?\}|(?P<bare_exponent>[+-]?[0-9]{1,2}))"
_MIXED = re.compile(
    _SIGN + r"(?P<whole>[0-9]{1,12})(?: ?(?:\\frac\{ ?(?P<top>[0-9]{1,12}) ?\}\{ ?(?P<bottom>[0-9]{1,12}) ?\})"
    r"|(?: |-| and )(?P<plain_top>[0-9]{1,12})/(?P<plain_bottom>[0-9]{1,12}))"
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


def _in_words(text: str) -> Numeral | None:
    """Return the number that the first words are, such as "twenty-five", "one hundred and five" or "two thirds"."""
    if not text[:1].isalpha():
        return None
    total = current = 0
    end, last, is_begun = 0, "", False
    for match in _WORD.finditer(text[:200].lower()):
        word, gap = match[0], text[end : match.start()]
        if gap not in ("", " ", "-") or (not gap and end):
            break
        if word in _SMALL_WORDS and last in ("", "tens", "scale", "and"):
            if last == "tens" and not 0 < _SMALL_WORDS[word] < 10:
                break
            current, last = current + _SMALL_WORDS[word], "small"
        elif word in _TENS_WORDS and last in ("", "scale", "and"):
            current, last = current + _TENS_WORDS[word], "tens"
        elif word == "dozen" and last in ("small", "tens"):
            current, last = current * 12, "dozen"
        elif word == "hundred" and last == "small":
            current, last = current * 100, "scale"
        elif word in _SCALE_WORDS and word != "hundred" and last in ("small", "tens", "scale"):
            total, current, last = total + current * _SCALE_WORDS[word], 0, "scale"
        elif word == "and" and last == "scale":
            last = "and"
            end = match.end()
            continue
        elif word.removesuffix("s") in _PARTS or word in _PARTS:
            return _parts_of(word, total + current, text[match.end() :])
        elif not end and word in ("a", "an"):
            current, last = 1, "small"
            end = match.end()
            continue
        else:
            break
        end, is_begun = match.end(), True
    if not is_begun or last == "and":
        return None
    rest = text[end:]
    return (
        None
        if rest[:1].isalnum() or rest[:1] in ("-", "'")
        else Numeral(Fraction(total + current), is_whole=True, rest=rest.strip())
    )


def _parts_of(word: str, count: int, rest: str) -> Numeral | None:
    is_plural = word.endswith("s")
    if rest[:1].isalnum() or is_plural != (count > 1) or (not count and word != "half"):
        return None  # "twenty-fifth" is a place in a row
    bottom = _PARTS.get(word) or _PARTS[word.removesuffix("s")]
    return Numeral(Fraction(count if count else 1, bottom), rest=rest.strip())
