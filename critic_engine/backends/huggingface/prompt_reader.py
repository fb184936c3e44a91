"""Reading prompts: what is known of them from former prompts and texts is not computed again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from critic_engine.backends.huggingface.encoding import Prompt, Row
from critic_engine.backends.huggingface.prefix_tree import PrefixTree

if TYPE_CHECKING:
    import torch

    from critic_engine.backends.huggingface.slots import StateLayout

Collate: TypeAlias = Callable[[Sequence[Row]], Mapping[str, "torch.Tensor"]]
"""Returns the model's inputs for rows whose prompts have equal signatures, as for its ``generate``."""
Forward: TypeAlias = Callable[..., Any]
"""The model; it returns the scores of the last token, and its cache."""

_MAX_REST = 8


class PromptReader:
    """Computes the states of prompts for one model, and keeps those of all that was read and written."""

    def __init__(self, forward: Forward, collate: Collate, *, image_token_id: int | None, max_bytes: int) -> None:
        """Read with ``forward``.

        Args:
            forward: The model.
            collate: Makes its inputs.
            image_token_id: The token that stands for a part of an image, if the model takes images.
            max_bytes: Of the states that are kept between batches.
        """
        self.layout: StateLayout | None = None
        """How the states of a token lie; known once a prompt was read."""
        self._forward = forward
        self._collate = collate
        self._image_token_id = image_token_id
        self._tree = PrefixTree(max_bytes)

    def can_read(self, prompt: Prompt) -> bool:
        """Return whether the states of its tokens depend on the tokens and images before them alone."""
        return not prompt.token_tensors and (not prompt.image_tensors or self._image_token_id in prompt.token_ids)

    def read(self, rows: Sequence[Row]) -> list[int] | None:
        """Compute the states of each row's prompt up to its last tokens, 1 to 8 of which are left.

        Equal prompts are computed once. Return how many tokens of each were known before; None if the states of this
        model cannot be kept.
        """
        num_cached: list[int] = []
        unread: dict[tuple[str, tuple[int, ...]], tuple[Row, int]] = {}
        for row in rows:
            prompt = row.prompt
            num_known = sum(map(len, self._tree.match(prompt.image_key, prompt.token_ids)))
            num_known = min(num_known, len(prompt.token_ids) - 1)
            if num_known < self._num_up_to_images(prompt):
                # The states of an image come from its pixels, which a prompt that is read in part is not given.
                num_known = 0
            num_cached.append(num_known)
            if not num_known or len(prompt.token_ids) - num_known > _MAX_REST:
                unread[prompt.image_key, tuple(prompt.token_ids)] = row, num_known
        for _, group in itertools.groupby(sorted(unread.values(), key=_kind), key=_kind):
            if not self._read_group(list(group)):
                return None
        return num_cached

    def known(self, prompt: Prompt) -> torch.Tensor:
        """Return the states that are kept of a prompt but its last token, shape (tokens, features)."""
        import torch

        return torch.cat(self._tree.match(prompt.image_key, prompt.token_ids))[: len(prompt.token_ids) - 1]

    def keep(self, prompt: Prompt, written: Sequence[int], states: torch.Tensor) -> None:
        """Keep the states, shape (tokens, features), of the last tokens of a prompt with what was written behind it."""
        self._tree.insert(prompt.image_key, [*prompt.token_ids, *written], states)

    def trim(self) -> None:
        """Drop what was not used for longest, if more is kept than the limit."""
        self._tree.trim()

    def clear(self) -> None:
        """Drop all states."""
        self._tree.clear()

    def _read_group(self, group: Sequence[tuple[Row, int]]) -> bool:
        """Compute the states of prompts, all from their beginnings or all from what is known of them."""
        prompts = [row.prompt for row, _ in group]
        inputs = self._rests(group) if group[0][1] else self._wholes([row for row, _ in group])
        width = inputs["input_ids"].shape[1]
        layers = self._forward(**inputs).past_key_values.layers
        if not self._has_layout(layers):
            return False
        import torch

        tensors = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
        states = torch.cat([tensor[:, :, -width:].transpose(1, 2).flatten(2) for tensor in tensors], dim=2)
        for prompt, (_, num_known), of_row in zip(prompts, group, states, strict=True):
            num_new = len(prompt.token_ids) - num_known
            self._tree.insert(prompt.image_key, prompt.token_ids, of_row[width - num_new :])
        return True

    def _wholes(self, rows: Sequence[Row]) -> dict[str, Any]:
        inputs = self._collate(rows)
        # The place of a token is its number: padding on the left does not count.
        return {**inputs, "position_ids": (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)}

    def _rests(self, group: Sequence[tuple[Row, int]]) -> dict[str, Any]:
        """Return the inputs of what is not known of prompts, behind what is; both are padded on the left."""
        import torch
        from transformers import DynamicCache

        assert self.layout is not None
        known = [self.known(row.prompt)[:num_known] for row, num_known in group]
        rests = [torch.tensor(row.prompt.token_ids[num_known:]) for row, num_known in group]
        num_before, width = max(map(len, known)), max(map(len, rests))
        states = known[0].new_zeros(len(group), num_before, known[0].shape[1])
        mask = torch.zeros(len(group), num_before + width, dtype=torch.long)
        ids, places = mask[:, num_before:].clone(), mask[:, num_before:].clone()
        for row, (before, rest) in enumerate(zip(known, rests, strict=True)):
            states[row, num_before - len(before) :] = before
            mask[row, num_before - len(before) : num_before] = 1
            mask[row, num_before + width - len(rest) :] = 1
            ids[row, width - len(rest) :] = rest
            places[row, width - len(rest) :] = torch.arange(len(before), len(before) + len(rest))
        cache, parts = DynamicCache(), self.layout.split(states)
        for index, (keys, values) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            cache.update(keys, values, index)
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": places}
        return {name: tensor.to(states.device) for name, tensor in inputs.items()} | {"past_key_values": cache}

    def _has_layout(self, layers: Sequence[Any]) -> bool:
        from critic_engine.backends.huggingface.slots import StateLayout

        self.layout = self.layout or StateLayout.of(layers)
        return self.layout is not None

    def _num_up_to_images(self, prompt: Prompt) -> int:
        """Return how many tokens of a prompt reach to the end of its last image."""
        if not prompt.image_tensors:
            return 0
        behind = itertools.takewhile(lambda token: token != self._image_token_id, reversed(prompt.token_ids))
        return len(prompt.token_ids) - sum(1 for _ in behind)


def _kind(unread: tuple[Row, int]) -> tuple[bool, str]:
    """Return what the prompts of one group have in common."""
    row, num_known = unread
    return (True, "") if num_known else (False, repr(row.prompt.signature))
