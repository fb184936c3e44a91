"""A spool gives back the rows that were added, as often as wanted, and keeps no file."""

import dataclasses
import io
import tempfile
from pathlib import Path

import PIL.Image
import pytest

from critic_engine.data.row_spool import RowSpool
from critic_engine.data.row_types import Demonstration, Preference, TrainingRow
from critic_engine.images.loading import load_image
from critic_engine.types import Image


def picture(colour: str, side: int = 8) -> Image:
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side), colour).save(file, "BMP")
    return load_image(file.getvalue())


def row(number: int, *images: Image) -> TrainingRow:
    facts = {"depth": number, "gain": None}
    about = {"row_id": str(number), "problem_id": "p", "prompt": "q", "images": images, "source": "s", "facts": facts}
    if number % 2:
        return Demonstration(**about, completion="a", value=0.5)  # type: ignore[arg-type]
    return Preference(**about, chosen="a", rejected="b")  # type: ignore[arg-type]


RED, BLUE = picture("red"), picture("blue")
ROWS = [row(0, RED, BLUE), row(1, BLUE), row(2), row(3, RED, RED), row(4, BLUE, RED)]


def spooled(rows: list[TrainingRow], folder: Path) -> RowSpool:
    spool = RowSpool(folder)
    for each in rows:
        spool.add(each)
    return spool


def test_rows_come_back_in_order_each_time(tmp_path: Path) -> None:
    with spooled(ROWS, tmp_path) as spool:
        assert (list(spool), list(spool), len(spool)) == (ROWS, ROWS, 5)
        assert list(tmp_path.iterdir()) == []


def test_passes_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    with spooled(ROWS, tmp_path) as spool:
        assert list(zip(spool, spool, strict=True)) == list(zip(ROWS, ROWS, strict=True))


def test_row_added_after_a_pass_comes_last(tmp_path: Path) -> None:
    with spooled(ROWS[:2], tmp_path) as spool:
        next(iter(spool))
        spool.add(ROWS[2])
        assert list(spool) == ROWS[:3]


def test_dropped_rows_are_asked_for_once_and_do_not_come_back(tmp_path: Path) -> None:
    asked: list[str] = []

    def is_kept(each: TrainingRow) -> bool:
        asked.append(each.row_id)
        return each.row_id in "13"

    with spooled(ROWS, tmp_path) as spool:
        spool.retain(is_kept)
        assert (list(spool), len(spool)) == ([ROWS[1], ROWS[3]], 2)
        assert asked == list("01234")


def test_image_of_many_rows_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: written)
    image = picture("red", side=200)
    spool = spooled([dataclasses.replace(row(number, image), row_id=str(number)) for number in range(20)], tmp_path)
    assert len(image.data) < len(written.getvalue()) < 2 * len(image.data)
    assert {each.images for each in spool} == {(image,)}
