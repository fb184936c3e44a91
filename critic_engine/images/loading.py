"""Images from files, data URLs, bytes, pictures and arrays, checked before anything else sees them."""

import base64
import binascii
import io
import os
import re
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy
import PIL.Image

from critic_engine.config.search import RunConfig
from critic_engine.errors import ImageError
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.types import Image

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""An image file of more bytes is refused before it is read."""

_MAX_PIXELS = RunConfig().max_image_pixels
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
# Cameras put a preview after the picture, which Pillow then calls MPO; what every decoder shows of it is the JPEG.
_MEDIA_TYPES = {format_: f"image/{format_.lower()}" for format_ in _FORMATS} | {"MPO": "image/jpeg"}
_URL_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_MAX_NAME = 80

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | PIL.Image.Image | numpy.ndarray"
"""What ``load_image`` makes an image of."""


def load_image(source: ImageSource, *, base: Path | None = None, max_pixels: int = _MAX_PIXELS) -> Image:
    """Return an image after decoding its bytes once to check them. Nothing is ever fetched from a network.

    Args:
        source: A path, a ``data:…;base64,`` URL, the bytes of the file, a picture of Pillow, or an array of ``uint8``
            with the shape (height, width), or (height, width, channels) with 3 or 4 channels. Pictures and arrays
            become PNG files.
        base: The folder that a path is relative to and may not leave, links followed: for a problems file, which may
            come from anywhere. None takes any path of this machine.
        max_pixels: An image of more pixels is refused before it is decoded.

    Raises:
        ImageError: it is missing, outside ``base``, unreadable, truncated, too large, of another format
            than PNG, JPEG, WebP, GIF and BMP, or ``source`` is of another type.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), name="image", max_pixels=max_pixels)
    if isinstance(source, PIL.Image.Image | numpy.ndarray):
        return _decode(_png(source, max_pixels), name="image", max_pixels=max_pixels)
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if not isinstance(source, str):
        raise ImageError(
            f"image is of type {type(source).__name__}; give a path, a data URL, bytes, a Pillow picture or an array"
        )
    if not source.strip():
        raise ImageError("image has an empty path; give the path of an image file")
    if source[:5].lower() == "data:":
        return _decode(_data_url_bytes(source), name="image in a data URL", max_pixels=max_pixels)
    if _URL_SCHEME.match(source):
        raise ImageError(f"image {_short(source)} is a network address; nothing is fetched: save it and give its path")
    path = Path(source) if base is None else _inside(source, base)
    return _decode(_file_bytes(path), name=f"image {_short(str(path))}", max_pixels=max_pixels)


def _png(source: PIL.Image.Image | numpy.ndarray, max_pixels: int) -> bytes:
    """Return a PNG file of a picture, the right way up, or of an array."""
    if isinstance(source, numpy.ndarray):
        is_shaped = source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (3, 4))
        if source.dtype != numpy.uint8 or not is_shaped or not source.size:
            raise ImageError(
                f"image is an array of {source.dtype} with the shape {source.shape}; give uint8 with the shape (height,"
                " width), or (height, width, channels) with 3 or 4 channels"
            )
    width, height = source.size if isinstance(source, PIL.Image.Image) else (source.shape[1], source.shape[0])
    _check_pixels("image", width, height, max_pixels)
    try:
        picture = source if isinstance(source, PIL.Image.Image) else PIL.Image.fromarray(source)
        file = io.BytesIO()
        upright_rgb(picture).save(file, "PNG", compress_level=1)
    except Exception as error:  # A picture may be read from its file only now, and Pillow raises almost anything.
        raise ImageError(f"image cannot be read: {_reason(error)}") from error
    return file.getvalue()


def _check_pixels(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than {max_pixels:,}; make it smaller or raise "
            "run.max_image_pixels"
        )


def _file_bytes(path: Path) -> bytes:
    name = f"image {_short(str(path))}"
    try:
        if not path.exists():
            raise ImageError(f"{name} does not exist; give the path of an image file")
        if not path.is_file():
            raise ImageError(f"{name} is not a file; give the path of an image file")
        with path.open("rb") as file:
            return file.read(MAX_IMAGE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read: {_reason(error)}") from error


def _inside(source: str, base: Path) -> Path:
    try:
        folder = base.resolve()
        path = (folder / source).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links that form a circle
        raise ImageError(f"image {_short(source)} is not a path: {_reason(error)}") from error
    if not path.is_relative_to(folder):
        raise ImageError(
            f"image {_short(source)} lies outside {base}; move it there, or name its folder by --image-root"
        )
    return path


def _data_url_bytes(url: str) -> bytes:
    header = _DATA_URL.match(url[:200])
    if header is None:
        raise ImageError(f"image {_short(url)} must be base64; write data:image/png;base64,…")
    if (len(url) - header.end()) * 3 // 4 > MAX_IMAGE_BYTES:
        raise ImageError(f"image in a data URL is larger than {MAX_IMAGE_BYTES:,} bytes; make it smaller")
    try:
        return base64.b64decode(url[header.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"image in a data URL is not valid base64: {_reason(error)}") from error


def _decode(data: bytes, *, name: str, max_pixels: int) -> Image:
    if not data:
        raise ImageError(f"{name} is empty; give a PNG, JPEG, WebP, GIF or BMP file")
    if len(data) > MAX_IMAGE_BYTES:
        raise ImageError(f"{name} is larger than {MAX_IMAGE_BYTES:,} bytes; make it smaller")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _checked(data, name=name, max_pixels=max_pixels)
    except ImageError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image; give a PNG, JPEG, WebP, GIF or BMP file") from error
    except Exception as error:  # Pillow's decoders raise almost anything on hostile bytes.
        raise ImageError(f"{name} is truncated or broken: {_reason(error)}") from error


def _checked(data: bytes, *, name: str, max_pixels: int) -> Image:
    with open_picture(data, formats=_FORMATS) as image:
        width, height = image.size
        media_type = _MEDIA_TYPES[image.format or ""]
        _check_pixels(name, width, height, max_pixels)
        image.verify()
    with open_picture(data, formats=_FORMATS) as image:
        image.load()  # verify() reads no pixels, so only this finds a truncated file; of an animation, the first frame
    return Image(data=data, media_type=media_type, width=width, height=height)


def _short(source: str) -> str:
    """Return ``source`` for a message; of a long one its beginning and its end, which holds the file's name."""
    short = source if len(source) <= _MAX_NAME else f"{source[: _MAX_NAME // 2]}…{source[-_MAX_NAME // 2 :]}"
    return "".join(char if char.isprintable() else "?" for char in short)


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
