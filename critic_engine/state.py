"""What a node of the tree holds, and how it is written to the log."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from critic_engine.protocols import Candidate
from critic_engine.types import Critique, Trajectory
from search import Node


@dataclass(frozen=True, slots=True)
class NodeState:
    """What one node adds to the trajectory of its parent."""

    steps: tuple[str, ...] = ()
    is_rewrite: bool = False
    """Whether ``steps`` replace the parent's trajectory instead of extending it."""
    answer: str | None = None
    critique: Critique | None = None


ReasoningNode: TypeAlias = Node[NodeState]


def trajectory_of(path: Iterable[ReasoningNode]) -> Trajectory:
    """Return the trajectory along ``path``, which goes from the root to the node in question."""
    steps: tuple[str, ...] = ()
    is_finished, answer = False, None
    for node in path:
        steps = node.state.steps if node.state.is_rewrite else steps + node.state.steps
        is_finished, answer = node.is_terminal, node.state.answer
    return Trajectory(steps=steps, is_finished=is_finished, answer=answer)


def extend(base: Trajectory, candidate: Candidate) -> Trajectory:
    """Return the trajectory that ``candidate`` makes of the one it was offered for."""
    steps = candidate.steps if candidate.is_rewrite else base.steps + candidate.steps
    return Trajectory(steps=steps, is_finished=candidate.is_finished, answer=candidate.answer)


def candidate_key(candidate: Candidate) -> str:
    """Return what equal candidates share: their words, whatever the space between them, and whether they finish."""
    ending = "\n[end]" if candidate.is_finished else ""
    return "\n".join(" ".join(step.split()) for step in candidate.steps) + ending


def encode_state(state: NodeState) -> dict[str, Any]:
    """Return the state as plain values, fields at their default left out."""
    encoded: dict[str, Any] = {"steps": list(state.steps)}
    if state.is_rewrite:
        encoded["is_rewrite"] = True
    if state.answer is not None:
        encoded["answer"] = state.answer
    if state.critique is not None:
        encoded["critique"] = asdict(state.critique)
    return encoded


def decode_state(encoded: Any) -> NodeState:
    """Return the state that ``encode_state`` made ``encoded`` of."""
    critique = encoded.get("critique")
    return NodeState(
        steps=tuple(encoded["steps"]),
        is_rewrite=encoded.get("is_rewrite", False),
        answer=encoded.get("answer"),
        critique=None if critique is None else Critique(**critique),
    )
