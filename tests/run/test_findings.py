"""The ledger of what is found: each piece is made once, whoever asks, however often it is stopped."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from critic_engine.config.engine import parse_config
from critic_engine.errors import RunError
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import (
    HARVEST_DONE,
    HARVEST_ERROR,
    FailedHarvest,
    Finding,
    FindingKey,
    Ledger,
    ProblemFindings,
)
from critic_engine.run.store import RunStore
from critic_engine.types import Problem, ProblemRow, TokenUsage

A: FindingKey[Any] = FindingKey("a", Any)
SPENT = TokenUsage(prompt_tokens=40, generated_tokens=5, num_requests=2)


class Work:
    """Counts how often it is done."""

    def __init__(self, content: object = "found", *, fails: int = 0) -> None:
        self._content = content
        self._fails = fails
        self.num_done = 0

    async def __call__(self) -> Finding[Any]:
        self.num_done += 1
        await asyncio.sleep(0)
        if self.num_done <= self._fails:
            raise ValueError("it broke")
        return Finding(self._content, SPENT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    store = RunStore.create(tmp_path / "run", parse_config({"budget": {"max_tokens": 9}}), checker=Checker())
    store.add_rows([ProblemRow(n, str(n), Problem(f"how many {n} ?"), ("1",)) for n in (1, 2)])
    yield store
    store.close()


def ledger(store: RunStore, position: int = 0, told: list[TokenUsage] | None = None) -> Ledger:
    return Ledger(store.findings, position, on_usage=(told if told is not None else []).append)


def test_work_is_done_once_however_often_it_is_asked_for(store: RunStore) -> None:
    work, told = Work(), list[TokenUsage]()

    async def ask() -> list[object]:
        one = ledger(store, told=told)
        return await asyncio.gather(*(one.once(A, work) for _ in range(5)))

    assert asyncio.run(ask()) == ["found"] * 5
    assert asyncio.run(ledger(store, told=told).once(A, work)) == "found"
    assert (work.num_done, told) == (1, [SPENT])
    assert store.findings.get(0, A) == Finding("found", SPENT)


def test_names_and_problems_are_apart(store: RunStore) -> None:
    work = Work()
    for position, key in ((0, A), (0, A.at("b")), (1, A), (1, FindingKey("ab", Any))):
        asyncio.run(ledger(store, position).once(key, work))
    assert work.num_done == 4
    assert list(store.findings.of(0).stored) == ["a", "a/b"]
    assert store.findings.of(1).of_kind(A) == ["found"]
    assert store.findings.of(0).of_kind(A) == ["found", "found"]
    assert store.findings.of(0).num_tokens() == {"a": 10}
    assert store.findings.num_tokens() == 20


def test_a_finding_that_is_none_is_found(store: RunStore) -> None:
    work = Work(None)
    for _ in range(2):
        assert asyncio.run(ledger(store).once(A, work)) is None
    assert work.num_done == 1


def test_work_that_breaks_is_no_finding_and_can_be_done_again(store: RunStore) -> None:
    work, told = Work(fails=1), list[TokenUsage]()
    one = ledger(store, told=told)
    with pytest.raises(ValueError, match="it broke"):
        asyncio.run(one.once(A, work))
    assert store.findings.of(0) == ProblemFindings(0)
    assert told == []
    assert asyncio.run(ledger(store).once(A, work)) == "found"


def test_work_that_is_stopped_leaves_nothing_and_keeps_nobody_waiting(store: RunStore) -> None:
    async def endless() -> Finding[Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def stop_and_ask() -> object:
        one = ledger(store)
        first = asyncio.create_task(one.once(A, endless))
        second = asyncio.create_task(one.once(A, Work()))
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, timeout=300)

    assert asyncio.run(stop_and_ask()) == "found"


def test_whoever_is_told_of_tokens_is_told_behind_the_commit(store: RunStore) -> None:
    seen: list[Finding[Any] | None] = []
    one = Ledger(store.findings, 0, on_usage=lambda num: seen.append(store.findings.get(0, A)))
    asyncio.run(one.once(A, Work()))
    assert seen == [Finding("found", SPENT)]


def test_text_of_any_kind_survives(store: RunStore) -> None:
    content = ["\x00\x1b[2J\ud800", {"a": [1.5, None, True]}]
    asyncio.run(ledger(store).once(A, Work(content)))
    assert store.findings.of(0)[A] == content


@pytest.mark.parametrize(("key", "is_done"), [(A, False), (HARVEST_DONE, True), (HARVEST_ERROR, False)])
def test_a_problem_is_done_with_when_a_finding_says_so(store: RunStore, key: FindingKey[Any], is_done: bool) -> None:
    store.findings.add(0, key, Finding(True))
    assert (HARVEST_DONE in store.findings.of(0)) is is_done
    assert HARVEST_DONE not in store.findings.of(1)


def test_problems_of_whose_trees_nothing_could_be_made_are_told_until_they_are_tried_again(store: RunStore) -> None:
    for position, reason in ((1, "KeyError: 'a'"), (0, "ValueError: b")):
        store.findings.add(position, A, Finding({}))
        store.findings.add(position, HARVEST_ERROR, Finding(reason))
    failed = [FailedHarvest(0, "1", "ValueError: b"), FailedHarvest(1, "2", "KeyError: 'a'")]
    assert store.findings.failed() == failed
    store.findings.drop_error(0)
    assert store.findings.failed() == failed[1:]
    assert list(store.findings.of(0).stored) == ["a"]


@pytest.mark.parametrize(
    ("content_type", "text", "place"),
    [
        (FailedHarvest, '{"position":1,"id":"a"}', "reason: Field required"),
        (tuple[FailedHarvest, ...], '[{"position":"x","id":"a","reason":"b"}]', "0.position: Input should be"),
        (float | None, '{"value":1}', "content: Input should be"),
    ],
)
def test_a_finding_of_another_shape_is_refused_by_the_place_that_differs(
    content_type: Any, text: str, place: str
) -> None:
    key: FindingKey[Any] = FindingKey("kind/0001", content_type)
    with pytest.raises(RunError, match=f"^the finding 'kind/0001' of row 1 cannot be read: {place}"):
        key.decode(text, position=0)


def test_dataclasses_of_any_depth_come_back_as_they_were() -> None:
    key: FindingKey[tuple[FailedHarvest, ...]] = FindingKey("kind", tuple[FailedHarvest, ...])
    content = (FailedHarvest(1, "a\ud800", "b"), FailedHarvest(2, "c", "d"))
    assert key.decode(key.encode(content), position=0) == content
