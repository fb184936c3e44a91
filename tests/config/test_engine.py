"""The configuration: what is accepted means what it says, and what is refused is refused by name."""

from pathlib import Path
from typing import Any

import pydantic
import pytest

from critic_engine.config.compare import without_hosting_and_limits
from critic_engine.config.engine import StrategyConfig, dump_config, load_config, parse_config
from critic_engine.config.files import hosting_presets, presets
from critic_engine.errors import ConfigError
from search import (
    AbMctsOptions,
    BeamOptions,
    BestOfNOptions,
    ChainOptions,
    DvtsOptions,
    GuidedOptions,
    MctsOptions,
    ParticleOptions,
    StopOptions,
)

BUDGET: dict[str, Any] = {"budget": {"max_tokens": 400}}
NO_CRITIC: dict[str, Any] = {**BUDGET, "evaluator": {"kind": "none"}, "decision": {"rule": "majority"}}
UNREADABLE = {
    "not a date": "2001-99-99",
    "too deep": "[" * 3000,
    "not closed": "[1",
    "not a bool": "!!bool x",
    "not a time": "!!timestamp x",
    "not a number": '!!int ""',
    "unknown tag": "!!python/object:os.system x",
}


def refused(document: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(document)
    return caught.value


def written(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class TestYaml:
    @pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
    def test_a_file_that_is_not_yaml_is_named_in_one_line(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=r"my\.yaml cannot be read as YAML: ") as caught:
            load_config(written(tmp_path, f"run: {{seed: {text}}}"))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
    def test_an_override_that_is_not_yaml_is_named_with_its_field(self, text: str) -> None:
        with pytest.raises(ConfigError, match="cannot be read as YAML: ") as caught:
            load_config("mcts", [f"run.seed={text}"])
        assert caught.value.field == "run.seed"

    def test_a_file_of_other_bytes_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "my.yaml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match=r"my\.yaml cannot be read as YAML"):
            load_config(path)

    @pytest.mark.parametrize("text", ["- a", "a", "7"])
    def test_a_document_without_sections_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match="must be a mapping of sections"):
            load_config(written(tmp_path, text))

    def test_an_unknown_name_is_told_the_presets(self) -> None:
        with pytest.raises(ConfigError, match="neither a file nor a preset") as caught:
            load_config("mtcs")
        assert all(name in str(caught.value) for name in presets())


class TestOverrides:
    def test_values_are_read_as_yaml(self) -> None:
        config = load_config(
            "mcts",
            [
                "budget.max_tokens=7",
                "budget.max_simulations=null",
                "expander.is_critic_guided=false",
                'expander.delimiter=". "',
                "reasoner.temperature=1",
                "reasoner.model=a/b=c",
                "strategy.exploration=2.5",
            ],
        )
        assert (config.budget.max_tokens, config.budget.max_simulations) == (7, None)
        assert config.expander.is_critic_guided is False
        assert config.expander.delimiter == ". "
        assert config.reasoner.temperature == 1.0
        assert config.reasoner.model == "a/b=c"
        assert config.strategy.options == MctsOptions(
            exploration=2.5, num_proposals=1, max_proposals=8, min_prior_left=0.05
        )

    def test_a_later_override_wins_over_an_earlier_one_and_over_the_file(self) -> None:
        assert load_config("mcts", ["budget.max_tokens=7", "budget.max_tokens=8"]).budget.max_tokens == 8

    @pytest.mark.parametrize("override", ["max_tokens=7", "budget.max_tokens", "budget.=7", "=7", ""])
    def test_what_names_no_field_is_refused(self, override: str) -> None:
        with pytest.raises(ConfigError, match=r"must read section\.field=value"):
            load_config("mcts", [override])

    def test_a_whole_section_may_be_replaced(self) -> None:
        config = load_config("ab_mcts", ["other_reasoners=[{temperature: 1.0}]", "evaluator={kind: reward_model}"])
        assert [each.temperature for each in config.other_reasoners] == [1.0]
        assert config.evaluator.kind == "reward_model"

    def test_a_field_inside_a_value_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="max_tokens is not a section"):
            load_config("mcts", ["budget.max_tokens.most=7"])


