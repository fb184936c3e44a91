"""Running a batch through a model so that only its bad rows fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.errors import GenerationError

_logger = logging.getLogger(__name__)


def run_splitting_on_failure(feed: RowFeed, run: Callable[[RowFeed], None]) -> None:
    """Have ``run`` settle all rows of ``feed``; a row that fails is settled with a ``GenerationError``.

    If it raises, the rows that are left are split in half and run again, down to single rows, unless the feed is
    closing.
    """
    is_done = False
    try:
        run(feed)
        is_done = True
        failure = GenerationError("the model failed: it gave no outcome")
    except Exception as error:
        failure = failure_of(error)
    # Outside the handler the traceback is gone, and with it the tensors of the batch that failed.
    rows = feed.unsettled
    if is_done or len(rows) <= 1 or feed.is_closing.is_set():
        for row in rows:
            feed.settle(row, failure)
        return
    _logger.warning("a batch of %d rows failed and is split in half: %s", len(rows), failure)
    if failure.is_retryable:
        _free_memory()
    middle = len(rows) // 2
    for half in (rows[:middle], rows[middle:]):
        run_splitting_on_failure(feed.part(half), run)


def failure_of(error: Exception) -> GenerationError:
    """Return ``error`` itself if a request fails by it, else an error that names it."""
    if isinstance(error, GenerationError):
        return error
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if _is_out_of_memory(error):
        return GenerationError(f"the model ran out of memory; lower max_batch_size: {reason}", is_retryable=True)
    return GenerationError(f"the model failed: {type(error).__name__}: {reason}")


def _is_out_of_memory(error: Any) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
