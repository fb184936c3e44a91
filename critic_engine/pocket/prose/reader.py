"""Taking the facts out of prose. A step that cannot be read in full is not read at all, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from critic_engine.pocket.board import CELLS, COLOURS, COLUMNS, NOTHING, OBJECTS, ROWS, SHAPES
from critic_engine.pocket.prose.words import FILLERS, MARKS, SEPARATOR
from critic_engine.pocket.vocabulary import words_of

MAX_CHARACTERS = 2000
"""A longer step is not read."""

_PHRASES = re.compile(
    rf"(?<!\S)(?:{'|'.join(sorted((re.escape(filler) for filler in FILLERS if ' ' in filler), reverse=True))})(?!\S)"
)
_CELL, _NUMBER = f"(?:{'|'.join(CELLS)})", r"\d+"
_COLOUR, _SHAPE = f"(?:{'|'.join(COLOURS)})", f"(?:{'|'.join(SHAPES)})"
_OBJECT = f"{_COLOUR} {_SHAPE}"
_THING = f"(?:{_OBJECT}|NONE)"
_TRAIT = f"(?:{_OBJECT}|{_COLOUR}|{_SHAPE}|NONE)"
_MOVE, _ROW = "(?:up|down|left|right)", "row [123]"


_Read: TypeAlias = Callable[[Mapping[str, str]], tuple[str, ...] | None]


def facts_of(step: str) -> tuple[tuple[str, ...], ...]:
    """Return the facts that ``step`` states, in order; none when any of it cannot be read.

    Each fact is given in all forms of the solver that mean the same: "at b1 sits the red circle" is ``b1 is red
    circle`` as well as ``the red circle is b1``.
    """
    if len(step) > MAX_CHARACTERS:
        return ()
    text = _PHRASES.sub("", " ".join(words_of(step)))
    facts = [_fact_of(sentence.split()) for sentence in text.split(SEPARATOR)]
    return tuple(fact for fact in facts if fact) if all(facts) else ()


def _fact_of(sentence: list[str]) -> tuple[str, ...] | None:
    """Return the forms of the one fact of ``sentence``, None if it cannot be read."""
    if not all(word in MARKS or word in FILLERS for word in sentence):
        return None
    marks = " ".join(MARKS[word] for word in sentence if word in MARKS)
    for form, read in _FORMS:
        if match := form.fullmatch(marks):
            return read(match.groupdict())
    return None


def _read_row(found: Mapping[str, str]) -> tuple[str, ...] | None:
    contents = _pairs(found["items"], _CELL, _THING)
    cells = [column + found["row"][-1] for column in COLUMNS]
    if sorted(contents) != cells:
        return None
    return (f"{found['row']} : " + " ".join(f"{cell} {_content(contents[cell])}" for cell in cells),)


def _read_count(found: Mapping[str, str]) -> tuple[str, ...] | None:
    parts = _pairs(found["parts"], _ROW, _NUMBER)
    if len(parts) != len(ROWS):
        return None
    return (f"{_content(found['trait'])} : {' + '.join(parts[row] for row in sorted(parts))} = {found['total']}",)


def _pairs(marks: str, key: str, value: str) -> dict[str, str]:
    """Return values by key of pairs that are all written key first, or all value first."""
    if re.match(key, marks):
        return dict(re.findall(f"({key}) ({value})", marks))
    return {found: other for other, found in re.findall(f"({value}) ({key})", marks)}


def _read_place(found: Mapping[str, str]) -> tuple[str, ...]:
    cell, thing = found["cell"], _content(found["thing"])
    looked = f"{cell} is {thing}"
    return (looked, f"the {thing} is {cell}") if thing in OBJECTS else (looked,)


def _read_sum(found: Mapping[str, str]) -> tuple[str, ...]:
    first, second, total = found["first"], found["second"], found["total"]
    return tuple(dict.fromkeys((f"{first} + {second} = {total}", f"{second} + {first} = {total}")))


def _read_answer(found: Mapping[str, str]) -> tuple[str, ...]:
    value = _content(found["value"])
    return (f"answer : {value}", f"the answer is {value}")


def _content(mark: str) -> str:
    return NOTHING if mark == "NONE" else mark


def _as(form: str) -> _Read:
    return lambda found: (form.format_map({name: _content(mark) for name, mark in found.items()}),)


_Form: TypeAlias = tuple[re.Pattern[str], _Read]
_VALUE = f"(?P<value>{_THING}|{_COLOUR}|{_SHAPE}|{_NUMBER})"
_FIRST, _SECOND, _TOTAL = (f"(?P<{name}>{_NUMBER})" for name in ("first", "second", "total"))
_MOVED = _as("{move} from {start} is {end}")
_TAKEN = _as("{first} - {second} = {total}")
_FORMS: tuple[_Form, ...] = tuple(
    (re.compile(form), read)
    for form, read in (
        (f"ANSWER {_VALUE}", _read_answer),
        (f"(?P<row>{_ROW}) (?P<items>{_CELL} {_THING}(?: {_CELL} {_THING}){{2}})", _read_row),
        (f"(?P<row>{_ROW}) (?P<items>{_THING} {_CELL}(?: {_THING} {_CELL}){{2}})", _read_row),
        (f"(?P<trait>{_TRAIT}) (?P<parts>{_ROW} {_NUMBER}(?: {_ROW} {_NUMBER}){{2}}) {_TOTAL}", _read_count),
        (f"(?P<trait>{_TRAIT}) (?P<parts>{_NUMBER} {_ROW}(?: {_NUMBER} {_ROW}){{2}}) {_TOTAL}", _read_count),
        (f"(?P<thing>{_THING}) (?P<cell>{_CELL})", _read_place),
        (f"(?P<cell>{_CELL}) (?P<thing>{_THING})", _read_place),
        (f"(?P<move>{_MOVE}) FROM (?P<start>{_CELL}) (?P<end>{_CELL})", _MOVED),
        (f"FROM (?P<start>{_CELL}) (?P<move>{_MOVE}) (?P<end>{_CELL})", _MOVED),
        (f"{_FIRST} MINUS {_SECOND} {_TOTAL}", _TAKEN),
        (f"TAKE {_SECOND} FROM {_FIRST} {_TOTAL}", _TAKEN),
        (f"{_FIRST} PLUS {_SECOND} {_TOTAL}", _read_sum),
        (f"ADD {_FIRST} {_SECOND} {_TOTAL}", _read_sum),
        (f"(?P<row>{_ROW}) {_TOTAL}", _as("{row} has {total}")),
        (f"SUM {_TOTAL}", _as("the sum is {total}")),
        (f"COUNT (?P<trait>{_TRAIT})", _as("count {trait}")),
        (f"ANSWER NOT {_VALUE}", _as("the answer is not {value}")),
        ("NOT CLEAR", _as("the step is not clear")),
    )
)
