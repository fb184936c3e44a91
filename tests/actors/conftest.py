from collections.abc import Iterator

import pytest

from critic_engine.actors.cluster import Cluster, connect
from critic_engine.config.models import RayConfig


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray of four cores for the tests of one module."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield connect(RayConfig(address="local"))
    ray.shutdown()
