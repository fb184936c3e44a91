"""What holds in every tree, over many random ones, whatever the order of tells and abandons."""

from __future__ import annotations

import random
import sys
from types import FrameType
from typing import Any

import numpy
import pytest

from search import Budget, Limits, Mcts, MctsOptions, Node, Proposal, Strategy, Told

SEEDS = range(12)


def random_options(seed: int, selection: str) -> MctsOptions:
    rng = numpy.random.default_rng(seed)
    num_proposals = int(rng.integers(1, 5))
    return MctsOptions(
        selection=selection,  # type: ignore[arg-type]
        exploration=float(rng.random() * 2),
        num_proposals=num_proposals,
        max_proposals=num_proposals + int(rng.integers(0, 6)),
        max_depth=int(rng.integers(2, 8)),
        max_pending=int(rng.integers(1, 4)),
        backup=str(rng.choice(["mean", "max", "halfway", "decayed"])),  # type: ignore[arg-type]
    )


def check_counts(strategy: Strategy[int]) -> None:
    root = strategy.tree.root
    assert root.visit_count == strategy.usage.num_simulations
    assert root.pending_count == len(strategy.pending)
    pending_here: dict[int, int] = {}
    for trial in strategy.pending:
        pending_here[trial.node.node_id] = pending_here.get(trial.node.node_id, 0) + 1
    for node in strategy.tree.nodes:
        below = sum(child.pending_count for child in node.children)
        assert node.visit_count >= sum(child.visit_count for child in node.children)
        assert node.pending_count == below + pending_here.get(node.node_id, 0)


def is_exhausted(node: Node[int]) -> bool:
    """Return whether no trial can ever be started again at ``node`` or below it."""
    return not node.is_open and node.pending_count == 0


def check_flags(strategy: Strategy[int], options: MctsOptions) -> None:
    for node in strategy.tree.nodes:
        assert node.num_open_children == sum(child.is_open for child in node.children)
        assert node.num_told <= node.num_asked <= options.max_proposals
        if node.is_terminal or node.depth == options.max_depth:
            assert is_exhausted(node)
            assert not node.children
        if is_exhausted(node):
            assert all(is_exhausted(child) for child in node.children)


def subtree_values(node: Node[int]) -> list[float]:
    below = [value for child in node.children for value in subtree_values(child)]
    return below if node.value is None else [node.value, *below]


@pytest.mark.parametrize("selection", ["puct", "uct", "greedy_value"])
@pytest.mark.parametrize("seed", SEEDS)
def test_counts_and_flags_hold_after_every_call(world: Any, seed: int, selection: str) -> None:
    options = random_options(seed, selection)
    search = Mcts(options, rng=numpy.random.default_rng(seed), root=1, limits=Limits(Budget(max_simulations=40)))

    def check(strategy: Strategy[int]) -> None:
        check_counts(strategy)
        check_flags(strategy, options)

    world.drive(search, seed=seed, abandon_share=0.2, after_each=check)
    assert all(node.pending_count == 0 for node in search.tree.nodes)
    assert search.tree.root.visit_count > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_max_backup_is_the_highest_value_below(world: Any, seed: int) -> None:
    options = MctsOptions(num_proposals=2, max_proposals=5, max_depth=6, backup="max")
    search = Mcts(options, rng=numpy.random.default_rng(seed), root=1, limits=Limits(Budget(max_simulations=60)))
    world.drive(search, seed=seed, abandon_share=0.1)
    for node in search.tree.nodes:
        assert node.search_value == max(subtree_values(node), default=None)


@pytest.mark.parametrize("seed", SEEDS)
def test_mean_backup_is_the_mean_of_what_went_through_the_node(world: Any, seed: int) -> None:
    search = Mcts(
        MctsOptions(num_proposals=2, max_proposals=5, max_depth=6),
        rng=numpy.random.default_rng(seed),
        root=1,
        limits=Limits(Budget(max_simulations=60)),
    )
    observed: dict[int, list[float]] = {}
    asked: dict[int, Node[int]] = {}

    def observe(event: object) -> None:
        if not isinstance(event, Told):
            asked[event.trial_id] = search.tree.nodes[event.node_id]  # type: ignore[attr-defined]
            return
        node = asked[event.trial_id]
        by_key = {child.key: child for child in node.children}
        by_state = {child.state: child for child in node.children}
        places = [by_state.get(p.state) if p.key is None else by_key[p.key] for p in event.proposals]
        known = [place.value for place in places if place is not None and place.value is not None]
        for place in search.tree.path(node) if known else []:
            observed.setdefault(place.node_id, []).append(sum(known) / len(known))

    search.record_to(observe)
    world.drive(search, seed=seed)
    for node in search.tree.nodes:
        values = observed.get(node.node_id, []) + ([] if node.value is None else [node.value])
        assert node.value_count == len(values)
        if values:
            assert node.search_value == pytest.approx(sum(values) / len(values))
        else:
            assert node.search_value is None


@pytest.mark.parametrize("selection", ["puct", "uct", "greedy_value"])
def test_without_a_budget_a_bounded_tree_is_searched_to_its_end(world: Any, selection: str) -> None:
    options = MctsOptions(selection=selection, num_proposals=2, max_proposals=3, max_depth=4)  # type: ignore[arg-type]
    search = Mcts(options, rng=numpy.random.default_rng(0), root=1)
    world.drive(search, seed=3)
    assert search.stop_reason == "exhausted"
    for node in search.tree.nodes:
        is_inner = not node.is_terminal and node.depth < 4
        assert node.num_told == (3 if is_inner else 0)


class Opcodes:
    """Counts the opcodes that run while it is entered: work, without a clock."""

    count = 0

    def __enter__(self) -> Opcodes:
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self.trace


@pytest.mark.parametrize("selection", ["puct", "uct"])
def test_the_work_of_a_trial_grows_with_the_depth_and_not_with_the_tree(selection: str) -> None:
    noise = random.Random(0)
    search = Mcts(MctsOptions(selection=selection), rng=numpy.random.default_rng(0), root=0)  # type: ignore[arg-type]

    def work_of_a_level() -> float:
        num_levels, opcodes = 0, Opcodes()
        for _ in range(20):
            proposals = [Proposal(0, noise.random(), 0.2) for _ in range(4)]
            with opcodes:
                trial = search.ask()[0]
                search.tell(trial, proposals)
            num_levels += trial.node.depth + 1
        return opcodes.count / num_levels

    def grow_to(num_nodes: int) -> None:
        while len(search.tree) < num_nodes:
            search.tell(search.ask()[0], [Proposal(0, noise.random(), 0.2) for _ in range(4)])

    grow_to(500)
    small = work_of_a_level()
    grow_to(20_000)
    assert small > 100
    assert work_of_a_level() < 1.2 * small
