import random

import pytest

from critic_engine.replicas.router import Router


def router(*limits: int) -> Router[int]:
    made: Router[int] = Router()
    for key, limit in enumerate(limits):
        made.add(key, limit, place=key)
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
        key = some.acquire(is_alone, rng.choice(["", "a", "b", "c"]))
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


def test_requests_of_a_session_go_to_one_replica_while_the_load_allows() -> None:
    some = router(99, 99)
    taken = []
    for number in range(40):
        key = some.acquire(False, f"problem {number}")
        assert key is not None
        taken.append(key)
        some.release(key)
        assert some.acquire(False, f"problem {number}") == key
        some.release(key)
    assert set(taken) == {0, 1}


def test_session_spills_to_the_next_replica_at_a_quarter_above_the_mean_load() -> None:
    some = router(99, 99, 99)
    taken = [some.acquire(False, "one problem") for _ in range(60)]
    home, second, third = dict.fromkeys(taken)
    # 25 = 1.25 * 60 / 3, and the rest goes to the second one on the ring before the third.
    assert (taken.count(home), taken.count(second), taken.count(third)) == (25, 25, 10)
    assert home is not None
    some.release(home)
    assert some.acquire(False, "one problem") == home


def test_session_of_a_replica_that_is_removed_moves_and_returns_with_its_place() -> None:
    some = router(9, 9)
    sessions = [f"problem {number}" for number in range(20)]

    def homes() -> list[int | None]:
        found = []
        for session in sessions:
            found.append(some.acquire_home(session))
            some.release(found[-1])  # type: ignore[arg-type]
        return found

    before = homes()
    some.remove(1)
    assert set(homes()) == {0}
    some.add(5, 9, place=1)
    assert [1 if key == 5 else key for key in homes()] == before


def test_home_that_is_full_or_set_aside_takes_nothing() -> None:
    some = router(1, 9)
    session = next(name for name in map(str, range(99)) if some.acquire_home(name) == 0)
    assert some.acquire_home(session) is None
    assert some.acquire(False, session) == 1
    assert some.acquire_home("") == 1
    some.release(0)
    assert some.acquire(True) == 0
    assert some.acquire_home(session) == 1, "nobody joins a request that must be alone, so the next one is its home"
