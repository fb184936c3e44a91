"""Roles made from the configuration."""

from typing import Any

import pytest

from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.config.engine import dump_config, load_config, parse_config
from critic_engine.errors import ConfigError
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.roles.factory import make_roles, with_critique_tokens


@pytest.mark.parametrize(
    ("critic", "max_tokens"),
    [({}, 256), ({"model": "m", "prompts": "reasoned"}, 2048), ({"model": "m", "max_tokens": 7}, 7)],
)
def test_the_resolved_config_holds_the_allowance_of_the_critics_prompts(
    critic: dict[str, Any], max_tokens: int
) -> None:
    config = with_critique_tokens(load_config("mcts", [f"critic={critic}"]))
    assert config.critic.max_tokens == max_tokens
    assert f"max_tokens: {max_tokens}\n" in dump_config(config)
    assert with_critique_tokens(config) == config


def test_a_critic_that_nothing_asks_has_no_allowance() -> None:
    config = load_config("greedy")
    assert with_critique_tokens(config) == config


def test_a_reward_model_whose_verdict_comes_first_is_not_asked_to_reason_first() -> None:
    config = parse_config(
        {
            "budget": {"max_tokens": 9},
            "evaluator": {"kind": "reward_model"},
            "reward_model": {"backend": "scripted", "prompts": "reasoned"},
        }
    )
    with pytest.raises(ConfigError, match="whose critic reasons before its verdict") as caught:
        make_roles(config, Models(ModelMakers(make_generator, make_scorer)))
    assert caught.value.field == "reward_model.prompts"
