"""The number of a model's parameters, from the headers of its weights; nothing is loaded."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from critic_engine.backends.huggingface.fingerprint import local_folder
from critic_engine.config.models import ModelConfig

# Weights of other types are packed, several parameters in one element.
_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
_NO_WEIGHTS = {"BOOL", "I64"}
_MAX_HEADER_BYTES = 100_000_000
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


def num_parameters(config: ModelConfig) -> int | None:
    """Return the number of a model's parameters, as its weights on this machine store them: tied ones once.

    None if it cannot be told from the headers: there are none, as with endpoints; weights are packed integers; or only
    some experts of a mixture take part in a token.
    """
    folder = local_folder(config)
    return None if folder is None else count_parameters(folder)


def count_parameters(folder: Path) -> int | None:
    """Return the number of parameters in the safetensors files of a model's folder; None if it cannot be told."""
    try:
        if _has_experts(folder):
            return None
        tensors = {name: entry for path in _files(folder) for name, entry in _header(path)}
        sizes = [_size(entry) for entry in tensors.values() if entry["dtype"] not in _NO_WEIGHTS]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None
    return sum(sizes) or None


def _files(folder: Path) -> list[Path]:
    """Return the files of the weights; a folder may hold the same weights again, under other names."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / Path(name).name for name in sorted(names)]
    whole = folder / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def _header(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"the header of {path} claims {length} bytes")
        header = json.loads(file.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, entry


def _size(entry: dict[str, Any]) -> int:
    if entry["dtype"] not in _FLOATS:
        raise ValueError(f"weights of type {entry['dtype']} are packed")
    return math.prod(int(length) for length in entry["shape"])


def _has_experts(folder: Path) -> bool:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    return any(isinstance(part.get(name), int) and part[name] > 1 for part in parts for name in _EXPERTS)
