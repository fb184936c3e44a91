from __future__ import annotations

import numpy
import pytest

from search import Node, Proposal, Tree
from search.selection import SelectionTerms, choose_greedy_value, choose_puct, choose_uct, renew_open

TERMS = SelectionTerms(exploration=1.25, max_proposals=4)


def rng(seed: int = 0) -> numpy.random.Generator:
    return numpy.random.default_rng(seed)


def grown(*proposals: Proposal[int], visits: tuple[int, ...] = (), pending: tuple[int, ...] = ()) -> Node[int]:
    """Return a root, told once, with these children, each visited and pending as often as said."""
    tree = Tree(0)
    tree.reserve(tree.root, len(proposals))
    tree.visit(tree.root, len(proposals))
    for index, proposal in enumerate(proposals):
        child = tree.add_child(tree.root, proposal, is_expandable=True)
        for _ in range(visits[index] if visits else 0):
            tree.reserve(child, 1)
            tree.visit(child, 1)
        for _ in range(pending[index] if pending else 0):
            tree.reserve(child, 1)
    return tree.root


def test_puct_weighs_value_against_prior_and_visits() -> None:
    # N_parent = 4, scale 2.5: 0.6 + 2.5 * 0.2 / 3 = 0.767; 0.3 + 2.5 * 0.5 / 2 = 0.925
    root = grown(Proposal(1, 0.6, 0.2), Proposal(2, 0.3, 0.5), visits=(2, 1))
    chosen = choose_puct(root, TERMS, rng())
    assert chosen is root.children[1]


def test_pending_visits_count_as_visits_but_leave_values_alone() -> None:
    proposals = Proposal(1, 0.5, 0.5), Proposal(2, 0.45, 0.5)
    assert choose_puct(grown(*proposals), TERMS, rng()).state == 1  # type: ignore[union-attr]
    root = grown(*proposals, pending=(1, 0))
    assert choose_puct(root, TERMS, rng()).state == 2  # type: ignore[union-attr]
    assert root.children[0].search_value == 0.5


def test_puct_asks_again_when_the_priors_leave_mass_and_the_children_are_poor() -> None:
    # asking: 0 + 1.25 * 0.8 * 1 = 1.0; child: 0.1 + 1.25 * 0.2 * 1 = 0.35
    root = grown(Proposal(1, 0.1, 0.2))
    root.is_expandable = True
    assert choose_puct(root, TERMS, rng()) is None
    # child: 0.9 + 0.25 = 1.15
    root = grown(Proposal(1, 0.9, 0.2))
    root.is_expandable = True
    assert choose_puct(root, TERMS, rng()) is root.children[0]


def test_puct_asks_again_less_after_lost_and_pending_proposals() -> None:
    # asking: 1.25 * 0.8 * 1 / (1 + 2) = 0.33 < 0.35
    root = grown(Proposal(1, 0.1, 0.2))
    root.is_expandable = True
    root.num_asked += 2
    assert choose_puct(root, TERMS, rng()) is root.children[0]


def test_puct_with_unknown_priors_is_uniform_over_max_proposals() -> None:
    # child: Q + 1.25 / 4; asking, 1 of 4 told: 1.25 * 3 / 4. They are equal at Q = 0.625.
    for value, is_asked in ((0.62, True), (0.63, False)):
        root = grown(Proposal(1, value))
        root.is_expandable = True
        assert (choose_puct(root, TERMS, rng()) is None) is is_asked


def test_puct_counts_a_pending_proposal_as_a_visit_of_asking_and_not_as_told() -> None:
    # N_parent = 2, scale 1.768; asking: 1.768 * (1 - 1 / 4) / 2 = 0.66; child: 0.1 + 1.768 / 4 = 0.54
    root = grown(Proposal(1, 0.1))
    root.is_expandable = True
    root.num_asked += 1
    root.pending_count += 1
    assert choose_puct(root, TERMS, rng()) is None


def test_puct_never_asks_again_when_the_priors_use_up_the_mass() -> None:
    root = grown(Proposal(1, 0.01, 0.7), Proposal(2, 0.0, 0.6), visits=(50, 50))
    root.is_expandable = True
    assert choose_puct(root, TERMS, rng()) is not None


def test_a_child_of_unknown_value_plays_first_at_its_parents_value() -> None:
    terms = SelectionTerms(exploration=0.0, max_proposals=4)
    root = grown(Proposal(1, 0.4, 0.1), Proposal(2, None, 0.1))
    root.search_value = 0.5
    assert choose_puct(root, terms, rng()).state == 2  # type: ignore[union-attr]
    assert choose_greedy_value(root, terms, rng()).state == 2  # type: ignore[union-attr]
    root.search_value = None
    assert choose_puct(root, terms, rng()).state == 1  # type: ignore[union-attr]


