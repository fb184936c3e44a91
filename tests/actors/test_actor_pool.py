import asyncio
import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from critic_engine.actors.actor_pool import ActorPool, ActorReplica, image_sender
from critic_engine.actors.cluster import Cluster
from critic_engine.actors.image_transfer import ImageSender
from critic_engine.actors.placement import PlacedActor, Vacancy
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.models import ActorConfig
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest, Score
from critic_engine.replicas.pool import PoolOptions, ReplicaPool
from critic_engine.replicas.pooled_model import ModelReplica, PooledGenerator, PooledScorer
from critic_engine.types import Image, Message

pytestmark = pytest.mark.ray

Pool = ReplicaPool[GenerationRequest, Generation]


def maker(*, latency_s: float = 0.0) -> Callable[[], ModelReplica]:
    """Return a maker of a replica that answers with its process's number, and does what the prompt says."""

    # Inside, so that it is pickled whole: an actor's process has no tests to import.
    def script(request: GenerationRequest, seed: int) -> str:
        text = request.messages[0].text
        if text.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hang":
            time.sleep(600)
        if text == "memory":
            raise MemoryError("no room for the cache")
        if text == "overflow":
            raise ContextOverflowError("too long", num_prompt_tokens=7, max_context_tokens=5)
        if text == "break":
            raise KeyError("layer")
        return " ".join([str(os.getpid()), *(image.digest for image in request.messages[0].images)])

    return functools.partial(ModelReplica, functools.partial(ScriptedGenerator, script, latency_s=latency_s))


def ask(text: str = "who ?", *images: Image) -> GenerationRequest:
    return GenerationRequest((Message("user", text, images),))


async def answer(pool: Pool, text: str = "who ?", *images: Image) -> str:
    generation, _ = await pool.call(ask(text, *images))
    return generation.samples[0].text


