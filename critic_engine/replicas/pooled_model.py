"""Generators and scorers whose requests are answered by a pool of replicas."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

from critic_engine.errors import CriticEngineError
from critic_engine.protocols import Score
from critic_engine.replicas.pool import ReplicaPool
from critic_engine.types import Generation, GenerationRequest, Message

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class Pooled(Generic[_Request, _Result]):
    """A model whose requests are answered by a pool."""

    def __init__(self, pool: ReplicaPool[_Request, _Result], name: str) -> None:
        """Take over ``pool``; a person calls the model ``name``."""
        self._pool = pool
        self._name = name

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    @property
    def absence(self) -> CriticEngineError | None:
        """Why no replica is left; None while there is one."""
        return self._pool.absence

    async def load(self) -> None:
        """Return when a replica is ready; raises ``ModelLoadError`` when none ever will be."""
        await self._pool.load()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


class PooledGenerator(Pooled[GenerationRequest, Generation]):
    """A generator over a pool."""

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed; the usage counts how often the request was sent again."""
        generation, num_retries = await self._pool.call(request)
        if not num_retries:
            return generation
        num_retries += generation.usage.num_retries
        return dataclasses.replace(generation, usage=dataclasses.replace(generation.usage, num_retries=num_retries))


class PooledScorer(Pooled[tuple[Message, ...], Score]):
    """A scorer over a pool."""

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the value of the last message."""
        score, num_retries = await self._pool.call(messages)
        return dataclasses.replace(score, num_retries=score.num_retries + num_retries)
