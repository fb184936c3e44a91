"""``datasets.load_dataset`` loads every exported folder as it lies there, by the configuration in its card."""

from pathlib import Path

import pytest

from critic_engine.data.exports import FORMATS, layout_named

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("default")]
CASES = [
    (name, container)
    for name in FORMATS
    for container in layout_named(name).containers
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

    kind = layout_named("swift-dpo").row_type
    long = "why " * 20_000
    # The loader takes the types of columns from the first 10 MiB.
    rows = [make_row(kind, number, images=(), prompt=long, facts={"gain": None}) for number in range(200)]
    rows.append(make_row(kind, 200, facts={"gain": 0.5}))
    export("swift-dpo", hand_made(rows))
    file = tmp_path / "swift-dpo" / "train.jsonl"
    assert file.stat().st_size > 11 * 2**20
    data = datasets.load_dataset("json", data_files=str(file), cache_dir=str(tmp_path / "cache"))["train"]
    assert (len(data), data[0]["gain"], len(data[0]["images"])) == (201, 0.5, 1)
