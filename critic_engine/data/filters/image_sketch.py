"""Sketches of images: few bytes by which a re-encoded or resized copy is known and another picture is not."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from critic_engine.config.search import RunConfig
from critic_engine.errors import ImageError
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.types import Image

LIGHT_SIDE = 24
COLOUR_SIDE = 6
SKETCH_BYTES = LIGHT_SIDE**2 + 2 * COLOUR_SIDE**2

_MAX_PIXELS = RunConfig().max_image_pixels
_MAX_LIGHT, _MIN_LIGHT = 12.0, 8.0
_MAX_COLOUR, _MIN_COLOUR = 9.0, 4.0
_FULL_TOLERANCE_SIDE = 100
_STEP = 24
_MAX_DRIFT = 4


@dataclass(frozen=True, slots=True)
class PictureSketch:
    """The lightness of an image's 24 x 24 parts and the colour of its 6 x 6 parts."""

    levels: NDArray[np.uint8]
    """Shape (``SKETCH_BYTES``,): Y of each part in reading order, then Cb and Cr of each."""
    side: int
    """The shorter side of the image in pixels, at most 65,535."""

    @property
    def bucket(self) -> bytes:
        """The one key that the image is found by."""
        return bytes(int(level) // _STEP for level in self._coarse())

    def buckets(self) -> Iterator[bytes]:
        """Yield the key of every image that may be a copy of this one: 4 on average, 64 at most."""
        near = [
            {max(0, int(level + drift)) // _STEP for drift in (-_MAX_DRIFT, _MAX_DRIFT)} for level in self._coarse()
        ]
        return map(bytes, itertools.product(*map(sorted, near)))

    def _coarse(self) -> list[float]:
        light = self.levels[: LIGHT_SIDE**2].reshape(2, LIGHT_SIDE // 2, 2, LIGHT_SIDE // 2).mean(axis=(1, 3))
        colour = self.levels[LIGHT_SIDE**2 :].reshape(-1, 2).mean(axis=0)
        return [*map(float, light.ravel()), *map(float, colour)]

    def is_copy(self, other: "PictureSketch") -> bool:
        """Return whether no part differs by more than JPEG encoding (quality 75) or doubling the size changes it.

        That is 12 of 255 levels of lightness and 9 of colour where the shorter side of one has up to 100 pixels. Larger
        images have more pixels a part, and hold to less: in proportion to the side, down to 8 and 4.
        """
        scale = min(1.0, _FULL_TOLERANCE_SIDE / max(1, min(self.side, other.side)))
        light, colour = max(_MIN_LIGHT, _MAX_LIGHT * scale), max(_MIN_COLOUR, _MAX_COLOUR * scale)
        apart = np.abs(self.levels.astype(np.int16) - other.levels)
        return bool(apart[: LIGHT_SIDE**2].max() <= light and apart[LIGHT_SIDE**2 :].max() <= colour)


def sketch_image(image: Image) -> PictureSketch:
    """Return the sketch of an image.

    Cropped, mirrored and recoloured copies have another one. Two large images that differ in small print alone may have
    the same.

    Raises:
        ImageError: it cannot be decoded, or has more pixels than a run allows by default.
    """
    try:
        with open_picture(image.data) as opened:
            width, height = opened.size
            if width * height > _MAX_PIXELS:
                raise ImageError(f"image has {width} x {height} pixels, more than {_MAX_PIXELS:,}; make it smaller")
            picture = upright_rgb(opened).convert("YCbCr")
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on hostile bytes.
        raise ImageError("image cannot be decoded; give a whole PNG, JPEG, WebP, GIF or BMP file") from error
    light = _shrunk(picture, LIGHT_SIDE)[..., 0]
    colour = _shrunk(picture, COLOUR_SIDE)[..., 1:]
    return PictureSketch(np.concatenate([light.ravel(), colour.ravel()]), min(width, height, 0xFFFF))


def _shrunk(picture: PIL.Image.Image, side: int) -> NDArray[np.uint8]:
    # Pillow's box counts a pixel between two parts to one of them, so that copies of another size would differ.
    return np.asarray(picture.resize((side, side), PIL.Image.Resampling.BILINEAR), dtype=np.uint8)
