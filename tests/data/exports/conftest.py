"""Hand-made rows of every kind, about two small pictures."""

import dataclasses
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from critic_engine.data.exports import ExportOptions, ExportReport, export_rows, format_named
from critic_engine.data.row_spool import RowSpool
from critic_engine.data.row_types import Demonstration, Preference, StageCounts, StepLabelled, TrainingRow
from critic_engine.images.loading import load_image
from critic_engine.types import Image


class HandMade:
    """A source of the given rows, which counts how often they are read."""

    def __init__(self, rows: list[TrainingRow], config_yaml: str = "strategy:\n  kind: mcts\n") -> None:
        self.rows = rows
        self.stages = (
            StageCounts("problems", 4, Counter({})),
            StageCounts("divergent | pairs", 3, Counter({"all_right": 1})),
        )
        self.config_yaml = config_yaml

        self.num_reads = 0

    def fill(self, spool: RowSpool) -> None:
        self.num_reads += 1
        for row in self.rows:
            spool.add(row)


def picture(colour: str, *, side: int = 48) -> Image:
    """A PNG without compression: the same bytes with every version of the compressor."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side), colour).save(file, "PNG", compress_level=0)
    return load_image(file.getvalue())


RED, BLUE = picture("red"), picture("blue")


def row(kind: type[TrainingRow], number: int = 0, **changes: Any) -> Any:
    """A good row of a kind, in the words of the pocket models."""
    fields: dict[str, Any] = {
        "row_id": f"row-{number}",
        "problem_id": f"{number:016x}",
        "prompt": "how many red shapes are there ?",
        "images": (RED if number % 2 else BLUE,),
        "source": "divergent",
        "facts": {"depth": number, "gain": None if number == 1 else 0.25},
    }
    if kind is Preference:
        fields |= {"chosen": "red : 1\nanswer : 1", "rejected": "red : 2\nanswer : 2", "margin": 0.5}
    elif kind is StepLabelled:
        fields |= {"steps": ("red : 1", "answer : 2"), "values": (0.75, 0.0), "num_rollouts": (4, 0)}
    else:
        fields |= {"completion": "red : 1\nanswer : 1"}
        fields |= {"value": 1.0} if kind is Demonstration else {"is_good": number % 2 == 0}
    return kind(**fields | changes)


def rows(kind: type[TrainingRow], num: int = 4, **changes: Any) -> HandMade:
    return HandMade([row(kind, number, **changes) for number in range(num)])


Export = Callable[..., ExportReport]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Export hand-made rows, of the format's kind when none are given, to a folder of its name."""

    def run(format: str, source: HandMade | None = None, **options: Any) -> ExportReport:
        known = {field.name for field in dataclasses.fields(ExportOptions)}
        assert set(options) <= known
        settings = {"out": tmp_path / format, "validation_share": 0.0} | options
        given = rows(format_named(format).row_type) if source is None else source
        return export_rows(given, ExportOptions(format=format, **settings))

    return run


@pytest.fixture
def make_row() -> Callable[..., Any]:
    return row


@pytest.fixture
def hand_made() -> Callable[..., HandMade]:
    return HandMade
