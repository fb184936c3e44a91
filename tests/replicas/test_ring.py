from collections import Counter

from critic_engine.replicas.ring import Ring

SESSIONS = [f"problem {number}" for number in range(2000)]


def ring(*places: int) -> Ring[int]:
    made: Ring[int] = Ring()
    for place in places:
        made.add(place, place)
    return made


def homes(some: Ring[int]) -> list[int]:
    return [next(some.order(session)) for session in SESSIONS]


def test_order_of_a_session_holds_each_replica_once_and_does_not_depend_on_who_came_first() -> None:
    orders = [list(ring(0, 1, 2, 3).order(session)) for session in SESSIONS[:50]]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert orders == [list(ring(3, 1, 0, 2).order(session)) for session in SESSIONS[:50]]
    assert list(ring().order("x")) == []
    assert list(ring(7).order("x")) == [7]


def test_sessions_are_shared_out_about_evenly() -> None:
    for num in (2, 3, 8):
        shares = Counter(homes(ring(*range(num))))
        assert max(shares.values()) < 1.25 * len(SESSIONS) / num


def test_replica_that_leaves_gives_its_sessions_to_the_next_ones_and_gets_them_back() -> None:
    some = ring(0, 1, 2, 3)
    before = homes(some)
    seconds = [list(some.order(session))[1] for session in SESSIONS]
    some.remove(2)
    after = homes(some)
    for first, second, now in zip(before, seconds, after, strict=True):
        assert now == (second if first == 2 else first)
    assert {now for first, now in zip(before, after, strict=True) if first == 2} == {0, 1, 3}
    some.add(9, place=2)
    assert [2 if now == 9 else now for now in homes(some)] == before
