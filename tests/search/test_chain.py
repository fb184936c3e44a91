from __future__ import annotations

import numpy
import pytest

from search import NEVER, Chain, ChainOptions, Limits, Proposal, StopOptions, StopReason, decide


def chain(*, stop: StopOptions = NEVER, **options: object) -> Chain[int]:
    limits = Limits(stop=stop)
    return Chain(ChainOptions(**options), rng=numpy.random.default_rng(0), root=0, limits=limits)  # type: ignore[arg-type]


def run(search: Chain[int], *values: float | None) -> None:
    """Tell finished solutions of these values, states 1, 2, ..., as long as the search asks."""
    for state, value in enumerate(values, start=1):
        if search.is_done:
            return
        search.tell(search.ask()[0], [Proposal(state, value, is_terminal=True, outcome=state)])


def last_outcome(search: Chain[int]) -> object:
    decision = decide(search.tree, "last")
    return None if decision is None else decision.node.outcome


@pytest.mark.parametrize(("name", "value"), [("max_rounds", -1), ("max_abandons", 0)])
def test_an_option_out_of_range_names_itself(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        ChainOptions(**{name: value})  # type: ignore[arg-type]


def test_each_rewrite_starts_from_the_one_before_it() -> None:
    search = chain(max_rounds=2)
    run(search, 0.5, 0.2, 0.4, 0.9)
    assert [node.depth for node in search.tree.nodes] == [0, 1, 2, 3]
    assert search.stop_reason is StopReason.ROUNDS
    assert (search.current.state, last_outcome(search)) == (3, 3)


def test_no_rounds_is_one_solution() -> None:
    search = chain(max_rounds=0)
    run(search, 0.5, 0.6)
    assert (len(search.tree), search.stop_reason) == (2, StopReason.ROUNDS)


def test_it_stops_at_the_threshold() -> None:
    search = chain(max_rounds=5, stop=StopOptions(value_threshold=0.5))
    run(search, 0.49, None, 0.5, 1.0)
    assert (search.current.state, search.stop_reason) == (3, StopReason.VALUE_THRESHOLD)


def test_a_gated_chain_moves_only_to_a_rewrite_known_to_be_better() -> None:
    search = chain(max_rounds=4, is_gated=True)
    run(search, 0.5, 0.5, None, 0.6, 0.4)
    assert search.current.state == 4
    assert [node.parent.state for node in search.tree.nodes[1:] if node.parent] == [0, 1, 1, 1, 4]
    assert last_outcome(search) == 4


def test_a_gated_chain_takes_a_known_value_over_an_unknown_one() -> None:
    search = chain(max_rounds=2, is_gated=True)
    run(search, None, None, 0.1)
    assert search.current.state == 3


def test_one_trial_is_in_flight_at_most() -> None:
    search = chain()
    assert len(search.ask(4)) == 1
    assert search.ask() == []
    assert not search.is_done


def test_an_empty_tell_is_a_round_that_changes_nothing() -> None:
    search = chain(max_rounds=1)
    run(search, 0.5)
    search.tell(search.ask()[0], [])
    assert (search.current.state, search.stop_reason) == (1, StopReason.ROUNDS)


def test_failed_rewrites_leave_the_solution_standing() -> None:
    search = chain(max_abandons=2)
    run(search, 0.5)
    while not search.is_done:
        search.abandon(search.ask()[0])
    assert (search.stop_reason, last_outcome(search)) == (StopReason.EXHAUSTED, 1)


def test_only_a_finished_solution_is_kept() -> None:
    search = chain()
    run_ends = [Proposal(1, 0.5, is_terminal=True, outcome=1), Proposal(2, 0.9)]
    for proposal in run_ends:
        search.tell(search.ask()[0], [proposal])
    assert search.current.state == 2
    assert (search.tree.last and search.tree.last.state, last_outcome(search)) == (1, 1)
