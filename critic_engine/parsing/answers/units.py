"""Units of measure: their names and symbols, how many of the basic unit they are, and what they measure.

Factors are those of the International System of Units and of the international yard and pound (1959), all exact.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

_MAX_POWER = 9
_NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure, or what a number counts."""

    dimension: str = ""
    """The basic unit with its powers, such as ``m s^-1``; empty for a bare number."""
    factor: Fraction = Fraction(1)
    """How many of the basic unit it is."""
    is_percent: bool = False
    """Whether it is a hundredth by the sign or the word for it."""
    is_known: bool = True
    """Whether it stands in the table; a noun, such as the apples of "7 apples", does not."""

    def __pow__(self, power: int) -> "Unit":
        """Return the unit to a power other than 0."""
        return Unit(_text({base: each * power for base, each in _powers(self.dimension).items()}), self.factor**power)

    def __mul__(self, other: "Unit") -> "Unit":
        """Return the product of both units."""
        powers = dict(_powers(self.dimension))
        for base, power in _powers(other.dimension).items():
            powers[base] = powers.get(base, 0) + power
        return Unit(_text(powers), self.factor * other.factor)


NO_UNIT = Unit()
PERCENT = Unit("", Fraction(1, 100), is_percent=True)

# A line: factor and basic unit, the symbols, a bar, the words; a word's plural is its own with an s.
_TABLE = """
1/1000000000 m: nm | nanometer nanometre
1/1000000 m: μm um | micrometer micrometre micron
1/1000 m: mm | millimeter millimetre
1/100 m: cm cms | centimeter centimetre
1/10 m: dm | decimeter decimetre
1 m: m | meter metre
1000 m: km kms | kilometer kilometre
254/10000 m: in in. | inch inches
3048/10000 m: ft ft. | foot feet
9144/10000 m: yd yd. yds | yard
1609344/1000 m: mi mi. | mile
1852 m: nmi | nautical-mile
9460730472580800 m: ly | light-year
10000 m^2: ha | hectare
40468564224/10000000 m^2: ac | acre
1/1000000 m^3: cc ml mL | milliliter millilitre
1/100000 m^3: cl cL | centiliter centilitre
1/1000 m^3: l L ℓ | liter litre
1 gal: gal gal. | gallon
1/4 gal: qt qt. | quart
1/8 gal: pt pt. | pint
1/16 gal: | cup
1/128 gal: floz | fluid-ounce
1/1000000000 kg: μg ug mcg | microgram
1/1000000 kg: mg | milligram
1/1000 kg: g gm gms | gram gramme
1 kg: kg kgs | kilogram kilogramme kilo
1000 kg: t | tonne metric-ton
45359237/100000000 kg: lb lbs lb. lbs. | pound
45359237/1600000000 kg: oz oz. | ounce
1/1000000000 s: ns | nanosecond
1/1000000 s: μs us | microsecond
1/1000 s: ms | millisecond
1 s: s sec sec. secs | second
60 s: min min. mins | minute
3600 s: h hr hr. hrs | hour
86400 s: | day
604800 s: wk wks | week
1 month: mo mos | month
12 month: yr yr. yrs | year
120 month: | decade
1200 month: | century centuries
1/1000 A: mA | milliampere milliamp
1 A: A | ampere amp
1 K: K | kelvin
1 degC: °C ℃ degC | degree-celsius degrees-celsius celsius
1 degF: °F ℉ degF | degree-fahrenheit degrees-fahrenheit fahrenheit
1/1000 mol: mmol | millimole
1 mol: mol | mole
1 deg: ° deg deg. | degree
1/60 deg: | arcminute
1 rad: rad | radian
1 Hz: Hz | hertz
1000 Hz: kHz | kilohertz
1000000 Hz: MHz | megahertz
1000000000 Hz: GHz | gigahertz
1/1000 N: mN | millinewton
1 N: N | newton
1000 N: kN | kilonewton
1 Pa: Pa | pascal
1000 Pa: kPa | kilopascal
1000000 Pa: MPa | megapascal
100000 Pa: bar | bar
101325 Pa: atm | atmosphere
1/1000 J: mJ | millijoule
1 J: J | joule
1000 J: kJ | kilojoule
1000000 J: MJ | megajoule
3600000 J: kWh | kilowatt-hour
1 eV: eV | electronvolt electron-volt
1000 eV: keV |
1000000 eV: MeV |
1 cal: cal | small-calorie
1000 cal: kcal | kilocalorie
1 calorie: | calorie
1/1000 W: mW | milliwatt
1 W: W | watt
1000 W: kW | kilowatt
1000000 W: MW | megawatt
1000000000 W: GW | gigawatt
1 C: C | coulomb
1/1000000 C: μC | microcoulomb
1/1000 V: mV | millivolt
1 V: V | volt
1000 V: kV | kilovolt
1/1000000 F: μF uF | microfarad
1/1000000000000 F: pF | picofarad
1 F: F | farad
1 Ω: Ω Ohm | ohm
1000 Ω: kΩ | kilohm kiloohm
1000000 Ω: MΩ | megohm megaohm
1 H: H | henry
1 T: T | tesla
1 Wb: Wb | weber
1 lm: lm | lumen
1 lx: lx | lux
1 cd: cd | candela
1 bit: b bit | bit
1000 bit: kb Kb | kilobit
1000000 bit: Mb Mbit | megabit
1000000000 bit: Gb Gbit | gigabit
8 bit: B | byte
8000 bit: kB KB | kilobyte
8000000 bit: MB | megabyte
8000000000 bit: GB | gigabyte
8000000000000 bit: TB | terabyte
1 dB: dB | decibel
1 rev: rev | revolution
1 USD: $ USD US$ usd | dollar buck us-dollar
1/100 USD: ¢ | cent penny pennies
1 EUR: € EUR eur | euro
1 GBP: £ GBP gbp | quid
1/100 GBP: | pence
1 INR: ₹ INR Rs Rs. | rupee
1 JPY: JPY 円 | yen
1 CNY: CNY RMB 元 | yuan
1 KRW: ₩ KRW 원 | won
1 RUB: ₽ RUB | ruble rouble
1 ¥: ¥ |
"""
_SPEEDS = {"mph": "mile/hour", "kmph": "km/h", "kph": "km/h", "fps": "ft/s", "rpm": "rev/min", "bps": "bit/s"}
_FOLDED = ("min", "mins", "min.", "mi", "mi.", "mo", "mos", "ml")
# Symbols and words that mean something else as well, where no number stands before them.
_EVERYDAY_TEXT = """
in in. min min. mi mo mos ac ha pt pm us ms sec second seconds minute minutes hour hours day days week weeks month
months year years yr decade decades century foot feet yard yards bar bars mole moles cup cups cent cents penny
pennies pence buck bucks quid won
pound pounds degree degrees deg rad rev revolution revolutions lux atmosphere inches hand celsius
fahrenheit kelvin newton pascal joule watt coulomb volt ampere amp hertz farad henry weber micron gal cal bit bits byte
ohm gray mb tb gb kb quart quarts pint pints ton dollar dollars euro euros yen yuan rupee rupees ruble rubles bps fps
"""
_EVERYDAY_WORDS = frozenset(_EVERYDAY_TEXT.split())
_SHORT_POWERS = {"sq": 2, "sq.": 2, "square": 2, "cubic": 3, "cu": 3, "cu.": 3}
_LATER_POWERS = {"squared": 2, "cubed": 3}
_PIECE = re.compile(r"([^\W\d_]+\.?|[°℃℉¢$€£₹₩₽¥ℓΩ]+[A-Z]?)(?:\^?\{?(-?[1-9])\}?)?")


