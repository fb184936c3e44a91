"""One actor as a pool keeps it, over a host in this process."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from critic_engine.actors.actor_pool import ActorReplica
from critic_engine.actors.connection import Address
from critic_engine.actors.image_transfer import ImageSender
from critic_engine.actors.model_host import ModelHost
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.errors import GenerationError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.replicas.pool import PoolOptions, ReplicaPool
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.types import Image, Message

pytestmark = pytest.mark.ray

REQUEST = GenerationRequest((Message("user", "x", (Image(b"bytes", "image/png", 1, 1),)),))


class Actor:
    """Calls a host as an actor's handle does."""

    def __init__(self) -> None:
        self.host = ModelHost(lambda: ModelReplica(lambda: ScriptedGenerator(["yes"])))
        self.num_kept = 0
        self.is_reachable = self.has_memory = True
        self.failure: GenerationError | None = None
        self.is_hung = False

    def __getattr__(self, name: str) -> Any:
        return Method(getattr(self, f"call_{name}"))

    async def call_open(self) -> Any:
        address = await self.host.open("127.0.0.1")
        assert isinstance(address, Address)
        if not self.is_reachable:
            self.host._listener.close()
        return address

    async def call_keep(self, refs: Any) -> list[str]:
        self.num_kept += 1
        return await self.host.keep(refs if self.has_memory else {})

    async def call_check(self) -> GenerationError | None:
        if self.is_hung:
            await asyncio.Event().wait()
        return self.failure


class Method:
    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self.remote = call


class PlacedActor:
    """Room in no cluster, which counts how often its actor was started anew."""

    def __init__(self) -> None:
        self.num_restarts = 0
        self.is_ending = False

    def restart(self) -> None:
        self.num_restarts += 1


def put(image: Image) -> Any:
    stored: asyncio.Future[Image] = asyncio.get_running_loop().create_future()
    stored.set_result(image)
    return stored


def run(scenario: Callable[[Actor, PlacedActor, ActorReplica[Any, Any]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        actor, placement = Actor(), PlacedActor()
        await scenario(actor, placement, ActorReplica(actor, images=ImageSender(put), placement=placement))  # type: ignore[arg-type]
        await actor.host.aclose()

    asyncio.run(asyncio.wait_for(main(), 300))


def test_images_are_brought_before_a_request_is_sent_again() -> None:
    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        await replica.start()
        for _ in range(3):
            answer = await replica.call(REQUEST)
            assert isinstance(answer, Generation)
        assert actor.num_kept == 1
        await replica.stop()

    run(scenario)


def test_request_whose_images_are_forgotten_again_and_again_is_given_up() -> None:
    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        actor.has_memory = False
        await replica.start()
        with pytest.raises(GenerationError, match="no room for the images") as caught:
            await replica.call(REQUEST)
        assert caught.value.is_retryable
        assert actor.num_kept == 3
        await replica.stop()

    run(scenario)


def test_actor_that_cannot_be_reached_is_not_started_anew_and_one_that_does_not_answer_is() -> None:
    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        actor.is_reachable = False
        with pytest.raises(GenerationError, match="cannot be reached"):
            await replica.start()
        await replica.stop()
        assert placement.num_restarts == 0
        actor.host = ModelHost(lambda: ModelReplica(lambda: ScriptedGenerator(["yes"])))
        actor.is_reachable = True
        await replica.start()
        await replica.check()
        await replica.stop()
        assert placement.num_restarts == 0
        await replica.start()
        actor.is_hung = True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(replica.check(), 0.01)
        await replica.stop()
        assert placement.num_restarts == 1

    run(scenario)


def test_check_tells_of_a_model_that_is_gone_and_of_a_connection_that_ended() -> None:
    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        await replica.start()
        await replica.check()
        actor.failure = GenerationError("no replica of it is left")
        with pytest.raises(ReplicaLostError, match="no replica of it is left"):
            await replica.check()
        actor.failure = None
        await actor.host.aclose()
        with pytest.raises(ReplicaLostError, match="connection to the actor ended"):
            await replica.call(REQUEST)
        with pytest.raises(ReplicaLostError, match="connection to the actor ended"):
            await replica.check()
        await replica.stop()
        assert placement.num_restarts == 0

    run(scenario)


def test_actor_that_tells_of_its_dead_engine_during_a_check_is_not_started_anew() -> None:
    def die(request: GenerationRequest, seed: int) -> str:
        raise ReplicaLostError("the engine died")

    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        actor.host = ModelHost(lambda: ModelReplica(lambda: ScriptedGenerator(die)))
        await replica.start()
        actor.is_hung = True
        check = asyncio.create_task(replica.check())
        with pytest.raises(ReplicaLostError, match="the engine died"):
            await replica.call(REQUEST)
        check.cancel()
        await replica.stop()
        assert placement.num_restarts == 0

    run(scenario)


def test_request_that_kills_the_engine_is_found_out_and_its_process_lives_on() -> None:
    def answer(request: GenerationRequest, seed: int) -> str:
        if request.messages[0].text == "die":
            raise ReplicaLostError("the engine died")
        return "yes"

    async def scenario(actor: Actor, placement: PlacedActor, replica: ActorReplica[Any, Any]) -> None:
        actor.host = ModelHost(lambda: ModelReplica(lambda: ScriptedGenerator(answer, latency_s=0.01)))
        options = PoolOptions(max_in_flight=8, max_restarts=5, first_backoff_s=0.001)
        pool = ReplicaPool([replica], name="m", options=options)
        texts = ["die", *(str(number) for number in range(20))]
        calls = (pool.call(GenerationRequest((Message("user", text),))) for text in texts)
        poison, *others = await asyncio.gather(*calls, return_exceptions=True)
        assert "given up: each of 3 replicas of m was lost" in str(poison)
        assert not any(isinstance(outcome, BaseException) for outcome in others)
        assert (pool.figures.num_lost_calls > 3, placement.num_restarts) == (True, 0)
        await pool.aclose()

    run(scenario)
