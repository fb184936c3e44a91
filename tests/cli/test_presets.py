"""``presets`` lists the methods and the hosting presets."""

import json

from critic_engine.config.files import hosting_presets, presets


def test_every_preset_is_listed_with_its_parts(cli) -> None:
    listed = json.loads(cli("presets", "--json").out)
    methods = {each["name"]: each for each in listed["methods"]}
    assert list(methods) == list(presets())
    assert [each["name"] for each in listed["hosting"]] == list(hosting_presets())
    beam = methods["beam"]
    assert (beam["strategy"], beam["unit"], beam["evaluator"]) == ("beam", "step", "reward_model")
    assert (methods["greedy"]["budget"], methods["greedy"]["decision"]) == ("num_samples 1", "last")
    assert methods["lats"]["evaluator"] == "0.5 critic + 0.5 rollout (2, agreement)"
    commands = {name for name, each in methods.items() if each["command"] == "collect"}
    assert commands == {"mmc_collect", "critic_v_collect"}


def test_text_has_a_sentence_for_each(cli) -> None:
    result = cli("presets")
    assert (result.code, result.err) == (0, "")
    for name in (*presets(), *hosting_presets()):
        (line,) = [line for line in result.out.splitlines() if line.startswith(f"{name}: ")]
        assert 20 < len(line.removeprefix(f"{name}: ")) < 300
