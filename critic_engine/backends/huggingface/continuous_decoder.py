"""Decoding rows that come and go: a row that ends makes room for one that waits, in the middle of the others' texts."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from critic_engine.backends.huggingface.batch_splitting import failure_of
from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.prompt_reader import Collate, PromptReader
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.backends.huggingface.sample_reader import SampleReader, SampleRules
from critic_engine.backends.huggingface.sampling import RowDraws, RowSampler

if TYPE_CHECKING:
    import torch

    from critic_engine.backends.huggingface.slots import SlotCache

_logger = logging.getLogger(__name__)

# Batches whose first scores are compared with those of the model's own ``generate``.
_NUM_CHECKED = 2
# By how much probabilities may differ, half of the sum over all tokens; in 16 bits a token may move by percents.
_MAX_DISTANCE = {"torch.float32": 1e-3, "torch.float64": 1e-3}
_MAX_DISTANCE_16_BIT = 0.1


@dataclass(eq=False)
class RunningRow:
    """A row in a slot."""

    row: Row
    reader: SampleReader
    draws: RowDraws
    num_cached: int = 0
    """Tokens of its prompt that were known before."""
    waiting: list[int] = field(default_factory=list)
    """Tokens that are known and not read, the next one first."""
    num_known: int = 0
    """Tokens whose states it began with."""


class ContinuousDecoder:
    """Decodes the rows of one model; what a prompt shares with former prompts and texts is not computed again.

    It knows models that attend to all tokens before one, each at the place of its number: the states of a token are
    then a key and a value a layer, and depend on the tokens before it alone. Whether a model is one is seen by its
    caches, and checked: the first scores of the first batches must be those of the model's own ``generate``.
    """

    def __init__(
        self, model: Any, rules: SampleRules, collate: Collate, *, max_batch_size: int, max_prefix_bytes: int
    ) -> None:
        """Decode with ``model``.

        Args:
            model: The torch module.
            rules: By which its samples are read.
            collate: Makes its inputs.
            max_batch_size: Most rows at a time.
            max_prefix_bytes: Of the states that are kept between batches; 0 leaves everything to ``generate``.
        """
        self._model = model
        self._rules = rules
        self._collate = collate
        self._max_batch_size = max_batch_size
        self._is_usable = max_prefix_bytes > 0 and _has_plain_places(model)
        self._num_checked = 0
        accepted = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._prompts = PromptReader(
            self._forward, collate, image_token_id=_image_token_id(model.config), max_bytes=max_prefix_bytes
        )

    def run(self, feed: RowFeed, outcome: Callable[[RunningRow], Any]) -> bool:
        """Decode the rows of ``feed`` and those that join, and settle each where it ends, until none is left.

        Return False if they cannot be decoded here: what is not settled is left to the model's own ``generate``.

        Args:
            feed: Gives the rows.
            outcome: Makes a row's outcome when it has ended.
        """
        if not all(map(self._can_run, feed.rows)):
            return False
        try:
            return self._run(feed, outcome)
        except Exception as error:
            # The memory that the states take may be what is missing.
            self._prompts.clear()
            if self._num_checked < _NUM_CHECKED and not failure_of(error).is_retryable:
                return self._give_up(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._prompts.trim()

    def _run(self, feed: RowFeed, outcome: Callable[[RunningRow], Any]) -> bool:
        from critic_engine.backends.huggingface.slots import SlotCache

        is_checked = self._num_checked >= _NUM_CHECKED
        expected = {} if is_checked else self._generated_scores(feed.rows)
        running = self._begin(feed.rows)
        if running is None:
            return self._give_up("its cache has other states than a key and a value for each token", logging.INFO)
        layout = self._prompts.layout
        assert layout is not None
        cache: SlotCache | None = None
        slots: list[RunningRow] = []
        while running or slots:
            for begun in running or ():
                known = self._prompts.known(begun.row.prompt)
                cache = SlotCache(layout, known) if cache is None else cache
                begun.num_known = len(known)
                begun.waiting = begun.row.prompt.token_ids[len(known) :]
                cache.put(len(slots), known)
                slots.append(begun)
            assert cache is not None
            if feed.is_closing.is_set():
                return True
            scores = self._read_one(cache, slots)
            places = [place for place, running_row in enumerate(slots) if not running_row.waiting]
            if expected and not self._is_as_generated(scores, places, slots, expected):
                return self._give_up("its scores with states that were kept are not those without")
            for place in reversed(self._draw(scores, places, slots)):
                self._end(place, cache, slots, feed, outcome)
            free = self._max_batch_size - len(slots)
            joined = feed.more(free, self._can_run) if is_checked else []
            if joined:
                # While rows join, a run may last for ever.
                self._prompts.trim()
            running = self._begin(joined) if joined else []
        self._num_checked += 1
        return True

    def _begin(self, rows: Sequence[Row]) -> list[RunningRow] | None:
        num_cached = self._prompts.read(rows)
        if num_cached is None:
            return None
        return [
            RunningRow(row, SampleReader(row, self._rules), RowDraws(row), num)
            for row, num in zip(rows, num_cached, strict=True)
        ]

    def _read_one(self, cache: SlotCache, slots: Sequence[RunningRow]) -> torch.Tensor:
        """Have the model read the next token of each row; return the scores behind it, shape (rows, vocabulary)."""
        import torch

        ids = torch.tensor([[running.waiting.pop(0)] for running in slots], device=self._model.device)
        mask = cache.read_one()
        outputs = self._forward(
            input_ids=ids, attention_mask=mask, position_ids=cache.places.unsqueeze(1), past_key_values=cache
        )
        scores: torch.Tensor = outputs.logits[:, -1].float()
        return scores

    def _draw(self, scores: torch.Tensor, places: Sequence[int], slots: Sequence[RunningRow]) -> list[int]:
        """Draw a token for each of the rows at ``places``; return the places of those that end with it."""
        if not places:
            return []
        sampler = RowSampler([slots[place].draws for place in places], scores.device)
        tokens = sampler.draw(scores if len(places) == len(slots) else scores[list(places)])
        ended = []
        for place, token in zip(places, tokens[:, 0].tolist(), strict=True):
            slots[place].waiting.append(token)
            if slots[place].reader.push(token):
                ended.append(place)
        return ended

    def _end(
        self,
        place: int,
        cache: SlotCache,
        slots: list[RunningRow],
        feed: RowFeed,
        outcome: Callable[[RunningRow], Any],
    ) -> None:
        """Settle a row, keep the states of what it read, and give its slot to the last row."""
        running = slots[place]
        # The last token that it wrote was not read.
        written = running.reader.ids[:-1]
        self._prompts.keep(running.row.prompt, written, cache.states(place, running.num_known))
        cache.drop(place)
        slots[place] = slots[-1]
        slots.pop()
        feed.settle(running.row, outcome(running))

    def _can_run(self, row: Row) -> bool:
        return self._is_usable and self._prompts.can_read(row.prompt)

    def _forward(self, **inputs: Any) -> Any:
        return self._model(**inputs, use_cache=True, **self._last_only)

    def _generated_scores(self, rows: Sequence[Row]) -> dict[int, torch.Tensor]:
        """Return the scores of the first token of each row, by the row's identity, as ``generate`` finds them."""
        generated = self._model.generate(
            **self._collate(rows), max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
        return {id(row): scores for row, scores in zip(rows, generated.logits[0].float(), strict=True)}

    def _is_as_generated(
        self,
        scores: torch.Tensor,
        places: Sequence[int],
        slots: Sequence[RunningRow],
        expected: dict[int, torch.Tensor],
    ) -> bool:
        """Return whether the scores of rows that are about to draw their first token are as expected."""
        limit = _MAX_DISTANCE.get(str(self._model.dtype), _MAX_DISTANCE_16_BIT)
        for place in places:
            if slots[place].reader.ids:
                continue
            distance = scores[place].softmax(-1) - expected[id(slots[place].row)].softmax(-1)
            if not float(distance.abs().sum()) / 2 <= limit:
                return False
        return True

    def _give_up(self, reason: str, level: int = logging.WARNING) -> bool:
        self._is_usable = False
        self._prompts.clear()
        _logger.log(level, "%s: prompts are read whole each time: %s", type(self._model).__name__, reason)
        return False


def _image_token_id(config: Any) -> int | None:
    for name in ("image_token_id", "image_token_index"):
        found = getattr(config, name, None)
        if isinstance(found, int):
            return found
    return None


def _has_plain_places(model: Any) -> bool:
    """Return whether the place of a token is its number, and means the same in every batch.

    Some models of images count otherwise; with others the meaning changes with the longest row.
    """
    return not any(hasattr(module, "get_rope_index") or _has_changing_places(module) for module in model.modules())


def _has_changing_places(module: Any) -> bool:
    kinds = getattr(module, "rope_type", None)
    kinds = kinds.values() if isinstance(kinds, dict) else (kinds,)
    return any(kind == "longrope" or "dynamic" in str(kind) for kind in kinds)
