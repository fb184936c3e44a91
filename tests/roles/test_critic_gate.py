"""The critic's card in an engine: another pair's is refused, and a critic that it does not trust does not steer."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError, RunError
from critic_engine.roles.critic_gate import with_card_auroc, with_gate
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


def test_a_critic_below_the_limit_does_not_steer_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = with_gate(load_config("mcts", [card(tmp_path)]))
    assert (config.strategy.kind, config.needs_critic) == ("best_of_n", False)
    assert [record.getMessage() for record in caplog.records] == [
        f"{REASON}: the critic does not steer; whole solutions are sampled, and the most common answer is given"
    ]


def test_a_critic_that_reaches_the_limit_steers_and_the_config_keeps_its_auroc(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = load_config("mcts", [card(tmp_path, auroc={"estimate": 0.9, "low": 0.8, "high": 0.95})])
    config = with_gate(before)
    assert config.critic.auroc is not None
    assert (config.critic.auroc.low, config.critic.health) == (0.8, None)
    assert (config.strategy, config.needs_critic, caplog.records) == (before.strategy, True, [])


@pytest.mark.parametrize("estimate", [None, 0.9])
def test_a_card_that_cannot_tell_lets_the_critic_steer_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, estimate: float | None
) -> None:
    assert with_gate(load_config("mcts", [card(tmp_path, auroc={"estimate": estimate})])).needs_critic
    (record,) = caplog.records
    assert record.getMessage().startswith("the critic's AUROC has no interval")


def test_the_gate_is_the_same_for_a_config_that_went_through_it(tmp_path: Path) -> None:
    config = with_gate(load_config("mcts", [card(tmp_path)]))
    (tmp_path / "card.json").unlink()
    assert with_gate(config) == config


def test_a_card_that_was_measured_anew_makes_another_configuration(tmp_path: Path) -> None:
    config = load_config("mcts", [card(tmp_path)])
    before = with_card_auroc(config)
    assert (before.critic.health, before.needs_critic) == (config.critic.health, True)
    assert with_gate(before) == with_gate(config)
    card(tmp_path, auroc={"estimate": 0.9, "low": 0.8, "high": 0.95})
    assert with_card_auroc(config) != before
    unused = load_config("majority", ["critic.health=gone.json"])
    assert with_card_auroc(unused) == unused


@pytest.mark.parametrize("preset", ["majority", "rstar"])
def test_a_method_that_asks_no_critic_ignores_the_card(preset: str, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(preset, ["critic.health=gone.json"])
    assert with_gate(config) == config
    assert not caplog.records


def test_a_method_that_asks_a_reward_model_says_that_no_card_gates_it(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config("beam", ["critic.health=gone.json"])
    assert with_gate(config) == config
    assert [record.getMessage() for record in caplog.records] == [
        "critic.health is not used: this method asks a reward model, and a card gates the critic"
    ]


def test_a_critic_without_a_card_is_said_to_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="critic_engine"):
        with_gate(load_config("mcts"))
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
        with_gate(load_config("mcts", [card(tmp_path, **other)]))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.field == "critic.health"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"is no critic's card: Input should be a valid dictionary .*; name the critic_card\.json"),
        ('{"format": "1", "critic": {"name": "a"}}', r"is no critic's card: critic\.prompts: Field required; name"),
        ('{"format": ', "is no critic's card: Expecting value"),
        ("[" * 100_000, "is no critic's card: maximum recursion depth"),
    ],
)
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "card.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        with_gate(load_config("mcts", [f"critic.health={tmp_path / 'card.json'}"]))
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "gone", "No such file or directory")):
        with pytest.raises(ConfigError, match=f"cannot be read: {reason}; name the critic_card"):
            with_gate(load_config("mcts", [f"critic.health={path}"]))


def test_a_figure_given_by_hand_may_not_differ_from_the_card(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"leave critic\.auroc out"):
        with_gate(load_config("mcts", [card(tmp_path), "critic.auroc={estimate: 0.9}"]))


def test_a_generator_that_a_program_hands_in_is_compared_by_its_own_name(tmp_path: Path) -> None:
    given = ScriptedGenerator(["no verdict"])
    overrides = ["critic.prompts=plain", "reasoner.prompts=plain"]
    ours, other = ({"name": name, "prompts": "plain"} for name in (given.name, "anything"))
    config = load_config("mcts", [card(tmp_path, critic=ours, reasoner=ours), *overrides])
    assert not with_gate(config, reasoner=given, critic=given).needs_critic
    config = load_config("mcts", [card(tmp_path, critic=ours, reasoner=other), *overrides])
    with pytest.raises(ConfigError, match=f"its reasoner is 'anything', and this reasoner is '{given.name}'"):
        with_gate(config, reasoner=given, critic=given)


class TestRuns:
    """What is written of a run whose critic does not steer, and how it goes on."""

    @staticmethod
    def engine(config: EngineConfig | str | Path, *overrides: str) -> Engine:
        reasoner, critic = ScriptedGenerator(["It is Paris.\nanswer: Paris"]), ScriptedGenerator(["no verdict"])
        return Engine(config, overrides=overrides, reasoner=reasoner, critic=critic)

    @staticmethod
    def plain_card(tmp_path: Path) -> str:
        plain = {"name": ScriptedGenerator(["-"]).name, "prompts": "plain"}
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

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_a_run_that_its_critic_steers_goes_on_after_its_card_was_moved_or_changed(
        self, tmp_path: Path, *, is_kept: bool
    ) -> None:
        run, good = tmp_path / "run", {"estimate": 0.9, "low": 0.8, "high": 0.95}
        plain = {"name": ScriptedGenerator(["-"]).name, "prompts": "plain"}
        override = card(tmp_path, critic=plain, reasoner=plain, auroc=good)
        with self.engine("critic_v", override, "run.max_tokens=1") as engine:
            list(engine.solve_many([QUESTION, Problem("What is the capital of Peru?")], run=run))
        if is_kept:
            card(tmp_path, critic=plain, reasoner=plain)
        else:
            (tmp_path / "card.json").unlink()
        with self.engine(run / "config.yaml", "run.max_tokens=null") as engine:
            assert engine.config.needs_critic
            assert [answer.answer for answer in engine.resume(run)] == ["Paris", "Paris"]
        if is_kept:
            with self.engine("critic_v", override) as engine, pytest.raises(RunError, match="another configuration"):
                list(engine.resume(run))

    def test_a_problem_without_an_answer_does_not_blame_the_gate(self, tmp_path: Path) -> None:
        reasoner, critic = ScriptedGenerator([""]), ScriptedGenerator(["no verdict"])
        override = self.plain_card(tmp_path)
        with Engine("critic_v", overrides=[override], reasoner=reasoner, critic=critic) as engine:
            answer = engine.solve(QUESTION)
        assert answer.status == "failed"
        assert answer.error is not None
        assert "AUROC" not in answer.error
