import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.errors import GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest, Score
from critic_engine.replicas.pool import PoolOptions, ReplicaPool
from critic_engine.replicas.pooled_model import PooledGenerator, PooledScorer
from critic_engine.replicas.supervisor import Supervisor
from critic_engine.types import Message

QUICK = PoolOptions(
    max_in_flight=64, max_restarts=5, first_backoff_s=0.001, max_backoff_s=0.004, check_interval_s=0.005, drain_s=0.2
)


class EchoReplica:
    """Answers each request with its own name and the request; dies of ``poison``, and hangs or fails when told to."""

    def __init__(self, name: str = "a", *, latency_s: float = 0.0, faults: tuple[Exception, ...] = ()) -> None:
        self.name = name
        self.latency_s = latency_s
        self.faults = list(faults)
        self.poison: set[str] = set()
        self.is_hung = False
        self.num_starts = self.num_stops = self.most_in_flight = self.num_cancelled = 0
        self.in_flight: set[str] = set()
        self.companies: dict[str, int] = {}
        self.has_died = asyncio.Event()

    async def start(self) -> None:
        self.num_starts += 1
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        self.has_died.clear()
        self.is_hung = False

    async def call(self, request: str) -> str:
        self.in_flight.add(request)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        self.companies[request] = len(self.in_flight)
        try:
            return await self._work(request)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        finally:
            self.in_flight.discard(request)

    async def _work(self, request: str) -> str:
        await asyncio.sleep(self.latency_s)
        if request in self.poison:
            self.has_died.set()
        if self.has_died.is_set():
            raise ReplicaLostError(f"{self.name} died")
        if request.startswith("bad"):
            raise GenerationError(f"{request} cannot be answered")
        if self.is_hung:
            await asyncio.Event().wait()
        return f"{self.name}:{request}"

    async def check(self) -> None:
        if self.is_hung:
            await asyncio.Event().wait()
        if self.has_died.is_set():
            raise ReplicaLostError(f"{self.name} died")

    async def stop(self) -> None:
        self.num_stops += 1


def pool_of(*replicas: EchoReplica, **options: Any) -> ReplicaPool[str, str]:
    return ReplicaPool(replicas, name="echo", options=dataclasses.replace(QUICK, **options))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def call_all(pool: ReplicaPool[str, str], requests: list[str]) -> Awaitable[list[Any]]:
    return asyncio.gather(*(pool.call(request) for request in requests), return_exceptions=True)


def test_requests_spread_over_the_replicas_and_the_first_one_starts_them() -> None:
    async def scenario() -> None:
        replicas = [EchoReplica(name, latency_s=0.001) for name in "abcd"]
        pool = pool_of(*replicas)
        await pool.call("first")
        answers = await call_all(pool, [str(number) for number in range(40)])
        assert [answer.split(":")[1] for answer, _ in answers] == [str(number) for number in range(40)]
        assert {num_retries for _, num_retries in answers} == {0}
        assert Counter(answer[0] for answer, _ in answers) == dict.fromkeys("abcd", 10)
        figures = pool.figures
        assert (figures.num_replicas, figures.num_ready, figures.num_in_flight, figures.num_waiting) == (4, 4, 0, 0)
        await pool.aclose()
        assert [replica.num_stops for replica in replicas] == [1, 1, 1, 1]

    run(scenario)


def test_loading_returns_when_the_first_replica_is_ready() -> None:
    async def scenario() -> None:
        slow = EchoReplica("slow", faults=tuple(GenerationError("not yet") for _ in range(1000)))
        pool = pool_of(slow, EchoReplica("quick"), max_restarts=1000)
        await pool.load()
        await pool.load()
        assert pool.figures.num_ready == 1
        assert await pool.call("x") == ("quick:x", 0)
        await pool.aclose()

    run(scenario)


