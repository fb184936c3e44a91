"""Fingerprints of models, by their local files."""

from pathlib import Path

import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.backends.huggingface.fingerprint import card_model, model_fingerprint
from critic_engine.config.critic_card import CardModel
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import CriticConfig, ReasonerConfig, RewardModelConfig

MEBIBYTE = 1 << 20


def weights(folder: Path, *, first: bytes = b"a", middle: bytes = b"b", last: bytes = b"c") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    parts = (first * MEBIBYTE, middle * MEBIBYTE, last * MEBIBYTE)
    (folder / "model.safetensors").write_bytes(b"".join(parts))
    return folder


def fingerprint(folder: Path) -> str:
    return model_fingerprint(ModelConfig(model=str(folder)))


def test_pocket_stands_for_the_model_of_the_role() -> None:
    reasoner, critic = model_fingerprint(ReasonerConfig()), model_fingerprint(CriticConfig())
    assert reasoner == fingerprint(pocket_folder("reasoner"))
    assert critic == model_fingerprint(RewardModelConfig()) == fingerprint(pocket_folder("critic"))
    assert reasoner != critic


def test_equal_files_have_equal_fingerprints_wherever_they_lie(tmp_path: Path) -> None:
    found = fingerprint(weights(tmp_path / "here"))
    assert len(found) == 32
    assert found == fingerprint(weights(tmp_path / "there"))


@pytest.mark.parametrize("changed", ["first", "last"])
def test_changed_ends_of_the_weights_change_the_fingerprint(tmp_path: Path, changed: str) -> None:
    other = weights(tmp_path / "other", **{changed: b"x"})
    assert fingerprint(weights(tmp_path / "same")) != fingerprint(other)


def test_changed_configuration_and_size_change_the_fingerprint(tmp_path: Path) -> None:
    folder = weights(tmp_path / "model")
    found = {fingerprint(folder)}
    (folder / "config.json").write_text('{"a": 1}')
    found.add(fingerprint(folder))
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"c")
    found.add(fingerprint(folder))
    assert len(found) == 3


def test_models_without_files_here_have_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert fingerprint(tmp_path) == ""
    assert fingerprint(tmp_path / "absent") == ""
    assert model_fingerprint(ModelConfig(model="an-owner/no-such-model")) == ""
    assert model_fingerprint(ModelConfig(model="openai:gpt")) == ""
    assert model_fingerprint(CriticConfig(backend="scripted")) == ""


def test_card_names_a_model_by_its_folder_hub_id_or_endpoint(tmp_path: Path) -> None:
    found = card_model(ModelConfig(model=str(weights(tmp_path / "my-critic"))))
    assert (found.name, found.prompts, len(found.fingerprint)) == ("my-critic", "plain", 32)
    assert card_model(CriticConfig()).name == "pocket"
    assert card_model(CriticConfig()).prompts == "pocket"
    assert card_model(ModelConfig(model="openai:gpt")) == CardModel(name="openai:gpt", prompts="plain")
    assert card_model(ModelConfig(model="an-owner/no-such-model")).name == "an-owner/no-such-model"
    assert card_model(CriticConfig(backend="scripted")).name == "scripted:pocket"
