"""Counting the requests, tokens, retries and failures of each model."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from critic_engine.errors import CriticEngineError, GenerationError
from critic_engine.protocols import Generation, GenerationRequest, Generator, Score, Scorer
from critic_engine.types import Message, TokenUsage

if TYPE_CHECKING:
    from critic_engine.config.models import EndpointConfig

_Model = TypeVar("_Model", bound=Generator | Scorer)
_Answer = TypeVar("_Answer", Generation, Score)


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Counts of one model's requests."""

    num_failed: int = 0
    """Requests of a role that got no answer, though it may have sent them again; cancelled ones do not count."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Spent on all requests, failed ones included as far as their cost is known. A cancelled one counts as a request
    of unknown tokens."""
    usd: float = 0.0
    """The cost at the prices of the model's section ``openai_api``."""

    @property
    def cache_hit_rate(self) -> float | None:
        """The share of prompt tokens that a cache held, in [0, 1]; None before any were read."""
        usage = self.usage
        return usage.cached_tokens / usage.prompt_tokens if usage.prompt_tokens else None

    def __add__(self, other: "ModelFigures") -> "ModelFigures":
        """Return the sum."""
        return ModelFigures(self.num_failed + other.num_failed, self.usage + other.usage, self.usd + other.usd)


def merged(figures: Iterable[Mapping[str, ModelFigures]]) -> dict[str, ModelFigures]:
    """Return the sums by the models' names."""
    sums: dict[str, ModelFigures] = {}
    for each in figures:
        for name, found in each.items():
            sums[name] = sums.get(name, ModelFigures()) + found
    return sums


class Meter:
    """Counts the requests to one model. All of them come from one event loop."""

    def __init__(self, prices: "EndpointConfig") -> None:
        """Begin at zero."""
        self._prices = prices
        self._num_failed = 0
        self._usage = TokenUsage()

    async def request(self, answer: Awaitable[_Answer]) -> _Answer:
        """Return the model's answer to one request, and add its usage; an error gets the number of its requests."""
        try:
            answered = await answer
        except GenerationError as error:
            usage = counted(error.usage)
            self._usage += usage
            self._num_failed += 1
            raise error.with_usage(usage) from error
        except CriticEngineError:
            self._usage += TokenUsage(num_requests=1)
            self._num_failed += 1
            raise
        except asyncio.CancelledError:
            self._usage += TokenUsage(num_requests=1)
            raise
        self._usage += counted(answered.usage)
        return answered

    def figures(self) -> ModelFigures:
        """Return the counts so far."""
        usage = self._usage
        usd = self._prices.usd(
            uncached_tokens=usage.prompt_tokens - usage.cached_tokens,
            cached_tokens=usage.cached_tokens,
            generated_tokens=usage.generated_tokens,
        )
        return ModelFigures(self._num_failed, usage, usd)


def counted(usage: TokenUsage) -> TokenUsage:
    """Return ``usage`` with its requests: one, and one more for each retry, if the backend did not count them."""
    return replace(usage, num_requests=max(usage.num_requests, 1 + usage.num_retries))


class _Metered(Generic[_Model]):
    """A model that counts its requests."""

    def __init__(self, model: _Model, meter: Meter) -> None:
        """Stand before ``model``."""
        self.model = model
        self._meter = meter

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.model.name

    async def load(self) -> None:
        """Load the model."""
        await self.model.load()

    async def aclose(self) -> None:
        """Close the model."""
        await self.model.aclose()


class MeteredGenerator(_Metered[Generator]):
    """A generator that counts its requests."""

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return the generator's answer."""
        generation = await self._meter.request(self.model.generate(request))
        return replace(generation, usage=counted(generation.usage))


class MeteredScorer(_Metered[Scorer]):
    """A scorer that counts its requests."""

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the scorer's value."""
        return await self._meter.request(self.model.score(messages))
