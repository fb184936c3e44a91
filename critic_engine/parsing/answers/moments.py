"""Read dates and times of the day."""

import re
from dataclasses import replace

from critic_engine.parsing.answers.values import Moment

_NAMES_TEXT = """
january february march april may june july august september october november december
"""
_NAMES = _NAMES_TEXT.split()
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)} | {
    name[:length]: number for number, name in enumerate(_NAMES, start=1) for length in (3, 4) if name[:length] != name
}
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[0-9]{4})"
_WEEKDAY = r"(?:(?:mon|tues?|wednes|thurs?|fri|satur|sun)(?:day)?,? )?"
_DATES = tuple(
    re.compile(_WEEKDAY + pattern, re.IGNORECASE)
    for pattern in (
        rf"{_MONTH} {_DAY}(?:,? {_YEAR})?",
        rf"(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?",
        rf"{_MONTH},? (?:of )?{_YEAR}",
        rf"{_YEAR}-(?P<month_number>[0-9]{{1,2}})-{_DAY}",
    )
)
_SLASHED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_TIME = re.compile(
    r"([0-9]{1,2})(?:[:.]([0-9]{2}))? ?([ap])\.?m\.?|([0-9]{1,2}):([0-9]{2}) ?(?:h|hrs|hours|o'clock)?", re.I
)
_MAX_CHARACTERS = 40


def read_moments(text: str, *, is_time: bool) -> tuple[Moment, ...]:
    """Return the dates or times that ``text`` may be, the likeliest first; none if it is something else.

    "3:30" may be in the morning or in the afternoon.

    Args:
        text: The answer.
        is_time: Whether the question asks for a time of the day; else "3:30" may be a ratio.
    """
    if len(text) > _MAX_CHARACTERS:
        return ()
    for pattern in _DATES:
        match = pattern.fullmatch(text)
        date = _date(match.groupdict()) if match else None
        if date is not None:
            return (date,)
    slashed = _SLASHED.fullmatch(text)
    if slashed:
        first, second, year = (int(part) for part in slashed.groups())
        both = [Moment(year, month, day) for month, day in ((first, second), (second, first)) if _is_date(month, day)]
        return tuple(replace(date, written=text) for date in both) if len(set(both)) > 1 else tuple(both[:1])
    clock = _TIME.fullmatch(text)
    if clock is None or (clock[4] and not is_time):
        return ()
    minute = _minute(clock)
    if minute is None:
        return ()
    if clock[3] or not 0 < minute // 60 <= 12:
        return (Moment(minute=minute % (24 * 60)),)
    written = f"{minute // 60}:{minute % 60:02}"
    return tuple(Moment(minute=each % (24 * 60), written=written) for each in (minute, minute + 12 * 60))


def _date(parts: dict[str, str | None]) -> Moment | None:
    month = int(parts.get("month_number") or 0) or _MONTHS.get((parts.get("month") or "").lower(), 0)
    day, year = (int(parts.get(name) or 0) or None for name in ("day", "year"))
    return Moment(year, month, day) if _is_date(month, day or 1) else None


def _is_date(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _minute(clock: re.Match[str]) -> int | None:
    hour, minute = int(clock[1] or clock[4]), int(clock[2] or clock[5] or 0)
    if minute > 59 or hour > (12 if clock[3] else 24):
        return None
    if clock[3]:
        hour = hour % 12 + (12 if clock[3].lower() == "p" else 0)
    return 60 * hour + minute
