"""The one retry loop of the roles: ask a model until its text can be read, a bounded number of times."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from critic_engine.errors import GenerationError, ParseError
from critic_engine.protocols import Generation, GenerationRequest, Generator
from critic_engine.seeds import derive_seed
from critic_engine.types import SamplingOptions, TokenUsage

_logger = logging.getLogger(__name__)
_RETRY_TEMPERATURE = 0.7
_Content = TypeVar("_Content")


@dataclass(frozen=True, slots=True)
class Reading(Generic[_Content]):
    """A model's text as it was read, and the cost of all attempts."""

    content: _Content
    usage: TokenUsage
    """Spent on all attempts, unreadable texts and failed requests included."""
    num_unreadable: int = 0
    """Texts that could not be read before this one."""
    reasons: tuple[str, ...] = ()
    """Why each of them could not be read, one line with a quotation."""


async def ask_until_readable(
    generator: Generator,
    request: GenerationRequest,
    read: Callable[[Generation], _Content],
    *,
    max_attempts: int,
) -> Reading[_Content]:
    """Return the first readable answer to ``request``, asked at most ``max_attempts`` times.

    A request that failed and may succeed later is sent again as it was. After a text that ``read`` refuses, the request
    is sent with other seeds, at a temperature of at least 0.7.

    Args:
        generator: The model.
        request: The first attempt.
        read: Parses an answer; raises ``ParseError`` if it cannot.
        max_attempts: Most requests, failed ones included; at least 1.

    Raises:
        ParseError: no text could be read; with the usage, the number and the reasons of all texts.
        GenerationError: the generator failed for good before it wrote anything; with the usage of all attempts.
    """
    usage = TokenUsage()
    refused: list[ParseError] = []
    for attempt in range(1, max_attempts + 1):
        try:
            generation = await generator.generate(_redrawn(request, len(refused)))
            usage += generation.usage
            return Reading(read(generation), usage, len(refused), tuple(map(str, refused)))
        except ParseError as error:
            refused.append(error)
            _logger.info("%s: attempt %d: %s", generator.name, attempt, error)
        except GenerationError as error:
            _logger.warning("%s: attempt %d failed: %s", generator.name, attempt, error)
            usage += error.usage
            if attempt < max_attempts and error.is_retryable:
                usage += TokenUsage(num_retries=1)
                continue
            if refused:
                break
            raise error.with_usage(usage) from error
    if not refused:
        raise ValueError(f"max_attempts is {max_attempts}; it must be at least 1")
    last = refused[-1]
    message = f"{generator.name}: {last}"
    reasons = tuple(map(str, refused))
    raise ParseError(message, text=last.text, usage=usage, num_unreadable=len(refused), reasons=reasons) from last


def varied(sampling: SamplingOptions) -> SamplingOptions:
    """Return the options for a request that was made before, at a temperature of at least 0.7."""
    return replace(sampling, temperature=max(_RETRY_TEMPERATURE, sampling.temperature))


def _redrawn(request: GenerationRequest, num_unreadable: int) -> GenerationRequest:
    if not num_unreadable:
        return request
    seeds = tuple(derive_seed(seed, num_unreadable) for seed in request.seeds)
    return replace(request, sampling=varied(request.sampling), seeds=seeds)
