"""How vLLM's engine stands, as its scheduler last said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class VllmFigures:
    """How an engine stands; over several data-parallel ones, counts are sums and the usage is the highest."""

    num_running: int = 0
    """Samples being drawn."""
    num_waiting: int = 0
    """Samples for which there is no room yet."""
    cache_usage: float = 0.0
    """Share of the key-value cache that samples in flight hold, in [0, 1]."""
    queried_tokens: int = 0
    """Prompt tokens that were looked up in the prefix cache since the engine started, one prompt a sample."""
    cached_tokens: int = 0
    """Those of ``queried_tokens`` that it held."""


class VllmListener:
    """Keeps what the engine's scheduler says at each step; it logs nothing and opens no port."""

    def __init__(self) -> None:
        """Begin without figures."""
        self._engines: dict[int, VllmFigures] = {}

    @property
    def figures(self) -> VllmFigures:
        """The newest."""
        engines = self._engines.values()
        return VllmFigures(
            num_running=sum(engine.num_running for engine in engines),
            num_waiting=sum(engine.num_waiting for engine in engines),
            cache_usage=max((engine.cache_usage for engine in engines), default=0.0),
            queried_tokens=sum(engine.queried_tokens for engine in engines),
            cached_tokens=sum(engine.cached_tokens for engine in engines),
        )

    def note(self, engine_index: int, scheduler: Any) -> None:
        """Take vLLM's ``SchedulerStats`` of one step."""
        before = self._engines.get(engine_index, VllmFigures())
        self._engines[engine_index] = VllmFigures(
            num_running=scheduler.num_running_reqs,
            num_waiting=scheduler.num_waiting_reqs + scheduler.num_skipped_waiting_reqs,
            cache_usage=scheduler.kv_cache_usage,
            queried_tokens=before.queried_tokens + scheduler.prefix_cache_stats.queries,
            cached_tokens=before.cached_tokens + scheduler.prefix_cache_stats.hits,
        )

    def stat_loggers(self) -> list[Any]:
        """Return the factories through which vLLM makes its loggers, one an engine."""
        from vllm.v1.metrics.loggers import StatLoggerBase

        listener = self

        class Forwarder(StatLoggerBase):  # type: ignore[misc]
            def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
                self._engine_index = engine_index

            def record(self, scheduler_stats: Any, *others: object, **more: object) -> None:
                if scheduler_stats is not None:
                    listener.note(self._engine_index, scheduler_stats)

            def log_engine_initialized(self) -> None:
                pass

        return [Forwarder]
