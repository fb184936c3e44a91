"""The lines of a text file, compressed or not, each of a limited length."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from critic_engine.errors import ProblemError

MAX_LINE_BYTES = 256 * 1024 * 1024
"""A line of text with more bytes is refused, so that a file without line ends is never held in memory."""


def open_bytes(path: Path) -> IO[bytes]:
    """Return the open file; what a ``.gz`` holds is decompressed as it is read."""
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[int, int, str]]:
    """Yield each line with its 1-based number and the offset of its first byte, blank lines included.

    Args:
        path: The file.
        start: The offset of a line's first byte to begin with; lines are numbered from there.

    Raises:
        ProblemError: a line is too long or not UTF-8, or the compressed data is broken.
    """
    number, offset = 0, start
    try:
        with open_bytes(path) as file:
            file.seek(start)
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise ProblemError(f"{path}: line {number} has over {MAX_LINE_BYTES:,} bytes; write one row a line")
                yield number, offset, _decoded(path, number, line, is_first=offset == 0)
                offset += len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ProblemError(f"{path} is truncated or no gzip file: {error}; get it again") from error


def _decoded(path: Path, number: int, line: bytes, *, is_first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        wrong = f"byte 0x{error.object[error.start]:02x} at line {number}, column {error.start + 1}"
        raise ProblemError(f"{path} is not UTF-8: {wrong}; save it as UTF-8") from error