class TestFields:
    @pytest.mark.parametrize(
        ("document", "field", "known"),
        [
            ({"expnder": {}}, "expnder", "strategy, expander, evaluator, decision, budget, stop, reasoner, other_reas"),
            ({"decision": {"rul": "last"}}, "decision.rul", "rule, aggregation"),
            ({"reasoner": {"top_x": 5}}, "reasoner.top_x", "temperature, max_tokens"),
        ],
    )
    def test_an_unknown_key_is_named_and_the_known_ones_are_listed(
        self, document: dict[str, Any], field: str, known: str
    ) -> None:
        error = refused(document)
        assert f"{field} is not a known key; the keys here are" in str(error)
        assert known in str(error)
        assert error.field == field

    @pytest.mark.parametrize(
        ("section", "field", "value"),
        [
            ("budget", "max_tokens", 0),
            ("budget", "max_simulations", 0),
            ("reasoner", "temperature", 9),
            ("reasoner", "temperature", float("nan")),
            ("critic", "max_attempts", 0),
            ("expander", "delimiter", ""),
            ("expander", "reject_below", 1.5),
            ("decision", "rule", "first"),
            ("decision", "aggregation", "sum"),
            ("run", "seed", -1),
            ("run", "seed", 2**63),
        ],
    )
    def test_a_value_out_of_range_names_its_field(self, section: str, field: str, value: object) -> None:
        error = refused({section: {field: value}})
        assert error.field == f"{section}.{field}"
        assert f"{section}.{field}: " in str(error)

    def test_keys_that_are_not_names_are_refused(self) -> None:
        assert "1" in str(refused({1: 2, **BUDGET}))


class TestStrategy:
    def test_options_stand_beside_the_kind_and_mcts_is_the_kind_where_none_is_given(self) -> None:
        assert parse_config({"strategy": {"max_depth": 4}, **BUDGET}).strategy.options == MctsOptions(max_depth=4)

    @pytest.mark.parametrize("kind", [["mcts"], {"mcts": 1}, 7, None, "dfs"])
    def test_a_kind_that_is_none_is_told_the_kinds(self, kind: object) -> None:
        kinds = "it must be one of mcts, ab_mcts, beam, dvts, particle, guided, best_of_n, chain"
        assert kinds in str(refused({"strategy": {"kind": kind}, **BUDGET}))

    def test_keys_of_mixed_types_are_refused_by_name(self) -> None:
        error = refused({"strategy": {"kind": "mcts", 1: 2, "a": 3}, **BUDGET})
        assert "1 is not an option of mcts; its options are selection," in str(error)

    @pytest.mark.parametrize("options", [{"num_samples": 3}, {"exploration": 2.0}, {}, None])
    def test_options_written_one_level_too_deep_are_an_unknown_key(self, options: object) -> None:
        error = refused({"strategy": {"kind": "mcts", "options": options}, **BUDGET})
        assert "options is not an option of mcts" in str(error)

    def test_ready_made_options_must_be_those_of_the_kind(self) -> None:
        options = BestOfNOptions(num_samples=3)
        assert StrategyConfig(kind="best_of_n", options=options).options == options
        with pytest.raises(pydantic.ValidationError, match="options is not an option of mcts"):
            StrategyConfig(kind="mcts", options=options)

    def test_an_option_out_of_range_names_itself(self) -> None:
        assert "num_proposals must be" in str(refused({"strategy": {"num_proposals": 0}, **BUDGET}))
        error = refused({"strategy": {"num_proposals": "many"}, **BUDGET})
        assert error.field == "strategy.num_proposals"


