from __future__ import annotations

from typing import Any

import numpy
import pytest

from search import Beam, BeamOptions, Dvts, DvtsOptions, Proposal, StopReason, Strategy, decide


def beam(**options: Any) -> Beam[str]:
    return Beam(BeamOptions(**options), rng=numpy.random.default_rng(0), root="root")


def dvts(**options: Any) -> Dvts[str]:
    return Dvts(DvtsOptions(**options), rng=numpy.random.default_rng(0), root="root")


def tell_all(search: Strategy[str], **told: list[Proposal[str]]) -> list[str]:
    """Ask all there is, tell each what ``told`` has for its state, and return the states in the order asked."""
    trials = search.ask(99)
    for trial in trials:
        search.tell(trial, told[trial.node.state])
    return [trial.node.state for trial in trials]


def steps(**values: float | None) -> list[Proposal[str]]:
    return [Proposal(state, value, key=state) for state, value in values.items()]


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 0), ("branching", 0), ("aggregation", "max"), ("max_depth", 0), ("max_abandons", 0), ("num_rounds", 0)],
)
def test_an_option_out_of_range_names_itself(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        BeamOptions(**{name: value})  # type: ignore[arg-type]
    if name != "width":
        with pytest.raises(ValueError, match=f"{name} must"):
            DvtsOptions(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_subtrees must"):
        DvtsOptions(num_subtrees=0)


def test_the_root_is_asked_as_often_as_the_beam_is_wide() -> None:
    trials = beam(width=3, branching=2).ask(99)
    assert [(trial.node.state, trial.num_proposals) for trial in trials] == [("root", 2)] * 3


def test_the_best_of_a_depth_go_on_the_best_first() -> None:
    search = beam(width=2, branching=2)
    first, second = search.ask(9)
    search.tell(second, steps(a=0.8, b=0.85))
    search.tell(first, steps(c=0.9, d=0.1))
    assert [trial.node.state for trial in search.ask(9)] == ["c", "b"]


@pytest.mark.parametrize(
    ("aggregation", "goes_on"),
    [
        ("last", "w"),  # u: 0.9, 0.7; v: 0.9, 0.6; w: 0.4, 1.0
        ("min", "u"),  # 0.7, 0.6, 0.4
        ("mean", "u"),  # 0.8, 0.75, 0.7
        ("product", "u"),  # 0.63, 0.54, 0.4
    ],
)
def test_paths_compete_by_their_joined_value(aggregation: str, goes_on: str) -> None:
    search = beam(width=2, branching=2, aggregation=aggregation)
    first, second = search.ask(9)
    search.tell(first, steps(good=0.9, fair=0.4))
    search.tell(second, [])
    assert tell_all(search, good=steps(u=0.7, v=0.6), fair=steps(w=1.0)) == ["good", "fair"]
    assert search.ask()[0].node.state == goes_on


def test_equal_values_go_by_prior_and_then_by_keys_and_unknown_ones_come_last() -> None:
    search = beam(width=5, branching=5)
    trials = search.ask(9)
    told = [("d", 0.5, 0.1), ("c", 0.5, 0.1), ("b", 0.5, 0.3), ("a", None, 0.9), ("e", 0.0, 0.1)]
    search.tell(trials[0], [Proposal(state, value, prior, key=state) for state, value, prior in told])
    for trial in trials[1:]:
        search.tell(trial, [])
    assert [trial.node.state for trial in search.ask(9)] == ["b", "c", "d", "e", "a"]


def test_finished_paths_take_no_place_in_the_beam() -> None:
    search = beam(width=1, branching=2)
    search.tell(search.ask()[0], [Proposal("end", 1.0, is_terminal=True), *steps(a=0.1)])
    assert search.ask()[0].node.state == "a"


def asked(search: Strategy[str]) -> list[tuple[str, int]]:
    return [(trial.node.state, trial.num_proposals) for trial in search.ask(99)]


def test_a_place_that_two_trials_come_to_is_one_and_is_asked_for_what_both_would_be() -> None:
    search = beam(width=2, branching=2)
    assert tell_all(search, root=steps(same=0.5)) == ["root", "root"]
    assert asked(search) == [("same", 2), ("same", 2)]


def test_the_proposals_of_a_depth_are_divided_among_the_places_that_go_on_the_best_first() -> None:
    search = beam(width=5, branching=3)
    first, *others = search.ask(9)
    search.tell(first, steps(a=0.1, b=0.2))
    for trial in others:
        search.tell(trial, [])
    assert asked(search) == [("b", 3), ("b", 3), ("b", 2), ("a", 3), ("a", 3), ("a", 1)]


def end(state: str, value: float, answer: str) -> Proposal[str]:
    return Proposal(state, value, is_terminal=True, key=state, outcome=answer)


def test_a_finished_path_votes_as_often_as_it_was_drawn() -> None:
    search = beam(width=2, branching=2)
    first, second = search.ask(9)
    search.tell(first, [end("x", 0.5, "1"), end("x", 0.5, "1")])
    search.tell(second, [end("x", 0.5, "1"), end("y", 0.9, "2")])
    assert [(node.state, node.votes) for node in search.tree.finished] == [("x", 3.0), ("y", 1.0)]
    assert search.stop_reason is StopReason.EXHAUSTED
    decision = decide(search.tree, "weighted_majority")
    assert decision is not None
    assert decision.node.outcome == "1"
    assert decision.support == pytest.approx(1.5 / 2.4)


def test_a_beam_ends_when_as_many_paths_are_finished_as_a_depth_has_proposals() -> None:
    search = beam(width=1, branching=3)
    search.tell(search.ask()[0], [end("x", 0.5, "1"), end("x", 0.5, "1"), *steps(a=0.9)])
    search.tell(search.ask()[0], [end("y", 0.5, "1"), *steps(b=0.9, c=0.8)])
    assert search.stop_reason is StopReason.EXHAUSTED
    assert sum(node.votes for node in search.tree.finished) == 3


def test_it_ends_at_max_depth() -> None:
    search = beam(width=2, branching=1, max_depth=1)
    tell_all(search, root=steps(a=0.5))
    assert search.stop_reason is StopReason.EXHAUSTED


def test_a_place_that_fails_is_given_up_and_the_rest_of_its_depth_goes_on() -> None:
    search = beam(width=2, branching=2, max_abandons=2)
    tell_all(search, root=steps(a=0.9, b=0.1))
    failed, told = search.ask(9)
    search.tell(told, steps(c=0.5))
    search.abandon(failed)
    (again,) = search.ask(9)
    assert again.node.state == "a"
    search.abandon(again)
    assert asked(search) == [("c", 2), ("c", 2)]


def test_where_the_root_fails_too_often_it_is_not_asked_for_the_others_either() -> None:
    searches: list[Strategy[str]] = [beam(width=5, max_abandons=3), dvts(num_subtrees=5, max_abandons=3)]
    for search in searches:
        for _ in range(3):
            search.abandon(search.ask()[0])
        assert search.stop_reason is StopReason.EXHAUSTED


def test_a_round_begins_at_the_root_when_all_beams_of_the_last_have_ended() -> None:
    search = dvts(num_subtrees=2, branching=1, num_rounds=2)
    first, second = search.ask(9)
    search.tell(first, [end("x", 0.5, "1")])
    assert search.ask(9) == []
    search.tell(second, [end("x", 0.5, "1")])
    assert tell_all(search, root=[end("y", 0.5, "2")]) == ["root", "root"]
    assert [node.votes for node in search.tree.finished] == [2.0, 2.0]
    assert search.stop_reason is StopReason.EXHAUSTED


def test_a_root_that_fails_in_a_later_round_ends_the_search() -> None:
    search = beam(width=1, branching=1, num_rounds=None, max_abandons=1)
    search.tell(search.ask()[0], [end("x", 0.5, "1")])
    search.abandon(search.ask()[0])
    assert search.stop_reason is StopReason.EXHAUSTED


def test_each_subtree_goes_on_from_its_own_best_place() -> None:
    search = dvts(num_subtrees=2, branching=2)
    first, second = search.ask(9)
    search.tell(first, steps(a=0.9, b=0.8))
    assert [trial.node.state for trial in search.ask(9)] == ["a"]
    search.tell(second, steps(c=0.1, d=0.2))
    assert [trial.node.state for trial in search.ask(9)] == ["d"]


def test_a_subtree_ends_when_its_best_place_is_finished_and_those_of_that_depth_vote() -> None:
    search = dvts(num_subtrees=2, branching=3)
    first, second = search.ask(9)
    search.tell(first, [end("x", 0.9, "1"), end("y", 0.1, "2"), *steps(a=0.8)])
    search.tell(second, [end("z", 0.5, "3"), *steps(b=0.8, c=0.1)])
    (trial,) = search.ask(9)
    assert trial.node.state == "b"
    search.tell(trial, [end("x", 0.9, "1"), end("x", 0.9, "1"), *steps(d=0.2)])
    assert search.stop_reason is StopReason.EXHAUSTED
    votes = {(node.depth, node.state): node.votes for node in search.tree.finished}
    assert votes == {(1, "x"): 1.0, (1, "y"): 1.0, (1, "z"): 0.0, (2, "x"): 2.0}


def test_a_finished_path_that_two_subtrees_came_to_loses_the_vote_of_the_one_that_went_past_it() -> None:
    search = dvts(num_subtrees=2, branching=2)
    first, second = search.ask(9)
    search.tell(first, [end("x", 0.5, "1"), *steps(a=0.1)])
    search.tell(second, [end("x", 0.5, "1"), *steps(b=0.8)])
    assert [trial.node.state for trial in search.ask(9)] == ["b"]
    assert [node.votes for node in search.tree.finished] == [1.0]


def test_subtrees_that_come_to_the_same_place_share_it_and_each_asks_there() -> None:
    search = dvts(num_subtrees=2, branching=1)
    tell_all(search, root=steps(same=0.9))
    assert len(search.tree) == 2
    assert tell_all(search, same=steps(deeper=0.5)) == ["same", "same"]
    assert len(search.tree) == 3


def test_a_subtree_does_not_go_on_at_a_place_that_failed_for_another() -> None:
    search = dvts(num_subtrees=2, branching=2, max_abandons=1)
    first, second = search.ask(9)
    search.tell(first, steps(same=0.9))
    search.abandon(search.ask()[0])
    search.tell(second, steps(same=0.9, other=0.1))
    assert [trial.node.state for trial in search.ask(9)] == ["other"]
