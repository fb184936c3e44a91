"""Models behind an endpoint that speaks OpenAI's chat completions."""

from critic_engine.backends.openai_api.generator import OpenAiGenerator
from critic_engine.backends.openai_api.requests import EndpointCapabilities

__all__ = ["EndpointCapabilities", "OpenAiGenerator"]
