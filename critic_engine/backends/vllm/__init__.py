"""Models in vLLM's engine: generators, and reward models through its pooling."""

from critic_engine.backends.vllm.generator import VllmGenerator
from critic_engine.backends.vllm.scorer import VllmScorer

__all__ = ["VllmGenerator", "VllmScorer"]
