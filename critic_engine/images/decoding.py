"""Opening pictures without a limit of size, and turning them into pixels as a person would see them."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image

_PILLOWS_LIMIT = threading.Lock()


def open_picture(data: bytes, *, formats: tuple[str, ...] | None = None) -> PIL.Image.Image:
    """Return the picture in ``data``, its header read only, however many pixels it claims to have.

    Pillow's own limit is one number for the whole process; it is lifted while the header is read and put back.
    """
    import PIL.Image

    with _PILLOWS_LIMIT:
        limit = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = None
        try:
            return PIL.Image.open(io.BytesIO(data), formats=formats)
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def upright_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Return the picture the right way up, in RGB: on white where it is transparent, 16 bits of grey scaled to 8."""
    import numpy
    import PIL.Image
    import PIL.ImageOps

    picture.load()
    picture = PIL.ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        # Pillow would cut all that is brighter than 255 to white.
        grey = numpy.asarray(picture).clip(0, 0xFFFF) >> 8
        return PIL.Image.fromarray(grey.astype(numpy.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = PIL.Image.new("RGBA", picture.size, "white")
    return PIL.Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