def test_loading_fails_when_no_replica_can_ever_be_ready(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        broken = EchoReplica(faults=(ModelLoadError("weights are missing"),))
        pool = pool_of(broken)
        with pytest.raises(ModelLoadError, match=r"echo.*weights are missing"):
            await pool.load()
        with pytest.raises(ModelLoadError, match="weights are missing"):
            await pool.call("x")
        assert (broken.num_starts, broken.num_stops, pool.figures.num_replicas) == (1, 1, 0)
        await pool.aclose()

    run(scenario)
    assert caplog.messages == []


def test_replica_given_up_beside_others_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        pool = pool_of(EchoReplica("a"), EchoReplica("b", faults=(ModelLoadError("weights are missing"),)))
        await pool.load()
        while pool.figures.num_replicas > 1:
            await asyncio.sleep(0.001)
        await pool.aclose()

    run(scenario)
    assert caplog.messages == ["a replica of echo is given up after 0 restarts: weights are missing"]


def test_refused_request_counts_those_that_were_lost_before() -> None:
    class Fussy(EchoReplica):
        async def call(self, request: str) -> str:
            if self.num_starts == 1:
                self.has_died.set()
                raise ReplicaLostError("it died")
            raise GenerationError("no")

    async def scenario() -> None:
        pool = pool_of(Fussy("a"))
        with pytest.raises(GenerationError, match="no") as refused:
            await pool.call("x")
        assert (refused.value.usage.num_retries, refused.value.usage.num_requests) == (1, 1)
        await pool.aclose()

    run(scenario)


def test_replica_that_fails_to_start_is_started_again_a_bounded_number_of_times() -> None:
    async def scenario() -> None:
        flaky = EchoReplica(faults=(GenerationError("no memory"), RuntimeError("no port")))
        pool = pool_of(flaky)
        assert await pool.call("x") == ("a:x", 0)
        assert (flaky.num_starts, flaky.num_stops, pool.figures.num_restarts) == (3, 2, 2)
        await pool.aclose()
        hopeless = EchoReplica(faults=tuple(GenerationError("no memory") for _ in range(100)))
        pool = pool_of(hopeless, max_restarts=2)
        with pytest.raises(ModelLoadError, match="no memory"):
            await pool.load()
        assert hopeless.num_starts == 3

    run(scenario)


def test_calls_wait_in_line_for_room() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=0.001)
        pool = pool_of(replica, max_in_flight=2)
        order: list[str] = []

        async def call(request: str) -> None:
            await pool.call(request)
            order.append(request)

        calls = [asyncio.create_task(call(str(number))) for number in range(20)]
        await until(lambda: len(order) == 4)
        assert (pool.figures.num_in_flight, pool.figures.num_waiting) == (2, 14)
        await asyncio.gather(*calls)
        assert order == [str(number) for number in range(20)]
        assert replica.most_in_flight == 2

    run(scenario)


def test_error_of_a_request_is_its_own() -> None:
    async def scenario() -> None:
        pool = pool_of(EchoReplica())
        good, bad = await call_all(pool, ["x", "bad"])
        assert good == ("a:x", 0)
        assert type(bad) is GenerationError
        assert pool.figures.num_lost_calls == pool.figures.num_restarts == 0
        await pool.aclose()

    run(scenario)


@pytest.mark.parametrize("num_replicas", [1, 3])
def test_request_that_kills_its_replica_fails_and_its_companions_are_answered(num_replicas: int) -> None:
    async def scenario() -> None:
        replicas = [EchoReplica(str(number), latency_s=0.001) for number in range(num_replicas)]
        for replica in replicas:
            replica.poison = {"poison"}
        pool = pool_of(*replicas)
        await pool.load()
        innocents = [str(number) for number in range(20)]
        *answers, poisoned = await call_all(pool, [*innocents, "poison"])
        assert [answer.split(":")[1] for answer, _ in answers] == innocents
        assert type(poisoned) is GenerationError
        assert not poisoned.is_retryable
        assert "each of 3 replicas of echo was lost" in str(poisoned)
        assert {num_retries for _, num_retries in answers} <= {0, 1, 2}
        await until(lambda: pool.figures.num_ready == num_replicas)
        assert pool.figures.num_restarts == 3
        sent_twice = [request for (_, num_retries), request in zip(answers, innocents, strict=True) if num_retries == 2]
        for request in sent_twice:
            assert any(replica.companies.get(request) == 1 for replica in replicas), "it was alone at last"
        assert await pool.call("after") in [(f"{number}:after", 0) for number in range(num_replicas)]
        await pool.aclose()

    run(scenario)


def test_calls_that_were_lost_together_are_first_sent_again_together() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=0.01)
        pool = pool_of(replica)
        await pool.load()
        names = [str(number) for number in range(20)]
        calls = [asyncio.create_task(pool.call(name)) for name in names]
        await until(lambda: len(replica.in_flight) == 20)
        replica.has_died.set()
        assert await asyncio.gather(*calls) == [(f"a:{name}", 1) for name in names]
        assert max(replica.companies.values()) > 1
        await pool.aclose()

    run(scenario)


