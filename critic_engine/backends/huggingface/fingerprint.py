"""Fingerprints of models: a digest that tells one set of local weights from another without reading all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.config.critic_card import CardModel
from critic_engine.config.models import ModelConfig, is_shipped_name
from critic_engine.config.search import CriticConfig, RewardModelConfig
from critic_engine.errors import ModelLoadError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generator

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
_END_BYTES = 1 << 20
_NUM_DIGITS = 32


def card_model(config: ModelConfig, given: Generator | None = None) -> CardModel:
    """Return a model as a card names it; equal for the same weights and prompts, wherever a folder of them lies.

    Args:
        config: The model.
        given: The generator that a program hands in for it, which a card names by its own name.

    Raises:
        ConfigError: its prompts cannot be loaded.
    """
    if given is not None:
        return CardModel(name=given.name, prompts=PromptFamily.for_model(config).name)
    folder = Path(config.model).expanduser()
    if config.backend == "openai_api":
        name = f"openai:{config.model}"
    elif config.backend == "scripted":
        name = f"scripted:{config.model}"
    else:
        name = folder.resolve().name if not is_shipped_name(config.model) and folder.is_dir() else config.model
    return CardModel(name=name, prompts=PromptFamily.for_model(config).name, fingerprint=model_fingerprint(config))


def model_fingerprint(config: ModelConfig) -> str:
    """Return the first 32 hexadecimal digits of a SHA-256 over a model's local files; empty if they are not at hand.

    It covers ``config.json`` and, of each file of weights, the name, the size, and the first and last MiB. So it tells
    apart weights that were trained further, and takes milliseconds for models of any size. A hub id is looked up among
    the files that were downloaded before; nothing is downloaded. Endpoints and scripts have no files.

    Args:
        config: The model. Its class says which role ``pocket`` stands for, as in backends: a critic's and a reward
            model's is the critic, any other's the reasoner.
    """
    folder = local_folder(config)
    return "" if folder is None else _digest(folder)


def local_folder(config: ModelConfig) -> Path | None:
    """Return the folder of a model's files on this machine, of a hub id that of its download; None without one."""
    if config.backend not in ("huggingface", "vllm"):
        return None
    if is_shipped_name(config.model):
        try:
            is_critic = isinstance(config, CriticConfig | RewardModelConfig)
            return pocket_folder("critic" if is_critic else "reasoner", config.model)
        except ModelLoadError:
            return None
    folder = Path(config.model).expanduser()
    return folder if folder.is_dir() else _downloaded(config.model)


def _downloaded(hub_id: str) -> Path | None:
    """Return the folder of a hub id's files in the hub's cache; None if they, or the hub's package, are not there."""
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(hub_id, "config.json")
    except (ImportError, ValueError, OSError):
        return None
    return Path(found).parent if isinstance(found, str) else None


def _digest(folder: Path) -> str:
    """Return the digest of a folder's files; empty if it holds no weights, or one of them cannot be read."""
    try:
        weights = sorted(path for path in folder.iterdir() if path.suffix in _WEIGHTS and path.is_file())
        digest = hashlib.sha256((folder / "config.json").read_bytes())
        for path in weights:
            digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode(errors="surrogatepass"))
            digest.update(_ends(path))
    except OSError:
        return ""
    return digest.hexdigest()[:_NUM_DIGITS] if weights else ""


def _ends(path: Path) -> bytes:
    """Return the first and last MiB of a file; all of a shorter one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= 2 * _END_BYTES:
            return file.read(2 * _END_BYTES)
        first = file.read(_END_BYTES)
        file.seek(size - _END_BYTES)
        return first + file.read(_END_BYTES)
