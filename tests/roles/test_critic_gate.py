"""The critic's card in an engine: another pair's is refused, and a critic that it does not trust does not steer."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError
from critic_engine.roles.critic_gate import with_gate
from critic_engine.types import Problem

QUESTION = Problem("What is the capital of France?")
POCKET = {"name": "pocket", "prompts": "pocket"}
REASON = "the critic's AUROC is 0.58 (0.55 to 0.61), below critic.min_auroc 0.65"


def card(
    tmp_path: Path,
    *,
    critic: Mapping[str, str] = POCKET,
    reasoner: Mapping[str, str] = POCKET,
    auroc: Mapping[str, float | None] | None = None,
    kind: str = "critic",
) -> str:
    """Write a card, and return the override that names it."""
    path = tmp_path / "card.json"
    measured = {"estimate": 0.58, "low": 0.55, "high": 0.61} if auroc is None else auroc
    fields = {"critic": critic, "reasoner": reasoner, "answer_auroc": measured, "kind": kind}
    path.write_text(json.dumps({**fields, "task": "t", "num_problems": 9, "num_solutions": 9}), encoding="utf-8")
    return f"critic.health={path}"


def gated(config: EngineConfig, *, is_given: bool = False) -> EngineConfig:
    return with_gate(config, has_reasoner=is_given, has_critic=is_given)


def test_a_critic_below_the_limit_does_not_steer_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = gated(load_config("mcts", [card(tmp_path)]))
    assert (config.strategy.kind, config.needs_critic) == ("best_of_n", False)
    assert [record.getMessage() for record in caplog.records] == [
        f"{REASON}: the critic does not steer; whole solutions are sampled, and the most common answer is given"
    ]


def test_a_critic_that_reaches_the_limit_steers_and_the_config_keeps_its_auroc(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = load_config("mcts", [card(tmp_path, auroc={"estimate": 0.9, "low": 0.8, "high": 0.95})])
    config = gated(before)
    assert config.critic.auroc is not None
    assert config.critic.auroc.low == 0.8
    assert (config.strategy, config.needs_critic, caplog.records) == (before.strategy, True, [])


def test_a_card_that_cannot_tell_lets_the_critic_steer(tmp_path: Path) -> None:
    assert gated(load_config("mcts", [card(tmp_path, auroc={"estimate": None})])).needs_critic


def test_the_gate_is_the_same_for_a_config_that_went_through_it(tmp_path: Path) -> None:
    config = gated(load_config("mcts", [card(tmp_path)]))
    (tmp_path / "card.json").unlink()
    assert gated(config) == config


@pytest.mark.parametrize("preset", ["majority", "beam", "rstar"])
def test_a_method_that_asks_no_critic_ignores_the_card(preset: str, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(preset, ["critic.health=gone.json"])
    assert gated(config) == config
    assert not caplog.records


def test_a_critic_without_a_card_is_said_to_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="critic_engine"):
        gated(load_config("mcts"))
    (record,) = caplog.records
    assert "the critic has no card" in record.getMessage()
    assert record.levelno == logging.INFO


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"critic": {"name": "org/other", "prompts": "pocket"}}, r"its critic is 'org/other', .* critic is 'pocket'"),
        ({"reasoner": {"name": "org/other", "prompts": "pocket"}}, r"its reasoner is 'org/other', .* is 'pocket'"),
        ({"critic": POCKET | {"prompts": "plain"}}, r"its critic is asked with the prompts 'plain', .* 'pocket'"),
        (
            {"critic": POCKET | {"fingerprint": "0123456789abcdef"}},
            r"'pocket' with weights of the digest 0123456789ab, and .* is 'pocket', whose digest is [0-9a-f]{12};",
        ),
        ({"kind": "reward_model"}, "the card of a reward model, 'pocket'"),
        ({"auroc": {"estimate": 1.5}}, "each must lie in"),
    ],
)
def test_a_card_of_another_pair_is_refused_by_the_names_of_both(
    tmp_path: Path, other: dict[str, dict[str, str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        gated(load_config("mcts", [card(tmp_path, **other)]))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.field == "critic.health"


def test_a_file_that_is_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no critic's card"):
        gated(load_config("mcts", [f"critic.health={tmp_path / 'card.json'}"]))


def test_a_figure_given_by_hand_may_not_differ_from_the_card(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"leave critic\.auroc out"):
        gated(load_config("mcts", [card(tmp_path), "critic.auroc={estimate: 0.9}"]))


def test_of_a_generator_that_a_program_hands_in_only_the_prompts_are_compared(tmp_path: Path) -> None:
    plain = {"name": "anything", "prompts": "plain"}
    overrides = [card(tmp_path, critic=plain, reasoner=plain), "critic.prompts=plain", "reasoner.prompts=plain"]
    assert not gated(load_config("mcts", overrides), is_given=True).needs_critic


class TestRuns:
    """What is written of a run whose critic does not steer, and how it goes on."""

    @staticmethod
    def engine(config: EngineConfig | str | Path, *overrides: str) -> Engine:
        reasoner, critic = ScriptedGenerator(["It is Paris.\nanswer: Paris"]), ScriptedGenerator(["no verdict"])
        return Engine(config, overrides=overrides, reasoner=reasoner, critic=critic)

    @staticmethod
    def plain_card(tmp_path: Path) -> str:
        plain = {"name": "x", "prompts": "plain"}
        return card(tmp_path, critic=plain, reasoner=plain)

    def test_the_answer_the_report_and_the_store_say_it_once_a_problem(self, tmp_path: Path) -> None:
        run, problems = tmp_path / "run", [QUESTION, Problem("What is the capital of Peru?")]
        with self.engine("critic_v", self.plain_card(tmp_path)) as engine:
            answers = list(engine.solve_many(problems, run=run))
            assert engine.solve(QUESTION).failures == {"critic_gated": 1}
        assert [(answer.answer, answer.failures) for answer in answers] == [("Paris", {"critic_gated": 1})] * 2
        assert [answer.num_simulations for answer in answers] == [2, 2]
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        assert report["failures"] == {"critic_gated": 2}

    def test_a_run_goes_on_without_the_card_and_under_the_same_configuration(self, tmp_path: Path) -> None:
        run, override = tmp_path / "run", self.plain_card(tmp_path)
        with self.engine("critic_v", override, "run.max_tokens=1") as engine:
            first = list(engine.solve_many([QUESTION, Problem("What is the capital of Peru?")], run=run))
        assert any(answer.stop_reason == "run_tokens" for answer in first)
        with self.engine("critic_v", override) as engine:
            assert [answer.failures for answer in engine.resume(run)] == [{"critic_gated": 1}] * 2
        (tmp_path / "card.json").unlink()
        with self.engine(run / "config.yaml", "run.max_tokens=null") as engine:
            assert [answer.answer for answer in engine.resume(run)] == ["Paris", "Paris"]

    def test_a_problem_without_an_answer_does_not_blame_the_gate(self, tmp_path: Path) -> None:
        reasoner, critic = ScriptedGenerator([""]), ScriptedGenerator(["no verdict"])
        override = self.plain_card(tmp_path)
        with Engine("critic_v", overrides=[override], reasoner=reasoner, critic=critic) as engine:
            answer = engine.solve(QUESTION)
        assert answer.status == "failed"
        assert answer.error is not None
        assert "AUROC" not in answer.error
