from collections.abc import Iterator

import pytest

from critic_engine.actors.cluster import Cluster, connect
from critic_engine.config.models import RayConfig


@pytest.fixture(scope="session")
def _ray() -> Iterator[None]:
    """End the session's Ray with it."""
    import ray

    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def cluster(_ray: None) -> Cluster:
    """A Ray of four cores, the same one for all modules until one of them ends it."""
    import ray

    if not ray.is_initialized():
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    return connect(RayConfig(address="local"))
