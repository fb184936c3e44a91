"""Running a batch through a model so that only its bad rows fail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from critic_engine.errors import GenerationError

_logger = logging.getLogger(__name__)


def run_splitting_on_failure(
    rows: Sequence[Any], run: Callable[..., Sequence[Any]], *, is_closing: threading.Event
) -> list[Any]:
    """Return the outcome of ``run(rows, is_closing=…)`` for each row, or a ``GenerationError``.

    A batch that fails is split in half and run again, down to single rows, unless ``is_closing`` is set.
    """
    try:
        return list(run(rows, is_closing=is_closing))
    except Exception as error:
        failure = failure_of(error)
    # Outside the handler the traceback is gone, and with it the tensors of the batch that failed.
    if len(rows) == 1 or is_closing.is_set():
        return [failure] * len(rows)
    _logger.warning("a batch of %d rows failed and is split in half: %s", len(rows), failure)
    if failure.is_retryable:
        _free_memory()
    middle = len(rows) // 2
    return [
        *run_splitting_on_failure(rows[:middle], run, is_closing=is_closing),
        *run_splitting_on_failure(rows[middle:], run, is_closing=is_closing),
    ]


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
