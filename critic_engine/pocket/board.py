"""A 3 x 3 board of coloured shapes, its picture and its split."""

from __future__ import annotations

import functools
import hashlib
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow")
NOTHING = "none"
OBJECTS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
CONTENTS = (NOTHING, *OBJECTS)
COLUMNS = "abc"
ROWS = "123"
CELLS = tuple(column + row for row in ROWS for column in COLUMNS)
MOVES = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
SPLITS = {"train": range(90), "dev": range(90, 95), "test": range(95, 100)}
CELL_PX = 16
BOARD_PX = 3 * CELL_PX

_CODES = {content: "--" if content == NOTHING else content[0] + content.split()[1][0] for content in CONTENTS}
_CONTENT_OF = {code: content for content, code in _CODES.items()}
_PAINT = {"red": (214, 40, 40), "green": (40, 160, 70), "blue": (40, 80, 210), "yellow": (235, 200, 40)}
_NUM_LOOKS = 16
_SCALE = 4


@dataclass(frozen=True)
class Board:
    """Nine cells in reading order: a1, b1, c1, a2, ..., c3."""

    contents: tuple[str, ...]
    """The content of each cell, one of `CONTENTS`."""

    def __post_init__(self) -> None:
        """Refuse anything but nine known contents."""
        if len(self.contents) != len(CELLS) or not set(self.contents) <= set(CONTENTS):
            raise ValueError(f"contents: expected {len(CELLS)} of {CONTENTS}, got {self.contents!r}")

    def __getitem__(self, cell: str) -> str:
        """Return the content of ``cell``."""
        return self.contents[CELLS.index(cell)]

    @property
    def code(self) -> str:
        """The board as text, two letters a cell and ``/`` between rows: ``rc--bs/------/gt----``."""
        codes = [_CODES[content] for content in self.contents]
        return "/".join("".join(codes[start : start + 3]) for start in (0, 3, 6))

    @property
    def split(self) -> str:
        """The split this board belongs to; its cells alone decide, so splits never share a board."""
        bucket = int(hashlib.sha256(self.code.encode()).hexdigest(), 16) % 100
        return next(split for split, buckets in SPLITS.items() if bucket in buckets)

    @classmethod
    def from_code(cls, code: str) -> Board:
        """Return the board of a text that `code` wrote."""
        letters = code.replace("/", "")
        try:
            return cls(tuple(_CONTENT_OF[letters[start : start + 2]] for start in range(0, len(letters), 2)))
        except KeyError as error:
            raise ValueError(f"code: {code!r} is not a board, write it like 'rc--bs/------/gt----'") from error


def draw_board(rng: random.Random, split: str) -> Board:
    """Return a random board of ``split`` with four to eight shapes."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {tuple(SPLITS)}, got {split!r}")
    while True:
        num_shapes = rng.randint(4, 8)
        contents = rng.choices(OBJECTS, k=num_shapes) + [NOTHING] * (len(CELLS) - num_shapes)
        rng.shuffle(contents)
        board = Board(tuple(contents))
        if board.split == split:
            return board


def step_from(cell: str, move: str) -> str:
    """Return the cell one ``move`` from ``cell``; past an edge it wraps around to the other side."""
    across, down = MOVES[move]
    column = (COLUMNS.index(cell[0]) + across) % 3
    row = (ROWS.index(cell[1]) + down) % 3
    return COLUMNS[column] + ROWS[row]


def picture(board: Board, rng: random.Random) -> NDArray[np.uint8]:
    """Return the board's RGB picture, shape (48, 48, 3); ``rng`` chooses small differences of size, place and shade."""
    looks = [_look(content, rng.randrange(_NUM_LOOKS)) for content in board.contents]
    return np.concatenate([np.concatenate(looks[start : start + 3], axis=1) for start in (0, 3, 6)], axis=0)


@functools.cache
def _look(content: str, variant: int) -> NDArray[np.uint8]:
    """Return one cell's picture, shape (16, 16, 3)."""
    rng = random.Random(f"{content}:{variant}")
    side = CELL_PX * _SCALE
    image = Image.new("RGB", (side, side), (rng.randint(240, 252),) * 3)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, side - 1, side - 1), outline=(200, 200, 200), width=_SCALE // 2)
    if content != NOTHING:
        colour, shape = content.split()
        _paint(draw, rng, colour, shape)
    return np.asarray(image.resize((CELL_PX, CELL_PX), Image.Resampling.BOX), dtype=np.uint8)


def _paint(draw: ImageDraw.ImageDraw, rng: random.Random, colour: str, shape: str) -> None:
    """Draw one shape near the middle of a cell."""
    shade = rng.uniform(0.9, 1.08)
    red, green, blue = (min(255, round(level * shade)) for level in _PAINT[colour])
    radius = rng.uniform(4.6, 5.8) * _SCALE
    x, y = (CELL_PX / 2 * _SCALE + rng.uniform(-1, 1) * _SCALE for _ in range(2))
    if shape == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(red, green, blue))
    elif shape == "square":
        half = 0.88 * radius
        draw.rectangle((x - half, y - half, x + half, y + half), fill=(red, green, blue))
    else:
        draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=(red, green, blue))
