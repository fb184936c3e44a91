"""Which right path is the reference path, and what is held against a pair."""

from dataclasses import replace

import pytest

from critic_engine.config.collect import PairsConfig
from critic_engine.data.harvest.pair_checks import best_first, divergence_fault, reference_fault, support_fault
from critic_engine.data.harvest.paths import FinishedPath, Support, read_paths
from critic_engine.episode.node_state import NodeState
from search import Tree
from tests.data.harvest.test_pairs import CHECKER, LINES, PROBLEM, end
from tests.data.harvesting import pair

OPTIONS = PairsConfig()


def right_paths(*priors: float | None) -> tuple[Tree[NodeState], list[FinishedPath]]:
    tree = Tree(NodeState())
    for number, prior in enumerate(priors):
        end(tree, tree.root, f"look {number}\nanswer : 1", "1", prior=prior)
    return tree, read_paths(tree, PROBLEM, checker=CHECKER, splitter=LINES)


@pytest.mark.parametrize(
    ("priors", "values", "order"),
    [
        # Of two steps each: 0.9 * 0.1 ** 0.5 < 0.6 * 0.5 ** 0.5 < 0.7 * 0.5 ** 0.5
        ((0.1, 0.5, 0.5), (0.9, 0.6, 0.7), [2, 1, 0]),
        # A doubted one comes last, however probable; of two, the better one first.
        ((0.9, 0.01, 0.9), (0.4, 0.5, 0.3), [1, 0, 2]),
        # What could not be read is doubted.
        ((0.9, 0.1), (None, 0.6), [1, 0]),
        ((0.9, 0.1), (None, 0.2), [1, 0]),
        # Where one probability is unknown, values alone count.
        ((0.9, None, 0.1), (0.6, 0.7, 0.8), [2, 1, 0]),
        ((0.5, 0.5), (0.6, 0.6), [0, 1]),
        # So they do where one is too small to tell.
        ((0.0, 0.1), (0.9, 0.5), [0, 1]),
        # 0.9 * 0.4 ** 0.5 > 0.5: a path's length is no fault of it.
        ((0.4, 1.0), (0.9, 0.5), [0, 1]),
    ],
)
def test_the_best_path_by_value_and_probability_is_the_reference(
    priors: tuple[float | None, ...], values: tuple[float | None, ...], order: list[int]
) -> None:
    tree, paths = right_paths(*priors)
    assert best_first(tree, paths, values, OPTIONS) == [(paths[number], values[number]) for number in order]


@pytest.mark.parametrize(
    ("support", "reason"),
    [
        (None, None),
        (Support(2, 2, 2), None),
        (Support(7, 10, 7), None),
        (Support(6, 10, 6), "little_support"),
        # One that came out right among many that did not may be a slip.
        (Support(1, 1, 5), "little_support"),
        (Support(1, 2, 2), "little_support"),
        # In free text no two draws say the same, and that says nothing.
        (Support(1, 8, 1), None),
    ],
)
def test_support_is_draws_that_come_out_right_where_any_two_say_the_same(
    support: Support | None, reason: str | None
) -> None:
    assert support_fault(replace(pair(), support=support), OPTIONS) == reason


def test_a_value_that_could_not_be_read_is_a_doubt_of_its_own() -> None:
    assert [reference_fault(value, OPTIONS) for value in (None, 0.49, 0.5)] == [
        "critic_unreadable",
        "reference_doubted",
        None,
    ]
    values = [(None, 0.1), (0.9, None), (0.69, 0.1), (0.7, 0.51), (0.7, 0.5)]
    assert [divergence_fault(*each, OPTIONS) for each in values] == [
        *("critic_unreadable", "critic_unreadable", "chosen_doubted", "rejected_believed"),
        None,
    ]
