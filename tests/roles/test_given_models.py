"""Generators that a program hands in: their prompts, and the models that they are never paired with in silence."""

from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import load_config
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError
from critic_engine.roles.given_models import with_given
from critic_engine.types import Problem

QUESTION = Problem("What is the capital of France?")
CRITIQUE = "Verdict: right\nScore: 0.9"


def texts(generator: ScriptedGenerator) -> list[str]:
    return [message.text for request in generator.requests for message in request.messages]


def recording(text: str) -> ScriptedGenerator:
    return ScriptedGenerator([text], is_recording=True)


def test_given_pair_is_asked_by_the_plain_prompts() -> None:
    reasoner, critic = recording("It is Paris.\nanswer: Paris"), recording(CRITIQUE)
    with Engine("best_of_n", overrides=["strategy.num_samples=1"], reasoner=reasoner, critic=critic) as engine:
        answer = engine.solve(QUESTION)
    assert (answer.answer, answer.failures) == ("Paris", {})
    assert "answer: X" in texts(reasoner)[0]
    assert "Verdict:" in texts(critic)[0]


def test_one_generator_may_serve_both_roles() -> None:
    both = ScriptedGenerator({"Verdict:": CRITIQUE, "capital": "It is Paris.\nanswer: Paris"})
    with Engine("best_of_n", overrides=["strategy.num_samples=1"], reasoner=both, critic=both) as engine:
        assert engine.solve(QUESTION).answer == "Paris"


@pytest.mark.parametrize("preset", ["mcts", "best_of_n", "mmc"])
def test_given_reasoner_is_not_paired_with_the_pocket_critic_in_silence(preset: str) -> None:
    with pytest.raises(ConfigError, match=r"pocket critic.*critic=… .*evaluator\.kind"):
        Engine(preset, reasoner=recording("answer: 1"))


def test_given_critic_is_not_paired_with_the_pocket_reasoner_in_silence() -> None:
    with pytest.raises(ConfigError, match=r"pocket reasoner.*reasoner=…"):
        Engine("mcts", critic=recording(CRITIQUE))


def test_named_model_is_not_paired_with_the_pocket_critic_in_silence() -> None:
    with pytest.raises(ConfigError, match="pocket critic"):
        Engine("mcts", overrides=["reasoner.model=some/model", "reasoner.backend=openai_api"])


def test_given_reasoner_is_not_paired_with_the_pocket_reward_model() -> None:
    with pytest.raises(ConfigError, match=r"reward_model\.model"):
        Engine("beam", reasoner=recording("answer: 1"))


def test_given_reasoner_is_not_a_second_arm_beside_the_pocket_reasoner() -> None:
    overrides = ["other_reasoners=[{temperature: 1.0}]"]
    with pytest.raises(ConfigError, match=r"other_reasoners\.0\.model"):
        Engine("ab_mcts", overrides=overrides, reasoner=recording("answer: 1"), critic=recording(CRITIQUE))


def test_given_generator_that_speaks_as_the_pocket_models_do_says_so_by_its_prompts() -> None:
    reasoner = recording("answer : 1")
    with Engine("greedy", overrides=["reasoner.prompts=pocket"], reasoner=reasoner) as engine:
        engine.solve(QUESTION)
    assert texts(reasoner) == [QUESTION.question]


def test_run_of_given_generators_is_not_continued_with_the_pocket_pair(tmp_path: Path) -> None:
    reasoner, critic = recording("answer: 1"), recording(CRITIQUE)
    overrides = ["strategy.num_samples=1"]
    with Engine("best_of_n", overrides=overrides, reasoner=reasoner, critic=critic) as engine:
        list(engine.solve_many([QUESTION], run=tmp_path / "run"))
    config = load_config(tmp_path / "run" / "config.yaml")
    with pytest.raises(ConfigError, match=r"reasoner\.prompts is 'plain'.*reasoner=…"):
        Engine(config)
    with Engine(config, reasoner=reasoner, critic=critic) as engine:
        assert [answer.answer for answer in engine.resume(tmp_path / "run")] == ["1"]


def test_the_shipped_pair_with_prompts_of_ones_own_is_no_foreign_pair() -> None:
    config = load_config("mcts", ["reasoner.prompts=some-folder"])
    assert with_given(config, has_reasoner=False, has_critic=False) == config


def test_prose_is_not_read_by_the_terse_models_unasked() -> None:
    with pytest.raises(ConfigError, match="paired with the pocket critic"):
        with_given(load_config("mcts", ["reasoner.model=pocket:prose"]), has_reasoner=False, has_critic=False)
    with pytest.raises(ConfigError, match="paired with the pocket reasoner"):
        with_given(load_config("mcts", ["critic.model=pocket:prose"]), has_reasoner=False, has_critic=False)
    config = load_config("mcts", ["reasoner.model=pocket:prose", "critic.model=pocket:prose"])
    assert with_given(config, has_reasoner=False, has_critic=False) == config
    assert config.critic_matches


def test_an_unknown_shipped_model_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'pocket:verse'; the shipped models are pocket and pocket:prose"):
        load_config("mcts", ["reasoner.model=pocket:verse"])
