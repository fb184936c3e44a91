"""The worker under generator and scorer, over a model that doubles numbers."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from critic_engine.backends.huggingface.batch_worker import BatchWorker
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.errors import GenerationError, ModelLoadError


class Doubler:
    """Doubles each number of a request, up to a batch at a time; refuses and fails as the numbers say."""

    model = SimpleNamespace(parameters=list, device=torch.device("cpu"))

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_run = threading.Event()
        self.is_running = threading.Event()
        self.may_run.set()

    def encode(self, request: tuple[int, ...]) -> list[list[int]]:
        if -1 in request:
            raise GenerationError("-1 cannot be encoded")
        return [[number] for number in request]

    def next_batch(self, waiting: Sequence[list[int]], max_batch_size: int) -> list[list[int]]:
        return list(waiting[:max_batch_size])

    def run(self, feed: RowFeed) -> None:
        self.is_running.set()
        self.may_run.wait(30)
        rows = feed.rows
        self.batches.append([number for (number,) in rows])
        if [0] in rows:
            raise GenerationError("0 fails")
        for row in rows:
            feed.settle(row, 2 * row[0])

    def combine(self, rows: Sequence[list[int]], outcomes: Sequence[int]) -> list[int]:
        return list(outcomes)


class Faulty(Doubler):
    """Raises what no model should at the place that the first number of a row names."""

    def encode(self, request: tuple[int, ...]) -> list[list[int]]:
        if -2 in request:
            raise KeyError("no such token")
        return super().encode(request)

    def next_batch(self, waiting: Sequence[list[int]], max_batch_size: int) -> list[list[int]]:
        if [-3] in waiting:
            raise KeyError("no such length")
        return super().next_batch(waiting, max_batch_size)

    def combine(self, rows: Sequence[list[int]], outcomes: Sequence[int]) -> list[int]:
        if [-4] in rows:
            raise KeyError("no such sample")
        return super().combine(rows, outcomes)


Worker = BatchWorker[tuple[int, ...], list[int]]
Scenario = Callable[[Worker, Doubler], Coroutine[Any, Any, None]]


def run(scenario: Scenario, *, max_batch_size: int = 4, make: Callable[[], Doubler] = Doubler) -> Doubler:
    model = make()

    async def main() -> None:
        worker: Worker = BatchWorker(lambda: model, name="doubler", max_batch_size=max_batch_size)
        try:
            await scenario(worker, model)
        finally:
            model.may_run.set()
            await worker.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))
    return model


async def until(event: threading.Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.001)


def test_requests_that_come_together_share_batches_and_each_gets_its_own_outcomes_in_order() -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        answers = await asyncio.gather(*map(worker.answer, [(1, 2, 3), (4,), (5, 6)]))
        assert answers == [[2, 4, 6], [8], [10, 12]]

    assert run(scenario).batches == [[1, 2, 3, 4], [5, 6]]


def test_request_that_cannot_be_encoded_and_row_that_fails_fail_their_own_call_alone() -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        calls = map(worker.answer, [(1, -1), (7, 0, 8), (9,)])
        refused, failed, answered = await asyncio.gather(*calls, return_exceptions=True)
        assert (str(refused), str(failed), answered) == ("-1 cannot be encoded", "0 fails", [18])

    run(scenario)


@pytest.mark.parametrize(("number", "reason"), [(-2, "no such token"), (-3, "no such length"), (-4, "no such sample")])
def test_exception_outside_the_run_fails_its_call_and_the_worker_goes_on(number: int, reason: str) -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        with pytest.raises(GenerationError, match=f"the model failed: KeyError: '{reason}'"):
            await worker.answer((number,))
        assert await worker.answer((1,)) == [2]

    run(scenario, make=Faulty)


def test_row_without_an_outcome_fails_its_call_and_the_worker_goes_on() -> None:
    class Short(Doubler):
        def run(self, feed: RowFeed) -> None:
            if [5] not in feed.rows:
                super().run(feed)

    async def scenario(worker: Worker, model: Doubler) -> None:
        with pytest.raises(GenerationError, match="the model failed: it gave no outcome"):
            await worker.answer((5,))
        assert await worker.answer((1,)) == [2]

    run(scenario, make=Short)


def test_rows_of_a_call_that_is_cancelled_or_has_failed_are_not_run() -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        model.may_run.clear()
        first = asyncio.ensure_future(worker.answer((1,)))
        await until(model.is_running)
        others = [asyncio.ensure_future(worker.answer(numbers)) for numbers in [(2, 3), (0, 4), (5,)]]
        await asyncio.sleep(0)
        others[0].cancel()
        model.may_run.set()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        assert (outcomes[0], outcomes[3]) == ([2], [10])

    assert run(scenario, max_batch_size=1).batches == [[1], [0], [5]]


def test_queue_is_looked_at_again_after_each_batch() -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        model.may_run.clear()
        early = [asyncio.ensure_future(worker.answer((number,))) for number in range(1, 12)]
        await until(model.is_running)
        model.is_running.clear()
        late = asyncio.ensure_future(worker.answer((99,)))
        model.may_run.set()
        await asyncio.gather(late, *early)

    # Four batches ahead are taken from the queue; the rest waits there, in order.
    assert [number for batch in run(scenario, max_batch_size=2).batches for number in batch] == [*range(1, 12), 99]


def test_closing_fails_calls_that_wait_and_calls_that_follow() -> None:
    async def scenario(worker: Worker, model: Doubler) -> None:
        model.may_run.clear()
        running, *waiting = [asyncio.ensure_future(worker.answer((number,))) for number in range(1, 20)]
        await until(model.is_running)
        closing = asyncio.ensure_future(worker.aclose())
        while not worker._is_closing.is_set():
            await asyncio.sleep(0.001)
        model.may_run.set()
        await closing
        assert await running == [2]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(outcome) for outcome in outcomes} == {"doubler was closed"}
        with pytest.raises(GenerationError, match="doubler is closed"):
            await worker.answer((1,))

    run(scenario, max_batch_size=1)


def test_model_that_cannot_be_loaded_fails_the_calls_that_wait_and_is_tried_again() -> None:
    errors = [ModelLoadError("no such folder")]

    def open_model() -> Doubler:
        if errors:
            raise errors.pop()
        return Doubler()

    async def main() -> None:
        worker: Worker = BatchWorker(open_model, name="doubler", max_batch_size=4)
        failed = await asyncio.gather(worker.load(), worker.answer((1,)), return_exceptions=True)
        assert [str(error) for error in failed] == ["no such folder"] * 2
        await worker.load()
        assert await worker.answer((1,)) == [2]
        await worker.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_closing_after_a_load_that_failed_does_not_load_again() -> None:
    num_loads = 0

    def open_model() -> Doubler:
        nonlocal num_loads
        num_loads += 1
        raise ModelLoadError("no such folder")

    async def main() -> None:
        worker: Worker = BatchWorker(open_model, name="doubler", max_batch_size=4)
        with pytest.raises(ModelLoadError):
            await worker.load()
        await worker.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert num_loads == 1


def test_worker_serves_several_event_loops_and_threads() -> None:
    worker: Worker = BatchWorker(Doubler, name="doubler", max_batch_size=4)
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        answers[number] = asyncio.run(worker.answer((number,)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    asyncio.run(worker.aclose())
    assert answers == {number: [2 * number] for number in range(1, 9)}


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="max_batch_size is 0"):
        BatchWorker(Doubler, name="doubler", max_batch_size=0)
