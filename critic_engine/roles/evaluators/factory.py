"""Build the evaluator from the configuration."""

from dataclasses import dataclass

from critic_engine.config.search import (
    BlendEvaluatorConfig,
    EvaluatorConfig,
    RolloutEvaluatorConfig,
    SingleEvaluatorConfig,
)
from critic_engine.errors import ConfigError
from critic_engine.protocols import Evaluator, Expander
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.roles.evaluators.blend import BlendEvaluator
from critic_engine.roles.evaluators.direct import CheckerEvaluator, NoEvaluator
from critic_engine.roles.evaluators.rollouts import AgreementEvaluator, ReferenceEvaluator


@dataclass(frozen=True, slots=True)
class Roles:
    """Models and checkers available to evaluators. A configuration needs only some of them."""

    expander: Expander
    """Draws completions."""
    critic: Critic | None = None
    reward_model: Evaluator | None = None
    checker: Checker | None = None
    """Set in labelling mode only."""


def make_evaluator(config: EvaluatorConfig, roles: Roles) -> Evaluator:
    """Return the evaluator that ``config`` describes.

    Raises:
        ConfigError: ``roles`` lacks a role that it needs; the error names the field.
    """
    if not isinstance(config, BlendEvaluatorConfig):
        return _make_single(config, roles, field="evaluator")
    return BlendEvaluator(
        [
            (part.weight, _make_single(part.evaluator, roles, field=f"evaluator.parts.{index}.evaluator"))
            for index, part in enumerate(config.parts)
        ]
    )


def _make_single(config: SingleEvaluatorConfig, roles: Roles, *, field: str) -> Evaluator:
    if isinstance(config, RolloutEvaluatorConfig):
        if config.against == "agreement":
            return AgreementEvaluator(roles.expander, config.num_rollouts)
        checker = _checker(roles, field=f"{field}.against", value=config.against)
        return ReferenceEvaluator(roles.expander, checker, config.num_rollouts)
    if config.kind == "none":
        return NoEvaluator()
    if config.kind == "checker":
        return CheckerEvaluator(_checker(roles, field=f"{field}.kind", value=config.kind))
    evaluator = roles.critic if config.kind == "critic" else roles.reward_model
    if evaluator is None:
        raise ConfigError(
            f"{field}.kind is {config.kind!r} and there is no {config.kind.replace('_', ' ')}; name one or choose "
            "another evaluator",
            field=f"{field}.kind",
        )
    return evaluator


def _checker(roles: Roles, *, field: str, value: str) -> Checker:
    if roles.checker is None:
        raise ConfigError(
            f"{field} is {value!r}, which needs reference answers, and only `critic-engine collect` has them; "
            "use that command, or choose another evaluator",
            field=field,
        )
    return roles.checker
