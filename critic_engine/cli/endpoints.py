"""Capabilities of the endpoints in a config, and the replacement for each missing one."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from critic_engine.cli.text import labelled

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint and its capabilities."""

    name: str
    capabilities: tuple[tuple[str, bool, str], ...] = ()
    """Each capability: its name, whether it is there, and the replacement where it is missing."""
    error: str | None = None
    """Why the endpoint could not be asked; None when it could."""

    def lines(self) -> Iterator[str]:
        """Yield lines for a person."""
        yield labelled("endpoint", self.name if self.error is None else f"{self.name}: {self.error}")
        for what, is_there, instead in self.capabilities:
            yield labelled("", f"{what}: {'yes' if is_there else f'no; {instead}'}")

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON output."""
        names = ("what", "is_there", "instead")
        capabilities = [dict(zip(names, each, strict=True)) for each in self.capabilities]
        return {"name": self.name, "capabilities": capabilities, "error": self.error}


def find_endpoints(config: "EngineConfig") -> list[Endpoint]:
    """Return the capabilities of each endpoint that the config's searches use; each is asked once."""
    from critic_engine.config.models import is_shipped_name

    asked: list[ModelConfig] = [config.reasoner, *config.other_reasoners]
    asked += [config.critic] if config.needs_critic else []
    asked += [config.reward_model] if config.needs_reward_model else []
    served = [model for model in asked if model.backend == "openai_api" and not is_shipped_name(model.model)]
    models = {model.hosting: model for model in served}
    return [asyncio.run(_probe(model)) for model in models.values()]


async def _probe(model: "ModelConfig") -> Endpoint:
    from critic_engine.backends.openai_api.generator import OpenAiGenerator
    from critic_engine.errors import GenerationError

    try:
        generator = OpenAiGenerator(model.model, model.openai_api)
    except GenerationError as error:
        return Endpoint(model.model, error=str(error))
    try:
        return Endpoint(generator.name, (await generator.describe()).rows())
    except GenerationError as error:
        return Endpoint(generator.name, error=str(error))
    finally:
        await generator.aclose()