def test_calls_of_a_replica_that_hangs_are_answered_by_another() -> None:
    async def scenario() -> None:
        hung, other = EchoReplica("hung"), EchoReplica("other")
        pool = pool_of(hung, other, check_timeout_s=0.002, max_failed_checks=2)
        await pool.load()
        await until(lambda: pool.figures.num_ready == 2)
        hung.is_hung = True
        answers = await call_all(pool, ["x", "y", "z"])
        assert [answer.split(":")[1] for answer, _ in answers] == ["x", "y", "z"]
        assert sum(num_retries for _, num_retries in answers) == pool.figures.num_lost_calls
        assert hung.num_cancelled == pool.figures.num_lost_calls > 0
        await until(lambda: pool.figures.num_ready == 2)
        assert (hung.num_starts, other.num_starts) == (2, 1)
        await pool.aclose()

    run(scenario)


def test_failed_checks_make_a_replica_lost_only_in_a_row() -> None:
    class Flaky(EchoReplica):
        num_checks = 0

        async def check(self) -> None:
            self.num_checks += 1
            if self.num_checks % 3:
                raise RuntimeError("no answer")

    async def scenario() -> None:
        replica = Flaky()
        pool = pool_of(replica, max_failed_checks=3)
        await pool.load()
        await until(lambda: replica.num_checks > 9)
        assert replica.num_starts == 1
        await pool.aclose()
        strict = pool_of(replica, max_failed_checks=2)
        await strict.load()
        await until(lambda: replica.num_starts > 3)
        await strict.aclose()

    run(scenario)


def test_waits_between_restarts_double_up_to_the_longest_and_are_shortened_by_at_most_half() -> None:
    class Longest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert (a, b) == (0.5, 1.0)
            return b

    options = dataclasses.replace(QUICK, first_backoff_s=1.0, max_backoff_s=6.0)
    supervisor = Supervisor(EchoReplica(), name="echo", options=options, rng=Longest())
    assert [supervisor._backoff_s(num_in_row) for num_in_row in (1, 2, 3, 4, 5000)] == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_replica_that_dies_idle_is_noticed_and_started_again() -> None:
    async def scenario() -> None:
        replica = EchoReplica()
        pool = pool_of(replica)
        await pool.load()
        replica.has_died.set()
        await until(lambda: replica.num_starts == 2 and pool.figures.num_ready == 1)
        assert await pool.call("x") == ("a:x", 0)
        assert pool.figures.num_restarts == 1
        await pool.aclose()

    run(scenario)


def test_answer_in_between_makes_restarts_count_anew() -> None:
    async def scenario() -> None:
        replica = EchoReplica()
        pool = pool_of(replica, max_restarts=1)
        for number in range(4):
            assert await pool.call(str(number)) == (f"a:{number}", 0)
            replica.has_died.set()
            await until(lambda number=number: replica.num_starts == number + 2)  # type: ignore[misc]
        await until(lambda: pool.figures.num_ready == 1)
        replica.has_died.set()
        await until(lambda: pool.figures.num_replicas == 0)
        assert pool.figures.num_restarts == 4
        await pool.aclose()

    run(scenario)


def test_check_that_an_idle_replica_passes_makes_restarts_count_anew() -> None:
    class Checked(EchoReplica):
        num_passed = 0

        async def check(self) -> None:
            await super().check()
            self.num_passed += 1

    async def scenario() -> None:
        replica = Checked()
        pool = pool_of(replica, max_restarts=1)
        await pool.load()
        for number in range(4):
            replica.num_passed = 0
            await until(lambda: replica.num_passed > 1)
            replica.has_died.set()
            await until(lambda number=number: replica.num_starts == number + 2)  # type: ignore[misc]
        assert pool.figures.num_replicas == 1
        await pool.aclose()

    run(scenario)


def test_check_that_a_busy_replica_passes_leaves_the_restarts_in_a_row() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=0.03)
        replica.poison = {"x"}
        pool = pool_of(replica, max_restarts=1)
        with pytest.raises(ReplicaLostError, match="no replica of echo is left"):
            await pool.call("x")
        await pool.aclose()

    run(scenario)


