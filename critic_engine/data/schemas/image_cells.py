"""The images of a row: paths, data URLs, base64, bytes and structs in one column or several."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from critic_engine.data.schemas.cells import is_missing, kind_of, list_of
from critic_engine.data.schemas.schema import Schema
from critic_engine.errors import ProblemError
from critic_engine.images.loading import MAX_IMAGE_BYTES

FindCell: TypeAlias = Callable[[str, str], object]
"""Returns the cell of a column in the row of that id; None if there is none."""

_NUMBERED = re.compile(r"<image[ _]?([0-9]{1,3})>")
_BARE = re.compile(r"(?:<image>\s*)+")
# The first bytes of JPEG, PNG, GIF, WebP and BMP files in base64; that of a JPEG looks like a path from the root.
_BASE64_BEGINNINGS = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk")
_MIN_BASE64 = 65
"""A shorter text is no image; VLMEvalKit takes it for the index of the row that holds the image."""
_BARE_NAME = re.compile(r"[\w.-]{1,64}")
_NUMBER_AT_END = re.compile(r"_([0-9]{1,3})$")


def read_images(
    schema: Schema, raw: Mapping[str, object], texts: list[str], find_cell: FindCell | None
) -> tuple[list[str | bytes], list[str]]:
    """Return the paths, URLs or bytes of a row's images, and its texts with placeholders that number them from 1.

    Of columns that hold one image each, only those that the texts mention are images of the row, unless they mention
    none. ``<image>`` is left out of a text, because the images stand before it; between other words it gets its number.

    Raises:
        ProblemError: a cell holds no image, or the texts mention one that is missing.
    """
    group = next((each for each in schema.images if any(not is_missing(raw.get(name)) for name in each)), ())
    mentioned = sorted({int(number) for text in texts for number in _NUMBERED.findall(text)})
    if len(group) < 2:
        entries = [entry for name in group for entry in _entries(raw[name], name, find_cell)]
        sources = [_placed(schema, raw, image_source(entry)) for entry in entries]
        return sources, _without_bare(texts, len(sources))
    cells = {_number(name, place): raw[name] for place, name in enumerate(group, 1) if not is_missing(raw.get(name))}
    for number in mentioned:
        if number not in cells:
            raise ProblemError(f"the text mentions <image {number}>, which is missing; add it, or leave the row out")
    numbers = mentioned or sorted(cells)
    sources = [image_source(entry) for number in numbers for entry in _entries(cells[number], "images", find_cell)]
    places = {number: place for place, number in enumerate(numbers, 1)}
    return sources, _without_bare([_renumbered(text, places) for text in texts], len(sources))


def _placed(schema: Schema, raw: Mapping[str, object], source: str | bytes) -> str | bytes:
    """Return the path of an image of which the row gives the name alone; other sources as they are."""
    if schema.image_path is None or not isinstance(source, str) or not _BARE_NAME.fullmatch(source):
        return source
    try:
        return schema.image_path.format_map(raw)
    except KeyError:  # a file that keeps its images in one folder
        return source


def _number(column: str, place: int) -> int:
    match = _NUMBER_AT_END.search(column)
    return place if match is None else int(match.group(1))


def _renumbered(text: str, places: Mapping[int, int]) -> str:
    return _NUMBERED.sub(lambda match: f"<image {places[int(match.group(1))]}>", text)


def _without_bare(texts: list[str], num_images: int) -> list[str]:
    """Return the texts without ``<image>``, if they have one for each image; in other texts it is a word."""
    if sum(text.count("<image>") for text in texts) != num_images:
        return texts
    number = 0

    def replaced(run: re.Match[str]) -> str:
        nonlocal number
        first, number = number + 1, number + run.group().count("<image>")
        is_at_edge = run.start() == 0 or run.string[run.start() - 1] == "\n" or run.end() == len(run.string)
        if is_at_edge or run.group().endswith("\n"):
            return ""
        return "".join(f"<image {each}> " for each in range(first, number + 1))

    return [_BARE.sub(replaced, text).strip() or text for text in texts]


def _entries(cell: object, name: str, find_cell: FindCell | None) -> list[object]:
    """Return the entries of a cell, or of the row that it refers to by a short number."""
    if find_cell is not None and isinstance(cell, str) and cell.strip().isdecimal() and len(cell) < _MIN_BASE64:
        found = find_cell(name, cell.strip())
        if not isinstance(found, str) or len(found) < _MIN_BASE64:
            raise ProblemError(f"images refers to the row of index {cell.strip()}, which holds no image; add it there")
        cell = found
    return list_of(cell, "images")


def image_source(entry: object) -> str | bytes:
    """Return the path, URL or bytes in an entry; datasets keep an image as ``{"bytes": …, "path": …}``.

    Raises:
        ProblemError: it is none of these, or base64 that is too large or broken.
    """
    if isinstance(entry, Mapping):
        entry = entry.get("path") if entry.get("bytes") is None else entry["bytes"]
    if isinstance(entry, str) and len(entry) >= _MIN_BASE64 and entry.lstrip().startswith(_BASE64_BEGINNINGS):
        return _decoded(entry)
    if isinstance(entry, str | bytes) and entry.strip():
        return entry
    raise ProblemError(
        f"images holds {kind_of(entry)}; write each as a path or data URL, or give the bytes of an image"
    )


def _decoded(text: str) -> str | bytes:
    """Return the bytes in base64; a text that is none may yet be a path."""
    if len(text) * 3 // 4 > MAX_IMAGE_BYTES:
        raise ProblemError(f"an image in base64 is larger than {MAX_IMAGE_BYTES:,} bytes; make it smaller")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        if len(text) > 1024:
            raise ProblemError("an image is broken base64; write it again") from None
        return text