async def until(condition: Callable[[], bool], *, within_s: float = 300.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


@pytest.fixture
def start(cluster: Cluster) -> Callable[..., Any]:
    def start(make: Any, *, patience_s: float = 60.0, num_gpus: float = 0, **config: Any) -> Any:
        return ActorPool(
            make,
            ActorConfig(**{"num_cpus": 0.5, **config}),
            num_gpus=num_gpus,
            name="the model",
            cluster=cluster,
            images=image_sender(),
            patience_s=patience_s,
        )

    return start


def num_groups() -> int:
    from ray.util import placement_group_table

    return sum(group["state"] != "REMOVED" for group in placement_group_table().values())


def num_free_cpus() -> float:
    import ray

    return float(ray.available_resources().get("CPU", 0))


def test_requests_are_answered_by_all_actors_which_leave_nothing_behind(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(latency_s=0.01), num_replicas=2)
        generator = PooledGenerator(pool)
        await generator.load()
        await until(lambda: pool.figures.num_ready == 2)
        generations = await asyncio.gather(*(generator.generate(ask()) for _ in range(40)))
        assert len({generation.samples[0].text for generation in generations}) == 2
        assert {generation.usage.num_retries for generation in generations} == {0}
        assert num_groups() == 2
        await generator.aclose()
        assert num_groups() == 0
        await until(lambda: num_free_cpus() == 4)

    run(scenario)


def test_scorer_is_hosted_too(start: Any) -> None:
    class Lengths:
        name = "lengths"

        async def load(self) -> None:
            pass

        async def score(self, messages: tuple[Message, ...]) -> Score:
            return Score(1 / len(messages), num_prompt_tokens=len(messages))

        async def aclose(self) -> None:
            pass

    async def scenario() -> None:
        scorer = PooledScorer(start(functools.partial(ModelReplica, Lengths)))
        assert await scorer.score((Message("user", "a"), Message("assistant", "b"))) == Score(0.5, 2)
        await scorer.aclose()

    run(scenario)


def test_errors_keep_type_and_facts(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker())
        with pytest.raises(ContextOverflowError, match=r"^too long$") as overflow:
            await pool.call(ask("overflow"))
        assert type(overflow.value) is ContextOverflowError
        assert (overflow.value.num_prompt_tokens, overflow.value.max_context_tokens) == (7, 5)
        with pytest.raises(GenerationError, match="out of memory: no room for the cache") as memory:
            await pool.call(ask("memory"))
        assert memory.value.is_retryable
        with pytest.raises(GenerationError, match="KeyError: 'layer'") as broken:
            await pool.call(ask("break"))
        assert type(broken.value) is GenerationError
        assert not broken.value.is_retryable
        assert pool.figures.num_lost_calls == 0
        await pool.aclose()

    run(scenario)


def test_model_that_cannot_be_loaded_fails_the_loading(start: Any) -> None:
    def make() -> ModelReplica:
        raise ModelLoadError("no such folder")

    async def scenario() -> None:
        pool = start(make, num_replicas=2)
        with pytest.raises(ModelLoadError, match="no such folder"):
            await pool.load()
        await until(lambda: num_groups() == 0)
        await pool.aclose()

    run(scenario)


@pytest.mark.parametrize("num_replicas", [1, 2])
def test_calls_in_flight_at_a_process_that_is_killed_are_answered_all_the_same(start: Any, num_replicas: int) -> None:
    async def scenario() -> None:
        pool = start(maker(latency_s=1.0), num_replicas=num_replicas)
        await until_ready(pool, num_replicas)
        victim = int(await answer(pool))
        calls = [asyncio.create_task(pool.call(ask())) for _ in range(10)]
        await until(lambda: pool.figures.num_in_flight == 10)
        os.kill(victim, signal.SIGKILL)
        outcomes = await asyncio.gather(*calls)
        assert str(victim) not in {generation.samples[0].text for generation, _ in outcomes}
        assert sum(num_retries for _, num_retries in outcomes) == 10 / num_replicas
        await until(lambda: pool.figures.num_ready == num_replicas)
        assert pool.figures.num_restarts == 1
        await pool.aclose()
        assert num_groups() == 0

    run(scenario)


async def until_ready(pool: Pool, num_replicas: int) -> None:
    await pool.load()
    await until(lambda: pool.figures.num_ready == num_replicas)


def test_request_that_kills_its_process_fails_and_its_companions_are_answered(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(), num_replicas=2)
        await until_ready(pool, 2)
        outcomes = await asyncio.gather(
            pool.call(ask("die")), *(pool.call(ask()) for _ in range(20)), return_exceptions=True
        )
        assert isinstance(outcomes[0], GenerationError)
        assert "given up: each of 3 replicas" in str(outcomes[0])
        assert not any(isinstance(outcome, BaseException) for outcome in outcomes[1:])
        await pool.aclose()

    run(scenario)


def test_actor_that_is_lost_too_often_is_given_up_and_nobody_waits(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(), max_restarts=1)
        outcomes = await asyncio.gather(*(pool.call(ask(f"die {n}")) for n in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, ReplicaLostError) for outcome in outcomes)
        with pytest.raises(ReplicaLostError, match="no replica of the model is left"):
            await pool.call(ask())
        await pool.aclose()
        assert num_groups() == 0

    run(scenario)


def test_actor_that_hangs_is_killed_and_its_calls_are_answered(cluster: Cluster) -> None:
    async def scenario() -> None:
        placement = PlacedActor(maker(), ActorConfig(num_cpus=0.5), num_gpus=0)
        options = PoolOptions(
            max_in_flight=8,
            max_restarts=9,
            max_attempts=2,
            check_interval_s=0.2,
            check_timeout_s=3,
            max_failed_checks=1,
        )
        vacancy = Vacancy([placement], "m", cluster.resources, patience_s=60)
        replica = ActorReplica(placement.handle, images=image_sender(), placement=placement, vacancy=vacancy)
        pool: Pool = ReplicaPool([replica], name="the model", options=options)
        first = await answer(pool)
        hung = asyncio.create_task(pool.call(ask("hang")))
        await until(lambda: pool.figures.num_in_flight == 1)
        companion = asyncio.create_task(answer(pool))
        with pytest.raises(GenerationError, match="did not end within 3 s"):
            await hung
        assert await companion != first
        await until(lambda: pool.figures.num_ready == 1)
        placement.is_ending = True
        await pool.aclose()

    run(scenario)


def test_replica_without_room_does_not_hold_up_the_others(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(), num_replicas=3, num_cpus=2)
        await until_ready(pool, 2)
        assert pool.figures.num_replicas == 3
        await answer(pool)
        await pool.aclose()
        assert num_groups() == 0
        await until(lambda: num_free_cpus() == 4)

    run(scenario)


def test_pool_that_finds_no_room_at_all_says_what_it_asked_for(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(), num_replicas=2, num_gpus=2, patience_s=0.5)
        with pytest.raises(ModelLoadError, match=r"asks for 0.5 CPU, 2 GPU on one node.*has 4 CPU, 0 GPU in all"):
            await pool.load()
        await pool.aclose()
        assert num_groups() == 0

    run(scenario)


def test_part_of_several_gpus_is_refused_before_anything_is_started() -> None:
    with pytest.raises(ValueError, match=r"num_gpus is 1.5"):
        ActorConfig(num_gpus=1.5)


def test_closing_drains_what_is_in_flight(start: Any) -> None:
    async def scenario() -> None:
        pool = start(maker(latency_s=0.5))
        await pool.load()
        call = asyncio.create_task(answer(pool))
        await until(lambda: pool.figures.num_in_flight == 1)
        await pool.aclose()
        assert call.done()
        assert int(await call) > 0

    run(scenario)


def test_others_can_use_the_actors_and_leave_them_running(start: Any) -> None:
    async def scenario() -> None:
        owner = start(maker(), num_replicas=2)
        await until_ready(owner, 2)
        user = owner.hosted.pool(image_sender())
        await until_ready(user, 2)
        pids = {await answer(user) for _ in range(4)}
        assert pids == {await answer(owner) for _ in range(4)}
        os.kill(int(pids.pop()), signal.SIGKILL)
        await until(lambda: user.figures.num_restarts == 1 and user.figures.num_ready == 2)
        assert len({await answer(user) for _ in range(4)}) == 2
        await user.aclose()
        assert len({await answer(owner) for _ in range(4)}) == 2
        await owner.aclose()

    run(scenario)


def test_all_processes_send_the_requests_of_a_problem_to_the_same_actor(start: Any) -> None:
    async def scenario() -> None:
        owner = start(maker(), num_replicas=2)
        await until_ready(owner, 2)
        user = owner.hosted.pool(image_sender())
        await until_ready(user, 2)

        async def homes(pool: Pool) -> list[str]:
            calls = [await pool.call(ask(), session=f"problem {number}") for number in range(20)]
            return [generation.samples[0].text for generation, _ in calls]

        assert await homes(user) == await homes(owner)
        assert len(set(await homes(user))) == 2
        await user.aclose()
        await owner.aclose()

    run(scenario)


def test_image_is_put_into_the_object_store_once(cluster: Cluster) -> None:
    import ray

    puts: list[str] = []

    def put(image: Image) -> Awaitable[Image]:
        puts.append(image.digest)
        return ray.put(image)  # type: ignore[no-any-return]

    async def scenario() -> None:
        pool = ActorPool(
            maker(),
            ActorConfig(num_replicas=2, num_cpus=0.5),
            num_gpus=0,
            name="m",
            cluster=cluster,
            images=ImageSender(put),
        )
        await until_ready(pool, 2)
        image = Image(os.urandom(300_000), "image/png", 10, 10)
        answers = await asyncio.gather(*(answer(pool, "what ?", image) for _ in range(30)))
        assert {text.split()[1] for text in answers} == {image.digest}
        assert len({text.split()[0] for text in answers}) == 2
        assert puts == [image.digest]
        await pool.aclose()

    run(scenario)