def test_nobody_waits_for_replicas_that_are_all_given_up() -> None:
    async def scenario() -> None:
        replicas = [EchoReplica(name, latency_s=0.002) for name in "ab"]
        for replica in replicas:
            replica.poison = {str(number) for number in range(50)}
        pool = pool_of(*replicas, max_in_flight=2, max_restarts=1)
        outcomes = await call_all(pool, [str(number) for number in range(50)])
        assert {type(outcome) for outcome in outcomes} == {ReplicaLostError}
        assert any("no replica of echo is left" in str(outcome) and "died" in str(outcome) for outcome in outcomes)
        with pytest.raises(ReplicaLostError, match="no replica of echo is left"):
            await pool.call("x")
        assert (pool.figures.num_replicas, pool.figures.num_in_flight, pool.figures.num_waiting) == (0, 0, 0)
        await pool.aclose()

    run(scenario)


def test_replica_that_worked_and_cannot_be_loaded_again_is_lost() -> None:
    class Forgetful(EchoReplica):
        async def start(self) -> None:
            if self.has_died.is_set():
                raise ModelLoadError("its folder is gone")
            await super().start()

    async def scenario() -> None:
        replica = Forgetful("a")
        replica.poison = {"poison"}
        pool = pool_of(replica)
        assert (await pool.call("x"))[0] == "a:x"
        for request in ("poison", "x"):
            with pytest.raises(ReplicaLostError, match="its folder is gone"):
                await pool.call(request)

    run(scenario)


def test_cancelled_call_ends_the_work_and_releases_its_place() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=60)
        pool = pool_of(replica, max_in_flight=1)
        await pool.load()
        running, waiting, last = (asyncio.create_task(pool.call(name)) for name in ("running", "waiting", "last"))
        await until(lambda: pool.figures.num_waiting == 2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (pool.figures.num_waiting, replica.num_cancelled) == (1, 0)
        replica.latency_s = 0
        running.cancel()
        assert await last == ("a:last", 0)
        assert running.cancelled()
        assert waiting.cancelled()
        assert replica.num_cancelled == 1
        assert pool.figures.num_in_flight == 0
        await pool.aclose()

    run(scenario)


def test_place_given_to_a_call_in_the_moment_of_its_cancellation_goes_to_the_next() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=0.001)
        pool = pool_of(replica, max_in_flight=1)
        await pool.load()
        waiting: list[asyncio.Task[Any]] = []

        async def first() -> None:
            await pool.call("first")
            waiting[0].cancel()

        holder = asyncio.create_task(first())
        await asyncio.sleep(0)
        waiting += [asyncio.create_task(pool.call(name)) for name in ("second", "third")]
        await holder
        assert await waiting[1] == ("a:third", 0)
        assert waiting[0].cancelled()
        assert "second" not in replica.companies
        assert pool.figures.num_in_flight == 0
        await pool.aclose()

    run(scenario)


def test_cancelled_call_that_waited_to_be_alone_lets_others_in_again() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=0.001)
        pool = pool_of(replica, max_in_flight=2, max_attempts=2)
        await pool.load()
        replica.has_died.set()
        lost = [asyncio.create_task(pool.call(name)) for name in ("x", "y")]
        await until(lambda: replica.num_starts == 2 and pool.figures.num_waiting == 1)
        replica.latency_s = 0.01
        for call in lost:
            call.cancel()
        assert await asyncio.gather(pool.call("z"), pool.call("u")) == [("a:z", 0), ("a:u", 0)]
        assert replica.most_in_flight == 2
        await pool.aclose()

    run(scenario)


