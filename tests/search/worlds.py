"""The strategies that the tests run over, by name, and random ones: options, limits and proposals, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy

from search import (
    NO_LIMITS,
    AbMcts,
    AbMctsOptions,
    Aggregation,
    Beam,
    BeamOptions,
    BestOfN,
    BestOfNOptions,
    Budget,
    Chain,
    ChainOptions,
    Dvts,
    DvtsOptions,
    Guided,
    GuidedOptions,
    Limits,
    Mcts,
    MctsOptions,
    Node,
    ParticleFilter,
    ParticleOptions,
    Proposal,
    SelectionRule,
    StopOptions,
    Strategy,
    Tree,
)
from search.backup import BACKUP_RULES
from search.decision import AGGREGATIONS
from search.particle_weights import RESAMPLING_RULES

Options: TypeAlias = (
    MctsOptions
    | AbMctsOptions
    | BeamOptions
    | DvtsOptions
    | ParticleOptions
    | GuidedOptions
    | BestOfNOptions
    | ChainOptions
)


STRATEGIES: dict[str, Options] = {
    "mcts_puct": MctsOptions(num_proposals=3, max_proposals=3, max_pending=1, max_depth=5),
    "mcts_puct_widening": MctsOptions(num_proposals=2, max_proposals=7, max_pending=4, max_depth=4),
    "mcts_puct_max": MctsOptions(num_proposals=2, max_proposals=4, max_pending=2, max_depth=5, backup="max"),
    "mcts_uct": MctsOptions(
        selection="uct", exploration=0.7, num_proposals=2, max_proposals=5, max_pending=3, max_depth=5
    ),
    "mcts_uct_halfway": MctsOptions(
        selection="uct", exploration=1.4, num_proposals=1, max_proposals=3, max_pending=1, max_depth=5, backup="halfway"
    ),
    "mcts_greedy_value": MctsOptions(
        selection="greedy_value", num_proposals=2, max_proposals=5, max_pending=1, max_depth=6
    ),
    "mcts_decayed": MctsOptions(
        num_proposals=2, max_proposals=4, max_pending=1, max_depth=5, backup="decayed", backup_rate=0.3
    ),
    "mcts_refining": MctsOptions(selection="uct", num_proposals=1, max_proposals=3, max_pending=2, is_refining=True),
    "mcts_threshold": MctsOptions(num_proposals=2, max_proposals=4, max_pending=2),
    "ab_mcts_gaussian": AbMctsOptions(max_depth=6),
    "ab_mcts_beta": AbMctsOptions(prior="beta", num_arms=2, is_refining=True),
    "ab_mcts_arms": AbMctsOptions(num_arms=3, max_depth=4),
    "beam_last": BeamOptions(width=4, branching=2, max_depth=6),
    "beam_min": BeamOptions(width=3, branching=3, aggregation="min", max_depth=4),
    "beam_mean": BeamOptions(width=2, branching=4, aggregation="mean", max_depth=8),
    "beam_product": BeamOptions(width=3, branching=2, aggregation="product", max_depth=5),
    "dvts": DvtsOptions(num_subtrees=4, branching=3, max_depth=5),
    "particle": ParticleOptions(num_particles=5, num_rounds=3, max_depth=6),
    "particle_filter": ParticleOptions(num_particles=8, resampling="multinomial", resample_below=0.5, tempering=0.5),
    "guided": GuidedOptions(max_draws=3, max_depth=5),
    "guided_picky": GuidedOptions(max_draws=5, accept_quantile=0.8, min_prior_left=0.3),
    "best_of_n": BestOfNOptions(num_samples=20),
    "chain": ChainOptions(max_rounds=9),
    "chain_gated": ChainOptions(max_rounds=9, is_gated=True),
}

STOPS: dict[str, StopOptions] = {
    "mcts_threshold": StopOptions(value_threshold=0.98, num_finished=30),
    "chain": StopOptions(value_threshold=0.99),
}
"""The reasons to stop of those in ``STRATEGIES`` that have any."""


def start(options: Options, *, seed: int = 0, root: int = 1, limits: Limits = NO_LIMITS) -> Strategy[int]:
    """Return a fresh strategy with these options."""
    rng = numpy.random.default_rng(seed)
    match options:
        case MctsOptions():
            return Mcts(options, rng=rng, root=root, limits=limits)
        case AbMctsOptions():
            return AbMcts(options, rng=rng, root=root, limits=limits)
        case BeamOptions():
            return Beam(options, rng=rng, root=root, limits=limits)
        case DvtsOptions():
            return Dvts(options, rng=rng, root=root, limits=limits)
        case ParticleOptions():
            return ParticleFilter(options, rng=rng, root=root, limits=limits)
        case GuidedOptions():
            return Guided(options, rng=rng, root=root, limits=limits)
        case BestOfNOptions():
            return BestOfN(options, rng=rng, root=root, limits=limits)
        case ChainOptions():
            return Chain(options, rng=rng, root=root, limits=limits)


def snapshot(tree: Tree[int]) -> list[dict[str, object]]:
    """Return every field of every node, ends of rollouts included, relatives by their node id."""
    return [_fields(node) for node in (*tree.nodes, *tree.rollouts)]


def _fields(node: Node[int]) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(node, name) for name in Node.__slots__}
    fields["parent"] = None if node.parent is None else node.parent.node_id
    fields["children"] = [child.node_id for child in node.children]
    return fields


def random_mcts(draw: random.Random, selection: SelectionRule) -> MctsOptions:
    """Return random options with this selection rule."""
    num_proposals = draw.randint(1, 3)
    return MctsOptions(
        selection=selection,
        exploration=draw.choice((0.0, 0.5, 1.25, 3 * draw.random())),
        num_proposals=num_proposals,
        max_proposals=num_proposals + draw.randint(0, 4),
        max_pending=draw.randint(1, 3),
        min_prior_left=draw.choice((0.0, 0.0, 0.0, 0.3)),
        max_depth=draw.choice((None, None, 2, 3, 5)),
        backup=draw.choice(BACKUP_RULES),
        backup_rate=draw.choice((0.0, 0.1, 0.5, 1.0)),
        is_refining=draw.random() < 0.3,
        max_abandons=draw.randint(1, 4),
    )


def random_ab_mcts(draw: random.Random, prior: str) -> AbMctsOptions:
    """Return random options with this prior."""
    return AbMctsOptions(
        prior=prior,  # type: ignore[arg-type]
        num_arms=draw.randint(1, 3),
        max_depth=draw.choice((None, None, 1, 2, 4)),
        is_refining=draw.random() < 0.3,
        max_abandons=draw.randint(1, 4),
    )


def random_beam(draw: random.Random) -> BeamOptions:
    """Return random options of a beam."""
    return BeamOptions(
        width=draw.randint(1, 4), branching=draw.randint(1, 4), aggregation=_aggregation(draw), **_ends(draw)
    )


def random_dvts(draw: random.Random) -> DvtsOptions:
    """Return random options of diverse subtrees."""
    return DvtsOptions(
        num_subtrees=draw.randint(1, 4), branching=draw.randint(1, 3), aggregation=_aggregation(draw), **_ends(draw)
    )


def random_particle(draw: random.Random) -> ParticleOptions:
    """Return random options of a particle filter."""
    return ParticleOptions(
        num_particles=draw.randint(2, 5),
        resampling=draw.choice(RESAMPLING_RULES),
        resample_below=draw.choice((0.0, 0.5, 1.0, draw.random())),
        tempering=draw.choice((0.0, 1.0, 2 * draw.random())),
        **_ends(draw),
    )


def random_guided(draw: random.Random) -> GuidedOptions:
    """Return random options of guided sampling."""
    return GuidedOptions(
        max_draws=draw.randint(1, 6),
        accept_quantile=draw.choice((0.0, 0.5, 1.0, draw.random())),
        min_prior_left=draw.choice((0.0, 0.05, 0.5)),
        max_depth=draw.choice((None, None, 1, 2, 4)),
        max_abandons=draw.randint(1, 4),
    )


def random_best_of_n(draw: random.Random) -> BestOfNOptions:
    """Return random options of independent samples."""
    return BestOfNOptions(num_samples=draw.randint(5, 25), max_abandons=draw.randint(1, 4))


def random_chain(draw: random.Random) -> ChainOptions:
    """Return random options of a chain."""
    return ChainOptions(max_rounds=draw.randint(3, 20), is_gated=draw.random() < 0.5, max_abandons=draw.randint(1, 4))


def _aggregation(draw: random.Random) -> Aggregation:
    return draw.choice(AGGREGATIONS)


def _ends(draw: random.Random) -> dict[str, Any]:
    depth = {"max_depth": draw.randint(2, 6)} if draw.random() < 0.5 else {}
    return {"max_abandons": draw.randint(1, 4), "num_rounds": draw.choice((None, 1, 2, 3)), **depth}


FAMILIES: dict[str, Callable[[random.Random], Options]] = {
    "puct": lambda draw: random_mcts(draw, "puct"),
    "uct": lambda draw: random_mcts(draw, "uct"),
    "greedy_value": lambda draw: random_mcts(draw, "greedy_value"),
    "gaussian": lambda draw: random_ab_mcts(draw, "gaussian"),
    "beta": lambda draw: random_ab_mcts(draw, "beta"),
    "beam": random_beam,
    "dvts": random_dvts,
    "particle": random_particle,
    "guided": random_guided,
    "best_of_n": random_best_of_n,
    "chain": random_chain,
}
"""How random options are drawn, by kind of strategy."""


def random_limits(draw: random.Random, *, max_simulations: int) -> Limits:
    """Return random limits under which at most ``max_simulations`` are told."""

    def now_and_then(content: float) -> float | None:
        return content if draw.random() < 0.08 else None

    stop = StopOptions(
        value_threshold=now_and_then(draw.choice((0.5, 0.75, 0.9, 1.0))),
        num_finished=now_and_then(draw.randint(1, 8)),  # type: ignore[arg-type]
        agreement=now_and_then(draw.choice((0.75, 0.8, 0.9, 0.9375, 0.95))),
        window=now_and_then(draw.randint(2, 4)),  # type: ignore[arg-type]
        patience=now_and_then(draw.randint(1, 6)),  # type: ignore[arg-type]
    )
    max_cost = draw.randint(8, 40) if draw.random() < 0.1 else None
    return Limits(Budget(draw.randint(max_simulations // 2, max_simulations), max_cost), stop)


@dataclass(frozen=True)
class Mind:
    """What thinks of random proposals: how often it knows what, and how alike they are."""

    draw: random.Random
    is_exact: bool
    """Whether values are eighths, whose sums have no rounding error, in any order."""
    prior_share: float
    """Of the proposals, those with a known prior."""
    terminal_share: float
    """Of the proposals, those that end their path."""
    num_keys: int
    """Keys to choose from; fewer merge more."""

    def proposals(self, num_proposals: int) -> list[Proposal[int]]:
        """Return up to ``num_proposals``, now and then fewer."""
        num_missing = self.draw.choices((0, 1, num_proposals), (0.9, 0.06, 0.04))[0]
        return [self.proposal() for _ in range(max(0, num_proposals - num_missing))]

    def proposal(self) -> Proposal[int]:
        """Return one proposal."""
        draw = self.draw
        is_terminal = draw.random() < self.terminal_share
        return Proposal(
            draw.randrange(10**6),
            self.value(),
            draw.choice((0.0, 0.25, draw.random() / 3)) if draw.random() < self.prior_share else None,
            is_terminal,
            None if draw.random() < 0.3 else draw.randrange(self.num_keys),
            draw.choice((None, "a", "b", 3)) if is_terminal else None,
            tuple(self.ending() for _ in range(draw.choice((0, 0, 0, 1, 2)))),
        )

    def value(self) -> float | None:
        """Return a value, or None, which is unknown."""
        if self.draw.random() < 0.15:
            return None
        if self.is_exact or self.draw.random() < 0.3:
            return self.draw.randint(0, 8) / 8
        return self.draw.random()

    def ending(self) -> Proposal[int]:
        """Return the end of a rollout."""
        key = self.draw.choice((None, 0, 1))
        return Proposal(self.draw.randrange(10**6), self.value(), None, True, key, self.draw.choice((None, "a", "b")))


def random_mind(draw: random.Random, *, is_exact: bool) -> Mind:
    """Return a mind that draws from ``draw``."""
    return Mind(draw, is_exact, draw.choice((0.0, 0.9, 1.0)), draw.choice((0.05, 0.2, 0.4)), draw.choice((2, 4, 8)))
