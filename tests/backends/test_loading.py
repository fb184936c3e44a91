from pathlib import Path

import pytest

from critic_engine.backends.huggingface import HuggingFaceGenerator
from critic_engine.backends.loading import GeneratorKey, make_generator
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config import CriticConfig, ModelConfig, ReasonerConfig
from critic_engine.errors import ModelLoadError
from critic_engine.protocols import Generator


def test_scripted_backend_needs_no_model() -> None:
    generator = make_generator(ModelConfig(backend="scripted"), "critic")
    assert isinstance(generator, ScriptedGenerator)
    assert generator.name == "scripted:critic"


def test_folder_is_named_by_its_last_part(text_folder: Path) -> None:
    generator = make_generator(ModelConfig(model=str(text_folder)), "reasoner")
    assert isinstance(generator, HuggingFaceGenerator)
    assert generator.name == "huggingface:tiny-llama"


def test_folder_that_is_none_is_refused_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no config\.json"):
        make_generator(ModelConfig(model=str(tmp_path)), "reasoner")


def test_roles_that_name_the_same_model_can_share_it(text_folder: Path) -> None:
    shared: dict[GeneratorKey, Generator] = {}
    reasoner = make_generator(ReasonerConfig(model=str(text_folder), temperature=0.9), "reasoner", shared=shared)
    critic = make_generator(CriticConfig(model=str(text_folder)), "critic", shared=shared)
    other = make_generator(CriticConfig(model=str(text_folder), dtype="bfloat16"), "critic", shared=shared)
    assert reasoner is critic
    assert other is not critic
    assert len(shared) == 2


def test_roles_share_nothing_unless_asked_to(text_folder: Path) -> None:
    config = ModelConfig(model=str(text_folder))
    assert make_generator(config, "reasoner") is not make_generator(config, "critic")