def test_uct_expands_fully_before_it_descends() -> None:
    root = grown(Proposal(1, 1.0))
    root.is_expandable = True
    assert choose_uct(root, TERMS, rng()) is None


def test_uct_goes_first_to_a_child_that_nothing_is_known_of() -> None:
    root = grown(Proposal(1, 1.0), Proposal(2, None), Proposal(3, 0.9), visits=(9, 0, 0))
    assert choose_uct(root, TERMS, rng()).state == 2  # type: ignore[union-attr]


def test_uct_counts_a_nodes_own_evaluation_as_its_first_visit() -> None:
    # N_parent = 1 + 2 + 1 = 4 told, of unknown value itself; c = 1.25, scale = 1.25 * sqrt(ln 4) = 1.4718
    # N = 3: 0.9 + 1.4718 / sqrt(3) = 1.7497; N = 2: 0.75 + 1.4718 / sqrt(2) = 1.7907; N = 1: 0.1 + 1.4718 = 1.5718
    root = grown(Proposal(1, 0.9), Proposal(2, 0.75), Proposal(3, 0.1), visits=(2, 1, 0))
    assert choose_uct(root, TERMS, rng()).state == 2  # type: ignore[union-attr]
    # N_parent = 5, scale = 1.5858: 0.9 + 1.5858 / sqrt(3) = 1.8156; 0.75 + 1.5858 / sqrt(2) = 1.8713. Visited once and
    # never evaluated, the third has N = 1 and the value of its parent: 0.5 + 1.5858 = 2.0858; with N = 2 it had 1.6213.
    root = grown(Proposal(1, 0.9), Proposal(2, 0.75), Proposal(3, None), visits=(2, 1, 1))
    root.search_value = 0.5
    assert choose_uct(root, TERMS, rng()).state == 3  # type: ignore[union-attr]


def test_uct_counts_a_pending_trial_as_a_visit() -> None:
    # N_parent = 1 + 1 = 2, scale = 1.25 * sqrt(ln 2) = 1.0407; 0.6 + 1.0407 / sqrt(2) = 1.3359 against 0.5 + 1.0407
    root = grown(Proposal(1, 0.6), Proposal(2, 0.5), pending=(1, 0))
    assert choose_uct(root, TERMS, rng()).state == 2  # type: ignore[union-attr]


def test_greedy_value_takes_the_highest_value_whatever_the_visits() -> None:
    root = grown(Proposal(1, 0.51), Proposal(2, 0.5), visits=(100, 0))
    assert choose_greedy_value(root, TERMS, rng()).state == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("choose", [choose_puct, choose_uct, choose_greedy_value])
def test_closed_children_are_skipped(choose) -> None:  # type: ignore[no-untyped-def]
    root = grown(Proposal(1, 0.9, 0.5), Proposal(2, 0.1, 0.1))
    root.children[0].is_open = False
    assert choose(root, TERMS, rng()).state == 2


def test_greedy_value_waits_for_a_pending_trial_and_the_other_rules_do_not() -> None:
    for rule, is_open in (("greedy_value", False), ("puct", True), ("uct", True), (None, True)):
        tree = Tree(0)
        child = tree.add_child(tree.root, Proposal(1, 0.5), is_expandable=True)
        tree.set_expandable(tree.root, True)
        tree.reserve(child, 1)
        tree.set_expandable(child, False)
        renew_open(tree, child, rule)  # type: ignore[arg-type]
        assert (child.is_open, tree.root.is_open) == (False, is_open)


def test_a_node_with_an_open_child_is_open() -> None:
    tree = Tree(0)
    child = tree.add_child(tree.root, Proposal(1, 0.5), is_expandable=True)
    renew_open(tree, tree.root, "greedy_value")
    assert tree.root.is_open
    tree.set_expandable(child, False)
    renew_open(tree, child, "greedy_value")
    assert not tree.root.is_open
    assert tree.root.num_open_children == 0


@pytest.mark.parametrize("choose", [choose_puct, choose_uct, choose_greedy_value])
def test_ties_are_broken_evenly_by_the_seed(choose) -> None:  # type: ignore[no-untyped-def]
    root = grown(*(Proposal(state, 0.5, 0.3) for state in range(3)))
    generator, again = rng(7), rng(7)
    chosen = [choose(root, TERMS, generator).state for _ in range(600)]
    assert chosen == [choose(root, TERMS, again).state for _ in range(600)]
    assert all(150 < chosen.count(state) < 250 for state in range(3))
