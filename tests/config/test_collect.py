"""The section ``collect``: what may stand in it, and what a wrong field is told."""

from typing import Any

import pytest
import yaml

from critic_engine.config.collect import AnnotatorConfig, CollectConfig
from critic_engine.config.engine import dump_config, load_config, parse_config
from critic_engine.errors import ConfigError

BUDGET = {"budget": {"max_simulations": 1}}


def parsed(collect: dict[str, Any]) -> CollectConfig:
    found = parse_config({**BUDGET, "collect": collect}).collect
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("collect", "field", "reason"),
    [
        ({"pair": {}}, "collect.pair", "is not a known key; the keys here are pairs, annotators, lift, labels"),
        ({"pairs": {"kinds": []}}, "collect.pairs.kinds", "at least 1 item"),
        ({"pairs": {"kinds": ["cousin"]}}, "collect.pairs.kinds.0", "'divergent', 'sibling', 'first_error'"),
        ({"pairs": {"max_pairs": 0}}, "collect.pairs.max_pairs", "greater than or equal to 1"),
        ({"pairs": {"min_margin": 1.1}}, "collect.pairs.min_margin", "less than or equal to 1"),
        ({"pairs": {"check": "always"}}, "collect.pairs.check", "'auto', 'critic' or 'none'"),
        ({"annotators": [{"kind": "human"}]}, "collect.annotators.0.kind", "'pocket_rules'"),
        ({"annotators": [{"num_critiques": 0}]}, "collect.annotators.0.num_critiques", "greater than or equal to 1"),
        ({"annotators": [{"kind": "model"}]}, "collect.annotators.0", "kind 'model' needs a model"),
        ({"annotators": [{"model": {"model": "x"}}]}, "collect.annotators.0", "no other kind has one"),
        (
            {"annotators": [{}, {"kind": "pocket_rules", "num_critiques": 2}]},
            "collect.annotators.1",
            "num_critiques is 2 and has no effect; let a model annotate or leave num_critiques out",
        ),
        (
            {"annotators": [{"kind": "pocket_rules", "temperature": 0.1}]},
            "collect.annotators.0",
            "temperature is 0.1 and has no effect; let a model annotate or leave temperature out",
        ),
        (
            {"annotators": [{"kind": "pocket_rules", "max_tokens": 7}]},
            "collect.annotators.0",
            "max_tokens is 7 and has no effect; let a model annotate or leave max_tokens out",
        ),
        (
            {"annotators": [{"kind": "critic", "max_attempts": 7}]},
            "collect.annotators.0",
            "max_attempts is 7 and has no effect; set kind to 'self' or 'model' or leave max_attempts out",
        ),
        (
            {"lift": {"num_refinements": 0, "refine_from": "start"}},
            "collect.lift",
            "refine_from is 'start' and has no effect; set num_refinements or leave refine_from out",
        ),
        ({"lift": {"num_refinements": -1}}, "collect.lift.num_refinements", "greater than or equal to 0"),
        ({"lift": {"refine_from": "end"}}, "collect.lift.refine_from", "'node' or 'start'"),
        ({"labels": {"kind": "tree", "num_rollouts": 0}}, "collect.labels.num_rollouts", "greater than or equal to 1"),
        ({"injection": {"kind": "model"}}, "collect.injection", "kind 'model' needs a model"),
        ({"injection": {"model": {"model": "x"}}}, "collect.injection", "no other kind has one"),
        ({"injection": {"kind": "critic"}}, "collect.injection.kind", "'auto', 'self', 'model' or 'pocket_rules'"),
        ({"injection": {"grader": {"device": "cpu", "backend": "vllm"}}}, "collect.injection.grader", "device is set"),
        (
            {"injection": {"num_detections": 2}},
            "collect.injection.num_detections",
            "the keys here are kind, model, detectors, grader, max_injected",
        ),
        (
            {"injection": {"detectors": [{"num_detections": 0}]}},
            "collect.injection.detectors.0.num_detections",
            "greater than or equal to 1",
        ),
        ({"injection": {"detectors": [{"kind": "model"}]}}, "collect.injection.detectors.0", "needs a model"),
        (
            {"injection": {"detectors": [{}, {"kind": "critic", "model": {"model": "x"}}]}},
            "collect.injection.detectors.1",
            "no other kind has one",
        ),
        ({"injection": {"detectors": [{"kind": "pocket_rules"}]}}, "collect.injection.detectors.0.kind", "'critic'"),
        (
            {"injection": {"detectors": [{"num_detections": 1, "temperature": 1.0}, {}]}},
            "collect.injection.detectors.0",
            "temperature is 1.0 and has no effect; raise num_detections or leave temperature out",
        ),
        (
            {"injection": {"detectors": [{"num_detections": 1}]}},
            "collect.injection",
            "detectors make 1 detections in all, and a preference is between 2; name another detector, or raise",
        ),
        ({"injection": {"detectors": []}}, "collect.injection", "detectors make 0 detections in all"),
        ({"filters": {"min_lift": -2}}, "collect.filters.min_lift", "greater than or equal to -1"),
        ({"filters": {"min_lift_gap": 0}}, "collect.filters.min_lift_gap", "greater than 0"),
        ({"filters": {"max_balance_ratio": 0.5}}, "collect.filters.max_balance_ratio", "greater than or equal to 1"),
        ({"filters": {"max_characters": 0}}, "collect.filters.max_characters", "greater than or equal to 1"),
        ({"filters": {"correct_share": 1}}, "collect.filters.correct_share", "less than 1"),
        ({"filters": {"correct_share": -0.1}}, "collect.filters.correct_share", "greater than or equal to 0"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_may_be(collect: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**BUDGET, "collect": collect})
    assert caught.value.field == field
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_section_is_absent_unless_it_is_named() -> None:
    assert parse_config(BUDGET).collect is None
    assert not parse_config(BUDGET).needs_reference
    assert parse_config({**BUDGET, "collect": {}}).needs_reference
    assert parsed({}) == CollectConfig()


def test_the_section_survives_being_written_down() -> None:
    collect = {
        "annotators": [
            {"kind": "model", "model": {"model": "some/model"}, "num_critiques": 3},
            {"kind": "pocket_rules"},
        ],
        "filters": {"min_lift": 0.1, "evaluation_sets": ["exam.jsonl"]},
        "injection": {
            "kind": "model",
            "model": {"model": "an/injector"},
            "detectors": [{"kind": "model", "model": {"model": "a/detector"}}, {"kind": "critic", "num_detections": 1}],
            "grader": {"model": "a/grader", "backend": "vllm"},
        },
    }
    config = parse_config({**BUDGET, "collect": collect})
    assert parse_config(yaml.safe_load(dump_config(config))) == config


def test_a_field_of_the_section_can_be_overridden() -> None:
    config = load_config("mmc_collect", ["collect.lift.num_refinements=3", "collect.filters.min_right=1"])
    assert config.collect is not None
    assert (config.collect.lift.num_refinements, config.collect.filters.min_right) == (3, 1)


@pytest.mark.parametrize("kind", ["auto", "self", "critic"])
def test_other_annotators_may_be_drawn_from_often(kind: Any) -> None:
    assert AnnotatorConfig(kind=kind, num_critiques=5, temperature=1.0, max_tokens=9).num_critiques == 5


def test_two_detectors_may_look_once_each() -> None:
    detectors = parsed({"injection": {"detectors": [{"num_detections": 1}, {"kind": "critic", "num_detections": 1}]}})
    assert detectors.injection is not None
    assert [each.kind for each in detectors.injection.detectors] == ["auto", "critic"]


def test_the_preset_of_injection_looks_four_times_unless_told_otherwise() -> None:
    config = load_config("critic_v_collect")
    assert config.collect is not None
    assert config.collect.injection is not None
    (detector,) = config.collect.injection.detectors
    assert (detector.kind, detector.num_detections, detector.temperature) == ("auto", 4, 0.7)


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ([], True),
        (["reasoner.model=other"], False),
        (["reasoner.model=other", "critic.model=other"], True),
        (["reasoner.model=other", "collect.pairs.check=critic"], True),
        (["reasoner.model=other", "collect.annotators=[{kind: critic}]"], True),
        (["collect.pairs.check=none"], True),
        (["collect.pairs.check=none", "collect.annotators=[]"], False),
        (["collect.pairs.check=none", "collect.annotators=[]", "collect.injection={}"], True),
        (["reasoner.model=other", "collect.injection={}"], False),
        (["reasoner.model=other", "collect.injection.detectors=[{kind: critic}]"], True),
    ],
)
def test_a_collection_asks_the_critic_where_someone_of_it_does(changes: list[str], asks: bool) -> None:
    assert load_config("mmc_collect", changes).asks_critic is asks
