"""Every format and container writes the golden files, byte for byte; of Parquet the schema and the rows."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.exports import FORMATS, format_named

GOLDEN = Path(__file__).parent / "golden"
# TRL takes JSON lines of text alone.
TEXT_ONLY = {("trl-dpo", "jsonl"), ("trl-sft", "jsonl"), ("trl-kto", "jsonl")}
CASES = [(name, container) for name in FORMATS for container in format_named(name).containers]


def plain(value: Any) -> Any:
    """Bytes in words, for JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value[:24]).decode() + f" … {len(value)} bytes"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """Everything in a folder but its card, by name."""
    import pyarrow.parquet

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".parquet":
            table = pyarrow.parquet.read_table(path)
            features = json.loads(table.schema.metadata[b"huggingface"])
            types = {field.name: str(field.type) for field in table.schema}
            found[name] = {"schema": types, "huggingface": features, "rows": plain(table.to_pylist())}
        elif path.suffix == ".jsonl":
            found[name] = path.read_text(encoding="utf-8").splitlines()
        elif path.suffix == ".json":
            found[name] = json.loads(path.read_text(encoding="utf-8"))
            found[name].pop("critic_engine_version", None)
        elif path.is_file() and name != "README.md":
            found[name] = f"{path.stat().st_size} bytes"
    return found


@pytest.mark.parametrize(("format", "container"), CASES)
def test_export_is_the_golden_one(format: str, container: str, export, hand_made, make_row, tmp_path: Path) -> None:
    kind = format_named(format).row_type
    changes = {"images": ()} if (format, container) in TEXT_ONLY else {}
    source = hand_made([make_row(kind, number, **changes) for number in range(3)])
    export(format, source, container=container, validation_share=0.3)
    assert source.num_reads == 1
    path = GOLDEN / f"{format}.{container}.json"
    assert contents(tmp_path / format) == json.loads(path.read_text(encoding="utf-8"))


def test_golden_folder_holds_no_other_file() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(f"{name}.{kind}.json" for name, kind in CASES)


@pytest.mark.parametrize("format", FORMATS)
def test_equal_rows_give_equal_bytes(format: str, export, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        export(format, out=folder, validation_share=0.3)
    one, two = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert one == two
