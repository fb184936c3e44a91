"""TRL's trainer of process reward models, which its releases have up to 1.13, takes a step on labelled steps."""

from pathlib import Path

import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.backends.huggingface.token_counter import TokenCounter
from critic_engine.data.exports import format_named
from critic_engine.data.row_types import StepLabelled

pytestmark = [pytest.mark.trl_prm, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("container", ["parquet", "jsonl"])
def test_trainer_takes_a_step_on_labelled_steps(
    container: str, export, make_row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    import datasets
    from transformers import AutoTokenizer, LlamaConfig, LlamaForTokenClassification
    from trl.experimental.prm import PRMConfig, PRMTrainer

    export("trl-prm", container=container)
    data = datasets.load_dataset(str(tmp_path / "trl-prm"), cache_dir=str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(pocket_folder("reasoner"))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_labels=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    batches = []
    model = LlamaForTokenClassification(config)
    model.register_forward_pre_hook(lambda _, args, kwargs: batches.append(dict(kwargs)), with_kwargs=True)
    settings = {"max_steps": 1, "report_to": "none", "save_strategy": "no", "use_cpu": True, "bf16": False}
    args = PRMConfig(str(tmp_path / "out"), per_device_train_batch_size=4, gradient_checkpointing=False, **settings)
    trainer = PRMTrainer(model=model, args=args, processing_class=tokenizer, train_dataset=data["train"])
    trainer.train()
    # Of each of the four rows the first step is right and the second wrong; the trainer looks at where they end.
    assert sorted(int(label) for label in batches[0]["labels"].flatten() if label != -100) == [0] * 4 + [1] * 4
    # All four rows have questions and steps of one length.
    row = make_row(StepLabelled)
    record = {"prompt": row.prompt, "completions": row.steps}
    counted = format_named("trl-prm").num_tokens(record, (), TokenCounter("pocket"))
    assert {int(number) for number in batches[0]["attention_mask"].sum(dim=1)} == {counted}
