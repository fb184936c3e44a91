import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from critic_engine.actors.channel import Channel
from critic_engine.actors.connection import Address, connect
from critic_engine.actors.image_transfer import MissingImages, Packed, pack
from critic_engine.actors.model_host import ModelHost, portable
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.errors import (
    ContextOverflowError,
    CriticEngineError,
    GenerationError,
    ModelLoadError,
    ReplicaLostError,
)
from critic_engine.protocols import Generation, GenerationRequest, Generator, Sample, Score, Scorer
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.types import Image, Message, TokenUsage


class Lengths:
    """A scorer of conversations by their number of messages."""

    name = "lengths"

    async def load(self) -> None:
        pass

    async def score(self, messages: tuple[Message, ...]) -> Score:
        return Score(1 / len(messages), num_prompt_tokens=len(messages))

    async def aclose(self) -> None:
        pass


class Endless(ScriptedGenerator):
    """Answers nothing, and says when it is not to go on."""

    def __init__(self, ended: asyncio.Event) -> None:
        super().__init__(["never"])
        self._ended = ended

    async def generate(self, request: GenerationRequest) -> Generation:
        try:
            await asyncio.sleep(60)
        finally:
            self._ended.set()
        raise AssertionError


def ask(text: str) -> Packed[GenerationRequest]:
    return Packed(GenerationRequest((Message("user", text),)))


def text_of(answer: Generation | Score | MissingImages) -> str:
    assert isinstance(answer, Generation)
    return answer.samples[0].text


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


def host_of(make: Callable[[], Generator | Scorer]) -> ModelHost:
    return ModelHost(lambda: ModelReplica(make))


@contextlib.asynccontextmanager
async def connected(host: ModelHost) -> AsyncIterator[Channel]:
    address = await host.open("127.0.0.1")
    assert isinstance(address, Address)
    channel = Channel(await connect(address))
    yield channel
    await channel.close()
    await host.aclose()


def test_each_of_many_requests_gets_its_answer() -> None:
    async def scenario() -> None:
        async with connected(host_of(lambda: ScriptedGenerator({str(n): f"<{n}>" for n in range(10, 60)}))) as channel:
            answers = await asyncio.gather(*(channel.call(ask(str(number))) for number in range(10, 60)))
            assert [text_of(answer) for answer in answers] == [f"<{number}>" for number in range(10, 60)]

    run(scenario)


