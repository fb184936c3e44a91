"""Every formula against numbers worked out by hand."""

from __future__ import annotations

import numpy
import pytest

from search import BackupRule, BestOfN, BestOfNOptions, Limits, Proposal, StopOptions, Tree, decide
from search.backup import back_up, trial_value
from search.decision import path_value
from search.expansion import Growth, expand
from search.posterior import Evidence, beta_posterior, gaussian_posterior
from search.selection_formulas import puct_scale, puct_score, uct_scale, uct_score
from search.stopping import Lead


@pytest.mark.parametrize(
    ("exploration", "parent_visits", "value", "prior", "visits", "score"),
    [
        (1.25, 9, 0.5, 0.4, 2, 1.0),  # 0.5 + 1.25 * 3 * 0.4 / 3
        (2.0, 4, 0.0, 0.5, 0, 2.0),  # 0 + 2 * 2 * 0.5 / 1
        (1.25, 16, 0.25, 0.1, 4, 0.35),  # 0.25 + 1.25 * 4 * 0.1 / 5
        (2.0, 25, 0.7, 0.0, 3, 0.7),  # an impossible step: the value alone
        (0.0, 100, 0.3, 0.9, 5, 0.3),  # no exploration: the value alone
    ],
)
def test_puct_score_of_cases_worked_by_hand(
    exploration: float, parent_visits: int, value: float, prior: float, visits: int, score: float
) -> None:
    scale = puct_scale(exploration, parent_visits)
    assert puct_score(value, prior, visit_count=visits, scale=scale) == pytest.approx(score)


@pytest.mark.parametrize(
    ("exploration", "parent_visits", "value", "visits", "score"),
    [
        (2.0, 55, 0.25, 4, 2.251833),  # ln 55 = 4.007333, its root 2.001832; 0.25 + 2 * 2.001832 / 2
        (1.4, 10, 0.1, 9, 0.808132),  # ln 10 = 2.302585, its root 1.517427; 0.1 + 1.4 * 1.517427 / 3
        (1.0, 3, 0.0, 1, 1.048147),  # ln 3 = 1.098612, its root 1.048147
        (2.0, 1, 0.5, 1, 0.5),  # ln 1 = 0: with one visit of the parent nothing is to be explored
    ],
)
def test_uct_score_of_cases_worked_by_hand(
    exploration: float, parent_visits: int, value: float, visits: int, score: float
) -> None:
    scale = uct_scale(exploration, parent_visits)
    assert uct_score(value, visit_count=visits, scale=scale) == pytest.approx(score, abs=2e-6)


def test_uct_puts_unvisited_children_first() -> None:
    scale = uct_scale(100.0, 10**9)
    assert uct_score(1.0, visit_count=1, scale=scale) < uct_score(0.0, visit_count=0, scale=scale)


def test_the_value_of_a_trial_joins_the_known_values_only() -> None:
    assert trial_value([0.2, None, 0.6], "mean") == pytest.approx(0.4)
    assert trial_value([0.2, None, 0.6], "halfway") == pytest.approx(0.4)
    assert trial_value([0.2, None, 0.6], "decayed") == pytest.approx(0.4)
    assert trial_value([0.2, None, 0.6], "max") == 0.6


def test_the_value_of_a_trial_is_rounded_once() -> None:
    """So it is the same in any order of proposals, and whatever the interpreter's ``sum`` does."""
    assert trial_value([0.1] * 10, "mean") == 0.1


def test_the_value_of_a_trial_that_brought_none_is_unknown() -> None:
    assert trial_value([None, None], "mean") is None
    assert trial_value([], "max") is None


