"""Sketches of images: copies are known, and boards that differ in a single cell are told apart."""

import io
import random
from collections.abc import Iterator

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from critic_engine.data.filters.image_sketch import PictureSketch, sketch_image
from critic_engine.errors import ImageError
from critic_engine.images.loading import load_image
from critic_engine.pocket.board import CONTENTS, NOTHING, Board, draw_board, picture
from critic_engine.types import Image

RESAMPLING = PIL.Image.Resampling


def sketch(shown: PIL.Image.Image, image_format: str = "PNG", **options: int) -> PictureSketch:
    file = io.BytesIO()
    shown.save(file, image_format, **options)
    return sketch_image(load_image(file.getvalue()))


def copies(shown: PIL.Image.Image) -> Iterator[PictureSketch]:
    yield sketch(shown, "JPEG", quality=85)
    yield sketch(shown, "JPEG", quality=75)
    double = (2 * shown.width, 2 * shown.height)
    for filter_ in (RESAMPLING.NEAREST, RESAMPLING.BILINEAR, RESAMPLING.BICUBIC, RESAMPLING.LANCZOS):
        yield sketch(shown.resize(double, filter_))
    yield sketch(shown.resize(double, RESAMPLING.BICUBIC), "JPEG", quality=85)


def board_picture(board: Board, seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(picture(board, random.Random(seed)))


def scene(side: int) -> PIL.Image.Image:
    shown = PIL.Image.new("RGB", (side * 4 // 3, side), "white")
    draw, rng = PIL.ImageDraw.Draw(shown), random.Random(side)
    for _ in range(30):
        x, y, size = rng.randrange(side), rng.randrange(side), rng.randrange(2, side // 3)
        draw.rectangle((x, y, x + size, y + size), fill=tuple(rng.choices(range(256), k=3)))
    return shown


def assert_known(original: PictureSketch, copy: PictureSketch) -> None:
    assert original.is_copy(copy)
    assert copy.is_copy(original)
    assert original.bucket in set(copy.buckets())
    assert copy.bucket in set(original.buckets())


def test_reencoded_and_doubled_boards_are_copies() -> None:
    rng = random.Random(1)
    for seed in range(25):
        shown = board_picture(draw_board(rng, "train"), seed)
        for copy in copies(shown):
            assert_known(sketch(shown), copy)


@pytest.mark.parametrize("side", [100, 150, 224, 480])
def test_reencoded_and_doubled_pictures_of_any_size_are_copies(side: int) -> None:
    for copy in copies(scene(side)):
        assert_known(sketch(scene(side)), copy)


def test_boards_that_differ_in_a_single_cell_are_no_copies_even_in_shape_alone() -> None:
    rng = random.Random(2)
    for seed in range(25):
        board = draw_board(rng, "train")
        original = sketch(board_picture(board, seed))
        for cell, content in enumerate(board.contents):
            for other in CONTENTS:
                is_alike = NOTHING not in (content, other) and content.split()[0] == other.split()[0]
                if other != content and (is_alike or rng.random() < 0.1):
                    changed = Board((*board.contents[:cell], other, *board.contents[cell + 1 :]))
                    assert not original.is_copy(sketch(board_picture(changed, seed))), (board.code, changed.code)


def test_picture_is_sketched_as_it_is_shown() -> None:
    clear = PIL.Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    assert sketch(clear).is_copy(sketch(PIL.Image.new("RGB", (60, 60), "white")))
    assert not sketch(clear).is_copy(sketch(PIL.Image.new("RGB", (60, 60), "black")))


def test_image_of_one_pixel_and_a_very_long_one_have_sketches() -> None:
    for size in ((1, 1), (1, 5000), (70_000, 2)):
        levels = sketch(PIL.Image.new("RGB", size, "red")).levels
        assert np.ptp(levels[:576]) == 0


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_image_is_an_image_error(data: bytes) -> None:
    with pytest.raises(ImageError, match="cannot be decoded"):
        sketch_image(Image(data, "image/png", 10, 10))


def test_truncated_and_huge_images_are_refused() -> None:
    file = io.BytesIO()
    scene(100).save(file, "PNG")
    with pytest.raises(ImageError, match="cannot be decoded"):
        sketch_image(Image(file.getvalue()[:200], "image/png", 133, 100))
    file = io.BytesIO()
    PIL.Image.new("1", (10_000, 10_000)).save(file, "PNG")
    with pytest.raises(ImageError, match="10000 x 10000 pixels"):
        sketch_image(Image(file.getvalue(), "image/png", 10, 10))
