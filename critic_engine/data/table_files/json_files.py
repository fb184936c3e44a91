"""JSON Lines files, and JSON documents that are a list of rows or an object of rows by id."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from critic_engine.data.table_files.table import NUM_LOOKED_AT, RawRow, Table, no_readable_row
from critic_engine.data.table_files.text_lines import MAX_LINE_BYTES, open_bytes, read_lines
from critic_engine.errors import ProblemError

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def open_json_lines(path: Path) -> Table:
    """Return the table in a file with one JSON object a line."""
    num_rows, number, last = 0, 0, ""
    seen: dict[str, None] = {}
    complaint = ""
    for number, _, line in read_lines(path):
        if not line.strip():
            continue
        num_rows, last = num_rows + 1, line
        if num_rows <= NUM_LOOKED_AT:
            row = _parse_line(number, line)
            if isinstance(row, ProblemError):
                complaint = complaint or str(row)
            else:
                seen.update(dict.fromkeys(row))
    if not last.endswith("\n") and isinstance(_parse_line(number, last), ProblemError) and last:
        raise ProblemError(f"{path}: line {number}, the last, is cut off; get the whole file, or delete that line")
    if num_rows and not seen:
        raise no_readable_row(path, complaint)
    rows = functools.partial(_read_json_lines, path)
    return Table(columns=tuple(seen), rows=rows, count_rows=lambda: num_rows, folder=path.parent)


def _read_json_lines(path: Path) -> Iterator[RawRow]:
    for number, _, line in read_lines(path):
        if line.strip():
            yield _parse_line(number, line)


def _parse_line(number: int, line: str) -> RawRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return ProblemError(f"line {number} is not JSON: {error}")
    if not isinstance(row, dict):
        return ProblemError(f"line {number} is no JSON object; write one {{…}} a line")
    return row


def open_json(path: Path) -> Table:
    """Return the table in a JSON document, ``[{…}, …]`` or ``{"ID": {…}, …}``, or in JSON lines under that name."""
    text = _document(path)
    begin = _after_space(text, 0)
    if text[begin : begin + 1] not in ("[", "{"):
        if not text.strip():
            return Table(columns=(), rows=lambda: iter(()), count_rows=lambda: 0, folder=path.parent)
        raise ProblemError(f"{path} is no JSON list of rows; write [{{…}}, …], or one {{…}} a line in a .jsonl file")
    if _is_lines(text):
        return open_json_lines(path)
    num_rows, seen, complaint = 0, dict[str, None](), ""
    for row in _read_document(path, text):
        num_rows += 1
        if isinstance(row, Mapping) and num_rows <= NUM_LOOKED_AT:
            seen.update(dict.fromkeys(row))
        elif isinstance(row, ProblemError):
            complaint = complaint or str(row)
    if num_rows and not seen:
        raise no_readable_row(path, complaint)
    rows = functools.partial(_read_document, path)
    return Table(columns=tuple(seen), rows=rows, count_rows=lambda: num_rows, folder=path.parent)


def _document(path: Path) -> str:
    with open_bytes(path) as file:
        data = file.read(MAX_LINE_BYTES + 1)
    if len(data) > MAX_LINE_BYTES:
        raise ProblemError(f"{path} has over {MAX_LINE_BYTES:,} bytes; write one row a line in a .jsonl file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{data[error.start]:02x} at line {line}"
        raise ProblemError(f"{path} is not UTF-8: {wrong}; save it as UTF-8") from error


def _is_lines(text: str) -> bool:
    """Return whether the first line is an object of its own, and more follows."""
    first, _, others = text.strip().partition("\n")
    return first.startswith("{") and others.lstrip().startswith("{") and isinstance(_parse_line(1, first), Mapping)


def _read_document(path: Path, text: str | None = None) -> Iterator[RawRow]:
    """Yield the rows of a document, one parsed in memory at a time; an object's rows get its keys as their ids.

    Raises:
        ProblemError: the document is broken.
    """
    text = _document(path) if text is None else text
    position = _after_space(text, 0)
    is_object = text[position] == "{"
    closing, number = "}" if is_object else "]", 0
    position = _after_space(text, position + 1)
    while text[position : position + 1] != closing or number == 0:
        if text[position : position + 1] == closing:
            return
        number += 1
        key, position = _key(path, text, position) if is_object else (None, position)
        value, position = _value(path, text, position)
        yield _row(number, key, value)
        position = _after_space(text, position)
        if text[position : position + 1] == ",":
            position = _after_space(text, position + 1)
        elif text[position : position + 1] != closing:
            raise ProblemError(f"{path} is broken behind row {number}; get the whole file")


def _row(number: int, key: object, value: object) -> RawRow:
    if not isinstance(value, dict):
        return ProblemError(f"entry {number} is no JSON object; write a list of {{…}}, one a row")
    return value if key is None or "id" in value else {"id": key, **value}


def _key(path: Path, text: str, position: int) -> tuple[object, int]:
    key, position = _value(path, text, position)
    position = _after_space(text, position)
    if not isinstance(key, str) or text[position : position + 1] != ":":
        raise ProblemError(f"{path} is no JSON: a key or its colon is missing; get the whole file")
    return key, _after_space(text, position + 1)


def _value(path: Path, text: str, position: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        line = text.count("\n", 0, position) + 1
        raise ProblemError(f"{path} is not JSON at line {line}: {reason[:200]}; get the whole file") from error


def _after_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()
