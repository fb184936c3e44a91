"""Decoding in batches with states of prompts that were read before."""

from __future__ import annotations

import inspect
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from critic_engine.backends.huggingface.encoding import Prompt, Row
from critic_engine.backends.huggingface.prefix_tree import PrefixTree
from critic_engine.backends.huggingface.sampling import RowSampler
from critic_engine.backends.huggingface.stop_strings import RowStopper

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)

Collate: TypeAlias = Callable[[Sequence[Row]], Mapping[str, "torch.Tensor"]]

# Batches whose first scores are compared with those of the model's own ``generate``.
_NUM_CHECKED = 2
# By how much probabilities may differ, half of the sum over all tokens; in 16 bits a token may move by percents.
_MAX_DISTANCE = {"torch.float32": 1e-3, "torch.float64": 1e-3}
_MAX_DISTANCE_16_BIT = 0.1
# Ended rows are dropped when they are at least this share of a batch: dropping copies the states of the others.
_MIN_SHARE_ENDED = 0.25


class PrefixDecoder:
    """Decodes batches of one model; what a prompt shares with a former prompt or text is not computed again.

    It knows models that attend to all tokens before one, each at the place of its number: the states of a token are
    then a key and a value a layer, and depend on the tokens before it alone. Whether a model is one is seen by its
    caches, and checked: the first scores of the first batches must be those of the model's own ``generate``.
    """

    def __init__(self, model: Any, *, pad_token_id: int, max_bytes: int) -> None:
        """Decode with ``model``; keep states of ``max_bytes`` between batches, none of 0."""
        self._model = model
        self._pad_token_id = pad_token_id
        self._tree = PrefixTree(max_bytes)
        self._shapes: list[_LayerShape] = []
        self._is_usable = max_bytes > 0 and _has_plain_places(model)
        self._num_checked = 0
        self._image_token_id = _image_token_id(model.config)
        accepted = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}

    def clear(self) -> None:
        """Drop all states."""
        self._tree.clear()

    def run(self, rows: Sequence[Row], collate: Collate, sampler: RowSampler, stopper: RowStopper) -> list[int] | None:
        """Decode until each row has ended; return how many tokens of each row's prompt were known before.

        None means that it cannot decode them, and that nothing was drawn: the model's own ``generate`` has to.

        Args:
            rows: The rows of the batch.
            collate: Returns the model's inputs for rows, as for its ``generate``.
            sampler: Draws the tokens.
            stopper: Follows the rows, and says which have ended.
        """
        if not self._can_run(rows):
            return None
        num_cached = self._read_prompts(rows, collate)
        if num_cached is None:
            return None
        batch = self._begin([row.prompt for row in rows])
        if self._num_checked < _NUM_CHECKED and not self._is_as_generated(batch.scores, collate(rows)):
            self._give_up("its scores with states that were kept are not those without")
            return None
        self._num_checked += 1
        while True:
            tokens = sampler.draw(batch.scores)
            has_ended = stopper.push(batch.places, tokens[:, 0].tolist())
            num_ended = sum(has_ended)
            if num_ended == len(has_ended):
                break
            if num_ended >= _MIN_SHARE_ENDED * len(has_ended):
                self._store(batch, [place for place, ended in enumerate(has_ended) if ended], rows, stopper)
                kept = tokens.new_tensor([place for place, ended in enumerate(has_ended) if not ended])
                batch.keep(kept)
                sampler.keep(kept)
                tokens = tokens[kept]
            self._advance(batch, tokens)
        self._store(batch, range(len(has_ended)), rows, stopper)
        self._tree.trim()
        return num_cached

    def _can_run(self, rows: Sequence[Row]) -> bool:
        return self._is_usable and all(
            not row.prompt.token_tensors and (not row.prompt.image_tensors or self._image_token_id is not None)
            for row in rows
        )

    def _read_prompts(self, rows: Sequence[Row], collate: Collate) -> list[int] | None:
        """Compute the states of all prompts of which too little is known; return how much was known of each before.

        Each prompt of the rows is computed once, however many rows have it.
        """
        num_cached: list[int] = []
        unread: dict[tuple[str, tuple[int, ...]], Row] = {}
        for row in rows:
            prompt = row.prompt
            num_known = sum(len(states) for states in self._tree.match(prompt.image_key, prompt.token_ids))
            num_known = min(num_known, len(prompt.token_ids) - 1)
            if num_known < self._num_behind_images(prompt):
                # The states of an image come from its pixels, which a prompt read in part is not given.
                num_known = 0
            num_cached.append(num_known)
            if 2 * num_known < len(prompt.token_ids):
                unread[prompt.image_key, tuple(prompt.token_ids)] = row
        if not unread:
            return num_cached
        inputs = collate(list(unread.values()))
        positions = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        outputs = self._forward(**inputs, position_ids=positions)
        layers = getattr(outputs.past_key_values, "layers", None)
        if not layers or not self._learn_shapes(layers):
            self._give_up("its cache has other states than a key and a value for each token")
            return None
        states = _states(layers, start=0)
        for (image_key, ids), of_row in zip(unread, states, strict=True):
            self._tree.insert(image_key, ids, of_row[len(of_row) - len(ids) :])
        return num_cached

    def _begin(self, prompts: Sequence[Prompt]) -> _Batch:
        """Return the batch behind its prompts: what is known of each, padded on the left, then the rest likewise."""
        import torch
        from transformers import DynamicCache

        known = [self._known(prompt) for prompt in prompts]
        num_known = [len(states) for states in known]
        rests = [prompt.token_ids[num:] for prompt, num in zip(prompts, num_known, strict=True)]
        num_before, width = max(num_known), max(map(len, rests))
        device = self._model.device
        mask = torch.zeros(len(prompts), num_before + width, dtype=torch.long)
        ids = torch.full((len(prompts), width), self._pad_token_id)
        places = torch.zeros(len(prompts), width, dtype=torch.long)
        for row, (num, rest) in enumerate(zip(num_known, rests, strict=True)):
            mask[row, num_before - num : num_before] = 1
            mask[row, num_before + width - len(rest) :] = 1
            ids[row, width - len(rest) :] = torch.tensor(rest)
            places[row, width - len(rest) :] = torch.arange(num, num + len(rest))
        cache = DynamicCache()
        padded = known[0].new_zeros(len(prompts), num_before, known[0].shape[1])
        for row, states in enumerate(known):
            padded[row, num_before - len(states) :] = states
        for index, (keys, values) in enumerate(self._by_layer(padded)):
            cache.update(keys, values, index)
        batch = _Batch(list(range(len(prompts))), cache, mask.to(device), num_before)
        batch.positions = places[:, -1:].to(device)
        self._read(batch, ids.to(device), places.to(device))
        return batch

    def _known(self, prompt: Prompt) -> torch.Tensor:
        """Return the states that are known of a prompt, at least one of whose tokens is left to be read."""
        import torch

        states = self._tree.match(prompt.image_key, prompt.token_ids)
        return torch.cat(states)[: len(prompt.token_ids) - 1]

    def _advance(self, batch: _Batch, tokens: torch.Tensor) -> None:
        import torch

        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(tokens), 1)], dim=1)
        batch.positions = batch.positions + 1
        self._read(batch, tokens, batch.positions)

    def _read(self, batch: _Batch, ids: torch.Tensor, positions: torch.Tensor) -> None:
        outputs = self._forward(
            input_ids=ids, attention_mask=batch.mask, position_ids=positions, past_key_values=batch.cache
        )
        batch.scores = outputs.logits[:, -1].float()

    def _forward(self, **inputs: Any) -> Any:
        return self._model(**inputs, use_cache=True, **self._last_only)

    def _store(self, batch: _Batch, ended: Sequence[int], rows: Sequence[Row], stopper: RowStopper) -> None:
        """Keep what rows have read since the batch began, the last token that they wrote left out: it was not read."""
        states = _states(batch.cache.layers, start=batch.num_before)
        is_read = batch.mask[:, batch.num_before :].bool()
        for place in ended:
            row = batch.places[place]
            prompt, written = rows[row].prompt, stopper.readers[row].ids
            ids = [*prompt.token_ids, *written[:-1]]
            num_of_prompt = int(is_read[place, : batch.num_read].sum())
            of_row = states[place][is_read[place]][: num_of_prompt + len(written) - 1]
            self._tree.insert(prompt.image_key, ids, of_row)

    def _is_as_generated(self, scores: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> bool:
        generated = self._model.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
        mass, expected = scores.softmax(-1), generated.logits[0].float().softmax(-1)
        distance = float((mass - expected).abs().sum(-1).max()) / 2
        return distance <= _MAX_DISTANCE.get(str(self._model.dtype), _MAX_DISTANCE_16_BIT)

    def _give_up(self, reason: str) -> None:
        self._is_usable = False
        self._tree.clear()
        _logger.info("%s: prompts are read whole each time; %s", type(self._model).__name__, reason)

    def _learn_shapes(self, layers: Sequence[Any]) -> bool:
        """Note the shapes of a layer's keys and values; return whether they are all that a layer keeps."""
        from transformers.cache_utils import DynamicLayer

        if self._shapes:
            return True
        if any(type(layer) is not DynamicLayer or layer.keys.dim() != 4 for layer in layers):
            return False
        self._shapes = [
            _LayerShape(layer.keys.shape[1], layer.keys.shape[3], layer.values.shape[1], layer.values.shape[3])
            for layer in layers
        ]
        return True

    def _by_layer(self, states: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return keys and values by layer, each of shape (rows, heads, tokens, features)."""
        import torch

        sizes = [size for shape in self._shapes for size in shape.sizes]
        heads = [num for shape in self._shapes for num in (shape.num_key_heads, shape.num_value_heads)]
        parts = [
            part.unflatten(2, (num, -1)).transpose(1, 2)
            for part, num in zip(torch.split(states, sizes, dim=2), heads, strict=True)
        ]
        return list(zip(parts[::2], parts[1::2], strict=True))

    def _num_behind_images(self, prompt: Prompt) -> int:
        """Return how many tokens of a prompt reach to the end of its last image."""
        if not prompt.image_tensors:
            return 0
        from_end = itertools.takewhile(lambda token: token != self._image_token_id, reversed(prompt.token_ids))
        return len(prompt.token_ids) - sum(1 for _ in from_end)


@dataclass(frozen=True, slots=True)
class _LayerShape:
    num_key_heads: int
    key_size: int
    num_value_heads: int
    value_size: int

    @property
    def sizes(self) -> tuple[int, int]:
        return self.num_key_heads * self.key_size, self.num_value_heads * self.value_size


class _Batch:
    """The rows of a batch that have not ended, in the middle of decoding."""

    scores: torch.Tensor
    positions: torch.Tensor

    def __init__(self, places: list[int], cache: Any, mask: torch.Tensor, num_before: int) -> None:
        self.places = places
        """Their places among all rows."""
        self.cache = cache
        self.mask = mask
        """Shape (rows, tokens): 1 where there is a token."""
        self.num_before = num_before
        """Width of what was known of the prompts."""
        self.num_read = mask.shape[1] - num_before
        """Width of the rest of the prompts."""

    def keep(self, kept: torch.Tensor) -> None:
        self.places = [self.places[place] for place in kept.tolist()]
        self.cache.batch_select_indices(kept)
        self.mask, self.positions = self.mask[kept], self.positions[kept]


def _states(layers: Sequence[Any], *, start: int) -> torch.Tensor:
    """Return what the layers keep from the token at ``start`` on, shape (rows, tokens, features)."""
    import torch

    tensors = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
    return torch.cat([tensor[:, :, start:].transpose(1, 2).flatten(2) for tensor in tensors], dim=2)


def _image_token_id(config: Any) -> int | None:
    for name in ("image_token_id", "image_token_index"):
        found = getattr(config, name, None)
        if isinstance(found, int):
            return found
    return None


def _has_plain_places(model: Any) -> bool:
    """Return whether the place of a token is its number: some models of images count otherwise."""
    return not any(hasattr(module, "get_rope_index") for module in model.modules())
