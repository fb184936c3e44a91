import importlib.util
from pathlib import Path

import pytest

from critic_engine.backends.factory import make_generator, make_scorer, short_name
from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.backends.huggingface.generator import HuggingFaceGenerator
from critic_engine.backends.huggingface.scorer import HuggingFaceScorer
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import RewardModelConfig
from critic_engine.errors import ConfigError, ModelLoadError


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


def test_shipped_models_are_named_by_their_role() -> None:
    assert short_name(ModelConfig(), "critic") == "pocket-critic"
    assert short_name(ModelConfig(model="pocket:prose"), "reasoner") == "pocket-prose-reasoner"


def test_a_shipped_model_without_weights_is_told_by_name() -> None:
    with pytest.raises(ModelLoadError, match=r"the pocket:verse critic is missing from .*verse/critic; name another"):
        pocket_folder("critic", "pocket:verse")


def test_scorer_is_named_by_its_folder_and_made_without_loading(text_folder: Path) -> None:
    scorer = make_scorer(RewardModelConfig(model=str(text_folder), head="sequence_classification"))
    assert isinstance(scorer, HuggingFaceScorer)
    assert scorer.name == "huggingface:tiny-llama"
    with pytest.raises(ModelLoadError, match="no such folder"):
        make_scorer(RewardModelConfig(model="./gone", head="sequence_classification"))


@pytest.mark.parametrize(
    ("field", "options"),
    [("model", {}), ("model", {"model": "pocket:prose"}), ("backend", {"model": "./rm", "backend": "scripted"})],
)
def test_what_has_no_classification_head_is_refused(field: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="has no head 'sequence_classification'") as caught:
        make_scorer(RewardModelConfig.model_validate({"head": "sequence_classification", **options}))
    assert caught.value.field == f"reward_model.{field}"


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is there")
def test_missing_vllm_is_told_when_the_generator_is_made() -> None:
    with pytest.raises(ModelLoadError, match=r"pip install 'critic-engine\[vllm\]'"):
        make_generator(ModelConfig(backend="vllm"), "reasoner")
