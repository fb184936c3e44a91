"""The number of a model's parameters, read from hostile or honest headers."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.parameter_count import count_parameters, num_parameters
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import CriticConfig, ReasonerConfig

WEIGHTS = {"a": {"dtype": "BF16", "shape": [3, 4]}, "b": {"dtype": "F32", "shape": [5]}}


def write(folder: Path, name: str, tensors: dict[str, Any], *, length: int | None = None) -> None:
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    (folder / name).write_bytes(struct.pack("<Q", len(header) if length is None else length) + header)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_elements_of_all_files_are_counted_and_buffers_are_not(folder: Path) -> None:
    write(folder, "model-1.safetensors", WEIGHTS)
    write(folder, "model-2.safetensors", {"c": {"dtype": "F16", "shape": []}, "ids": {"dtype": "I64", "shape": [99]}})
    assert count_parameters(folder) == 12 + 5 + 1


def test_same_weights_under_other_names_are_not_counted_again(folder: Path) -> None:
    write(folder, "model-1.safetensors", WEIGHTS)
    write(folder, "consolidated.safetensors", {"other": {"dtype": "BF16", "shape": [17]}})
    index = {"weight_map": dict.fromkeys(WEIGHTS, "model-1.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert count_parameters(folder) == 17


@pytest.mark.parametrize(
    "tensors", [{"q": {"dtype": "I32", "shape": [8]}}, {"q": {"dtype": "U8", "shape": [8]}}, {"q": {}}, {"q": 3}, {}]
)
def test_packed_or_unreadable_weights_have_no_known_number(folder: Path, tensors: dict[str, Any]) -> None:
    write(folder, "model.safetensors", tensors)
    assert count_parameters(folder) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\xff" * 8, struct.pack("<Q", 4) + b"null", struct.pack("<Q", 2) + b"\xff"]
)
def test_damaged_header_has_no_known_number(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    assert count_parameters(folder) is None


@pytest.mark.parametrize("config", ["[]", "{", '{"text_config": {"num_experts": 8}}', '{"num_local_experts": 8}'])
def test_mixture_of_experts_or_a_broken_config_has_no_known_number(folder: Path, config: str) -> None:
    write(folder, "model.safetensors", WEIGHTS)
    (folder / "config.json").write_text(config)
    assert count_parameters(folder) is None


def test_shipped_models_are_known_and_endpoints_are_not() -> None:
    assert (num_parameters(ReasonerConfig()), num_parameters(CriticConfig())) == (1_131_104, 1_770_848)
    assert num_parameters(ModelConfig(model="openai:qwen")) is None
    assert num_parameters(ModelConfig(model="no/such-model")) is None