@dataclass(frozen=True, slots=True)
class _Names:
    symbols: dict[str, Unit] = field(default_factory=dict)
    """By their exact letters, as mW and MW are two units."""
    words: dict[str, Unit] = field(default_factory=dict)
    """In lower case."""


@functools.cache
def _names() -> _Names:
    names = _Names()
    for line in _TABLE.strip().splitlines():
        measure, _, rest = line.partition(": ")
        factor, _, dimension = measure.partition(" ")
        unit = Unit(dimension, Fraction(factor))
        symbols, _, words = rest.partition("|")
        names.symbols.update(dict.fromkeys(symbols.split(), unit))
        for word in words.split():
            names.words.update({word.replace("-", " "): unit, f"{word.replace('-', ' ')}s": unit})
    folded: dict[str, list[Unit]] = {}
    for symbol, unit in names.symbols.items():
        folded.setdefault(symbol.casefold(), []).append(unit)
    # "KG" and "Cm" are plain, "mw" and "Mm" are not: a small and a large m, n or p are other prefixes.
    for symbol, units in folded.items():
        is_clear = symbol in _FOLDED or (symbol[0] not in "mnpu" and symbol != "cal")
        if len(set(units)) == 1 and len(symbol) > 1 and is_clear:
            names.words.setdefault(symbol, units[0])
    return names


