"""The gate: every method without its critic is a valid one, and keeps what else it was told."""

import pytest
import yaml

from critic_engine.config.engine import EngineConfig, dump_config, load_config, parse_config
from critic_engine.config.files import presets
from critic_engine.config.gate import gate_reason, gated
from critic_engine.config.search import CriticConfig
from critic_engine.errors import ConfigError

WITH_CRITIC = [name for name in sorted(presets()) if load_config(name).needs_critic]
BLEND = (
    "evaluator={kind: blend, parts: [{evaluator: {kind: critic}}, {weight: 3, evaluator: {kind: reward_model}}, "
    "{evaluator: {kind: rollout}}]}"
)


def measured(estimate: float | None, low: float | None = None, high: float | None = None) -> CriticConfig:
    return CriticConfig.model_validate({"auroc": {"estimate": estimate, "low": low, "high": high}, "min_auroc": 0.7})


def is_flat(config: EngineConfig) -> bool:
    kinds = (config.strategy.kind, config.expander.kind, config.evaluator.kind, config.decision.rule)
    return kinds == ("best_of_n", "solution", "none", "majority")


@pytest.mark.parametrize("preset", WITH_CRITIC)
def test_a_preset_without_its_critic_samples_solutions_and_takes_the_majority(preset: str) -> None:
    config = load_config(preset)
    changed = gated(config)
    assert is_flat(changed)
    assert (changed.budget, changed.reasoner, changed.run) == (config.budget, config.reasoner, config.run)
    assert parse_config(yaml.safe_load(dump_config(changed))) == changed


def test_presets_that_ask_a_critic_are_those_that_the_gate_is_for() -> None:
    assert [
        *(
            "ab_mcts",
            "best_of_n",
            "critic_v",
            "guided",
            "lats",
            "llama_berry",
            "mcts",
            "mctsr",
            "mmc",
            "particle",
            "weighted_majority",
        )
    ] == WITH_CRITIC


@pytest.mark.parametrize("preset", sorted(presets()))
def test_every_preset_with_a_critic_in_a_blend_is_valid_without_it(preset: str) -> None:
    config = load_config(preset, [BLEND])
    changed = gated(config)
    assert not changed.needs_critic
    assert changed.needs_reward_model
    assert changed.evaluators == config.evaluators[1:]
    assert parse_config(yaml.safe_load(dump_config(changed))) == changed
    is_kept = config.expander.kind == "step" or config.strategy.kind == "best_of_n"
    assert (changed.strategy == config.strategy) == is_kept
    assert changed.decision.rule == config.decision.rule or changed.decision.rule == "weighted_majority"


@pytest.mark.parametrize(
    ("preset", "strategy", "num_samples"),
    [
        *(("best_of_n", [], 16), ("critic_v", [], 2), ("mmc", [], 6)),
        ("beam", ["width=3", "branching=4", "num_rounds=2"], 24),
        ("dvts", ["num_subtrees=2", "branching=3", "num_rounds=1"], 6),
        ("particle", ["num_particles=5", "num_rounds=3"], 15),
        *((preset, ["num_rounds=null"], 1_000_000) for preset in ("beam", "dvts", "particle")),
    ],
)
def test_a_method_that_ends_by_itself_is_replaced_by_as_many_solutions_as_it_writes(
    preset: str, strategy: list[str], num_samples: int
) -> None:
    overrides = ["evaluator={kind: critic}", "decision.rule=majority", *(f"strategy.{option}" for option in strategy)]
    assert vars_of(gated(load_config(preset, overrides)))["num_samples"] == num_samples


def vars_of(config: EngineConfig) -> dict[str, object]:
    return dict(config.strategy.model_dump())


def test_steps_are_searched_without_critiques_where_another_evaluator_steers() -> None:
    overrides = [BLEND, "expander.max_revisions=2", "expander.revise_below=0.4", "expander.max_steps=9"]
    changed = gated(load_config("mcts", overrides))
    assert not changed.expander.is_critic_guided
    assert (changed.expander.max_revisions, changed.expander.max_steps) == (0, 9)


def test_options_that_need_values_or_steps_are_dropped_and_others_kept() -> None:
    overrides = [
        *("stop={value_threshold: 0.9, patience: 3, num_finished: 7, agreement: 0.95}", "expander.max_steps=9"),
        *("expander.delimiter=;", "other_reasoners=[]", "budget.max_simulations=20", "decision.aggregation=min"),
    ]
    changed = gated(load_config("mcts", overrides))
    assert (changed.stop.value_threshold, changed.stop.patience) == (None, None)
    assert (changed.stop.num_finished, changed.stop.agreement) == (7, 0.95)
    assert (changed.expander.delimiter, changed.budget.max_simulations) == (";", 20)


def test_several_reasoners_are_the_first_alone_where_nothing_chooses_between_them() -> None:
    assert gated(load_config("ab_mcts", ["other_reasoners=[{temperature: 1.0}]"])).other_reasoners == ()


def test_reference_answers_steer_alone_in_labelling_mode() -> None:
    parts = "parts: [{evaluator: {kind: critic}}, {evaluator: {kind: rollout, against: reference}}]"
    changed = gated(load_config("mcts", [f"evaluator={{kind: blend, {parts}}}"]))
    assert changed.evaluator.kind == "rollout"
    assert (changed.strategy.kind, changed.needs_reference) == ("mcts", True)


def test_what_agrees_or_values_nothing_is_no_evaluator_to_steer_by() -> None:
    parts = "parts: [{evaluator: {kind: critic}}, {evaluator: {kind: rollout}}, {evaluator: {kind: none}}]"
    assert is_flat(gated(load_config("mcts", [f"evaluator={{kind: blend, {parts}}}"])))


@pytest.mark.parametrize(
    ("critic", "reason"),
    [
        (measured(0.58, 0.55, 0.61), "the critic's AUROC is 0.58 (0.55 to 0.61), below critic.min_auroc 0.7"),
        (measured(0.75, 0.62, 0.9), "is 0.75 (0.62 to 0.90), which may be below critic.min_auroc 0.7 (a card of more"),
        (measured(0.69), "the critic's AUROC is 0.69, below critic.min_auroc 0.7"),
        (measured(0.2, 0.1, 0.3), "is 0.20 (0.10 to 0.30), below"),
    ],
)
def test_a_critic_that_is_not_shown_to_be_good_does_not_steer(critic: CriticConfig, reason: str) -> None:
    assert reason in str(gate_reason(critic))


@pytest.mark.parametrize("critic", [CriticConfig(), measured(0.7), measured(0.8, 0.71, 0.9), measured(None)])
def test_a_critic_that_is_good_or_unknown_steers(critic: CriticConfig) -> None:
    assert gate_reason(critic) is None


def test_a_limit_without_a_card_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"min_auroc is 0\.8 and has no effect; set health"):
        load_config("mcts", ["critic.min_auroc=0.8"])


@pytest.mark.parametrize("figures", ["estimate: 2", "estimate: .nan", "estimate: 0.9, low: -0.1"])
def test_a_figure_that_is_no_auroc_is_refused(figures: str) -> None:
    with pytest.raises(ConfigError, match=r"critic: auroc is \(.*\), and each must lie in \[0, 1\]"):
        load_config("mcts", [f"critic.auroc={{{figures}}}"])
