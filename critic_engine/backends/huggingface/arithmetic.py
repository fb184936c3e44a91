"""Limiting the arithmetic threads of small models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_NUM_SMALL_PARAMETERS = 30_000_000


@contextlib.contextmanager
def arithmetic_threads(model: Any) -> Iterator[None]:
    """Let the calling thread run a small model on the CPU with one arithmetic thread; change nothing for others.

    Its matrices are too small to share out: threads wait for each other longer than they compute, and where other
    work takes a core they wait a hundred times longer.
    """
    import torch

    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    if model.device.type != "cpu" or num_parameters > _NUM_SMALL_PARAMETERS:
        yield
        return
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