def test_quick_answer_does_not_wait_for_a_slow_one() -> None:
    class Unequal(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            await asyncio.sleep(60 if request.messages[0].text == "slow" else 0)
            return await super().generate(request)

    async def scenario() -> None:
        async with connected(host_of(lambda: Unequal(["yes"]))) as channel:
            slow = asyncio.create_task(channel.call(ask("slow")))
            assert text_of(await channel.call(ask("quick"))) == "yes"
            assert not slow.done()
            slow.cancel()

    run(scenario)


def test_scorer_is_hosted_like_a_generator() -> None:
    async def scenario() -> None:
        async with connected(host_of(Lengths)) as channel:
            assert await channel.call(Packed((Message("user", "a"), Message("assistant", "b")))) == Score(0.5, 2)

    run(scenario)


def test_cancelled_call_ends_the_work_at_the_host() -> None:
    ended = asyncio.Event()

    async def scenario() -> None:
        async with connected(host_of(lambda: Endless(ended))) as channel:
            call = asyncio.create_task(channel.call(ask("x")))
            await asyncio.sleep(0.01)
            call.cancel()
            await ended.wait()

    run(scenario)


def test_call_on_a_host_that_ended_is_lost() -> None:
    async def scenario() -> None:
        host = host_of(lambda: ScriptedGenerator(["yes"], latency_s=60))
        async with connected(host) as channel:
            call = asyncio.create_task(channel.call(ask("x")))
            await asyncio.sleep(0.01)
            await host.aclose()
            for lost in (call, channel.call(ask("x"))):
                with pytest.raises(ReplicaLostError, match="connection to the actor ended"):
                    await lost

    run(scenario)


def test_request_that_cannot_be_sent_fails_alone() -> None:
    async def scenario() -> None:
        async with connected(host_of(lambda: ScriptedGenerator(["yes"]))) as channel:
            unfit = Packed(GenerationRequest((Message("user", lambda: "no text"),)))  # type: ignore[arg-type]
            with pytest.raises(GenerationError, match="cannot be sent"):
                await channel.call(unfit)
            assert text_of(await channel.call(ask("x"))) == "yes"

    run(scenario)


def test_answer_that_cannot_be_sent_back_fails_its_request_alone() -> None:
    class Odd(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            if request.messages[0].text == "odd":
                return lambda: "no generation"  # type: ignore[return-value]
            return await super().generate(request)

    async def scenario() -> None:
        async with connected(host_of(lambda: Odd(["yes"]))) as channel:
            with pytest.raises(GenerationError, match="the model failed"):
                await channel.call(ask("odd"))
            assert text_of(await channel.call(ask("x"))) == "yes"

    run(scenario)


def test_request_that_the_model_drops_is_answered() -> None:
    class Dropping(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            raise asyncio.CancelledError

    async def scenario() -> None:
        async with connected(host_of(lambda: Dropping(["never"]))) as channel:
            with pytest.raises(GenerationError, match="dropped") as caught:
                await channel.call(ask("x"))
            assert caught.value.is_retryable

    run(scenario)


class Mortal:
    """A replica that dies of a request, and is started anew with another number."""

    def __init__(self) -> None:
        self.num_starts = 0
        self.is_dead = True

    async def start(self) -> None:
        self.num_starts += 1
        self.is_dead = False

    async def call(self, request: GenerationRequest) -> Generation:
        self.is_dead = self.is_dead or request.messages[0].text == "die"
        await self.check()
        sample = Sample(str(self.num_starts), num_tokens=1, finish_reason="stop")
        return Generation((sample,), TokenUsage())

    async def check(self) -> None:
        if self.is_dead:
            raise ReplicaLostError("the engine died")

    async def stop(self) -> None:
        pass


def test_replica_that_died_fails_calls_and_checks_until_it_is_opened_again() -> None:
    async def scenario() -> None:
        host = ModelHost(Mortal)
        async with connected(host) as channel:
            assert await host.check() is None
            assert text_of(await channel.call(ask("x"))) == "1"
            for text in ("die", "x"):
                with pytest.raises(ReplicaLostError, match="the engine died"):
                    await channel.call(ask(text))
            assert isinstance(await host.check(), ReplicaLostError)
            addresses = await asyncio.gather(*(host.open("127.0.0.1") for _ in range(3)))
            assert {type(address) for address in addresses} == {Address}
            assert text_of(await channel.call(ask("x"))) == "2"

    run(scenario)


def test_replica_that_does_not_stop_is_left_to_itself_and_started_again() -> None:
    class Stuck(Mortal):
        async def stop(self) -> None:
            if self.is_dead:
                await asyncio.Event().wait()

    async def scenario() -> None:
        async with connected(ModelHost(Stuck, stop_timeout_s=0.01)) as channel:
            assert text_of(await channel.call(ask("x"))) == "1"

    run(scenario)


def test_host_names_the_images_it_is_missing_and_keeps_those_it_is_brought() -> None:
    async def scenario() -> None:
        host = host_of(lambda: ScriptedGenerator(["yes"]))
        async with connected(host) as channel:
            image = Image(b"bytes", "image/png", 1, 1)
            packed = pack(GenerationRequest((Message("user", "x", (image,)),)))
            assert await channel.call(packed) == MissingImages((image.digest,))
            gone = asyncio.get_running_loop().create_future()
            gone.set_exception(OSError("the node is gone"))
            found = asyncio.get_running_loop().create_future()
            found.set_result(image)
            assert await host.keep({"gone": gone, image.digest: found}) == ["gone"]
            assert text_of(await channel.call(packed)) == "yes"

    run(scenario)


def test_closing_a_line_ends_what_was_asked_for_over_it() -> None:
    ended = asyncio.Event()

    async def scenario() -> None:
        async with connected(host_of(lambda: Endless(ended))) as channel:
            call = asyncio.create_task(channel.call(ask("x")))
            await asyncio.sleep(0.01)
            await channel.close()
            with pytest.raises(ReplicaLostError, match="closed"):
                await call
            await ended.wait()

    run(scenario)


def test_model_that_cannot_be_loaded_says_why() -> None:
    def make() -> ScriptedGenerator:
        raise ModelLoadError("no such folder")

    error = asyncio.run(host_of(make).open())
    assert type(error) is ModelLoadError
    assert str(error) == "no such folder"


def test_own_errors_cross_with_type_and_facts() -> None:
    error = ContextOverflowError("too long", num_prompt_tokens=7, max_context_tokens=5)
    assert portable(error) is error


@pytest.mark.parametrize(
    ("error", "text", "is_retryable"),
    [
        (MemoryError("no room"), "ran out of memory: no room", True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "ran out of memory: CUDA", True),
        (KeyError("layer"), "the model failed: KeyError: 'layer'", False),
    ],
)
def test_other_errors_cross_as_text(error: Exception, text: str, is_retryable: bool) -> None:
    crossed = portable(error)
    assert type(crossed) is GenerationError
    assert crossed.is_retryable == is_retryable
    assert text in str(crossed)


def test_own_error_that_does_not_survive_pickling_crosses_as_text() -> None:
    class LocalError(CriticEngineError):
        pass

    assert str(portable(LocalError("odd"))) == "the model failed: LocalError: odd"