@pytest.mark.parametrize(
    ("rule", "after_root", "after_a", "after_d"),
    [
        # V = 0.4, 0.7, 0.1
        # root 0.4; (0.4 + 0.7) / 2, (0.4 + 0.7 + 0.1) / 3; a (0.6 + 0.7) / 2, (0.6 + 0.7 + 0.1) / 3; d (0.5 + 0.1) / 2
        ("mean", [0.4, 0.6], [0.55, 0.65, 0.5], [0.4, 1.4 / 3, 0.3]),
        # V = 0.6, 0.9, 0.1
        ("max", [0.6, 0.6], [0.9, 0.9, 0.5], [0.9, 0.9, 0.5]),
        # root had no Q: max(0.6, 0.2)
        # a (0.6 + max(0.9, 0.5)) / 2 = 0.75; root (0.6 + max(0.75, 0.2)) / 2 = 0.675
        # d (0.5 + 0.1) / 2 = 0.3; a (0.75 + max(0.9, 0.3)) / 2 = 0.825; root (0.675 + max(0.825, 0.2)) / 2 = 0.75
        ("halfway", [0.6, 0.6], [0.675, 0.75, 0.5], [0.75, 0.825, 0.3]),
        # root had no Q: V = 0.4
        # a 0.9 * 0.6 + 0.1 * 0.7 = 0.61; root 0.9 * 0.4 + 0.1 * 0.61 = 0.421
        # d 0.9 * 0.5 + 0.1 * 0.1 = 0.46; a 0.9 * 0.61 + 0.1 * 0.46 = 0.595; root 0.9 * 0.421 + 0.1 * 0.595 = 0.4384
        ("decayed", [0.4, 0.6], [0.421, 0.61, 0.5], [0.4384, 0.595, 0.46]),
    ],
)
def test_each_backup_rule_of_three_trials_worked_by_hand(
    rule: BackupRule, after_root: list[float], after_a: list[float], after_d: list[float]
) -> None:
    tree = Tree("root")
    growth = Growth(None, is_refining=False, backup=rule)
    a = d = tree.root

    def told(at: str, **values: float) -> list[float | None]:
        nonlocal a, d
        node = {"root": tree.root, "a": a, "d": d}[at]
        places = expand(tree, node, [Proposal(name, value) for name, value in values.items()], growth=growth)
        back_up(tree, node, trial_value(values.values(), rule), rule, rate=0.1)
        a, d = (places[0], d) if at == "root" else (a, places[-1] if at == "a" else d)
        return [tree.root.search_value, a.search_value, *([] if d is tree.root else [d.search_value])]

    assert told("root", a=0.6, b=0.2) == pytest.approx(after_root)
    assert told("a", c=0.9, d=0.5) == pytest.approx(after_a)
    assert told("d", e=0.1) == pytest.approx(after_d)


@pytest.mark.parametrize(
    ("rule", "search_value"),
    [
        ("mean", 0.5),  # (0.8 + 0.4 + 0.3) / 3
        ("max", 0.8),
        ("halfway", 0.55),  # Q = 0.8, then (0.8 + max(0.8, 0.4)) / 2 = 0.8; (0.8 + 0.3) / 2
        ("decayed", 0.384),  # Q = 0.8, then 0.8 * 0.8 + 0.2 * 0.4 = 0.72; 0.8 * 0.3 + 0.2 * 0.72
    ],
)
def test_a_value_that_is_learned_late_worked_by_hand(rule: BackupRule, search_value: float) -> None:
    tree = Tree(0)
    growth = Growth(None, is_refining=False, backup=rule, rate=0.2)
    late, never_asked = expand(tree, tree.root, [Proposal(1, key="a"), Proposal(2, key="b")], growth=growth)
    for value in (0.8, 0.4):
        expand(tree, late, [Proposal(3, value)], growth=growth)
        back_up(tree, late, value, rule, rate=0.2)
    expand(tree, tree.root, [Proposal(1, 0.3, key="a"), Proposal(2, 0.3, key="b")], growth=growth)
    assert (late.value, never_asked.value) == (0.3, 0.3)
    assert late.search_value == pytest.approx(search_value)
    assert (late.value_count, never_asked.value_count, never_asked.search_value) == (3, 1, 0.3)


@pytest.mark.parametrize("rule", ["mean", "max", "halfway", "decayed"])
def test_an_unknown_value_changes_no_statistics(rule: BackupRule) -> None:
    tree = Tree(0)
    child = tree.add_child(tree.root, Proposal(1, 0.5))
    back_up(tree, child, None, rule)
    assert (child.search_value, child.value_count, tree.root.search_value) == (0.5, 1, None)


@pytest.mark.parametrize("rule", ["mean", "max", "halfway", "decayed"])
def test_observations_are_summed_whatever_the_rule(rule: BackupRule) -> None:
    tree = Tree(0)
    child = tree.add_child(tree.root, Proposal(1, 0.5))
    for value in (0.25, 1.0):
        back_up(tree, child, value, rule)
    assert (child.value_sum, child.value_count) == (1.75, 3)
    assert (tree.root.value_sum, tree.root.value_count) == (1.25, 2)


