"""Ending each row of a batch by itself: at the model's end token, a stop string, or its token limit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.sample_reader import SampleReader, SampleRules

if TYPE_CHECKING:
    import torch


class RowStopper:
    """A stopping criterion that ends rows one by one, each where its reader says."""

    def __init__(self, rows: Sequence[Row], rules: SampleRules, *, is_closing: threading.Event) -> None:
        """Watch ``rows``, the rows of the batch in order; when ``is_closing`` is set, every row ends."""
        self._is_closing = is_closing
        self.readers = [SampleReader(row, rules) for row in rows]
        """The samples as they were followed, in the order of the rows."""
        self.eos_token_id = rules.end_token_ids
        """The end tokens, under the name by which ``generate`` learns that ended rows are to be padded."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **options: object) -> torch.Tensor:
        """Return whether each row has ended, shape (rows,)."""
        import torch

        for reader, token in zip(self.readers, input_ids[:, -1].tolist(), strict=True):
            if not reader.has_ended:
                reader.push(token)
            if self._is_closing.is_set():
                reader.end()
        return torch.tensor([reader.has_ended for reader in self.readers], device=input_ids.device)
