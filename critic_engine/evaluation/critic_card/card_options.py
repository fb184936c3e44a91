"""Options of the measurement of a critic, and the configurations that it derives."""

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from critic_engine.config.engine import EngineConfig, StrategyConfig
from critic_engine.config.search import DecisionConfig, DirectEvaluatorConfig, ExpanderConfig
from critic_engine.errors import ConfigError
from search import BestOfNOptions

JudgeKind: TypeAlias = Literal["critic", "reward_model"]


@dataclass(frozen=True, slots=True)
class CardOptions:
    """The size of the measurement."""

    num_solutions: int = 4
    """Solutions a problem, drawn from the reasoner or taken at random from a run's tree."""
    num_checked: int = 100
    """Problems of which one solution is judged again and reworded, its critique used for rewrites, and its intermediate
    steps judged; chosen by a hash. 0 leaves all of this out."""
    num_rewrites: int = 2
    """Rewrites with the critique, and fresh solutions without one, of each checked solution; 0 measures no lift."""
    num_rollouts: int = 0
    """Completions of each intermediate step of a checked solution; 0 measures no agreement with rollouts."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in fields(self):
            lowest, number = int(field.name == "num_solutions"), getattr(self, field.name)
            if number < lowest:
                raise ValueError(f"{field.name} is {number}; it must be at least {lowest}")


def judged_kind(config: EngineConfig) -> JudgeKind:
    """Return the kind of the model to be measured: the one that the evaluator asks.

    Raises:
        ConfigError: the evaluator asks neither a critic nor a reward model, or both.
    """
    if config.needs_critic == config.needs_reward_model:
        raise ConfigError(
            f"evaluator.kind is {config.evaluator.kind!r}; a card is of one critic or reward model: set it to 'critic' "
            "or to 'reward_model'",
            field="evaluator.kind",
        )
    return "critic" if config.needs_critic else "reward_model"


def judging_config(config: EngineConfig) -> EngineConfig:
    """Return the models, hosting and splitting of steps of ``config``, with the measured model as the evaluator.

    Raises:
        ConfigError: see ``judged_kind``.
    """
    return _whole_solutions(config, evaluator=judged_kind(config), num_samples=1)


def drawing_config(config: EngineConfig, options: CardOptions) -> EngineConfig:
    """Return the configuration that draws independent solutions from the reasoner alone, without any critic."""
    return _whole_solutions(config, evaluator="none", num_samples=options.num_solutions)


def _whole_solutions(
    config: EngineConfig, *, evaluator: Literal["critic", "reward_model", "none"], num_samples: int
) -> EngineConfig:
    return EngineConfig(
        strategy=StrategyConfig(kind="best_of_n", options=BestOfNOptions(num_samples)),
        expander=split_as(config.expander, "solution"),
        evaluator=DirectEvaluatorConfig(kind=evaluator),
        decision=DecisionConfig(rule="majority"),
        reasoner=config.reasoner,
        critic=config.critic,
        reward_model=config.reward_model,
        problems=config.problems,
        run=config.run,
        ray=config.ray,
    )


def split_as(expander: ExpanderConfig, kind: Literal["step", "solution"]) -> ExpanderConfig:
    """Return an expander of whole solutions or of steps that splits them as another one does."""
    return ExpanderConfig(
        kind=kind, split=expander.split, delimiter=expander.delimiter, step_template=expander.step_template
    )