@pytest.mark.parametrize(
    ("num_first", "num_second", "probability"),
    [
        (0, 0, 1 / 2),
        (1, 0, 3 / 4),
        (2, 0, 7 / 8),
        (3, 0, 0.9375),
        (4, 0, 0.96875),
        (1, 1, 1 / 2),
        (4, 1, 57 / 64),  # of 6 tosses 2 or more: 1 - (1 + 6) / 64
        (5, 1, 120 / 128),  # of 7 tosses 2 or more: 1 - (1 + 7) / 128
        (3, 2, 42 / 64),  # of 6 tosses 3 or more: 1 - (1 + 6 + 15) / 64
        (7, 7, 1 / 2),
    ],
)
def test_the_probability_of_a_lead_is_exact(num_first: int, num_second: int, probability: float) -> None:
    lead = Lead()
    lead.advance(num_first, num_second)
    assert lead.probability == probability


def test_the_probability_of_a_lead_of_many_votes_is_a_probability() -> None:
    lead = Lead()
    lead.advance(3000, 2900)
    # 3000 against 2900: nearly normal, z = 101 / sqrt(5901) = 1.3148, Phi(z) = 0.9057 with a correction of half a vote
    assert lead.probability == pytest.approx(0.9057, abs=5e-3)


def told_until_stop(stop: StopOptions, proposals: list[Proposal[int]]) -> int | None:
    """Return how many of ``proposals``, told one by one, stop the search, or None if all of them do not."""
    search: BestOfN[int] = BestOfN(
        BestOfNOptions(99), rng=numpy.random.default_rng(0), root=0, limits=Limits(stop=stop)
    )
    for number, proposal in enumerate(proposals, start=1):
        search.tell(search.ask()[0], [proposal])
        if search.stop_reason is not None:
            return number
    return None


@pytest.mark.parametrize(
    ("window", "answers", "number"),
    [
        (3, "aaab", 3),
        (3, "aabaaa", 6),
        (3, "abbbaa", None),  # abb, baa: three in a row, and no group
        (2, "abbaaa", 6),  # ab, ba, aa
        (2, "abab", None),
        (3, "aa-aaa", 6),  # a path without an answer agrees with none
        (2, "--", None),
        (4, "aaa", None),
    ],
)
def test_a_unanimous_window_worked_by_hand(window: int, answers: str, number: int | None) -> None:
    paths = [Proposal(0, is_terminal=True, outcome=None if answer == "-" else answer) for answer in answers]
    assert told_until_stop(StopOptions(window=window), paths) == number


@pytest.mark.parametrize(
    ("agreement", "answers", "number"),
    [
        (0.95, "aaaa", 4),  # 0.75, 0.875, 0.9375, 0.96875
        (0.9375, "aaaa", 3),
        (0.95, "abaaaa", None),  # (5, 1): 0.9375
        (0.9375, "abaaaa", 6),
        (0.95, "a-a-aa", 6),  # (4, 0): a path without an answer is no vote
        (0.75, "abbcccc", 1),
        (0.76, "abbcccc", 7),  # (1, 1) 0.5; (2, 1) 0.6875; (2, 2) 0.5; (3, 2) 0.65625; (4, 2) 99 / 128 = 0.7734
        (0.78, "abbcccc", None),
    ],
)
def test_agreement_worked_by_hand(agreement: float, answers: str, number: int | None) -> None:
    paths = [Proposal(0, is_terminal=True, outcome=None if answer == "-" else answer) for answer in answers]
    assert told_until_stop(StopOptions(agreement=agreement), paths) == number


@pytest.mark.parametrize(
    ("patience", "values", "number"),
    [
        (2, [0.5, 0.4, 0.5], 3),  # equal is no better
        (2, [0.5, 0.6, 0.1, 0.7, 0.7, 0.2], 6),
        (2, [None, None, None, 0.5, None, 0.1], 6),  # it waits for the first value, and then for no more of them
        (1, [0.1, 0.2, 0.3], None),
        (3, [0.0, 0.0, 0.0], None),
    ],
)
def test_patience_worked_by_hand(patience: int, values: list[float | None], number: int | None) -> None:
    paths = [Proposal(0, value, is_terminal=True) for value in values]
    assert told_until_stop(StopOptions(patience=patience), paths) == number


