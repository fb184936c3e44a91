import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from critic_engine.actors.actor_pool import ActorPool, image_sender
from critic_engine.actors.cluster import connect
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.models import ActorConfig, RayConfig
from critic_engine.engine import Engine
from critic_engine.protocols import GenerationRequest
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.run.runner import Progress
from critic_engine.types import Message, Problem

pytestmark = pytest.mark.ray

REQUEST = GenerationRequest((Message("user", "who ?"),))


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A cluster of several nodes on this machine, of which the first has no cores."""
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield nodes
    ray.shutdown()
    nodes.shutdown()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not condition():
            await asyncio.sleep(0.05)


def test_replicas_move_with_the_nodes(nodes: Any) -> None:
    first = nodes.add_node(num_cpus=1)
    cluster = connect(RayConfig(address=nodes.address))
    assert cluster.is_owned

    async def scenario() -> None:
        pool = ActorPool(
            functools.partial(ModelReplica, functools.partial(ScriptedGenerator, ["yes"], latency_s=0.2)),
            ActorConfig(num_replicas=2, num_cpus=1),
            num_gpus=0,
            name="the model",
            cluster=cluster,
            images=image_sender(),
        )
        await pool.load()
        assert (pool.figures.num_replicas, pool.figures.num_ready) == (2, 1)
        nodes.add_node(num_cpus=1)
        await until(lambda: pool.figures.num_ready == 2)
        calls = [asyncio.create_task(pool.call(REQUEST)) for _ in range(10)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(nodes.remove_node, first)
        outcomes = await asyncio.gather(*calls)
        assert {generation.samples[0].text for generation, _ in outcomes} == {"yes"}
        await until(lambda: pool.figures.num_ready == 1)
        assert pool.figures.num_replicas == 2
        nodes.add_node(num_cpus=1)
        await until(lambda: pool.figures.num_ready == 2)
        await pool.aclose()

    asyncio.run(scenario())
    cluster.close()


def test_run_goes_on_when_the_node_is_removed_that_half_of_it_ran_on(nodes: Any) -> None:
    problems = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(120)]
    scripted = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=400"]
    first = nodes.add_node(num_cpus=4)
    removals: list[threading.Thread] = []

    def remove(progress: Progress) -> None:
        if not removals and progress.num_tokens > 10_000:
            removals.append(threading.Thread(target=nodes.remove_node, args=(first,)))
            removals[0].start()

    on_ray = [
        f"ray.address={nodes.address}",
        "ray.num_search_workers=2",
        "ray.num_cpus_per_worker=0.5",
        "reasoner.actor={num_replicas: 2, num_cpus: 0.5}",
        "critic.actor={num_replicas: 2, num_cpus: 0.5}",
    ]
    with Engine("mcts", overrides=[*scripted, *on_ray]) as engine:
        engine.load()
        nodes.add_node(num_cpus=4)
        answers = list(engine.solve_many(problems, on_progress=remove))
    removals[0].join()
    with Engine("mcts", overrides=scripted) as engine:
        undisturbed = list(engine.solve_many(problems))
    assert [(each.answer, each.steps) for each in answers] == [(each.answer, each.steps) for each in undisturbed]
    assert sum(sum(answer.failures.values()) for answer in answers) > 0
