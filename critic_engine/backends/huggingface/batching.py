"""Choosing the waiting rows that run through the model together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.backends.huggingface.encoding import Prompt
from critic_engine.types import SamplingOptions

_MAX_TOKENS_RATIO = 4


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One sample to be generated: a row of a batch."""

    prompt: Prompt
    sampling: SamplingOptions
    seed: int


def next_batch(waiting: Sequence[Row], max_batch_size: int) -> list[Row]:
    """Return the rows to run next, shortest prompt first; the row that has waited longest is always among them.

    Its companions can share a batch with it (equal tensors), may run about as long (``max_tokens`` within a factor of
    four, so that two tokens of a verdict do not wait for a whole solution), and are the nearest to it in prompt length.

    Args:
        waiting: At least one row, in the order of arrival.
        max_batch_size: The most rows that are returned.
    """
    oldest = waiting[0]
    companions = [row for row in waiting if _can_share(oldest, row)]
    companions.sort(key=lambda row: (row is not oldest, abs(_num_tokens(row) - _num_tokens(oldest))))
    return sorted(companions[:max_batch_size], key=_num_tokens)


def _can_share(one: Row, other: Row) -> bool:
    shorter, longer = sorted((one.sampling.max_tokens, other.sampling.max_tokens))
    return longer <= _MAX_TOKENS_RATIO * shorter and one.prompt.signature == other.prompt.signature


def _num_tokens(row: Row) -> int:
    return len(row.prompt.token_ids)
