from __future__ import annotations

from typing import Any

import pytest

from search import Proposal, Tree, decide
from search.decision import path_value


def finished(*paths: tuple[object, float | None]) -> Tree[int]:
    """Return a tree of these finished paths, all at the root."""
    tree = Tree(0)
    for state, (outcome, value) in enumerate(paths, start=1):
        tree.add_child(tree.root, Proposal(state, value, is_terminal=True, outcome=outcome))
    return tree


def chosen(tree: Tree[int], rule: Any, **options: Any) -> tuple[int, object]:
    decision = decide(tree, rule, **options)
    assert decision is not None
    return decision.node.state, pytest.approx(decision.support)


RULES = ["best_value", "most_visits", "majority", "weighted_majority", "last", "gated"]


@pytest.mark.parametrize("rule", RULES)
def test_no_finished_path_is_no_decision(rule: str) -> None:
    tree = Tree(0)
    tree.add_child(tree.root, Proposal(1, 0.9))
    assert decide(tree, rule) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES)
def test_a_path_without_an_answer_wins_only_when_there_is_nothing_else(rule: str) -> None:
    assert chosen(finished(("a", 0.1), (None, 1.0), (None, 1.0)), rule)[0] == 1
    assert decide(finished((None, None)), rule) is not None  # type: ignore[arg-type]


def test_best_value_takes_the_highest_and_unknown_is_below_zero() -> None:
    assert chosen(finished(("a", 0.2), ("b", 0.7), ("b", 0.1)), "best_value") == (2, 2 / 3)
    assert chosen(finished(("a", None), ("b", 0.0)), "best_value") == (2, 1 / 2)


def test_majority_counts_paths_and_shows_the_best_of_them() -> None:
    assert chosen(finished(("a", 0.9), ("b", 0.1), ("b", 0.3)), "majority") == (3, 2 / 3)


def test_weighted_majority_sums_values() -> None:
    assert chosen(finished(("a", 0.9), ("b", 0.3), ("b", 0.4)), "weighted_majority") == (1, 0.9 / 1.6)
    assert chosen(finished(("a", 0.6), ("b", 0.3), ("b", 0.4)), "weighted_majority") == (3, 0.7 / 1.3)


def test_weighted_majority_gives_unknown_values_no_weight() -> None:
    assert chosen(finished(("a", 0.1), ("b", None), ("b", None)), "weighted_majority") == (1, 1.0)


def test_weighted_majority_without_any_value_is_majority() -> None:
    assert chosen(finished(("a", None), ("b", None), ("b", None)), "weighted_majority") == (2, 2 / 3)


def with_votes(tree: Tree[int], *votes: float) -> Tree[int]:
    for node, number in zip(tree.finished, votes, strict=True):
        tree.set_votes(node, number)
    return tree


def test_a_path_counts_as_many_times_as_it_has_votes() -> None:
    paths = (("a", 0.5), ("b", 0.6), ("b", 0.3))
    assert chosen(with_votes(finished(*paths), 3, 1, 1), "majority") == (1, 3 / 5)
    assert chosen(with_votes(finished(*paths), 2.5, 1, 1.5), "majority") == (2, 2.5 / 5)
    assert chosen(with_votes(finished(*paths), 3, 1, 1), "weighted_majority") == (1, 1.5 / 2.4)
    assert chosen(with_votes(finished(*paths), 3, 1, 1), "best_value") == (2, 2 / 5)


@pytest.mark.parametrize("rule", RULES)
def test_a_path_without_votes_wins_only_when_none_has_any(rule: str) -> None:
    paths = (("a", 0.1), ("b", 1.0), (None, 0.5))
    assert chosen(with_votes(finished(*paths), 1, 0, 1), rule)[0] == 1
    assert chosen(with_votes(finished(*paths), 0, 0, 1), rule)[0] in (1, 2)


def test_weighted_majority_of_worthless_paths_still_decides() -> None:
    assert chosen(finished(("a", 0.0), ("b", 0.0), ("b", 0.0)), "weighted_majority") == (2, 0.0)


