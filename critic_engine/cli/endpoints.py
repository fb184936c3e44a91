"""Capabilities of the endpoints in a config, and the replacement for each missing one."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from critic_engine.cli.text import labelled

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability of an endpoint."""

    what: str
    is_there: bool
    instead: str
    """The replacement where it is missing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint and its capabilities."""

    name: str
    capabilities: tuple[Capability, ...] = ()
    error: str | None = None
    """Why the endpoint could not be asked; None when it could."""

    def lines(self) -> Iterator[str]:
        """Yield lines for a person."""
        yield labelled("endpoint", self.name if self.error is None else f"{self.name}: {self.error}")
        for each in self.capabilities:
            yield labelled("", f"{each.what}: {'yes' if each.is_there else f'no; {each.instead}'}")

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON output."""
        return asdict(self)


def find_endpoints(config: "EngineConfig") -> list[Endpoint]:
    """Return the capabilities of each endpoint that the config's searches use; each is asked once."""
    models: dict[str, ModelConfig] = {
        model.hosting: model for model in _asked(config) if model.backend == "openai_api" and model.model != "pocket"
    }
    return [asyncio.run(_probe(model)) for model in models.values()]


def _asked(config: "EngineConfig") -> Iterator["ModelConfig"]:
    yield from (config.reasoner, *config.other_reasoners)
    if config.needs_critic:
        yield config.critic
    if config.needs_reward_model:
        yield config.reward_model


async def _probe(model: "ModelConfig") -> Endpoint:
    from critic_engine.backends.openai_api.generator import OpenAiGenerator
    from critic_engine.errors import GenerationError

    try:
        generator = OpenAiGenerator(model.model, model.openai_api)
    except GenerationError as error:
        return Endpoint(model.model, error=str(error))
    try:
        rows = (await generator.describe()).rows()
        return Endpoint(generator.name, tuple(Capability(*row) for row in rows))
    except GenerationError as error:
        return Endpoint(generator.name, error=str(error))
    finally:
        await generator.aclose()