class TestTogether:
    def test_a_tree_without_a_budget_is_refused(self) -> None:
        assert "budget is empty" in str(refused({}))
        assert "budget is empty" in str(refused({"strategy": {"kind": "guided"}}))
        particle = {"kind": "particle", "num_rounds": None}
        assert "budget is empty" in str(refused({"strategy": particle}))
        parse_config({"strategy": particle, **BUDGET})
        parse_config({"strategy": {"kind": "particle"}})

    @pytest.mark.parametrize("strategy", [{"kind": "best_of_n", "num_samples": 2}, {"kind": "chain"}])
    def test_strategies_over_whole_solutions_refuse_steps(self, strategy: dict[str, Any]) -> None:
        error = refused({"strategy": strategy, "expander": {"kind": "step"}})
        assert f"expander.kind is 'step'; {strategy['kind']} needs whole solutions" in str(error)
        parse_config({"strategy": strategy, "expander": {"kind": "solution"}})

    @pytest.mark.parametrize("rule", ["best_value", "weighted_majority"])
    def test_deciding_by_values_needs_values(self, rule: str) -> None:
        error = refused({**NO_CRITIC, "decision": {"rule": rule}})
        assert f"decision.rule is '{rule}', which needs values" in str(error)

    @pytest.mark.parametrize("rule", ["most_visits", "majority", "last"])
    def test_other_rules_do_without_values(self, rule: str) -> None:
        assert parse_config({**NO_CRITIC, "decision": {"rule": rule}}).decision.rule == rule

    @pytest.mark.parametrize("stop", [{"value_threshold": 0.5}, {"patience": 3}])
    def test_stopping_at_a_value_needs_values(self, stop: dict[str, Any]) -> None:
        document = {**NO_CRITIC, "stop": stop}
        assert f"stop.{next(iter(stop))} needs values" in str(refused(document))
        parse_config({**document, "evaluator": {"kind": "critic"}})

    @pytest.mark.parametrize("kind", ["beam", "dvts", "particle", "guided"])
    def test_strategies_over_steps_refuse_whole_solutions(self, kind: str) -> None:
        error = refused({"strategy": {"kind": kind}, "expander": {"kind": "solution"}, **BUDGET})
        assert f"expander.kind is 'solution'; {kind} goes step by step" in str(error)
        parse_config({"strategy": {"kind": kind}, **BUDGET})

    def test_other_reasoners_are_arms_of_ab_mcts_alone(self) -> None:
        document = {"other_reasoners": [{"temperature": 1.0}], **BUDGET}
        assert "other_reasoners are arms of ab_mcts" in str(refused(document))
        config = parse_config({**document, "strategy": {"kind": "ab_mcts"}})
        assert config.other_reasoners[0].temperature == 1.0

    @pytest.mark.parametrize("name", ["is_refining", "num_arms"])
    def test_options_that_other_sections_decide_cannot_be_set(self, name: str) -> None:
        assert f"{name} is not an option of ab_mcts" in str(refused({"strategy": {"kind": "ab_mcts", name: 1}}))

    def test_revisions_need_the_critics_words(self) -> None:
        document = {"expander": {"max_revisions": 1}, "evaluator": {"kind": "reward_model"}, **BUDGET}
        assert "expander.max_revisions is 1, and only the critic's words" in str(refused(document))
        parse_config({"expander": {"max_revisions": 1}, **BUDGET})

    def test_headings_need_prompts_that_ask_for_them(self) -> None:
        document = {"expander": {"split": "template"}, **BUDGET}
        assert "reasoner.prompts" in str(refused(document))
        parse_config({**document, "reasoner": {"prompts": "headed"}})

    @pytest.mark.parametrize(("name", "value"), [("max_steps", 3), ("is_critic_guided", False), ("reject_below", 0.1)])
    def test_options_of_steps_are_refused_for_whole_solutions(self, name: str, value: object) -> None:
        assert f"{name} is" in str(refused({"expander": {"kind": "solution", name: value}, **BUDGET}))
        parse_config({"expander": {"kind": "step", name: value}, **BUDGET})


class TestEvaluator:
    def test_keys_of_another_kind_are_refused(self) -> None:
        error = refused({"evaluator": {"kind": "critic", "num_rollouts": 3}, **BUDGET})
        assert "evaluator.num_rollouts is not a known key; the keys here are kind" in str(error)

    @pytest.mark.parametrize("section", [{"num_rollouts": 3}, {"kind": "judge"}, {"kind": 3}])
    def test_a_kind_that_is_none_is_told_the_kinds(self, section: dict[str, Any]) -> None:
        error = refused({"evaluator": section, **BUDGET})
        assert "evaluator.kind must be one of critic, reward_model, checker, none, rollout, blend" in str(error)

    def test_one_rollout_cannot_agree(self) -> None:
        assert "always agrees with itself" in str(refused({"evaluator": {"kind": "rollout", "num_rollouts": 1}}))
        evaluator = {"kind": "rollout", "num_rollouts": 1, "against": "reference"}
        assert parse_config({"evaluator": evaluator, **BUDGET}).needs_reference

    def test_a_blend_needs_what_its_parts_need(self) -> None:
        parts = [{"evaluator": {"kind": "critic"}}, {"weight": 2, "evaluator": {"kind": "checker"}}]
        config = parse_config({"evaluator": {"kind": "blend", "parts": parts}, **BUDGET})
        assert (config.needs_critic, config.needs_reference) == (True, True)
        assert (parse_config(BUDGET).needs_critic, parse_config(BUDGET).needs_reference) == (True, False)

    @pytest.mark.parametrize("stop", [{"patience": 0}, {"agreement": 1.0}, {"window": 1}, {"rounds": 3}])
    def test_stops_out_of_range_or_unknown_are_refused(self, stop: dict[str, Any]) -> None:
        assert next(iter(stop)) in str(refused({"stop": stop, **BUDGET}))


