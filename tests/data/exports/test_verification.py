"""The self-check finds records that a trainer could not load, and any change in the exported data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.exports import format_named
from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.data_files import read_records
from critic_engine.data.exports.exclusions import LengthLimit
from critic_engine.data.exports.verification import ExportVerifier, Fingerprint
from critic_engine.data.row_types import Demonstration, Preference
from critic_engine.errors import ExportError
from critic_engine.types import Message

COLUMNS = (Column("conversations", "turns"), Column("images", "images"))
GOOD = {"conversations": [{"from": "human", "value": "<image>q"}, {"from": "gpt", "value": "a"}], "images": ["i.png"]}


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("2 placeholders stand for 1 images", {"conversations": [{"from": "human", "value": "<image><image>q"}]}),
        ("must alternate", {"conversations": [{"from": "human", "value": "<image>q"}]}),
        ("must alternate", {"conversations": [*GOOD["conversations"], {"from": "gpt", "value": "b"}]}),
        ("no word in it", {"conversations": [GOOD["conversations"][0], {"from": "gpt", "value": " "}]}),
        ("its columns are", {"more": 1}),
        ("is not an image", {"images": ["broken.png"]}),
        ("rows that are not", {"conversations": [GOOD["conversations"][0], {"from": "gpt", "value": "other"}]}),
    ],
)
def test_self_check_finds_what_a_trainer_would_trip_over(
    message: str, changes: dict[str, Any], make_row, tmp_path: Path
) -> None:
    row_format = format_named("llamafactory-sft")
    picture = make_row(Demonstration).images[0]
    (tmp_path / "i.png").write_bytes(picture.data)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "train.jsonl").write_text(json.dumps(GOOD | changes) + "\n")
    meant = Fingerprint()
    meant.add(GOOD, [picture.digest])
    with pytest.raises(ExportError, match=message):
        ExportVerifier(tmp_path, row_format, COLUMNS).check("train.jsonl", meant)


def records(path: Path) -> list[dict[str, Any]]:
    return [dict(record) for record in read_records(path)]


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change every record of a data file."""
    changed = [record | change(record) for record in records(path)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in changed))
        return
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(path)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(changed, schema=schema), path)


@pytest.mark.parametrize(
    ("format", "message", "change"),
    [
        ("trl-kto", "rows that are not", lambda record: {"label": not record["label"]}),
        ("trl-prm", "rows that are not", lambda record: {"labels": [not label for label in record["labels"]]}),
        ("trl-prm", "rows that are not", lambda record: {"values": [0.5, 0.5]}),
        ("trl-prm", r"differ in length.*'values': 0", lambda _: {"values": []}),
        ("trl-prm", r"differ in length.*'labels': 1", lambda record: {"labels": record["labels"][:1]}),
        ("trl-prm", "it is no row of trl-prm", lambda _: {"labels": None}),
        ("trl-dpo", "rows that are not", lambda _: {"margin": None}),
        ("swift-dpo", "rows that are not", lambda _: {"problem_id": None}),
        ("swift-sft", "rows that are not", lambda record: {"value": record["value"] - 1}),
        ("llamafactory-sft", "rows that are not", lambda _: {"gain": 9.5}),
        ("rlaifv", "rows that are not", lambda record: {"idx": record["idx"] + 1}),
        ("visualprm", "rows that are not", lambda _: {"id": "row-9"}),
    ],
)
def test_self_check_finds_a_change_in_what_is_learnt_from(
    format: str, message: str, change: Callable[..., Any], export, hand_made, make_row, tmp_path: Path
) -> None:
    row_format = format_named(format)
    rows = [make_row(row_format.row_type, number) for number in range(2)]
    (file,) = export(format, hand_made(rows)).files.values()
    columns = tuple(Column(name, "text") for name in records(tmp_path / format / file)[0])
    meant = Fingerprint()
    for record, row in zip(records(tmp_path / format / file), rows, strict=True):
        meant.add(record, [image.digest for image in row.images] if row_format.has_images else [])
    verifier = ExportVerifier(tmp_path / format, row_format, columns)
    verifier.check(file, meant)
    rewrite(tmp_path / format / file, change)
    with pytest.raises(ExportError, match=message):
        verifier.check(file, meant)


class Meddler:
    """A counter of tokens that does something to the unfinished export whenever it is asked."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self.meddle = meddle

    def count(self, messages: tuple[Message, ...]) -> int:
        self.meddle()
        return 1

    def count_plain(self, texts: tuple[str, ...]) -> int:
        raise NotImplementedError


@pytest.mark.parametrize("format", ["swift-dpo", "visualprm"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_export_of_which_an_image_was_lost_or_replaced_does_not_appear(
    format: str, is_lost: bool, export, hand_made, make_row, tmp_path: Path
) -> None:
    rows = [make_row(format_named(format).row_type, number) for number in range(2)]
    mine, other = (row.images[0] for row in rows)

    def meddle() -> None:
        for path in tmp_path.glob(f".*.unfinished-*/images/{mine.digest}.png"):
            path.unlink() if is_lost else path.write_bytes(other.data)

    with pytest.raises(ExportError, match="is not there" if is_lost else "rows that are not"):
        export(format, hand_made(rows), limit=LengthLimit(1, "none", Meddler(meddle)))
    assert list(tmp_path.iterdir()) == []


def test_image_replaced_within_a_parquet_file_is_found(export, hand_made, make_row, tmp_path: Path) -> None:
    row_format = format_named("rlaifv")
    rows = [make_row(Preference, number) for number in range(2)]
    export("rlaifv", hand_made(rows))
    meant = Fingerprint()
    for record, row in zip(records(tmp_path / "rlaifv/train.parquet"), rows, strict=True):
        meant.add(record, [row.images[0].digest])
    other = rows[1].images[0].data
    rewrite(tmp_path / "rlaifv/train.parquet", lambda record: {"image": {**record["image"], "bytes": other}})
    columns = tuple(Column(name, "text") for name in records(tmp_path / "rlaifv/train.parquet")[0])
    with pytest.raises(ExportError, match="rows that are not"):
        ExportVerifier(tmp_path / "rlaifv", row_format, columns).check("train.parquet", meant)


@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_placeholder_too_many_in_either_answer_is_found(side: str, export, tmp_path: Path) -> None:
    extra = "<image>answer : 7"
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "llamafactory-dpo": lambda record: {side: {"from": "gpt", "value": extra}},
        "swift-dpo": lambda record: (
            {"messages": [record["messages"][0], {"role": "assistant", "content": extra}]}
            if side == "chosen"
            else {"rejected_response": extra}
        ),
    }
    for name, change in changes.items():
        export(name)
        file = tmp_path / name / "train.jsonl"
        columns = tuple(Column(column, "text") for column in records(file)[0])
        rewrite(file, change)
        with pytest.raises(ExportError, match="2 placeholders stand for 1 images"):
            ExportVerifier(tmp_path / name, format_named(name), columns).check("train.jsonl", Fingerprint())


def test_file_that_cannot_be_read_back_is_no_export(make_row, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"conversations": [')
    with pytest.raises(ExportError, match=r"train\.jsonl cannot be read back"):
        ExportVerifier(tmp_path, format_named("llamafactory-sft"), COLUMNS).check("train.jsonl", Fingerprint())