def test_votes_are_tied_by_value_and_then_by_the_answer_never_by_arrival() -> None:
    for paths in ((("a", 0.5), ("b", 0.6)), (("b", 0.6), ("a", 0.5))):
        decision = decide(finished(*paths), "majority")
        assert decision is not None
        assert decision.node.outcome == "b"
    for rule in ("majority", "weighted_majority", "best_value", "most_visits", "gated"):
        for paths in ((("b", 0.5), ("a", 0.5)), (("a", 0.5), ("b", 0.5))):
            decision = decide(finished(*paths), rule)
            assert decision is not None
            assert decision.node.outcome == "a"


def test_best_value_is_tied_by_the_number_of_paths() -> None:
    assert chosen(finished(("a", 0.5), ("b", 0.5), ("b", 0.2)), "best_value") == (2, 2 / 3)


def test_most_visits_follows_the_visits_from_the_root() -> None:
    tree = Tree(0)
    steps = [tree.add_child(tree.root, Proposal(state)) for state in (1, 2)]
    for step, visits in zip(steps, (2, 3), strict=True):
        tree.add_child(step, Proposal(step.state * 10, 1 / step.state, is_terminal=True, outcome=step.state))
        for _ in range(visits):
            tree.reserve(step, 1)
            tree.visit(step, 1)
    assert chosen(tree, "most_visits") == (20, 1 / 2)
    assert chosen(tree, "best_value") == (10, 1 / 2)


def test_last_is_the_kept_path_or_the_newest_with_an_answer() -> None:
    tree = finished(("a", 0.9), ("b", 0.1), (None, 1.0))
    assert chosen(tree, "last")[0] == 2
    tree.keep(tree.nodes[1])
    assert chosen(tree, "last")[0] == 1


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_one_unknown_value_leaves_the_joined_value_unknown(unknown: int) -> None:
    tree = Tree(0)
    node = tree.root
    for depth in range(3):
        node = tree.add_child(node, Proposal(depth, None if depth == unknown else 0.8))
    for aggregation in ("min", "mean", "product"):
        assert path_value(tree, node, aggregation) is None
    assert path_value(tree, node, "last") == (None if unknown == 2 else 0.8)


@pytest.mark.parametrize("aggregation", ["last", "min", "mean", "product"])
def test_the_root_has_no_value(aggregation: Any) -> None:
    tree = finished(("a", 0.5))
    assert path_value(tree, tree.root, aggregation) is None


def test_a_path_with_an_unjudged_step_does_not_outvote_one_that_was_judged_throughout() -> None:
    tree = Tree(0)
    for state, step_value in enumerate([None, 0.6], start=1):
        step = tree.add_child(tree.root, Proposal(0, step_value))
        tree.add_child(step, Proposal(state, 0.9, is_terminal=True, outcome=state))
    assert chosen(tree, "weighted_majority", aggregation="product") == (2, 1.0)
    assert chosen(tree, "best_value", aggregation="product")[0] == 2


def test_the_aggregation_changes_the_decision() -> None:
    tree = Tree(0)
    for state, (step_value, value) in enumerate([(0.1, 0.9), (0.8, 0.7)], start=1):
        step = tree.add_child(tree.root, Proposal(0, step_value))
        tree.add_child(step, Proposal(state, value, is_terminal=True, outcome=state))
    assert chosen(tree, "best_value")[0] == 1
    for aggregation in ("min", "mean", "product"):
        assert chosen(tree, "best_value", aggregation=aggregation)[0] == 2


def chain_of(*values: float | None) -> Tree[int]:
    """Return a chain of finished solutions, each a rewrite of the one before it."""
    tree = Tree(0)
    node = tree.root
    for state, value in enumerate(values, start=1):
        node = tree.add_child(node, Proposal(state, value, is_terminal=True, outcome=state))
    return tree


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ((0.5, 0.6, 0.7), 3),
        ((0.5, 0.4, 0.45), 1),
        ((0.5, 0.6, 0.55), 2),
        ((0.5, 0.5, None), 1),
        ((None, 0.0, None), 2),
        ((None, None), 1),
    ],
)
def test_gated_takes_a_rewrite_only_for_a_higher_value(values: tuple[float | None, ...], state: int) -> None:
    assert chosen(chain_of(*values), "gated")[0] == state


