"""LLaMA-Factory's own loader and collators load the exported files, with the shipped model's processor."""

import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.data.row_types import Demonstration, Preference

pytestmark = [pytest.mark.llamafactory, pytest.mark.filterwarnings("default")]
CASES = [("llamafactory-dpo", "rm", Preference), ("llamafactory-sft", "sft", Demonstration)]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if importlib.util.find_spec("torchaudio") is None:
        # It is imported beside the loader, and used for sounds alone.
        module = types.ModuleType("torchaudio")
        module.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        monkeypatch.setitem(sys.modules, "torchaudio", module)


def load(folder: Path, stage: str) -> tuple[Any, dict[str, Any]]:
    """Return the data sets and the first training batch."""
    from llamafactory.data import (
        PairwiseDataCollatorWithPadding,
        SFTDataCollatorWith4DAttentionMask,
        get_dataset,
        get_template_and_fix_tokenizer,
    )
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import AutoProcessor, Seq2SeqTrainingArguments

    name = f"critic_{folder.name.partition('-')[2]}"
    processor = AutoProcessor.from_pretrained(pocket_folder("reasoner"))
    data_args = DataArguments(
        template="llava", dataset=name, eval_dataset=f"{name}_validation", dataset_dir=str(folder), cutoff_len=512
    )
    model_args = ModelArguments(
        model_name_or_path=str(pocket_folder("reasoner")), cache_dir=str(folder.parent / "cache")
    )
    training_args = Seq2SeqTrainingArguments(str(folder.parent / "out"), report_to="none", use_cpu=True)
    template = get_template_and_fix_tokenizer(processor.tokenizer, data_args)
    data = get_dataset(
        template, model_args, data_args, training_args, stage=stage, tokenizer=processor.tokenizer, processor=processor
    )
    collator = PairwiseDataCollatorWithPadding if stage == "rm" else SFTDataCollatorWith4DAttentionMask
    collate = collator(template=template, tokenizer=processor.tokenizer, processor=processor)
    return data, collate([data["train_dataset"][number] for number in range(len(data["train_dataset"]))])


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
@pytest.mark.parametrize(("format", "stage", "kind"), CASES)
def test_loader_takes_every_row_and_its_images(
    format: str, stage: str, kind: type[Any], container: str, export, tmp_path: Path
) -> None:
    report = export(format, container=container, validation_share=0.5)
    data, batch = load(tmp_path / format, stage)
    assert {"train": len(data["train_dataset"]), "validation": len(data["eval_dataset"])} == dict(report.num_rows)
    num_sequences = report.num_rows["train"] * (2 if stage == "rm" else 1)
    assert tuple(batch["pixel_values"].shape) == (num_sequences, 3, 48, 48)
    assert ((batch["input_ids"] == 4).sum(dim=1) == 9).all()
    assert len(batch["input_ids"]) == num_sequences


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
@pytest.mark.parametrize(("format", "stage", "kind"), CASES)
@pytest.mark.parametrize("is_mixed", [True, False])
def test_loader_takes_rows_without_images(
    format: str,
    stage: str,
    kind: type[Any],
    container: str,
    is_mixed: bool,
    export,
    hand_made,
    make_row,
    tmp_path: Path,
) -> None:
    rows = [make_row(kind, number, **({"images": ()} if number % 2 or not is_mixed else {})) for number in range(8)]
    export(format, hand_made(rows), container=container, validation_share=0.5)
    data, batch = load(tmp_path / format, stage)
    read = [*data["train_dataset"], *data["eval_dataset"]]
    assert len(read) == 8
    column = "chosen_input_ids" if stage == "rm" else "input_ids"
    assert {row[column].count(4) for row in read} == ({0, 9} if is_mixed else {0})
    # A batch without any image gets an unseen one from the collator, so that the vision tower has gradients.
    assert len(batch["pixel_values"]) > 0
