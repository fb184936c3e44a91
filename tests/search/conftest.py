"""A little world of integers to search in, and the ways to drive a strategy through it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from search import NEVER, NO_LIMIT, Budget, Limits, Proposal, StopOptions, Strategy, Tree, Trial
from tests.search.worlds import STOPS, STRATEGIES, snapshot, start


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
                () if is_terminal or noise.random() < 0.7 else (ending(noise), ending(noise)),
            )
        )
    return proposals[: len(proposals) - (trial.node.state % 7 == 0)]


def ending(noise: random.Random) -> Proposal[int]:
    """Return the end of a rollout."""
    return Proposal(noise.randrange(10**6), noise.random(), is_terminal=True, outcome=noise.randrange(3))


@dataclass(frozen=True)
class World:
    """What the tests share."""

    names: Sequence[str] = tuple(STRATEGIES)

    def strategy(
        self,
        name: str,
        *,
        seed: int = 0,
        budget: Budget = NO_LIMIT,
        stop: StopOptions | None = None,
        max_abandons: int = 3,
    ) -> Strategy[int]:
        """Return a fresh strategy by its name in ``STRATEGIES``, with its own reasons to stop unless told others."""
        options = replace(STRATEGIES[name], max_abandons=max_abandons)
        stop = STOPS.get(name, NEVER) if stop is None else stop
        return start(options, seed=seed, limits=Limits(budget, stop))

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
        """Return every field of every node, ends of rollouts included, relatives by their node id."""
        return snapshot(tree)


@pytest.fixture
def world() -> World:
    """The little world."""
    return World()


@pytest.fixture(params=sorted(STRATEGIES))
def strategy_name(request: pytest.FixtureRequest) -> str:
    """Each strategy of ``STRATEGIES`` in turn."""
    return str(request.param)
