"""From a role's configuration to the generator that serves it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from critic_engine.backends.checkpoint import CheckpointOptions, check_folder
from critic_engine.backends.huggingface import HuggingFaceGenerator
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripts import scripted_critic, scripted_reasoner
from critic_engine.config import ModelConfig
from critic_engine.errors import ModelLoadError
from critic_engine.protocols import Generator

POCKET_WEIGHTS = Path(__file__).parents[1] / "pocket" / "weights"
"""The folder of the shipped checkpoints, one folder a role."""


@dataclass(frozen=True, slots=True)
class GeneratorKey:
    """What two roles must agree on to share one loaded model."""

    checkpoint: CheckpointOptions
    max_batch_size: int


def make_generator(
    config: ModelConfig,
    role: Literal["reasoner", "critic"],
    *,
    shared: MutableMapping[GeneratorKey, Generator] | None = None,
) -> Generator:
    """Return the generator of a role; its model is loaded by its ``load`` or by its first request.

    Args:
        config: Which model, and where it runs.
        role: Whose model; decides what ``pocket`` and ``scripted`` stand for.
        shared: Models made so far, owned by the caller and added to here: a role that asks for a model that is in it
            gets the same generator. Close each of its generators once.

    Raises:
        ModelLoadError: the model's folder is plainly not one, or the shipped weights of the role are missing.
    """
    if config.backend == "scripted":
        script = scripted_reasoner() if role == "reasoner" else scripted_critic()
        return ScriptedGenerator(script, name=f"scripted:{role}")
    key = GeneratorKey(_checkpoint_options(config, role), config.max_batch_size)
    if shared is None:
        shared = {}
    if key not in shared:
        check_folder(key.checkpoint)
        shared[key] = HuggingFaceGenerator.from_pretrained(
            key.checkpoint,
            name=f"huggingface:pocket-{role}" if config.model == "pocket" else None,
            max_batch_size=config.max_batch_size,
        )
    return shared[key]


def pocket_folder(role: Literal["reasoner", "critic"]) -> Path:
    """Return the folder of the shipped checkpoint of ``role``.

    Raises:
        ModelLoadError: it is not there.
    """
    folder = POCKET_WEIGHTS / role
    if not (folder / "config.json").is_file():
        raise ModelLoadError(f"the pocket {role} is missing from {folder}; name another model")
    return folder


def _checkpoint_options(config: ModelConfig, role: Literal["reasoner", "critic"]) -> CheckpointOptions:
    return CheckpointOptions(
        model=str(pocket_folder(role)) if config.model == "pocket" else config.model,
        device=config.device,
        dtype=config.dtype,
        is_remote_code_trusted=config.is_remote_code_trusted,
        is_pickle_allowed=config.is_pickle_allowed,
    )