def read_unit(text: str) -> Unit | None:
    """Return the unit that ``text`` is, such as "cm", "square metres", "km/h" or "$ per hour"; None if it is none."""
    if not text or len(text) > 60:
        return None
    parts = re.split(r" ?/ ?| per | an? (?=hour|day|week|month|year|minute|second)", text.strip())
    if len(parts) > 3 or not all(parts):
        return None
    product = NO_UNIT
    for number, part in enumerate(parts):
        unit = _product(part)
        if unit is None:
            return None
        product = unit if not number else product * unit**-1
    return product


def unit_named(text: str) -> Unit | None:
    """Return the unit that ``text`` names, a symbol of one letter or an everyday word apart; None if it is none."""
    return read_unit(text) if len(text) > 1 and text.casefold() not in _EVERYDAY_WORDS else None


def dimension_units(dimension: str) -> Iterator[Unit]:
    """Yield the units of the table that measure the same as ``dimension`` does."""
    seen = {unit for unit in (*_names().symbols.values(), *_names().words.values()) if unit.dimension == dimension}
    yield from seen


def _product(text: str) -> Unit | None:
    whole = _simple(text)
    if whole is not None:
        return whole
    product, power = NO_UNIT, 1
    for piece in re.split(r"[ *·-]+", text):
        if piece in _LATER_POWERS and product != NO_UNIT:
            product = product ** _LATER_POWERS[piece]
            continue
        if piece.casefold() in _SHORT_POWERS:
            power = _SHORT_POWERS[piece.casefold()]
            continue
        unit = _simple(piece)
        if unit is None:
            return None
        product, power = product * unit**power, 1
    return product if product != NO_UNIT and power == 1 else None


def _simple(text: str) -> Unit | None:
    """Return the unit of one symbol or word, with its power."""
    named = _named(text)
    if named is not None:
        return named
    match = _PIECE.fullmatch(text)
    base = _named(match[1]) if match and match[2] else None
    if match is None or base is None:
        return None
    power = int(match[2])
    return base**power if abs(power) <= _MAX_POWER else None


def _named(text: str) -> Unit | None:
    names = _names()
    if text in _SPEEDS:
        return read_unit(_SPEEDS[text])
    return names.symbols.get(text) or names.words.get(text.casefold())


def _powers(dimension: str) -> Mapping[str, int]:
    pieces = (piece.partition("^") for piece in dimension.split())
    return {base: int(power or 1) for base, _, power in pieces} if dimension else _NOTHING


def _text(powers: Mapping[str, int]) -> str:
    return " ".join(base if power == 1 else f"{base}^{power}" for base, power in sorted(powers.items()) if power)
