"""Making the generator or scorer of a role from its configuration."""

from __future__ import annotations

import functools
from pathlib import Path

from critic_engine.backends.huggingface.checkpoint import (
    CheckpointOptions,
    check_folder,
    load_checkpoint,
    pocket_folder,
)
from critic_engine.backends.huggingface.generator import BatchGenerator, HuggingFaceGenerator
from critic_engine.backends.huggingface.scorer import HuggingFaceScorer, load_scorer
from critic_engine.backends.openai_api.generator import OpenAiGenerator
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.backends.vllm.generator import VllmGenerator, VllmReplica
from critic_engine.backends.vllm.scorer import VllmScorer, VllmScorerReplica
from critic_engine.config.models import SHIPPED_MODELS, ModelConfig, is_shipped_name
from critic_engine.config.search import RewardModelConfig
from critic_engine.errors import ConfigError
from critic_engine.models.registry import ModelRole
from critic_engine.protocols import Generation, GenerationRequest, Generator, Score, Scorer
from critic_engine.replicas.pool import Replica
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.types import Message


def make_generator(config: ModelConfig, role: ModelRole) -> Generator:
    """Return the generator of a role; its model is loaded by its ``load`` or by its first request.

    Args:
        config: The role's model and where it runs.
        role: Decides which model ``pocket`` and ``scripted`` stand for.

    Raises:
        ConfigError: the settings of the backend contradict each other.
        ModelLoadError: the model's folder is plainly not one, the shipped weights of the role are missing, or the
            backend's package is not installed.
    """
    if config.backend == "scripted":
        script = scripted_reasoner() if role == "reasoner" else scripted_critic()
        return ScriptedGenerator(script, name=f"scripted:{role}")
    if config.backend == "openai_api":
        if is_shipped_name(config.model):
            raise ConfigError(
                f"{role}.model is {config.model!r}, which is no endpoint's name for a model; name one, such as "
                "openai:NAME",
                field=f"{role}.model",
            )
        return OpenAiGenerator(config.model, config.openai_api)
    options = _checkpoint_options(config, role)
    check_folder(options)
    name = f"{config.backend}:{short_name(config, role)}"
    if config.backend == "vllm":
        return VllmGenerator(config, section=role, model=options.model, name=name)
    return HuggingFaceGenerator(
        lambda: BatchGenerator(load_checkpoint(options), max_batch_size=config.max_batch_size),
        name=name,
        max_batch_size=config.max_batch_size,
    )


def make_scorer(config: RewardModelConfig) -> Scorer:
    """Return the scorer of a reward model of head ``sequence_classification``; its ``load`` or first request loads it.

    Raises:
        ConfigError: the model is the shipped one or a script, which have no such head.
        ModelLoadError: the model's folder is plainly not one.
    """
    _check_head(config)
    options = _checkpoint_options(config, "critic")
    check_folder(options)
    if config.backend == "vllm":
        return VllmScorer(config, section="reward_model")
    name = f"huggingface:{Path(options.model).name}"
    return HuggingFaceScorer(functools.partial(load_scorer, options), name=name, max_batch_size=config.max_batch_size)


def make_generator_replica(config: ModelConfig, role: ModelRole) -> Replica[GenerationRequest, Generation]:
    """Return a replica of a role's generator that leaves all restarts to the pool that supervises it.

    Raises:
        ConfigError: an argument of vLLM's engine is refused.
        ModelLoadError: vLLM is not installed.
    """
    if config.backend != "vllm":
        return ModelReplica(functools.partial(make_generator, config, role))
    return VllmReplica(config, section=role, model=_checkpoint_options(config, role).model)


def make_scorer_replica(config: RewardModelConfig) -> Replica[tuple[Message, ...], Score]:
    """Return a replica of a reward model that leaves all restarts to the pool that supervises it.

    Raises:
        ConfigError: the model is the shipped one or a script, or an argument of vLLM's engine is refused.
        ModelLoadError: vLLM is not installed.
    """
    if config.backend != "vllm":
        return ModelReplica(functools.partial(make_scorer, config))
    _check_head(config)
    return VllmScorerReplica(config, section="reward_model")


def short_name(config: ModelConfig, role: ModelRole) -> str:
    """Return the name of a role's model in reports, without its backend, such as ``pocket-reasoner``."""
    is_shipped = is_shipped_name(config.model)
    return f"{config.model.replace(':', '-')}-{role}" if is_shipped else Path(config.model).name


def _check_head(config: RewardModelConfig) -> None:
    shipped = [("model", name) for name in SHIPPED_MODELS]
    for field, absent in (("backend", "scripted"), ("backend", "openai_api"), *shipped):
        if getattr(config, field) == absent:
            raise ConfigError(
                f"reward_model.{field} is {absent!r}, which has no head 'sequence_classification'; name a model that "
                "has, or set reward_model.head to 'verdict_token'",
                field=f"reward_model.{field}",
            )


def _checkpoint_options(config: ModelConfig, role: ModelRole) -> CheckpointOptions:
    return CheckpointOptions(
        model=str(pocket_folder(role, config.model)) if is_shipped_name(config.model) else config.model,
        device=config.device,
        dtype=config.dtype,
        is_remote_code_trusted=config.is_remote_code_trusted,
        is_pickle_allowed=config.is_pickle_allowed,
    )
