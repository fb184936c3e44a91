"""The payload of a search node, and its form in the log."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from critic_engine.parsing.thoughts import visible
from critic_engine.protocols import Continuation
from critic_engine.types import Critique, RejectedSibling, Trajectory, default_text
from search import Node

_adapter = lru_cache(maxsize=None)(TypeAdapter)


@dataclass(frozen=True, slots=True)
class NodeState:
    """The payload of one node: the steps that it adds to its parent's trajectory."""

    steps: tuple[str, ...] = ()
    is_rewrite: bool = False
    """Whether ``steps`` replace the parent's trajectory instead of extending it."""
    answer: str | None = None
    critique: Critique | None = None
    texts: tuple[str, ...] | None = None
    """The reasoner's exact text of each step; None if each is its step and a line break."""
    num_tokens: int | None = None
    """Tokens that the reasoner generated for it; None if unknown."""
    revised_from: tuple[RejectedSibling, ...] = ()
    """Weak steps that this one replaced, in order; each was replaced by the next."""


ReasoningNode: TypeAlias = Node[NodeState]


def trajectory_of(path: Iterable[ReasoningNode]) -> Trajectory:
    """Return the trajectory along ``path``, the nodes from the root to one node."""
    trajectory = Trajectory()
    for node in path:
        trajectory = _extended(trajectory, node.state, is_finished=node.is_terminal)
    return trajectory


def extend(base: Trajectory, continuation: Continuation) -> Trajectory:
    """Return ``base`` extended by ``continuation``, or replaced by it if it is a rewrite."""
    return _extended(base, continuation, is_finished=continuation.is_finished)


def continuation_key(continuation: Continuation, behind: str) -> str:
    """Return the key that equal continuations of the text ``behind`` share.

    It holds their words without regard to spaces and thoughts, whether they continue in the middle of a word, and
    whether they finish the trajectory.
    """
    text = visible("".join(continuation.texts or continuation.steps))
    is_joined = bool(behind and text) and not behind[-1].isspace() and not text[0].isspace()
    ending = "\n[end]" if continuation.is_finished else ""
    return "+" * is_joined + "\n".join(" ".join(step.split()) for step in continuation.steps) + ending


def encode_state(state: NodeState) -> dict[str, Any]:
    """Return the state as plain values, without fields at their default."""
    encoded: dict[str, Any] = {"steps": list(state.steps)}
    if state.is_rewrite:
        encoded["is_rewrite"] = True
    if state.answer is not None:
        encoded["answer"] = state.answer
    if state.critique is not None:
        encoded["critique"] = _encoded(state.critique)
    if state.texts is not None:
        encoded["texts"] = list(state.texts)
    if state.num_tokens is not None:
        encoded["num_tokens"] = state.num_tokens
    if state.revised_from:
        encoded["revised_from"] = [
            {"step": each.step, "critique": _encoded(each.critique)} for each in state.revised_from
        ]
    return encoded


def _encoded(critique: Critique) -> dict[str, Any]:
    fields = asdict(critique)
    if not critique.examination:
        del fields["examination"]
    return fields


def decode_state(encoded: Any) -> NodeState:
    """Return the state that ``encode_state`` encoded; ``ValueError`` if it did not."""
    state: NodeState = _adapter(NodeState).validate_python(encoded)
    return state


def _extended(base: Trajectory, offered: NodeState | Continuation, *, is_finished: bool) -> Trajectory:
    if offered.is_rewrite:
        base = Trajectory()
    texts = None
    if base.texts is not None or offered.texts is not None:
        added = tuple(map(default_text, offered.steps)) if offered.texts is None else offered.texts
        texts = base.exact_texts + added
    return Trajectory(base.steps + offered.steps, is_finished, offered.answer, texts)
