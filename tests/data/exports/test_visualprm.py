"""InternVL's loader, retold in a few lines, finds every image, and trains on nothing but the rows for training."""

import json
from pathlib import Path
from typing import Any

from critic_engine.data.row_types import StepLabelled


def images_found(item: dict[str, Any]) -> int:
    """How many placeholders InternVL fills in a row; it passes over rows where these are not all their images."""
    turns = [dict(turn) for turn in item["conversations"]]
    if isinstance(item.get("image"), str) and "<image>" not in turns[0]["value"]:
        # Of a single path it makes sure that the first turn has a placeholder; of a list it trusts the turns.
        turns[0]["value"] = "<image>\n" + turns[0]["value"]
    # The system's turn it puts aside before it looks for placeholders, which it fills in human turns alone.
    spoken = turns[1:] if turns[0]["from"] == "system" else turns
    return sum(turn["value"].count("<image>") for turn in spoken if turn["from"] == "human")


def test_loader_finds_every_image_in_the_human_turns(export, hand_made, make_row, tmp_path: Path) -> None:
    pictures = make_row(StepLabelled, 0).images + make_row(StepLabelled, 1).images
    rows = [make_row(StepLabelled, number, images=pictures[:number]) for number in range(3)]
    export("visualprm", hand_made(rows))
    items = [json.loads(line) for line in (tmp_path / "visualprm" / "train.jsonl").read_text().splitlines()]
    assert {item["id"]: images_found(item) for item in items} == {"row-0": 0, "row-1": 1, "row-2": 2}
    for item in items:
        assert [isinstance(item["image"], list), len(item["image"])] == [True, images_found(item)]
        assert all((tmp_path / "visualprm" / path).is_file() for path in item["image"])


def test_rows_of_text_alone_have_no_column_of_images(export, hand_made, make_row, tmp_path: Path) -> None:
    export("visualprm", hand_made([make_row(StepLabelled, images=())]))
    (line,) = (tmp_path / "visualprm" / "train.jsonl").read_text().splitlines()
    assert list(json.loads(line)) == ["id", "conversations"]


def test_loader_trains_on_all_that_its_list_names_and_that_is_the_split_for_training(export, tmp_path: Path) -> None:
    report = export("visualprm", validation_share=0.5)
    assert set(report.files) == {"train", "validation"}
    listed = {path.name: json.loads(path.read_text()) for path in (tmp_path / "visualprm").glob("meta*.json")}
    files = {name: [entry["annotation"] for entry in entries.values()] for name, entries in listed.items()}
    assert files == {"meta.json": ["train.jsonl"], "meta_validation.json": ["validation.jsonl"]}
    card = (tmp_path / "visualprm" / "README.md").read_text(encoding="utf-8")
    assert "--meta_path THIS_FOLDER/meta.json\n" in card
    assert "`meta_validation.json`" in card
