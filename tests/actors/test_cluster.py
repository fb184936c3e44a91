import importlib.util

import pytest

from critic_engine.actors.cluster import Cluster, connect
from critic_engine.errors import ConfigError
from critic_engine.hosting import RayConfig


@pytest.mark.ray
def test_ray_that_is_in_use_already_is_used_and_left_running(cluster: Cluster) -> None:
    import ray

    second = connect(RayConfig(address="local"))
    assert not second.is_owned
    assert second.resources()["CPU"] == 4
    assert second.num_gpus() == 0
    second.close()
    assert ray.is_initialized()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_missing_ray_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'critic-engine\[ray\]'") as caught:
        connect(RayConfig(address="local"))
    assert caught.value.field == "ray.address"
