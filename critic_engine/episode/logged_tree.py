"""Search trees rebuilt from their logs."""

from collections.abc import Iterable, Mapping
from typing import Any

from critic_engine.config.engine import EngineConfig
from critic_engine.episode.node_state import NodeState, decode_state
from critic_engine.episode.strategy_factory import make_strategy
from critic_engine.types import Problem
from search import Tree, event_from_dict, replay


def logged_tree(config: EngineConfig, problem: Problem, events: Iterable[Mapping[str, Any]]) -> Tree[NodeState]:
    """Return the tree of a logged search.

    Raises:
        ReplayError: the log belongs to another search.
    """
    strategy = make_strategy(config, problem.problem_id)
    replay(strategy, [event_from_dict(event, decode_state) for event in events])
    return strategy.tree
