"""Images: what is taken, and what is refused with a reason."""

import base64
import io
import os
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest

from critic_engine.errors import ImageError
from critic_engine.images.loading import MAX_IMAGE_BYTES, load_image


def encoded(image_format: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.effect_noise(size, 80).convert("RGB").save(buffer, format=image_format)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_each_format_is_taken_with_its_bytes_unchanged(image_format: str, tmp_path: Path) -> None:
    data = encoded(image_format)
    (tmp_path / "picture").write_bytes(data)
    image = load_image("picture", base=tmp_path)
    assert (image.data, image.media_type) == (data, f"image/{image_format.lower()}")
    assert (image.width, image.height) == (40, 30)


def test_animation_counts_as_its_first_frame() -> None:
    frames = [PIL.Image.new("L", (8, 8), color) for color in (0, 255)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    assert load_image(buffer.getvalue()).width == 8


def test_path_bytes_and_data_url_give_the_same_image(tmp_path: Path) -> None:
    data = encoded()
    (tmp_path / "a.png").write_bytes(data)
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    assert load_image("a.png", base=tmp_path) == load_image(data, base=tmp_path) == load_image(url, base=tmp_path)


def test_what_is_named_otherwise_than_it_is_keeps_its_true_type(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded("JPEG"))
    assert load_image("a.png", base=tmp_path).media_type == "image/jpeg"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_image_is_refused(image_format: str, share: float) -> None:
    data = encoded(image_format)
    with pytest.raises(ImageError, match=r"truncated or broken|is not an image"):
        load_image(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        load_image(data)


@pytest.mark.parametrize("image_format", ["TIFF", "ICO", "PPM", "TGA"])
def test_format_beyond_the_five_is_refused(image_format: str) -> None:
    with pytest.raises(ImageError, match="is not an image; give a PNG"):
        load_image(encoded(image_format))


def test_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="has 9000 x 9000 pixels, more than 50,000,000"):
        load_image(bomb(9000, 9000))
    with pytest.raises(ImageError, match="has 60000 x 60000 pixels"):
        load_image(bomb(60000, 60000))
    with pytest.raises(ImageError, match=r"more than 1,199;.*run\.max_image_pixels"):
        load_image(encoded(), max_pixels=1199)
    assert load_image(encoded(), max_pixels=1200).width == 40


def test_file_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 10)
    with pytest.raises(ImageError, match="larger than"):
        load_image("a.png", base=tmp_path)


def test_file_of_just_the_most_bytes_is_read() -> None:
    data = encoded("PNG")
    assert load_image(data + bytes(MAX_IMAGE_BYTES - len(data))).media_type == "image/png"
    with pytest.raises(ImageError, match="larger than"):
        load_image(data + bytes(MAX_IMAGE_BYTES - len(data) + 1))


def test_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"image .*gone\.png does not exist"):
        load_image("gone.png", base=tmp_path)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "."):
        with pytest.raises(ImageError, match="is not a file"):
            load_image(name, base=tmp_path)


@pytest.mark.parametrize("source", ["", "  ", "a\0b", "x" * 5000, "data:", "data:image/png,abc", "data:;base64,@@@"])
def test_what_is_no_path_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as error:
        load_image(source, base=tmp_path)
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "source", ["http://host/a.png", "https://host/a.png", "FTP://host/a.png", "s3://bucket/a.png", "file:///etc/passwd"]
)
def test_network_address_is_not_fetched(source: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a network address; nothing is fetched"):
        load_image(source, base=tmp_path)


@pytest.mark.parametrize(
    "name", ["../outside.png", "sub/../../outside.png", "{absolute}", "link.png", "linked/outside.png"]
)
def test_path_in_a_problems_file_may_not_leave_its_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    outside = tmp_path / "outside.png"
    outside.write_bytes(encoded())
    (folder / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(ImageError, match=r"lies outside .*--image-root"):
        load_image(name.format(absolute=outside), base=folder)


def test_path_inside_the_folder_is_taken_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    inside = tmp_path / "sub" / "a.png"
    inside.write_bytes(encoded())
    (tmp_path / "link.png").symlink_to(inside)
    for name in ("sub/a.png", "sub/../sub/a.png", "./sub/a.png", str(inside), "link.png"):
        assert load_image(name, base=tmp_path).width == 40


def test_path_the_user_gives_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded())
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert load_image(tmp_path / "a.png") == load_image("../a.png")


def test_our_limit_rules_where_it_is_above_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert load_image(encoded(size=(40, 30)), max_pixels=1200).width == 40
    with pytest.raises(ImageError, match=r"more than 1,199; make it smaller or raise run\.max_image_pixels"):
        load_image(encoded(size=(40, 30)), max_pixels=1199)
    assert PIL.Image.MAX_IMAGE_PIXELS == 100