@pytest.mark.parametrize(
    "document",
    [
        {"strategy": {"kind": "mcts", "max_depth": 5}, "stop": {"agreement": 0.95}, **BUDGET},
        {"strategy": {"kind": "ab_mcts", "prior": "beta"}, "other_reasoners": [{"temperature": 1.0}], **BUDGET},
        {"evaluator": {"kind": "blend", "parts": [{"weight": 2, "evaluator": {"kind": "rollout"}}]}, **BUDGET},
        {"strategy": {"kind": "chain", "is_gated": True}, "expander": {"kind": "solution", "delimiter": ". \n\t"}},
        {**NO_CRITIC, "run": {"seed": 2**63 - 1}, "reasoner": {"model": "été: #1"}},
    ],
)
def test_a_dumped_configuration_is_read_back_to_an_equal_one(tmp_path: Path, document: dict[str, Any]) -> None:
    config = parse_config(document)
    assert load_config(written(tmp_path, dump_config(config))) == config


def test_presets_are_the_methods_they_are_named_for() -> None:
    configs = {name: load_config(name) for name in presets()}
    refining = {"selection": "uct", "exploration": 1.4, "num_proposals": 1}
    assert {name: config.strategy.options for name, config in configs.items()} == {
        "ab_mcts": AbMctsOptions(prior="gaussian"),
        "beam": BeamOptions(width=1, num_rounds=None),
        "best_of_n": BestOfNOptions(num_samples=16),
        "critic_v_collect": BestOfNOptions(num_samples=4),
        "critic_v": ChainOptions(max_rounds=1),
        "dvts": DvtsOptions(num_subtrees=1, num_rounds=None),
        "greedy": BestOfNOptions(num_samples=1),
        "guided": GuidedOptions(),
        "lats": MctsOptions(selection="uct", exploration=1.4142, num_proposals=1, max_proposals=5),
        "llama_berry": MctsOptions(**refining, max_proposals=2, max_pending=2, backup="decayed"),
        "majority": BestOfNOptions(num_samples=16),
        "mcts": MctsOptions(exploration=0.8, num_proposals=1, max_proposals=8, min_prior_left=0.05),
        "mctsr": MctsOptions(**refining, max_proposals=3, max_pending=3, backup="halfway"),
        "mmc": ChainOptions(max_rounds=5),
        "mmc_collect": MctsOptions(selection="greedy_value", num_proposals=2, max_proposals=2),
        "particle": ParticleOptions(num_particles=4, num_rounds=None),
        "rstar": MctsOptions(selection="uct", exploration=2.0, num_proposals=2, max_proposals=4),
        "weighted_majority": BestOfNOptions(num_samples=16),
    }
    assert [name for name, config in configs.items() if config.evaluator.kind == "none"] == ["greedy", "majority"]
    assert [name for name, config in configs.items() if config.needs_reference] == [
        "critic_v_collect",
        "mmc_collect",
    ]
    assert configs["greedy"].reasoner.temperature == 0
    assert configs["mmc"].stop == StopOptions(value_threshold=0.5)
    assert configs["mmc_collect"].expander.max_step_tokens == 30


