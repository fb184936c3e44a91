"""Generators and scorers whose requests are answered by a pool of replicas."""

from __future__ import annotations

import dataclasses

from critic_engine.backends.replicas import ReplicaPool
from critic_engine.errors import CriticEngineError
from critic_engine.protocols import Score
from critic_engine.types import Generation, GenerationRequest, Message


class PooledGenerator:
    """A generator whose requests are answered by a pool."""

    def __init__(self, pool: ReplicaPool[GenerationRequest, Generation], name: str) -> None:
        """Take over ``pool``; a person calls the generator ``name``."""
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

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed; the usage counts how often the request was sent again."""
        generation, num_retries = await self._pool.call(request)
        if not num_retries:
            return generation
        num_retries += generation.usage.num_retries
        return dataclasses.replace(generation, usage=dataclasses.replace(generation.usage, num_retries=num_retries))

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


class PooledScorer:
    """A scorer whose conversations are scored by a pool."""

    def __init__(self, pool: ReplicaPool[tuple[Message, ...], Score], name: str) -> None:
        """Take over ``pool``; a person calls the scorer ``name``."""
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

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the value of the last message."""
        score, num_retries = await self._pool.call(messages)
        return dataclasses.replace(score, num_retries=score.num_retries + num_retries)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()
