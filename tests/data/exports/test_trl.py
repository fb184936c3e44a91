"""TRL's own trainers take a training step on the exported files, with the shipped model, and see the images."""

import os
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.data.row_types import Demonstration, Preference, Rated

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("default")]
# The config of each trainer and the columns its batches have beside the image.
TRAINERS = {"trl-dpo": "DPO", "trl-sft": "SFT", "trl-kto": "KTO"}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(os.environ, "WANDB_DISABLED", "true")


def step(name: str, folder: Path, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    """Take one step on two rows; return the batches that the model was given, and the trainer."""
    import datasets
    import trl
    from transformers import AutoModelForImageTextToText, AutoProcessor

    data = datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))
    model = AutoModelForImageTextToText.from_pretrained(pocket_folder("reasoner"))
    batches: list[dict[str, Any]] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: batches.append(dict(kwargs)), with_kwargs=True)
    settings: dict[str, Any] = {
        "output_dir": str(folder.parent / "out"),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_length": None,
    }
    trainer = getattr(trl, f"{name}Trainer")(
        model=model,
        args=getattr(trl, f"{name}Config")(**settings | options),
        train_dataset=data["train"],
        processing_class=AutoProcessor.from_pretrained(pocket_folder("reasoner")),
    )
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainer.train()
    assert any(not before[key].equal(value) for key, value in trainer.model.state_dict().items())
    return batches, trainer


@pytest.mark.parametrize("format", TRAINERS)
def test_trainer_takes_a_step_and_sees_the_images(format: str, export, tmp_path: Path) -> None:
    export(format)
    batches, _ = step(TRAINERS[format], tmp_path / format)
    assert batches
    for batch in batches:
        images = batch["pixel_values"]
        assert tuple(images.shape[1:]) == (3, 48, 48)
        # One image a sequence: nine places of it in every one of them.
        assert ((batch["input_ids"] == 4).sum(dim=1) == 9).all()
        assert len(images) == len(batch["input_ids"])


@pytest.mark.parametrize(("format", "kind"), [("trl-dpo", Preference), ("trl-sft", Demonstration), ("trl-kto", Rated)])
def test_trainer_takes_rows_with_and_without_images_together(
    format: str, kind: type[Any], export, hand_made, make_row, tmp_path: Path
) -> None:
    export(format, hand_made([make_row(kind, 0), make_row(kind, 1, images=())]))
    batches, _ = step(TRAINERS[format], tmp_path / format)
    assert {int(number) for batch in batches for number in (batch["input_ids"] == 4).sum(dim=1)} == {0, 9}


@pytest.mark.parametrize(("format", "kind"), [("trl-dpo", Preference), ("trl-sft", Demonstration), ("trl-kto", Rated)])
@pytest.mark.parametrize("container", ["parquet", "jsonl"])
def test_trainer_takes_rows_of_text_alone(
    format: str, kind: type[Any], container: str, export, hand_made, make_row, tmp_path: Path
) -> None:
    source = hand_made([make_row(kind, number, images=()) for number in range(2)])
    export(format, source, container=container)
    batches, _ = step(TRAINERS[format], tmp_path / format)
    assert all(batch.get("pixel_values") is None for batch in batches)


def test_tokens_are_counted_as_the_trainer_counts_them(export, make_row, tmp_path: Path) -> None:
    from critic_engine.backends.huggingface.token_counter import TokenCounter
    from critic_engine.types import Message

    counter = TokenCounter("pocket")
    row = make_row(Preference, 0)
    export("trl-dpo")
    batches, _ = step("DPO", tmp_path / "trl-dpo")
    counted = counter.count((Message("user", row.prompt, row.images), Message("assistant", row.chosen)))
    # All four rows have prompts and answers of one length.
    assert {int(number) for number in batches[0]["attention_mask"].sum(dim=1)} == {counted}
