"""Generators and scorers over a pool of replicas, and a replica over one generator or scorer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from critic_engine.protocols import Generation, GenerationRequest, Generator, Score, Scorer
from critic_engine.replicas.pool import ReplicaPool
from critic_engine.types import Message, TokenUsage

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class PooledModel(Generic[_Request, _Result]):
    """A model that answers from a pool of replicas."""

    def __init__(self, pool: ReplicaPool[_Request, _Result]) -> None:
        """Take over ``pool``."""
        self._pool = pool
        self.name = pool.name

    async def load(self) -> None:
        """Return when a replica is ready; raises ``ModelLoadError`` when none ever will be."""
        await self._pool.load()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


class PooledGenerator(PooledModel[GenerationRequest, Generation]):
    """A generator over a pool."""

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed; the usage counts how often the request was sent again."""
        generation, num_retries = await self._pool.call(request, session=request.session)
        if not num_retries:
            return generation
        resent = TokenUsage(num_retries=num_retries, num_requests=num_retries)
        return dataclasses.replace(generation, usage=generation.usage + resent)


class PooledScorer(PooledModel[tuple[Message, ...], Score]):
    """A scorer over a pool."""

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the value of the last message; conversations of the same beginning go to the same replica."""
        score, num_retries = await self._pool.call(messages, session="".join(each.text for each in messages[:-1]))
        return dataclasses.replace(score, num_retries=score.num_retries + num_retries)


class ModelReplica:
    """A replica that holds one generator or scorer, which never dies on its own."""

    def __init__(self, make: Callable[[], Generator | Scorer]) -> None:
        """Hold the model that ``make`` returns; each start makes a new one."""
        self._make = make
        self._model: Any = None

    async def start(self) -> None:
        """Make the model and load it; raises ``ModelLoadError`` when it cannot be loaded."""
        self._model = self._make()
        await self._model.load()

    async def call(self, request: Any) -> Any:
        """Return the generator's ``Generation`` for a request, or the scorer's ``Score`` for messages."""
        answer = self._model.generate if isinstance(request, GenerationRequest) else self._model.score
        return await answer(request)

    async def check(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Close the model, if there is one."""
        model, self._model = self._model, None
        if model is not None:
            await model.aclose()
