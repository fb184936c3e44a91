"""Dollars and arithmetic of a run, from the tokens of its answers by role."""

from collections.abc import Iterable
from dataclasses import dataclass

from critic_engine.backends.huggingface.parameter_count import num_parameters
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.types import Answer


@dataclass(frozen=True, slots=True)
class RoleTokens:
    """The tokens of one role, and the models that have it."""

    models: tuple[ModelConfig, ...]
    """Several reasoners share the tokens of theirs; how much each has is not known."""
    prompt: int
    uncached: int
    """Part of ``prompt`` that no cache held."""
    generated: int

    def usd(self) -> float | None:
        """Return the cost at the prices of the models' endpoints; None if they differ."""
        endpoints = {model.openai_api.prices: model.openai_api for model in self.models}
        if len(endpoints) > 1:
            return None
        numbers = {"uncached_tokens": self.uncached, "cached_tokens": self.prompt - self.uncached}
        return sum(each.usd(**numbers, generated_tokens=self.generated) for each in endpoints.values())

    def flops(self) -> float | None:
        """Return ``2 N (uncached + generated)`` (Kaplan et al., 2020, arXiv 2001.08361, 2.1); None if N is unknown."""
        if not self.uncached + self.generated:
            return 0.0
        sizes = set(map(num_parameters, self.models))
        size = sizes.pop() if len(sizes) == 1 else None
        return None if size is None else 2.0 * size * (self.uncached + self.generated)


@dataclass(frozen=True, slots=True)
class RoleCosts:
    """The tokens of the reasoner, and those of the critic or the reward model."""

    roles: tuple[RoleTokens, ...]

    @classmethod
    def of(cls, config: EngineConfig, answers: Iterable[Answer]) -> "RoleCosts":
        """Return the costs of the answers of a configuration."""
        found = list(answers)
        prompt, cached, generated = (sum(getattr(each, name) for each in found) for name in _TOKENS)
        judged, judged_cached, judgements = (sum(getattr(each, name) for each in found) for name in _CRITIC_TOKENS)
        judges: list[ModelConfig] = [config.critic] if config.needs_critic else []
        judges += [config.reward_model] if config.needs_reward_model else []
        reasoners = (config.reasoner, *config.other_reasoners)
        uncached = prompt - cached - (judged - judged_cached)
        return cls(
            (
                RoleTokens(reasoners, prompt - judged, uncached, generated - judgements),
                RoleTokens(tuple(judges), judged, judged - judged_cached, judgements),
            )
        )

    def usd(self) -> float | None:
        """Return the dollars; None without prices."""
        costs = [role.usd() for role in self.roles]
        return sum(cost or 0.0 for cost in costs) if any(costs) and None not in costs else None

    def flops(self) -> float | None:
        """Return the floating-point operations; None if a model's number of parameters is unknown."""
        known = [number for role in self.roles if (number := role.flops()) is not None]
        return sum(known) if len(known) == len(self.roles) else None


_TOKENS = ("prompt_tokens", "cached_tokens", "num_tokens")
_CRITIC_TOKENS = ("critic_prompt_tokens", "critic_cached_tokens", "critic_tokens")
