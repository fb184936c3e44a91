"""An engine's models in pools of Ray actors, owned by the process that starts them and shared with search workers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from critic_engine.actors.actor_pool import ActorPool, HostedModel, image_sender
from critic_engine.actors.cluster import connect
from critic_engine.actors.search_pool import WorkerPool
from critic_engine.backends.factory import make_generator, make_generator_replica, make_scorer_replica, short_name
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import RewardModelConfig
from critic_engine.errors import ModelLoadError
from critic_engine.models.registry import ModelMakers, ModelRole, model_key, scorer_key
from critic_engine.protocols import Generator, Scorer
from critic_engine.replicas.pool import ReplicaPool
from critic_engine.replicas.pooled_model import PooledGenerator, PooledScorer
from critic_engine.roles.checker import Checker


class RayHost:
    """An engine's use of Ray: each model has actors of its own, and searches have too where the configuration says so.

    Endpoints stay outside: each process asks them itself.
    """

    def __init__(self, config: EngineConfig) -> None:
        """Connect to ``config.ray.address``, and start nothing yet.

        Raises:
            ConfigError: Ray is not installed, or the cluster cannot be reached.
        """
        self._cluster = connect(config.ray, num_cpus=_reserved_cpus(config))
        self._images = image_sender()
        self._hosted: dict[tuple[str, str], HostedModel] = {}
        self._pools: list[ActorPool[Any, Any]] = []
        self.makers = ModelMakers(self._generator, self._scorer)
        """The makers of this process's models; the models own their actors."""

    def workers(self, config: EngineConfig, checker: Checker | None) -> WorkerPool | None:
        """Return the search workers, which share the models made so far; None where the configuration has none."""
        if not config.ray.num_search_workers:
            return None
        return WorkerPool(config, functools.partial(open_hosted, dict(self._hosted)), checker=checker)

    def close(self) -> None:
        """End all actors that were not closed, and disconnect; a second time it does nothing."""
        for pool in self._pools:
            pool.release()
        self._cluster.close()

    def _generator(self, config: ModelConfig, role: ModelRole) -> Generator:
        if config.backend == "openai_api":
            return make_generator(config, role)
        make = functools.partial(make_generator_replica, config, role)
        return PooledGenerator(self._start(make, model_key(config, role), config, role))

    def _scorer(self, config: RewardModelConfig) -> Scorer:
        make = functools.partial(make_scorer_replica, config)
        return PooledScorer(self._start(make, scorer_key(config), config, "critic"))

    def _start(
        self, make: Callable[[], Any], key: tuple[str, str], config: ModelConfig, role: ModelRole
    ) -> ActorPool[Any, Any]:
        """Return a pool of actors that each hold a replica from ``make``; remember it by ``key``."""
        name = f"{config.backend}:{role if config.backend == 'scripted' else short_name(config, role)}"
        num_gpus = self._num_gpus(config)
        pool: ActorPool[Any, Any] = ActorPool(
            make, config.actor, num_gpus=num_gpus, name=name, cluster=self._cluster, images=self._images
        )
        self._pools.append(pool)
        self._hosted[key] = pool.hosted
        return pool

    def _num_gpus(self, config: ModelConfig) -> float:
        """Return the GPUs of one replica, also where the configuration leaves the number open."""
        if config.actor.num_gpus is not None:
            return config.actor.num_gpus
        if config.backend == "scripted" or config.device == "cpu" or not self._cluster.resources().get("GPU"):
            return 0.0
        sizes = (config.vllm.engine_args.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline"))
        return float(math.prod(size for size in sizes if isinstance(size, int)))


def open_hosted(hosted: Mapping[tuple[str, str], HostedModel]) -> ModelMakers:
    """Return the makers of models in actors that another process owns, by ``model_key`` and ``scorer_key``."""
    images = image_sender()

    def pool(key: tuple[str, str]) -> ReplicaPool[Any, Any]:
        if key not in hosted:
            raise ModelLoadError("a search worker needs a model that its engine has not hosted")
        return hosted[key].pool(images)

    def generator(config: ModelConfig, role: ModelRole) -> Generator:
        if config.backend == "openai_api":
            return make_generator(config, role)
        return PooledGenerator(pool(model_key(config, role)))

    return ModelMakers(generator, lambda config: PooledScorer(pool(scorer_key(config))))


def _reserved_cpus(config: EngineConfig) -> float:
    models: list[ModelConfig] = [config.reasoner, *config.other_reasoners]
    models += [config.critic] if config.needs_critic else []
    models += [config.reward_model] if config.needs_reward_model else []
    of_models = sum(model.actor.num_replicas * model.actor.num_cpus for model in models)
    return of_models + config.ray.num_search_workers * config.ray.num_cpus_per_worker