def test_later_file_changes_what_it_names_and_replaces_a_section_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "method.yaml").write_text("strategy: {kind: mcts, exploration: 0.3}\nbudget: {max_tokens: 9}\n")
    (tmp_path / "host.yaml").write_text("reasoner: {model: ./a}\nbudget: {max_simulations: 4}\n")
    (tmp_path / "other.yaml").write_text("strategy: {kind: ab_mcts}\n")
    config = load_config([tmp_path / "method.yaml", tmp_path / "host.yaml"])
    assert config.reasoner.model == "./a"
    assert (config.budget.max_tokens, config.budget.max_simulations) == (9, 4)
    assert getattr(config.strategy.options, "exploration", None) == 0.3
    assert load_config([tmp_path / "method.yaml", tmp_path / "other.yaml"]).strategy.kind == "ab_mcts"


@pytest.mark.parametrize("name", hosting_presets())
def test_hosting_preset_goes_with_every_method(name: str) -> None:
    hosted = load_config(name)
    for method in presets():
        config = load_config([method, name])
        assert config.strategy == load_config(method).strategy
        assert (config.reasoner.hosting, config.ray) == (hosted.reasoner.hosting, hosted.ray)


def test_roles_of_one_gpu_share_one_engine() -> None:
    config = load_config(["mcts", "one_gpu"])
    assert config.reasoner.hosting == config.critic.hosting


def test_sections_that_one_anchor_names_are_changed_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text("reasoner: &both {model: ./a}\ncritic: *both\nbudget: {max_tokens: 9}\n")
    config = load_config(tmp_path / "both.yaml", ["critic.model=./b"])
    assert (config.reasoner.model, config.critic.model) == ("./a", "./b")


@pytest.mark.parametrize("field", ["device=cuda:1", "max_batch_size=8"])
def test_field_that_means_nothing_to_the_backend_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match="has no effect where backend is 'vllm'"):
        load_config("greedy", ["reasoner.backend=vllm", f"reasoner.{field}"])


def test_what_may_be_a_key_is_not_repeated() -> None:
    for override in ("reasoner.openai_api.api_key_variable=sk-1-2", "reasoner.openai_api=sk-1-2"):
        with pytest.raises(ConfigError) as caught:
            load_config("greedy", ["reasoner.backend=openai_api", override])
        assert "sk-1-2" not in str(caught.value)


def test_replicas_without_ray_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"set ray\.address"):
        load_config("greedy", ["reasoner.actor.num_replicas=4"])


def test_model_behind_an_endpoint_is_named_by_its_prefix_everywhere() -> None:
    config = load_config("ab_mcts", ["reward_model.model=openai:a", "other_reasoners=[{model: openai:b/c:d}]"])
    for model, name in (config.reward_model, "a"), (config.other_reasoners[0], "b/c:d"):
        assert (model.model, model.backend) == (name, "openai_api")
    assert parse_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("name", ["openai:", "openai: ", "openai:openai:a"])
def test_prefix_alone_or_twice_names_no_model(name: str) -> None:
    with pytest.raises(ConfigError, match="write openai:NAME"):
        parse_config({"critic": {"model": name}, "budget": {"max_tokens": 9}})


@pytest.mark.parametrize(
    ("override", "near"),
    [
        ("reasoner.temprature=1", "temperature"),
        ("strategy.exploraton=1", "exploration"),
        ("stop.patence=3", "patience"),
        ("expnder.kind=step", "expander"),
        ("collect.pairs.max_pair=3", "max_pairs"),
    ],
)
def test_unknown_key_is_told_the_nearest_one(override: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"did you mean {near}\?"):
        load_config("mcts", [override])


def test_unknown_preset_is_told_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"did you mean majority\?"):
        load_config("majorty")


@pytest.mark.parametrize(("given", "read"), [("on", "on"), ("off", "off"), ("auto", "auto"), ("'off'", "off")])
def test_thinking_is_a_word_though_yaml_reads_a_switch(given: str, read: str) -> None:
    assert load_config("greedy", [f"reasoner.thinking={given}"]).reasoner.thinking == read


def test_annotators_may_move_between_the_sessions_of_a_run() -> None:
    models = ("{model: ./a, device: cpu}", "{model: ./a, device: 'cuda:1', backend: huggingface}", "{model: ./b}")
    settings = (f"collect.annotators=[{{kind: model, model: {model}}}]" for model in models)
    before, moved, other = (without_hosting_and_limits(load_config("mmc_collect", [each])) for each in settings)
    assert before == moved != other
