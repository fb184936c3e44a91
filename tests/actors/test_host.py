import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from critic_engine.actors.host import ModelHost, portable
from critic_engine.actors.images import Packed
from critic_engine.actors.line import Line
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.errors import (
    ContextOverflowError,
    CriticEngineError,
    GenerationError,
    ModelLoadError,
    ReplicaLostError,
)
from critic_engine.protocols import Score
from critic_engine.types import Generation, GenerationRequest, Message


class Handle:
    """Calls a host in this process as an actor's handle would."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self.num_submits = 0
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        return Method(self, name)


class Method:
    def __init__(self, handle: Handle, name: str) -> None:
        self._handle = handle
        self._name = name

    def remote(self, *args: Any) -> asyncio.Task[Any]:
        self._handle.num_submits += self._name == "submit"
        return asyncio.get_running_loop().create_task(self._call(*args))

    async def _call(self, *args: Any) -> Any:
        if self._handle.is_dead:
            raise OSError("the actor died\nand a long story")
        return await getattr(self._handle._host, self._name)(*args)


class Lengths:
    """A scorer of conversations by their number of messages."""

    name = "lengths"

    async def load(self) -> None:
        pass

    async def score(self, messages: tuple[Message, ...]) -> Score:
        return Score(1 / len(messages), num_prompt_tokens=len(messages))

    async def aclose(self) -> None:
        pass


def ask(text: str) -> Packed[GenerationRequest]:
    return Packed(GenerationRequest((Message("user", text),)))


def text_of(answer: Generation | Score) -> str:
    assert isinstance(answer, Generation)
    return answer.samples[0].text


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 10))


async def connected(host: ModelHost) -> tuple[Handle, Line]:
    handle = Handle(host)
    token = await host.open()
    assert isinstance(token, str)
    return handle, Line(handle, token)


def test_requests_of_one_turn_travel_together_and_each_gets_its_answer() -> None:
    async def scenario() -> None:
        handle, line = await connected(ModelHost(lambda: ScriptedGenerator({str(n): f"<{n}>" for n in range(10, 60)})))
        answers = await asyncio.gather(*(line.call(ask(str(number))) for number in range(10, 60)))
        assert [text_of(answer) for answer in answers] == [f"<{number}>" for number in range(10, 60)]
        assert handle.num_submits == 1
        await line.close()

    run(scenario)


def test_quick_answer_does_not_wait_for_a_slow_one() -> None:
    class Unequal(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            await asyncio.sleep(60 if request.messages[0].text == "slow" else 0)
            return await super().generate(request)

    async def scenario() -> None:
        _, line = await connected(ModelHost(lambda: Unequal(["yes"])))
        slow = asyncio.create_task(line.call(ask("slow")))
        assert text_of(await line.call(ask("quick"))) == "yes"
        assert not slow.done()
        slow.cancel()
        await line.close()

    run(scenario)


def test_scorer_is_hosted_like_a_generator() -> None:
    async def scenario() -> None:
        _, line = await connected(ModelHost(Lengths))
        assert await line.call(Packed((Message("user", "a"), Message("assistant", "b")))) == Score(0.5, 2)
        await line.close()

    run(scenario)


def test_cancelled_call_ends_the_work_at_the_host() -> None:
    ended = asyncio.Event()

    class Endless(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()
            raise AssertionError

    async def scenario() -> None:
        _, line = await connected(ModelHost(lambda: Endless(["never"])))
        call = asyncio.create_task(line.call(ask("x")))
        await asyncio.sleep(0.01)
        call.cancel()
        await ended.wait()
        await line.close()

    run(scenario)


def test_call_on_a_host_that_died_is_lost() -> None:
    async def scenario() -> None:
        host = ModelHost(lambda: ScriptedGenerator(["yes"], latency_s=0.01))
        handle, line = await connected(host)
        call = asyncio.create_task(line.call(ask("x")))
        await asyncio.sleep(0)
        handle.is_dead = True
        await host.leave(line._token)
        with pytest.raises(ReplicaLostError, match=r"^the actor died$"):
            await call
        with pytest.raises(ReplicaLostError, match=r"^the actor died$"):
            await line.call(ask("x"))
        await line.close()

    run(scenario)


def test_call_on_a_host_that_was_started_anew_is_lost() -> None:
    async def scenario() -> None:
        line = Line(Handle(ModelHost(lambda: ScriptedGenerator(["yes"]))), "a token of its former life")
        with pytest.raises(ReplicaLostError, match="started anew"):
            await line.call(ask("x"))
        await line.close()

    run(scenario)


def test_closing_a_line_ends_what_was_asked_for_over_it() -> None:
    async def scenario() -> None:
        host = ModelHost(lambda: ScriptedGenerator(["yes"], latency_s=60))
        tasks = asyncio.all_tasks()
        _, line = await connected(host)
        call = asyncio.create_task(line.call(ask("x")))
        await asyncio.sleep(0.01)
        await line.close()
        with pytest.raises(ReplicaLostError, match="closed"):
            await call
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == tasks
        await host.aclose()

    run(scenario)


def test_model_that_cannot_be_loaded_says_why() -> None:
    def make() -> ScriptedGenerator:
        raise ModelLoadError("no such folder")

    error = asyncio.run(ModelHost(make).open())
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
