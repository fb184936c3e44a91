"""The Ray cluster that hosts models: one that this process starts, or one that exists already."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from critic_engine.config.models import RayConfig
from critic_engine.errors import ConfigError

_FIELD = "ray.address"
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster this process is connected to."""

    is_owned: bool
    """Whether ``close`` disconnects from it, and ends it where it was started for this process."""

    def resources(self) -> Mapping[str, float]:
        """Return the resources of all nodes together, by Ray's names such as ``CPU`` and ``GPU``."""
        import ray

        return dict(ray.cluster_resources())

    def close(self) -> None:
        """Disconnect, unless Ray was in use in this process before; a second time does nothing."""
        import ray

        if self.is_owned and ray.is_initialized():
            ray.shutdown()


def connect(config: RayConfig, *, num_cpus: float = 0.0) -> Cluster:
    """Return the cluster at ``config.address``, which is not None; a connection this process has already is used as is.

    Args:
        config: Where it is.
        num_cpus: The cores that will be reserved. A Ray of this process's own claims that many, though the machine may
            have fewer: actors that share cores are slow, but actors that wait for room would wait for ever.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            f"{_FIELD} is {config.address!r}, and Ray is not installed; run: pip install 'critic-engine[ray]'",
            field=_FIELD,
        )
    # Ray prints a report on each worker it loses on standard output, which is for results; losses are logged where
    # they are handled. Ray reads this when it is imported.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    # Ray would run actors behind every other process, this one too, which then waits for them.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():
        return Cluster(is_owned=False)
    try:
        if config.address == "local":
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, math.ceil(num_cpus)),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            _reach(config.address or "auto")
            ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise ConfigError(
            f"{_FIELD} is {config.address!r}, and no cluster is reached there; start one with 'ray start', or set it "
            f"to 'local': {' '.join(str(error).split())[:300]}",
            field=_FIELD,
        ) from error
    return Cluster(is_owned=True)


def _reach(address: str) -> None:
    """Raise ``OSError`` when no process listens at a host and port; Ray itself takes minutes to find out."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
