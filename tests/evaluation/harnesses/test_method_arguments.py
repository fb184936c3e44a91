import pytest

from critic_engine.errors import ConfigError
from critic_engine.evaluation.harnesses.method_arguments import read_arguments


def test_arguments_name_the_method_its_models_and_fields_of_the_config() -> None:
    setting = read_arguments(
        {
            "method": "best_of_n",
            "reasoner": "openai:qwen",
            "critic": "openai:judge",
            "base_url": "http://localhost:1/v1",
            "overrides": "run.seed=3",
            "budget.max_tokens": "4 solutions",
            "completion": "answer",
            "reward_model": None,
        }
    )
    assert setting.form == "answer"
    config = setting.config
    assert config.strategy.kind == "best_of_n"
    assert (config.reasoner.model, config.critic.model) == ("qwen", "judge")
    assert config.reasoner.openai_api.base_url == config.critic.openai_api.base_url == "http://localhost:1/v1"
    assert config.run.seed == 3
    assert config.budget.max_tokens == "4 solutions"


def test_method_is_guided_unless_it_is_named_and_overrides_may_be_a_list() -> None:
    setting = read_arguments({"overrides": ["run.seed=1", "run.seed=2"], "run.seed": 0}, settings=["run.seed=9"])
    assert setting.config.strategy.kind == "guided"
    assert setting.config.run.seed == 2
    assert setting.form == "solution"


def test_further_configurations_override_the_method() -> None:
    setting = read_arguments({"method": "mcts", "config": ["greedy"]})
    assert setting.config.strategy.kind == "best_of_n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"methd": "mcts"}, "methd is no argument of this model.*did you mean method"),
        ({"method": 3}, "method holds 3"),
        ({"overrides": [1]}, "overrides holds 1"),
        ({"completion": "text"}, "must be one of solution, answer"),
        ({"base_url": "http://localhost:1/v1", "reasoner": "x"}, "openai:NAME"),
        ({"budget.max_tokns": 3}, "budget.max_tokns"),
        ({"method": "no_such_method"}, "no_such_method"),
    ],
)
def test_wrong_argument_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_arguments(arguments)
