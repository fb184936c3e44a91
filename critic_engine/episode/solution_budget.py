"""The budget of a search in multiples of one solution, measured in the search, and budgets that are too small."""

import logging
import math
from collections.abc import Iterable

from critic_engine.episode.node_state import NodeState, ReasoningNode
from critic_engine.episode.trial import NO_TRIAL
from critic_engine.types import Failure, Trajectory
from search import StopReason, Strategy

_logger = logging.getLogger(__name__)
_MIN_SOLUTION_TOKENS = 64
# A budget of more than so many paths is not too small: the search went wide with it.
_NUM_PATHS_ENOUGH = 3
BUDGET_TOO_SMALL = "budget_too_small"
"""Kind of failure of a search whose budget was spent before it had two finished paths to choose from."""


class SolutionBudget:
    """Measures the reasoner's tokens of the paths of one search.

    All of it follows from the told proposals in their order, so that a replayed search has the same limit.
    """

    def __init__(self, *, max_tokens: int) -> None:
        """Take the most tokens of one solution."""
        self._max_tokens = max_tokens
        self._longest = 0
        self._num_tokens = 0
        self._num_finished = 0

    def observe(self, nodes: Iterable[ReasoningNode]) -> None:
        """Count new nodes, rollouts included."""
        for node in nodes:
            num_tokens = _path_tokens(node)
            self._longest = max(self._longest, num_tokens)
            if node.is_terminal and node.state.answer is not None:
                self._num_tokens += num_tokens
                self._num_finished += 1

    def observe_lost(self, num_tokens: int) -> None:
        """Count a text of so many tokens that gave no node, such as a thought that was cut: a path is no shorter."""
        self._longest = max(self._longest, num_tokens)

    def limit(self, num_solutions: float) -> int:
        """Return the tokens of so many solutions.

        Until a path is finished, the longest one counts as half of a solution, which is no longer than ``max_tokens``.
        """
        if self._num_finished:
            one = self._num_tokens / self._num_finished
        else:
            one = min(2 * self._longest, max(self._longest, self._max_tokens))
        return math.ceil(num_solutions * max(_MIN_SOLUTION_TOKENS, one))


def too_small(strategy: Strategy[NodeState], chosen: Trajectory, *, has_prompts: bool) -> Failure | None:
    """Return the failure of a budget that left no choice between paths, with what one path takes; None otherwise.

    Args:
        strategy: The search at its end.
        chosen: The path that gives the answer.
        has_prompts: Whether the budget counts weighted prompt tokens too.
    """
    tree, cost, reason = strategy.tree, strategy.usage.cost, strategy.stop_reason
    num_finished = sum(max(1.0, node.votes) for node in tree.finished) + len(tree.rollouts)
    if num_finished > 1 or reason not in (StopReason.COST, StopReason.SIMULATIONS):
        return None
    num_nodes = max(1, len(tree) - 1)
    is_whole = any(node.state.is_rewrite or len(node.state.steps) > 1 for node in tree.nodes)
    num_tokens = math.ceil(cost / num_nodes * (1 if is_whole else max(1, len(chosen.steps))))
    if cost > _NUM_PATHS_ENOUGH * num_tokens:
        return None
    done = "one path was finished" if not num_finished else "a second path was finished"
    option = "budget.max_tokens" if reason is StopReason.COST else "budget.max_simulations"
    unit = "tokens and weighted prompt tokens" if has_prompts else "tokens"
    return Failure(
        NO_TRIAL,
        BUDGET_TOO_SMALL,
        f"the budget was spent, {cost:,} {unit} in {strategy.usage.num_simulations} simulations, before {done}; with "
        f"these models one path and its evaluation take about {num_tokens:,}: raise {option}",
    )


class BudgetWarning:
    """Warns of the first search whose budget was too small, once."""

    def __init__(self) -> None:
        """Have warned of none."""
        self._is_given = False

    def check(self, failures: Iterable[Failure]) -> None:
        """Warn if one of these failures says that the budget was too small."""
        for failure in failures:
            if failure.kind == BUDGET_TOO_SMALL and not self._is_given:
                self._is_given = True
                _logger.warning("%s (said once; the answers' failures count %s)", failure.reason, BUDGET_TOO_SMALL)


def _path_tokens(node: ReasoningNode) -> int:
    """Return the reasoner's tokens from the root to ``node``, or from the last rewrite on."""
    num_tokens = 0
    place: ReasoningNode | None = node
    while place is not None:
        num_tokens += place.state.num_tokens or 0
        place = None if place.state.is_rewrite else place.parent
    return num_tokens
