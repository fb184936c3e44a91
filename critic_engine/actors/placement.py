"""Placing an actor: room reserved for it on one node, and a limit on waiting for room."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critic_engine.actors.channel import first_line
from critic_engine.actors.model_host import ModelHost
from critic_engine.config.models import ActorConfig
from critic_engine.errors import ModelLoadError
from critic_engine.replicas.pool import Replica

_logger = logging.getLogger(__name__)
# Ray cannot reserve nothing: an actor that asks for no resource gets a trace of a core.
_LEAST_CPUS = 0.001
MAX_CONCURRENCY = 10_000
"""Calls of one actor at the same time, which is as good as no limit."""
PATIENCE_S = 600.0
"""Seconds that a pool waits while none of its actors has room."""
_CLOSE_S = 20.0


class PlacedActor:
    """Room for one replica in the cluster, and the actor in it, which Ray starts again when it is lost."""

    def __init__(self, make: Callable[[], Replica[Any, Any]], config: ActorConfig, *, num_gpus: float) -> None:
        """Ask for both, and wait for neither; ``num_gpus`` is a whole number or at most 1."""
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self.demand = {"CPU": max(config.num_cpus, _LEAST_CPUS), **({"GPU": num_gpus} if num_gpus else {})}
        """The resources that it reserves, by Ray's names."""
        self._group = ray.util.placement_group([self.demand], strategy="STRICT_PACK")
        self.handle: Any = (
            ray.remote(ModelHost)
            .options(
                num_cpus=self.demand["CPU"],
                num_gpus=num_gpus,
                max_restarts=config.max_restarts,
                max_task_retries=0,
                max_concurrency=MAX_CONCURRENCY,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=self._group, placement_group_bundle_index=0
                ),
            )
            .remote(make)
        )
        """The actor's handle; other processes may hold it too."""
        self.is_ending = False
        """Whether the actor ends for good when it is stopped."""
        self._is_removed = False

    @property
    def is_placed(self) -> bool:
        """Whether a node has given the room."""
        from ray.util import placement_group_table

        return bool(placement_group_table(self._group)["state"] == "CREATED")

    def restart(self) -> None:
        """Have Ray restart the actor in a new process; Ray counts this among the restarts."""
        import ray

        # Ray would connect anew, to any cluster it finds.
        if ray.is_initialized():
            ray.kill(self.handle, no_restart=False)

    async def close(self) -> None:
        """Let the actor release its model, end it and give the room back. A second time it does nothing."""
        if self._is_removed or not self.is_placed:
            self.remove()
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.handle.aclose.remote()
        except Exception as error:
            _logger.warning("an actor did not close its model and is killed: %s", first_line(error))
        self.remove()

    def remove(self) -> None:
        """End the actor and give the room back. A second time it does nothing."""
        import ray

        if self._is_removed or not ray.is_initialized():
            return
        self._is_removed = True
        ray.kill(self.handle, no_restart=True)
        ray.util.remove_placement_group(self._group)


@dataclass(slots=True)
class Vacancy:
    """Limits the wait for room: fails when none of a pool's replicas has had room for a while."""

    placements: Sequence[PlacedActor]
    """Of one pool."""
    name: str
    """The name of the model in messages."""
    resources: Callable[[], Mapping[str, float]]
    """Returns the cluster's resources."""
    patience_s: float
    """Seconds that a pool without any room waits."""
    _checked_s: float = -math.inf
    _hopeful_s: float | None = None

    def check(self) -> None:
        """Look for room, at most once a second.

        Raises:
            ModelLoadError: there was no room for ``patience_s``.
        """
        now_s = time.monotonic()
        if self._hopeful_s is None:
            self._hopeful_s = now_s
        if now_s - self._checked_s < 1.0:
            return
        self._checked_s = now_s
        if any(placement.is_placed for placement in self.placements):
            self._hopeful_s = now_s
        elif now_s - self._hopeful_s > self.patience_s:
            raise ModelLoadError(
                f"no node had room for a replica of {self.name} for {self.patience_s:g} s; each asks for "
                f"{_listed(self.placements[0].demand)} on one node, and the cluster has "
                f"{_listed(self.resources())} in all; ask for less or add nodes"
            )


def _listed(resources: Mapping[str, float]) -> str:
    amounts = {name: resources.get(name, 0.0) for name in ("CPU", "GPU")}
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items())
