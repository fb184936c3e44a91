import importlib.util
import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig, Qwen2_5_VLConfig

from critic_engine.backends.huggingface.checkpoint import CheckpointOptions, load_checkpoint
from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.generator import BatchGenerator, RowOutcome
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.errors import ModelLoadError
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Message, SamplingOptions
from tests.backends.tokenizers import byte_level


@pytest.fixture
def copy(text_folder: Path, tmp_path: Path) -> Path:
    """A copy of the text model to spoil."""
    return Path(shutil.copytree(text_folder, tmp_path / "model"))


def refusal(folder: Path | str, **options: bool) -> str:
    with pytest.raises(ModelLoadError) as caught:
        load_checkpoint(CheckpointOptions(str(folder), device="cpu", **options))
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "absent")


def test_file_is_no_folder(text_folder: Path) -> None:
    assert "is a file" in refusal(text_folder / "config.json")


def test_folder_without_config_is_no_model(tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)


def test_folder_without_weights_is_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "no weights" in refusal(copy)


def test_pickled_weights_load_only_when_allowed(copy: Path, text_folder: Path) -> None:
    weights = load_checkpoint(CheckpointOptions(str(text_folder), device="cpu")).model.state_dict()
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert "is_pickle_allowed" in refusal(copy)
    loaded = load_checkpoint(CheckpointOptions(str(copy), device="cpu", is_pickle_allowed=True))
    assert torch.equal(loaded.model.lm_head.weight, weights["lm_head.weight"])


def test_truncated_weights_are_refused(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be loaded" in refusal(copy)


def test_weights_that_do_not_fill_the_configuration_are_refused(copy: Path) -> None:
    edit(copy / "config.json", num_hidden_layers=3)
    assert "lacks 9 weights" in refusal(copy)


def test_model_without_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert "no chat template" in refusal(copy)


def test_model_with_code_of_its_own_is_refused(copy: Path) -> None:
    edit(copy / "config.json", model_type="home_made", auto_map={"AutoConfig": "code.HomeMadeConfig"})
    (copy / "code.py").write_text("raise SystemExit('the code ran')")
    assert "is_remote_code_trusted" in refusal(copy)


def test_unknown_device_is_refused(text_folder: Path) -> None:
    with pytest.raises(ModelLoadError):
        load_checkpoint(CheckpointOptions(str(text_folder), device="abacus"))


def test_dtype_can_be_chosen(text_folder: Path) -> None:
    loaded = load_checkpoint(CheckpointOptions(str(text_folder), device="cpu", dtype="bfloat16"))
    assert loaded.model.dtype == torch.bfloat16


def test_checkpoints_sampling_defaults_are_dropped(copy: Path) -> None:
    edit(copy / "generation_config.json", repetition_penalty=5.0, eos_token_id=[2, 7])
    loaded = load_checkpoint(CheckpointOptions(str(copy), device="cpu"))
    assert loaded.model.generation_config.repetition_penalty is None
    assert loaded.end_token_ids == {2, 7}


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is there")
def test_missing_torchvision_is_named_with_its_extra(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "vocab_size": 300, "num_hidden_layers": 1}
    sight = {"depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 32}
    Qwen2_5_VLConfig(text_config={**small, **ends}, vision_config=sight).save_pretrained(tmp_path)
    byte_level(("<|im_end|>", "<|image_pad|>")).save_pretrained(tmp_path)
    named = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(named))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelLoadError, match=r"torchvision.*pip install 'critic-engine\[vision\]'") as caught:
        load_checkpoint(CheckpointOptions(str(tmp_path), device="cpu"))
    assert "\n" not in str(caught.value)


def test_sampling_of_a_checkpoints_makers_is_not_taken_over(text_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(text_folder, tmp_path / "model")
    defaults = GenerationConfig(
        temperature=0.1, top_k=3, top_p=0.2, repetition_penalty=5.0, do_sample=True, eos_token_id=2, max_new_tokens=3
    )
    defaults.save_pretrained(tmp_path / "model")
    request = GenerationRequest(
        (Message("user", "how many?"),), sampling=SamplingOptions(temperature=1.5, max_tokens=20), seeds=(1, 2)
    )
    texts: list[list[str]] = []

    def settle(row: Row, outcome: RowOutcome) -> None:
        texts[-1].append(outcome.sample.text)

    for folder in (text_folder, tmp_path / "model"):
        model = BatchGenerator(load_checkpoint(CheckpointOptions(str(folder), device="cpu")))
        texts.append([])
        model.run(RowFeed(model.encode(request), settle, is_closing=threading.Event()))
    assert texts[0] == texts[1]