def test_closing_lets_work_in_flight_end_and_refuses_the_rest() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        class HeldReplica(EchoReplica):
            async def _work(self, request: str) -> str:
                await release.wait()
                return await super()._work(request)

        replica = HeldReplica()
        pool = pool_of(replica, max_in_flight=1, drain_s=300)
        await pool.load()
        running, waiting = (asyncio.create_task(pool.call(name)) for name in ("running", "waiting"))
        await until(lambda: pool.figures.num_waiting == 1)
        closing = [asyncio.create_task(pool.aclose()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(GenerationError, match="echo is closed"):
            await pool.call("late")
        with pytest.raises(GenerationError, match="echo is closed"):
            await pool.load()
        with pytest.raises(GenerationError, match="echo is closed"):
            await waiting
        release.set()
        assert await running == ("a:running", 0)
        await asyncio.gather(*closing)
        assert replica.num_stops == 1

    run(scenario)


def test_closing_waits_for_a_bounded_time() -> None:
    async def scenario() -> None:
        replica = EchoReplica(latency_s=60)
        pool = pool_of(replica, drain_s=0.01)
        await pool.load()
        call = asyncio.create_task(pool.call("x"))
        await asyncio.sleep(0)
        await pool.aclose()
        with pytest.raises(GenerationError, match="echo is closed"):
            await call
        starting = pool_of(EchoReplica(faults=(GenerationError("no"),)), first_backoff_s=60, max_backoff_s=60)
        loading = asyncio.create_task(starting.load())
        await asyncio.sleep(0.005)
        await starting.aclose()
        with pytest.raises(GenerationError, match="echo is closed"):
            await loading

    run(scenario)


def test_pool_of_nothing_says_so() -> None:
    async def scenario() -> None:
        with pytest.raises(ModelLoadError, match="given none"):
            await pool_of().load()
        with pytest.raises(ReplicaLostError, match="given none"):
            await pool_of().call("x")

    run(scenario)


def test_use_from_another_event_loop_is_refused() -> None:
    pool = pool_of(EchoReplica())
    asyncio.run(pool.load())
    with pytest.raises(RuntimeError, match=r"two event loops.*SharedModels"):
        asyncio.run(asyncio.wait_for(pool.call("x"), 20))
    with pytest.raises(RuntimeError, match="two event loops"):
        asyncio.run(pool.load())


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="max_in_flight is 0"):
        PoolOptions(max_in_flight=0, max_restarts=1)


@pytest.mark.parametrize("seed", range(10))
def test_every_call_ends_and_every_place_is_released_whatever_happens(seed: int) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        replicas = [EchoReplica(name, latency_s=0.001) for name in "abc"]
        pool = pool_of(*replicas, max_in_flight=4, max_restarts=1000, max_attempts=1000, check_timeout_s=0.002)
        calls = []
        for number in range(300):
            calls.append(asyncio.create_task(pool.call(str(number), session=rng.choice(["", "x", "y", "z"]))))
            if rng.random() < 0.1:
                await asyncio.sleep(rng.random() * 0.003)
            victim = rng.choice(replicas)
            if rng.random() < 0.02:
                victim.has_died.set()
            if rng.random() < 0.02:
                victim.is_hung = True
            if rng.random() < 0.1:
                rng.choice(calls).cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {tuple, asyncio.CancelledError}
        assert all(
            outcome[0].endswith(f":{number}") for number, outcome in enumerate(outcomes) if isinstance(outcome, tuple)
        )
        assert all(replica.most_in_flight <= 4 for replica in replicas)
        assert (pool.figures.num_in_flight, pool.figures.num_waiting) == (0, 0)
        await pool.aclose()

    run(scenario)


def test_full_replicas_are_waited_for_by_their_own_sessions() -> None:
    async def scenario() -> None:
        replicas = [EchoReplica(name, latency_s=0.002) for name in "ab"]
        pool = pool_of(*replicas, max_in_flight=4)
        await pool.load()
        await until(lambda: pool.figures.num_ready == 2)
        sessions = [f"problem {number}" for number in range(20)]
        homes = {session: (await pool.call(session, session=session))[0][0] for session in sessions}
        assert set(homes.values()) == {"a", "b"}
        crowd = [pool.call(f"{session}:{number}", session=session) for number in range(20) for session in sessions]
        answers = [answer.split(":")[:2] for answer, _ in await asyncio.gather(*crowd)]
        assert [session for _, session in answers] == sessions * 20, "each is answered"
        num_at_home = sum(homes[session] == name for name, session in answers)
        assert num_at_home > 0.8 * len(answers), "half of them would be there by chance"
        assert max(Counter(name for name, _ in answers).values()) < 1.5 * len(answers) / 2
        await pool.aclose()

    run(scenario)


def test_first_in_line_is_not_passed_for_ever_while_its_own_replica_is_busy() -> None:
    async def scenario() -> None:
        slow, quick = (EchoReplica(name) for name in "ab")
        pool = pool_of(slow, quick, max_in_flight=1)
        await pool.load()
        await until(lambda: pool.figures.num_ready == 2)
        sessions = [f"problem {number}" for number in range(20)]
        homes = {session: (await pool.call(session, session=session))[0][0] for session in sessions}
        at_slow, at_quick = (next(each for each in sessions if homes[each] == name) for name in "ab")
        slow.latency_s = 1000
        busy = asyncio.create_task(pool.call("busy", session=at_slow))
        await until(lambda: "busy" in slow.in_flight)
        num_before = 0

        async def keep_quick_one_busy() -> None:
            nonlocal num_before
            while not first.done():
                await pool.call("quick", session=at_quick)
                num_before += 1

        first: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        others = [asyncio.create_task(keep_quick_one_busy()) for _ in range(3)]
        await until(lambda: num_before > 3)
        answer = await asyncio.wait_for(pool.call("first", session=at_slow), 30)
        first.set_result(answer)
        assert answer == ("b:first", 0)
        await asyncio.gather(*others)
        busy.cancel()
        await pool.aclose()

    run(scenario)


def test_sessions_of_a_lost_replica_move_and_others_stay() -> None:
    async def scenario() -> None:
        replicas = [EchoReplica(name) for name in "abc"]
        pool = pool_of(*replicas, first_backoff_s=60, max_backoff_s=60)
        await pool.load()
        await until(lambda: pool.figures.num_ready == 3)
        sessions = [f"problem {number}" for number in range(30)]

        async def homes() -> dict[str, str]:
            return {session: (await pool.call(session, session=session))[0][0] for session in sessions}

        before = await homes()
        assert await homes() == before
        replicas[0].has_died.set()
        after = await homes()
        assert {session: after[session] for session, home in before.items() if home != "a"} == {
            session: home for session, home in before.items() if home != "a"
        }
        assert {after[session] for session, home in before.items() if home == "a"} == {"b", "c"}
        await pool.aclose()

    run(scenario)


class GeneratorReplica:
    """Holds a scripted generator, and is lost with the first request."""

    def __init__(self) -> None:
        self._generator = ScriptedGenerator(["yes"])
        self._num_calls = 0

    async def start(self) -> None:
        await self._generator.load()

    async def call(self, request: GenerationRequest) -> Generation:
        self._num_calls += 1
        if self._num_calls == 1:
            raise ReplicaLostError("it died")
        return await self._generator.generate(request)

    async def check(self) -> None:
        pass

    async def stop(self) -> None:
        await self._generator.aclose()


class LengthReplica:
    """Scores a conversation by its number of messages."""

    async def start(self) -> None:
        pass

    async def call(self, request: tuple[Message, ...]) -> Score:
        return Score(1 / len(request), num_prompt_tokens=len(request))

    async def check(self) -> None:
        pass

    async def stop(self) -> None:
        pass


def test_pooled_generator_counts_in_the_usage_how_often_a_request_was_sent_again() -> None:
    async def scenario() -> None:
        pool: ReplicaPool[GenerationRequest, Generation] = ReplicaPool([GeneratorReplica()], name="g", options=QUICK)
        generator = PooledGenerator(pool)
        assert generator.name == "g"
        await generator.load()
        request = GenerationRequest((Message("user", "well ?"),))
        generation = await generator.generate(request)
        assert generation.samples[0].text == "yes"
        assert generation.usage.num_retries == 1
        assert (await generator.generate(request)).usage.num_retries == 0
        await generator.aclose()

    run(scenario)


def test_pooled_scorer_scores() -> None:
    async def scenario() -> None:
        pool: ReplicaPool[tuple[Message, ...], Score] = ReplicaPool([LengthReplica()], name="s", options=QUICK)
        scorer = PooledScorer(pool)
        await scorer.load()
        assert scorer.name == "s"
        assert await scorer.score((Message("user", "a"), Message("assistant", "b"))) == Score(0.5, num_prompt_tokens=2)
        await scorer.aclose()

    run(scenario)


def test_pooled_models_send_what_belongs_together_to_one_replica() -> None:
    class Counting(GeneratorReplica):
        def __init__(self) -> None:
            super().__init__()
            self._num_calls = 1
            self.asked: list[str] = []

        async def call(self, request: Any) -> Any:
            is_scored = isinstance(request, tuple)
            self.asked.append(request[0].text if is_scored else request.session)
            return Score(0.5, num_prompt_tokens=1) if is_scored else await super().call(request)

    async def scenario() -> None:
        replicas = [Counting() for _ in range(3)]
        pool: ReplicaPool[Any, Any] = ReplicaPool(replicas, name="p", options=QUICK)
        await pool.load()
        await until(lambda: pool.figures.num_ready == 3)
        for number in range(5):
            for name in ("one", "two", "three", "four", "five", "six"):
                message = Message("user", f"{name}, worded {number}")
                await PooledGenerator(pool).generate(GenerationRequest((message,), session=name))
                await PooledScorer(pool).score((Message("user", f"score {name}"), Message("assistant", str(number))))
        places = [{name for name in replica.asked} for replica in replicas]
        assert sum(map(len, places)) == 12, "each problem is asked about at one replica, and scored at one"
        assert all(places)

    run(scenario)
