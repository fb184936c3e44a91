"""The searches of ``treequest`` (0.3.3) over our models, by its ask and tell.

As its README shows: a node is a whole solution with a score, written afresh at the root and refined below it. The score
is the critic's value, and the refinement is shown the critic's words. ``of_steps`` is the other reading: a node is one
step more, and a finished node asked again is told again, at no cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import treequest

from bench.peer_methods.sessions import Session, Solution, as_trajectory
from critic_engine.errors import GenerationError
from critic_engine.protocols import UNKNOWN, Evaluation, ExpansionContext
from critic_engine.types import Trajectory


@dataclass(frozen=True)
class TreeNode:
    """What a node of their tree holds."""

    trajectory: Trajectory = Trajectory()  # noqa: RUF009
    evaluation: Evaluation = UNKNOWN
    log_prior: float = 0.0
    solution: Solution | None = None
    """If the trajectory is whole."""


def standard_mcts(**options: Any) -> treequest.Algorithm[TreeNode, Any]:
    """Return ``StandardMCTS`` with these options."""
    return treequest.StandardMCTS(**options)


def ab_mcts_a(**options: Any) -> treequest.Algorithm[TreeNode, Any]:
    """Return ``ABMCTSA`` with these options."""
    return treequest.ABMCTSA(**options)


async def search_solutions(session: Session, algorithm: treequest.Algorithm[TreeNode, Any]) -> str | None:
    """Search whole solutions until the budget is spent; return the answer of the best node, by ``top_k``."""

    async def node(parent: TreeNode) -> TreeNode | None:
        written = await session.write(parent.trajectory, parent.evaluation.critique)
        if written is None:
            return None
        trajectory = as_trajectory(written)
        evaluation = await session.judge(trajectory)
        return TreeNode(trajectory, evaluation, solution=session.keep(written, evaluation.value))

    nodes = await _searched(session, algorithm, node)
    best = next((each.solution for each in nodes if each.solution is not None), None)
    return None if best is None else best.answer


async def search_steps(session: Session, algorithm: treequest.Algorithm[TreeNode, Any]) -> str | None:
    """Search by steps until the budget is spent; return the answer of the best finished node.

    Without one, the best node is completed, as our searches do.
    """
    options = session.config.expander.model_copy(update={"is_critic_guided": False})

    async def node(parent: TreeNode) -> TreeNode | None:
        if parent.solution is not None:
            session.num_requests += 1
            return parent
        context = ExpansionContext(parent.trajectory)
        seeds = (session.next_seed("reasoner"),)
        try:
            expansion = await session.reasoner.next_steps(session.problem, context, seeds=seeds, options=options)
        except GenerationError:
            return None
        session.count.num_unreadable += expansion.num_unreadable
        if not expansion.continuations:
            return None
        written = expansion.continuations[0]
        texts = (*parent.trajectory.exact_texts, *(written.texts or Trajectory(written.steps).exact_texts))
        steps = (*parent.trajectory.steps, *written.steps)
        trajectory = Trajectory(steps, written.is_finished, written.answer, texts)
        evaluation = await session.judge(trajectory)
        log_prior = parent.log_prior + (math.log(written.prior) if written.prior else -math.inf)
        whole = replace(written, steps=steps, texts=texts)
        solution = session.keep(whole, evaluation.value, log_prior) if written.is_finished else None
        return TreeNode(trajectory, evaluation, log_prior, solution)

    nodes = await _searched(session, algorithm, node)
    best = next((each.solution for each in nodes if each.solution is not None), None)
    if best is None:
        completed = await session.complete(nodes[0].trajectory if nodes else Trajectory())
        return None if completed is None else completed.answer
    return best.answer


async def _searched(
    session: Session, algorithm: treequest.Algorithm[TreeNode, Any], node: Callable[[TreeNode], Any]
) -> list[TreeNode]:
    """Return all nodes, the best first. A trial that failed, or whose value is unknown, is not told."""
    tree = algorithm.init_tree()
    while not session.is_over:
        tree, trial = algorithm.ask(tree, ["write"])
        found = await node(trial.parent_state or TreeNode())
        if found is not None and found.evaluation.value is not None:
            tree = algorithm.tell(tree, trial.trial_id, (found, found.evaluation.value))
    num_nodes = len(algorithm.get_state_score_pairs(tree))
    ranked: list[tuple[TreeNode, float]] = treequest.top_k(tree, algorithm, k=num_nodes) if num_nodes else []
    return [state for state, _ in ranked]
