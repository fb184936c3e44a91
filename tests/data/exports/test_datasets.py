"""``datasets.load_dataset`` loads every exported folder as it lies there, by the configuration in its card."""

import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.exports import FORMATS, format_named
from critic_engine.data.exports.export import split_of
from critic_engine.data.row_types import Demonstration, Preference, TrainingRow

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("default")]
CASES = [
    (name, container)
    for name in FORMATS
    for container in format_named(name).containers
    if not (name.startswith("trl-") and container == "jsonl")
]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(("format", "container"), [*CASES, ("trl-prm", "jsonl")])
def test_folder_loads_with_its_splits_and_images(format: str, container: str, export, tmp_path: Path) -> None:
    import datasets
    import PIL.Image

    report = export(format, container=container, validation_share=0.5)
    data = datasets.load_dataset(str(tmp_path / format), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in data.items()} == dict(report.num_rows)
    first = data["train"][0]
    pictures = first.get("images") or first.get("image") or []
    pictures = pictures if isinstance(pictures, list) else [pictures]
    assert len(pictures) == (format != "trl-prm")
    for shown in pictures:
        is_embedded = container == "parquet"
        assert isinstance(shown, PIL.Image.Image) == is_embedded
        assert is_embedded or (tmp_path / format / shown).is_file()


def test_json_lines_load_though_images_and_facts_begin_late(export, hand_made, make_row, tmp_path: Path) -> None:
    import datasets

    kind = format_named("swift-dpo").row_type
    long = "why " * 20_000
    # The loader takes the types of columns from the first 10 MiB.
    rows = [make_row(kind, number, images=(), prompt=long, facts={"gain": None}) for number in range(200)]
    rows.append(make_row(kind, 200, facts={"gain": 0.5}))
    export("swift-dpo", hand_made(rows))
    file = tmp_path / "swift-dpo" / "train.jsonl"
    assert file.stat().st_size > 11 * 2**20
    data = datasets.load_dataset("json", data_files=str(file), cache_dir=str(tmp_path / "cache"))["train"]
    assert (len(data), data[0]["gain"], len(data[0]["images"])) == (201, 0.5, 1)


def _row_of(kind: type[TrainingRow], split: str, number: int, make_row, **changes: Any) -> TrainingRow:
    """A row of a problem that falls to ``split`` when half of all do."""
    ids = (f"problem-{number}-{attempt}" for attempt in range(100))
    return make_row(kind, number, problem_id=next(name for name in ids if split_of(name, 0.5) == split), **changes)


@pytest.mark.parametrize("poor", ["train", "validation"])
@pytest.mark.parametrize("format", [name for name in FORMATS if "jsonl" in format_named(name).containers])
def test_json_lines_load_though_one_split_alone_has_images_and_facts(
    format: str, poor: str, export, hand_made, make_row, tmp_path: Path
) -> None:
    import datasets

    kind = format_named(format).row_type
    rich = "validation" if poor == "train" else "train"
    known: dict[str, Any] = {Preference: {"margin": None}, Demonstration: {"value": None}}.get(kind, {})
    nothing = known | {"images": (), "facts": {"depth": None, "gain": None, "annotator": None}}
    everything: dict[str, Any] = {"facts": {"depth": 2, "gain": 0.5, "annotator": "critic"}}
    # TRL takes JSON lines of text alone.
    everything |= {"images": ()} if format.startswith("trl-") else {}
    rows = [_row_of(kind, poor, number, make_row, **nothing) for number in range(2)]
    rows += [_row_of(kind, rich, number, make_row, **everything) for number in range(2, 4)]
    export(format, hand_made(rows), container="jsonl", validation_share=0.5)
    data = datasets.load_dataset(str(tmp_path / format), cache_dir=str(tmp_path / "cache"))
    assert {split: len(found) for split, found in data.items()} == {"train": 2, "validation": 2}
    assert data["train"].features == data["validation"].features
    for split in data:
        lines = (tmp_path / format / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [dict(found) for found in data[split]] == [json.loads(line) for line in lines]
