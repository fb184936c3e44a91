"""Build the search strategy from the configuration."""

from dataclasses import replace

import numpy as np

from critic_engine.config.engine import EngineConfig
from critic_engine.episode.node_state import NodeState
from critic_engine.seeds import derive_seed
from search import (
    AbMcts,
    AbMctsOptions,
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
    ParticleFilter,
    ParticleOptions,
    Strategy,
)


def make_strategy(config: EngineConfig, problem_id: str, *, max_tokens: int | None = None) -> Strategy[NodeState]:
    """Return the strategy for one problem, before its first ask; its random draws depend on the run's seed.

    Args:
        config: The configuration.
        problem_id: The problem's.
        max_tokens: A limit on its tokens besides that of the budget.
    """
    options = config.strategy.options
    rng = np.random.default_rng(derive_seed(config.run.seed, problem_id, "strategy"))
    max_cost = min((limit for limit in (config.max_cost, max_tokens) if limit is not None), default=None)
    budget = Budget(max_simulations=config.budget.max_simulations, max_cost=max_cost)
    limits, root = Limits(budget, config.stop), NodeState()
    if isinstance(options, BestOfNOptions):
        return BestOfN(options, rng=rng, root=root, limits=limits)
    if isinstance(options, ChainOptions):
        return Chain(options, rng=rng, root=root, limits=limits)
    if config.expander.kind == "step":
        options = replace(
            options, max_depth=min(options.max_depth or config.expander.max_steps, config.expander.max_steps)
        )
    if isinstance(options, BeamOptions):
        return Beam(options, rng=rng, root=root, limits=limits)
    if isinstance(options, DvtsOptions):
        return Dvts(options, rng=rng, root=root, limits=limits)
    if isinstance(options, GuidedOptions):
        return Guided(options, rng=rng, root=root, limits=limits)
    if isinstance(options, ParticleOptions):
        return ParticleFilter(options, rng=rng, root=root, limits=limits)
    is_refining = config.expander.kind == "solution"
    if isinstance(options, AbMctsOptions):
        options = replace(options, is_refining=is_refining, num_arms=1 + len(config.other_reasoners))
        return AbMcts(options, rng=rng, root=root, limits=limits)
    return Mcts(replace(options, is_refining=is_refining), rng=rng, root=root, limits=limits)