def test_gated_prefers_the_shorter_of_equal_paths_however_many_agree_with_the_longer() -> None:
    tree = chain_of(0.5, 0.2)
    for _ in range(2):
        tree.add_child(tree.nodes[2], Proposal(3, 0.5, is_terminal=True, outcome="other"))
    assert chosen(tree, "gated")[0] == 1
    assert chosen(tree, "best_value")[0] == 3


def test_rollouts_take_part_in_every_decision() -> None:
    tree = Tree(0)
    ends = tuple(Proposal(state, value, is_terminal=True, outcome="a") for state, value in ((2, 0.9), (3, None)))
    step = tree.add_child(tree.root, Proposal(1, 0.5, rollouts=ends))
    tree.add_child(step, Proposal(4, 0.3, is_terminal=True, outcome="b"))
    for rule in ("best_value", "majority", "weighted_majority", "gated"):
        assert chosen(tree, rule)[0] == 2
    assert chosen(tree, "majority") == (2, 2 / 3)
    assert chosen(tree, "last") == (4, 1 / 3)


def test_without_a_finished_path_of_its_own_the_newest_rollout_is_last() -> None:
    tree = Tree(0)
    ends = tuple(Proposal(state, is_terminal=True, outcome=state) for state in (2, 3))
    tree.add_child(tree.root, Proposal(1, rollouts=ends))
    assert chosen(tree, "last")[0] == 3


def test_unknown_rules_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="rule must be one of"):
        decide(finished(("a", 1.0)), "first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="aggregation must be one of"):
        decide(finished(("a", 1.0)), "last", aggregation="sum")  # type: ignore[arg-type]


def two_paths(*priors: float | None) -> Tree[int]:
    tree = Tree(0)
    for state, (value, prior) in enumerate(zip((0.6, 0.9), priors, strict=True), start=1):
        step = tree.add_child(tree.root, Proposal(0, value, 1.0))
        tree.add_child(step, Proposal(state, value, prior, is_terminal=True, outcome=state))
    return tree


@pytest.mark.parametrize("rule", ["best_value", "weighted_majority"])
@pytest.mark.parametrize(
    ("priors", "exponent", "outcome"),
    [
        ((0.8, 0.1), 0.0, 2),
        ((0.8, 0.1), 1.0, 1),  # 0.6 * 0.8 = 0.48 against 0.9 * 0.1 = 0.09
        ((0.8, 0.6), 1.0, 2),  # 0.48 against 0.54
        ((0.8, 0.6), 2.0, 1),  # 0.384 against 0.324
        ((0.8, None), 1.0, 2),
        ((0.8, 0.0), 1.0, 1),
        ((0.0, 0.0), 1.0, 2),
    ],
)
def test_values_weigh_in_by_the_probability_of_their_path(
    rule: Any, priors: tuple[float | None, float | None], exponent: float, outcome: int
) -> None:
    decision = decide(two_paths(*priors), rule, prior_exponent=exponent)
    assert decision is not None
    assert decision.node.outcome == outcome
    assert decision.value == (0.6, 0.9)[outcome - 1]


def test_a_plain_majority_is_not_weighed_by_probability() -> None:
    tree = Tree(0)
    for value, prior in ((0.5, 0.9), (0.9, 0.1)):
        tree.add_child(tree.root, Proposal(0, value, prior, is_terminal=True, outcome="same"))
    decision = decide(tree, "majority", prior_exponent=1.0)
    assert decision is not None
    assert decision.value == 0.9


def test_paths_too_unlikely_for_a_float_are_still_weighed() -> None:
    tree = Tree(0)
    for state, step_prior in ((1, 1e-210), (2, 1e-200)):
        step = tree.add_child(tree.root, Proposal(0, 0.5, step_prior))
        tree.add_child(step, Proposal(state, 0.8 - state / 10, 1e-200, is_terminal=True, outcome=state))
    decision = decide(tree, "best_value", prior_exponent=1.0)
    assert decision is not None
    assert decision.node.outcome == 2
