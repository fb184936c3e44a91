"""ms-swift's own loader, template and collator load the exported files, with the shipped model's processor."""

from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.data.row_types import Demonstration, Preference

pytestmark = [pytest.mark.swift, pytest.mark.filterwarnings("default")]
CASES = [("swift-dpo", "rlhf", Preference), ("swift-sft", "train", Demonstration)]


def load(file: Path, mode: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows and the batch of all of them."""
    from swift import get_processor, get_template
    from swift.dataset import load_dataset

    rows, _ = load_dataset([str(file)], strict=True, load_from_cache_file=False)
    template = get_template(get_processor(str(pocket_folder("reasoner")), model_type="llava1_5_hf"))
    template.set_mode(mode)
    return list(rows), template.data_collator([template.encode(dict(row)) for row in rows])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
@pytest.mark.parametrize(("format", "mode", "kind"), CASES)
def test_loader_takes_every_row_and_its_images(
    format: str,
    mode: str,
    kind: type[Any],
    container: str,
    export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = export(format, container=container)
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(tmp_path / format))
    rows, batch = load(tmp_path / format / report.files["train"], mode)
    assert len(rows) == report.num_rows["train"]
    num_sequences = len(rows) * (2 if mode == "rlhf" else 1)
    assert tuple(batch["pixel_values"].shape) == (num_sequences, 3, 48, 48)
    assert ((batch["input_ids"] == 4).sum(dim=1) == 9).all()
    if mode == "rlhf":
        assert batch["margin"].tolist() == [0.5] * len(rows)


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
@pytest.mark.parametrize(("format", "mode", "kind"), CASES)
@pytest.mark.parametrize("is_mixed", [True, False])
def test_loader_takes_rows_without_images(
    format: str,
    mode: str,
    kind: type[Any],
    container: str,
    is_mixed: bool,
    export,
    hand_made,
    make_row,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = [make_row(kind, number, **({"images": ()} if number % 2 or not is_mixed else {})) for number in range(4)]
    report = export(format, hand_made(source), container=container)
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(tmp_path / format))
    rows, batch = load(tmp_path / format / report.files["train"], mode)
    assert len(rows) == 4
    assert {int(number) for number in (batch["input_ids"] == 4).sum(dim=1)} == ({0, 9} if is_mixed else {0})
