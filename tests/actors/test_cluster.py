import importlib.util
import subprocess
import sys

import pytest

from critic_engine.actors.cluster import Cluster, connect
from critic_engine.config.models import RayConfig
from critic_engine.errors import ConfigError


@pytest.mark.ray
def test_ray_that_is_in_use_already_is_used_and_left_running(cluster: Cluster) -> None:
    import ray

    second = connect(RayConfig(address="local"))
    assert not second.is_owned
    assert second.resources()["CPU"] == 4
    assert "GPU" not in second.resources()
    second.close()
    assert ray.is_initialized()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_missing_ray_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'critic-engine\[ray\]'") as caught:
        connect(RayConfig(address="local"))
    assert caught.value.field == "ray.address"


LOSE_AN_ACTOR = """
import asyncio, functools, os, signal, sys
from critic_engine.actors.cluster import connect
from critic_engine.actors.actor_pool import ActorPool, image_sender
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.models import ActorConfig, RayConfig
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Message

def make():
    def script(request, seed):
        return str(os.getpid())
    return ModelReplica(lambda: ScriptedGenerator(script, latency_s=1.0))

async def main(cluster):
    pool = ActorPool(make, ActorConfig(), num_gpus=0, name="m", cluster=cluster, images=image_sender())
    request = GenerationRequest((Message("user", "who ?"),))
    (first, _), = [await pool.call(request)]
    call = asyncio.create_task(pool.call(request))
    while not pool.figures.num_in_flight:
        await asyncio.sleep(0.05)
    os.kill(int(first.samples[0].text), signal.SIGKILL)
    second, num_retries = await call
    print(num_retries, first != second)
    await pool.aclose()

cluster = connect(RayConfig(address="local"))
asyncio.run(main(cluster))
cluster.close()
cluster.close()
import ray
print(cluster.is_owned, ray.is_initialized())
"""


@pytest.mark.ray
def test_ray_of_its_own_says_nothing_on_standard_output_and_is_gone_at_the_end() -> None:
    result = subprocess.run([sys.executable, "-c", LOSE_AN_ACTOR], capture_output=True, text=True, timeout=300)
    assert result.stdout.splitlines() == ["1 True", "True False"], result.stderr


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_cluster_that_is_not_there_is_named(address: str) -> None:
    program = (
        "from critic_engine.actors.cluster import connect\n"
        "from critic_engine.errors import ConfigError\n"
        "from critic_engine.config.models import RayConfig\n"
        f"try: connect(RayConfig(address={address!r}))\n"
        "except ConfigError as error: print(error.field, error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert result.stdout.startswith(f"ray.address ray.address is {address!r}, and no cluster is reached there"), result
