"""A little world of integers to search in, and the ways to drive a strategy through it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy
import pytest

from search import (
    NO_LIMIT,
    BestOfN,
    BestOfNOptions,
    Budget,
    Chain,
    ChainOptions,
    Mcts,
    MctsOptions,
    Node,
    Proposal,
    Strategy,
    Tree,
    Trial,
)

OPTIONS: dict[str, MctsOptions | BestOfNOptions | ChainOptions] = {
    "mcts_puct": MctsOptions(num_proposals=3, max_proposals=3, max_depth=5),
    "mcts_puct_widening": MctsOptions(num_proposals=2, max_proposals=7, max_depth=4),
    "mcts_puct_max": MctsOptions(num_proposals=2, max_proposals=4, max_depth=5, backup="max"),
    "mcts_uct": MctsOptions(selection="uct", exploration=0.7, num_proposals=2, max_proposals=5, max_depth=5),
    "mcts_greedy_value": MctsOptions(selection="greedy_value", num_proposals=2, max_proposals=5, max_depth=6),
    "mcts_threshold": MctsOptions(num_proposals=2, max_proposals=4, value_threshold=0.98, num_finished=30),
    "best_of_n": BestOfNOptions(num_samples=20),
    "chain": ChainOptions(max_rounds=9, value_threshold=0.99),
    "chain_gated": ChainOptions(max_rounds=9, is_gated=True),
}


def think(trial: Trial[int]) -> list[Proposal[int]]:
    """Return what the little world proposes: a function of the node's state and of what it was told before."""
    proposals = []
    for offset in range(trial.num_proposals):
        noise = random.Random(trial.node.state * 1009 + trial.node.num_told + offset)
        state = noise.randrange(10**6)
        is_terminal = noise.random() < 0.25
        proposals.append(
            Proposal(
                state,
                None if noise.random() < 0.15 else noise.random(),
                None if trial.node.state % 3 == 0 else noise.random() / 4,
                is_terminal,
                None if noise.random() < 0.3 else noise.randrange(6),
                noise.randrange(3) if is_terminal else None,
            )
        )
    return proposals[: len(proposals) - (trial.node.state % 7 == 0)]


@dataclass(frozen=True)
class World:
    """What the tests share."""

    names: Sequence[str] = tuple(OPTIONS)

    def strategy(self, name: str, *, seed: int = 0, budget: Budget = NO_LIMIT, max_abandons: int = 3) -> Strategy[int]:
        """Return a fresh strategy by its name in ``OPTIONS``."""
        options, rng = replace(OPTIONS[name], max_abandons=max_abandons), numpy.random.default_rng(seed)
        if isinstance(options, MctsOptions):
            return Mcts(options, rng=rng, root=1, budget=budget)
        if isinstance(options, ChainOptions):
            return Chain(options, rng=rng, root=1, budget=budget)
        return BestOfN(options, rng=rng, root=1, budget=budget)

    def think(self, trial: Trial[int]) -> list[Proposal[int]]:
        """Return what the little world proposes."""
        return think(trial)

    def drive(
        self,
        strategy: Strategy[int],
        *,
        seed: int = 0,
        abandon_share: float = 0.0,
        after_each: Callable[[Strategy[int]], None] = lambda strategy: None,
    ) -> None:
        """Run ``strategy`` to its end with up to 5 trials in flight, settled in an order drawn by ``seed``."""
        order = random.Random(seed)
        while not strategy.is_done:
            if len(strategy.pending) < 5:
                strategy.ask(order.randint(1, 3))
            after_each(strategy)
            for trial in order.sample(strategy.pending, order.randint(0, len(strategy.pending))):
                if order.random() < abandon_share:
                    strategy.abandon(trial, cost=1)
                else:
                    strategy.tell(trial, think(trial), cost=2)
                after_each(strategy)

    def snapshot(self, tree: Tree[int]) -> list[dict[str, object]]:
        """Return every field of every node, relatives by their node id."""
        return [_node_fields(node) for node in tree.nodes]


def _node_fields(node: Node[int]) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(node, name) for name in Node.__slots__}
    fields["parent"] = None if node.parent is None else node.parent.node_id
    fields["children"] = [child.node_id for child in node.children]
    return fields


@pytest.fixture
def world() -> World:
    """The little world."""
    return World()


@pytest.fixture(params=sorted(OPTIONS))
def strategy_name(request: pytest.FixtureRequest) -> str:
    """Each strategy of ``OPTIONS`` in turn."""
    return str(request.param)
