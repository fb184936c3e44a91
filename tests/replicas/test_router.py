import random

import pytest

from critic_engine.replicas.router import Router


def router(*limits: int) -> Router[int]:
    made: Router[int] = Router()
    for key, limit in enumerate(limits):
        made.add(key, limit)
    return made


def test_least_loaded_replica_takes_the_next_request() -> None:
    some = router(9, 9)
    assert [some.acquire(False) for _ in range(4)] == [0, 1, 0, 1]
    some.release(0)
    some.release(0)
    assert [some.acquire(False) for _ in range(3)] == [0, 0, 1]


def test_turn_goes_round_among_equals() -> None:
    some = router(1, 1, 1)
    taken = []
    for _ in range(6):
        key = some.acquire(False)
        assert key is not None
        some.release(key)
        taken.append(key)
    assert taken == [0, 1, 2, 0, 1, 2]


def test_nothing_goes_to_a_full_replica() -> None:
    some = router(1, 2)
    assert sorted(str(some.acquire(False)) for _ in range(4)) == ["0", "1", "1", "None"]
    some.release(1)
    assert some.acquire(False) == 1


def test_replicas_come_and_go() -> None:
    some = router()
    assert some.acquire(False) is None
    assert some.acquire(True) is None
    some.add(7, 1)
    assert some.acquire(False) == 7
    some.remove(7)
    assert 7 not in some
    some.release(7)
    assert some.acquire(False) is None
    some.add(7, 1)
    assert some.acquire(False) == 7
    with pytest.raises(ValueError, match="key is 7"):
        some.add(7, 1)


def test_request_that_must_be_alone_gets_an_idle_replica_which_nothing_joins() -> None:
    some = router(9, 9)
    assert some.acquire(False) == 0
    assert some.acquire(True) == 1
    assert [some.acquire(False) for _ in range(3)] == [0, 0, 0]
    some.release(1)
    assert some.acquire(False) == 1


def test_one_replica_drains_for_a_request_that_must_be_alone_and_the_others_go_on() -> None:
    some = router(4, 4)
    for _ in range(3):
        some.acquire(False)
    assert some.acquire(True) is None
    assert [some.acquire(False) for _ in range(3)] == [0, 0, None], "1, the least loaded, is set aside"
    assert some.acquire(True) is None
    some.release(1)
    assert some.acquire(False) is None
    assert some.acquire(True) == 1
    some.release(1)
    assert some.acquire(False) == 1


def test_full_replica_can_be_set_aside() -> None:
    some = router(1)
    assert some.acquire(False) == 0
    assert some.acquire(True) is None
    some.release(0)
    assert some.acquire(False) is None
    assert some.acquire(True) == 0


def test_replica_set_aside_is_joined_again_when_none_waits_any_longer() -> None:
    some = router(4)
    some.acquire(False)
    assert some.acquire(True) is None
    assert some.acquire(False) is None
    some.open_aside()
    assert some.acquire(False) == 0


def test_another_replica_that_idles_first_is_taken_and_the_one_set_aside_is_joined_again() -> None:
    some = router(2, 2)
    some.acquire(False)
    some.acquire(False)
    assert some.acquire(True) is None
    some.release(1)
    assert some.acquire(True) == 1
    assert some.acquire(False) == 0


def test_another_replica_is_set_aside_when_the_first_is_removed() -> None:
    some = router(2, 2)
    some.acquire(False)
    some.acquire(False)
    assert some.acquire(True) is None
    some.remove(0)
    assert some.acquire(True) is None
    assert some.acquire(False) is None
    some.release(1)
    assert some.acquire(True) == 1


@pytest.mark.parametrize("seed", range(20))
def test_limits_and_solitude_hold_whatever_comes(seed: int) -> None:
    rng = random.Random(seed)
    some = router(1, 2, 3)
    limits = {0: 1, 1: 2, 2: 3}
    in_flight: list[tuple[int, bool]] = []
    for _ in range(500):
        if in_flight and rng.random() < 0.5:
            some.release(in_flight.pop(rng.randrange(len(in_flight)))[0])
            continue
        is_alone = rng.random() < 0.2
        key = some.acquire(is_alone)
        if key is None:
            continue
        there = [alone for other, alone in in_flight if other == key]
        assert not any(there)
        assert len(there) < (1 if is_alone else limits[key])
        in_flight.append((key, is_alone))
    for key, _ in in_flight:
        some.release(key)
    some.open_aside()
    assert sorted(str(some.acquire(False)) for _ in range(7)) == ["0", "1", "1", "2", "2", "2", "None"]
