"""Keys and values of the rows of a running batch, each in a slot that it leaves to another row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Places by which slots grow at once, and the fewest slots that there are.
_NUM_PLACES = 64
_NUM_SLOTS = 8


@dataclass(frozen=True, slots=True)
class StateLayout:
    """How the states of a token, a key and a value a layer, lie one behind the other."""

    heads: tuple[int, ...]
    """Number of heads of each layer's keys, then of its values."""
    sizes: tuple[int, ...]
    """Features of each layer's keys, all heads together, then of its values."""

    @classmethod
    def of(cls, layers: Sequence[Any]) -> StateLayout | None:
        """Return the layout of a model's cache; None if its layers keep anything but a key and a value a token."""
        from transformers.cache_utils import DynamicLayer

        if not layers or any(type(layer) is not DynamicLayer or layer.keys.dim() != 4 for layer in layers):
            return None
        tensors = _tensors(layers)
        return cls(
            tuple(tensor.shape[1] for tensor in tensors), tuple(tensor.shape[1] * tensor.shape[3] for tensor in tensors)
        )

    def split(self, states: torch.Tensor) -> list[torch.Tensor]:
        """Return the keys and the values of each layer, shape (rows, heads, tokens, features).

        Args:
            states: Shape (rows, tokens, features).
        """
        import torch

        parts = torch.split(states, list(self.sizes), dim=2)
        return [
            part.view(*part.shape[:2], num_heads, part.shape[2] // num_heads).transpose(1, 2)
            for part, num_heads in zip(parts, self.heads, strict=True)
        ]


@dataclass(eq=False)
class SlotLayer:
    """Keys and values of one layer, each of shape (slots, heads, places, features): views of the slots' states."""

    keys: torch.Tensor
    values: torch.Tensor


class SlotCache:
    """A cache whose rows have lengths of their own. The model reads one token of each row at a time.

    It stands in for a ``Cache`` of transformers, with the methods that models and their masks call.
    """

    is_compileable = False

    def __init__(self, layout: StateLayout, like: torch.Tensor) -> None:
        """Begin without rows; states have the type and the device of ``like``."""
        import torch

        self.lengths: list[int] = []
        """Tokens of each row."""
        self.width = 0
        """Tokens of the longest row, the one that is being read included."""
        self.rows = self.places = torch.zeros(0, dtype=torch.long, device=like.device)
        self._layout = layout
        self._states = like.new_zeros(0, 0, sum(layout.sizes))
        self.layers: list[SlotLayer] = self._views()
        """Keys and values of each layer."""

    def put(self, slot: int, states: torch.Tensor) -> None:
        """Begin a row with the states of its tokens, shape (tokens, features), in ``slot`` or behind the last one."""
        self.lengths[slot : slot + 1] = [len(states)]
        self._grow(len(self.lengths), len(states) + 1)
        self._states[slot, : len(states)] = states

    def drop(self, slot: int) -> None:
        """End the row in ``slot``; the last row takes its place."""
        last = len(self.lengths) - 1
        if slot < last:
            self._states[slot, : self.lengths[last]] = self._states[last, : self.lengths[last]]
        self.lengths[slot] = self.lengths[last]
        self.lengths.pop()

    def states(self, slot: int, start: int) -> torch.Tensor:
        """Return the states of a row from the token at ``start`` on, shape (tokens, features); they are not copied."""
        return self._states[slot, start : self.lengths[slot]]

    def read_one(self) -> torch.Tensor:
        """Make room for one more token of each row; return the mask of all tokens, shape (rows, tokens)."""
        import torch

        device = self.rows.device
        self.places = torch.tensor(self.lengths, device=device)
        self.rows = torch.arange(len(self.lengths), device=device)
        self.width = max(self.lengths) + 1
        self._grow(len(self.lengths), self.width)
        self.lengths = [length + 1 for length in self.lengths]
        return (torch.arange(self.width, device=device) <= self.places.unsqueeze(1)).long()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the states of each row's token at the row's place; return those of all tokens."""
        layer, (num_rows, width) = self.layers[layer_idx], (len(key_states), self.width)
        for tensor, states in ((layer.keys, key_states), (layer.values, value_states)):
            tensor[self.rows, :, self.places] = states[:, :, 0]
        return layer.keys[:num_rows, :, :width], layer.values[:num_rows, :, :width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the tokens before the one that is being read."""
        return self.width - 1

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Return the place of the token that is being read, in the longest row."""
        return self.width - 1

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Return the width of the mask, and where it begins."""
        return self.width, 0

    def _grow(self, num_rows: int, num_tokens: int) -> None:
        num_slots, num_places, num_features = self._states.shape
        if num_rows <= num_slots and num_tokens <= num_places:
            return
        grown = self._states.new_zeros(
            num_slots if num_rows <= num_slots else max(num_rows, _NUM_SLOTS, 3 * num_rows // 2),
            max(num_places, -(-num_tokens // _NUM_PLACES) * _NUM_PLACES),
            num_features,
        )
        grown[:num_slots, :num_places] = self._states
        self._states = grown
        self.layers = self._views()

    def _views(self) -> list[SlotLayer]:
        parts = self._layout.split(self._states)
        return [SlotLayer(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def _tensors(layers: Iterable[Any]) -> list[torch.Tensor]:
    return [tensor for layer in layers for tensor in (layer.keys, layer.values)]
