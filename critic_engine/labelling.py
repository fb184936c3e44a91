"""What the trees of a labelled run hold: paths that end right, paths that end wrong, and rollouts."""

from collections.abc import Iterable, Mapping
from typing import Any

from critic_engine.checker import Checker
from critic_engine.config import EngineConfig
from critic_engine.outputs import PathCounts
from critic_engine.state import NodeState, decode_state
from critic_engine.strategies import make_strategy
from critic_engine.types import Problem
from search import Tree, event_from_dict, replay


def logged_tree(config: EngineConfig, problem: Problem, events: Iterable[Mapping[str, Any]]) -> Tree[NodeState]:
    """Return the tree that the log of a search tells of.

    Raises:
        ReplayError: the log is of another search.
    """
    strategy = make_strategy(config, problem.problem_id)
    replay(strategy, [event_from_dict(event, decode_state) for event in events])
    return strategy.tree


def count_paths(tree: Tree[NodeState], problem: Problem, checker: Checker) -> PathCounts:
    """Return how many paths of the tree are right and wrong by ``checker``."""
    answers = [node.state.answer for node in (*tree.finished, *tree.rollouts)]
    verdicts = [checker.is_right(problem, answer) for answer in answers if answer is not None]
    return PathCounts(
        num_right=sum(verdict is True for verdict in verdicts),
        num_wrong=sum(verdict is False for verdict in verdicts),
        num_rollouts=len(tree.rollouts),
    )