def evidence(*values: float) -> Evidence:
    """Return what these values tell."""
    told = Evidence()
    for value in values:
        told.add(value)
    return told


@pytest.mark.parametrize(
    ("values", "location", "scale", "degrees"),
    [
        ((), 0.0, 0.316228, 1.0),  # sqrt(0.1)
        # kappa = nu = 2, shift = 0.25 / 2, tau^2 = (0.1 + 0 + 0.125) / 2 = 0.1125; sqrt(0.1125 / 2)
        ((0.5,), 0.25, 0.237171, 2.0),
        # mean 0.4, scatter 0.08, kappa = nu = 3, shift = 2 * 0.16 / 3, tau^2 = 0.286667 / 3; sqrt(0.0955556 / 3)
        ((0.2, 0.6), 0.266667, 0.178471, 3.0),
        # mean 1, scatter 0, kappa = nu = 4, shift = 3 / 4, tau^2 = 0.85 / 4; sqrt(0.2125 / 4)
        ((1.0, 1.0, 1.0), 0.75, 0.230489, 4.0),
    ],
)
def test_the_gaussian_posterior_worked_by_hand(
    values: tuple[float, ...], location: float, scale: float, degrees: float
) -> None:
    assert gaussian_posterior(evidence(*values)) == pytest.approx((location, scale, degrees), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "a", "b"),
    [((), 0.5, 0.5), ((0.5,), 1.0, 1.0), ((1.0, 1.0, 0.0), 2.5, 1.5), ((0.25, 0.5), 1.25, 1.75)],
)
def test_the_beta_posterior_worked_by_hand(values: tuple[float, ...], a: float, b: float) -> None:
    assert beta_posterior(evidence(*values)) == (a, b)


@pytest.mark.parametrize(
    ("values", "last", "lowest", "mean", "product"),
    [
        ((0.5, 0.8), 0.8, 0.5, 0.65, 0.4),
        ((0.5, 0.8, 1.0, 0.25), 0.25, 0.25, 0.6375, 0.1),  # 2.55 / 4
        ((0.3,), 0.3, 0.3, 0.3, 0.3),
        ((1.0, 0.0, 0.5), 0.5, 0.0, 0.5, 0.0),
    ],
)
def test_the_value_of_a_path_worked_by_hand(
    values: tuple[float, ...], last: float, lowest: float, mean: float, product: float
) -> None:
    tree = Tree(0)
    node = tree.root
    for value in values:
        node = tree.add_child(node, Proposal(0, value))
    assert path_value(tree, node, "last") == last
    assert path_value(tree, node, "min") == lowest
    assert path_value(tree, node, "mean") == pytest.approx(mean)
    assert path_value(tree, node, "product") == pytest.approx(product)


@pytest.mark.parametrize(
    ("exponent", "outcome", "support"),
    [
        (0.0, "a", 0.9 / 1.5),  # 0.9 against 0.4 + 0.2
        (0.5, "b", 0.5 / 0.95),  # 0.9 * 0.5 against 0.4 * 1 + 0.2 * 0.5
        (1.0, "b", 0.45 / 0.675),  # 0.9 * 0.25 against 0.4 * 1 + 0.2 * 0.25
    ],
)
def test_weighted_majority_with_a_prior_exponent_worked_by_hand(exponent: float, outcome: str, support: float) -> None:
    tree = Tree(0)
    # P(path): 0.5 * 0.2 = 0.1, 0.8 * 0.5 = 0.4 and 0.1; over the highest 0.25, 1 and 0.25
    for name, step_prior, prior, value in (("a", 0.5, 0.2, 0.9), ("b", 0.8, 0.5, 0.4), ("b", 0.1, 1.0, 0.2)):
        step = tree.add_child(tree.root, Proposal(0, None, step_prior))
        tree.add_child(step, Proposal(1, value, prior, is_terminal=True, outcome=name))
    decision = decide(tree, "weighted_majority", prior_exponent=exponent)
    assert decision is not None
    assert (decision.node.outcome, decision.support) == (outcome, pytest.approx(support))
