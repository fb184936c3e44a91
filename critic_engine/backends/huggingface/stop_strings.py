"""Ending each row of a batch by itself: at the model's end token, a stop string, or its token limit."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.token_text import TokenDecoder

if TYPE_CHECKING:
    import torch

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_NUM_SPARE_TOKENS = 4


class RowStopper:
    """A stopping criterion that ends rows one by one and keeps where each ended.

    Only a token that could complete a stop string, by its own text, has the end of its row decoded.
    """

    def __init__(
        self, rows: Sequence[Row], decoder: TokenDecoder, *, end_token_ids: frozenset[int], is_closing: threading.Event
    ) -> None:
        """Watch ``rows``, the rows of the batch in order; when ``is_closing`` is set, every row ends."""
        self._rows = rows
        self._decoder = decoder
        self._is_closing = is_closing
        self._may_end = functools.cache(functools.partial(_could_end, decoder))
        self._num_prompt_tokens = max(len(row.prompt.token_ids) for row in rows)
        self.eos_token_id = end_token_ids
        """The end tokens, under the name by which ``generate`` learns that ended rows are to be padded."""
        self.lengths: list[int | None] = [None] * len(rows)
        """Tokens generated in each row when it ended, the ending token included; None while it goes on."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **options: object) -> torch.Tensor:
        """Return whether each row has ended, shape (rows,)."""
        import torch

        num_tokens = int(input_ids.shape[1]) - self._num_prompt_tokens
        for index, token in enumerate(input_ids[:, -1].tolist()):
            if self.lengths[index] is None and self._has_ended(index, token, input_ids, num_tokens):
                self.lengths[index] = num_tokens
        return torch.tensor([length is not None for length in self.lengths], device=input_ids.device)

    def _has_ended(self, index: int, token: int, input_ids: torch.Tensor, num_tokens: int) -> bool:
        sampling = self._rows[index].sampling
        if token in self.eos_token_id or num_tokens >= sampling.max_tokens or self._is_closing.is_set():
            return True
        if not sampling.stop or not self._may_end(token, sampling.stop):
            return False
        num_tail = min(num_tokens, max(len(stop.encode()) for stop in sampling.stop) + _NUM_SPARE_TOKENS)
        tail = input_ids[index, -num_tail - _NUM_SPARE_TOKENS :].tolist()
        context = tail[:-num_tail] if num_tail < num_tokens else self._rows[index].prompt.context_ids
        text = self._decoder.after(context, tail[-num_tail:])
        return any(stop in text for stop in sampling.stop)


def _could_end(decoder: TokenDecoder, token: int, stops: tuple[str, ...]) -> bool:
    """Return whether ``token`` could be the last of a stop string, judged by its text alone."""
    text = decoder.token_text(token)
    return any(_could_complete(stop, text) for stop in stops)


def _could_complete(stop: str, text: str) -> bool:
    """Return whether a token of this text may end ``stop``; decoding one token alone may hide a space before it."""
    if not text or _UNREADABLE in text:
        return True
    spaced = f" {text}"
    if stop in spaced:
        return True
    return any(form.startswith(stop[start:]) for form in (text, spaced) for start in range(1, len(stop)))
