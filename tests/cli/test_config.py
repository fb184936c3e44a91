"""``config`` shows every field with its value, default and explanation, as YAML that ``--config`` reads."""

import json
from pathlib import Path

import pytest
import yaml

from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.config.fields import describe
from critic_engine.config.files import hosting_presets, presets


@pytest.mark.parametrize("sources", [*([name] for name in presets()), *(["mcts", name] for name in hosting_presets())])
def test_text_is_the_config_itself(cli, sources: list[str], tmp_path: Path) -> None:
    result = cli("config", *sources)
    assert (result.code, result.err) == (0, "")
    (tmp_path / "shown.yaml").write_text(result.out, encoding="utf-8")
    assert load_config(tmp_path / "shown.yaml") == load_config(sources)


def test_every_field_is_explained(cli) -> None:
    everything = ["collect.injection.grader", "collect.annotators", "collect.injection.detectors"]
    fields = describe(load_config("mcts"), [*EngineConfig.model_fields, *everything])
    assert [each.name for each in fields if not each.doc and not isinstance(each.place[-1], int)] == []
    names = {each.name for each in fields}
    assert {"stop.agreement", "strategy.exploration", "collect.annotators.0.kind", "critic.vllm.max_restarts"} <= names
    assert "strategy.is_refining" not in names


def test_default_follows_a_value_that_differs(cli) -> None:
    lines = [line.strip() for line in cli("config", "mcts", "--set", "critic.max_tokens=9").out.splitlines()]
    assert "exploration: 0.8  # default: 1.25" in lines
    assert "max_tokens: 9  # default: null" in lines
    assert "num_proposals: 1  # default: 4" in lines
    assert "max_steps: 40" in lines
    assert 'delimiter: "\\n"' in lines


def test_options_change_what_is_shown_as_they_change_a_search(cli, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("budget: {max_tokens: 7}\nreasoner: {top_p: 0.5}\n")
    options = ["--reasoner", "openai:a", "--critic", "./b", "--base-url", "http://host/v1", "--seed", "3"]
    result = cli("config", "mcts", "--config", "my.yaml", *options, "--json")
    config = json.loads(result.out)["config"]
    assert (config["budget"]["max_tokens"], config["reasoner"]["top_p"], config["run"]["seed"]) == (7, 0.5, 3)
    assert (config["reasoner"]["model"], config["reasoner"]["backend"]) == ("a", "openai_api")
    assert config["critic"]["model"] == "./b"


def test_named_fields_are_shown_alone_with_their_sections(cli) -> None:
    result = cli("config", "--fields", "collect.injection.detectors", "--fields", "expander.split")
    shown = yaml.safe_load(result.out)
    assert set(shown) == {"expander", "collect"}
    assert set(shown["expander"]) == {"split"}
    assert set(shown["collect"]["injection"]) == {"detectors"}
    assert shown["collect"]["injection"]["detectors"][0]["num_detections"] == 4
    (row,) = json.loads(cli("config", "--fields", "reasoner.temperature", "--json").out)["fields"]
    assert (row["place"], row["value"], row["default"]) == ("reasoner.temperature", 0.7, 0.7)
    assert row["doc"].startswith("Sampling temperature in [0, 5]")
