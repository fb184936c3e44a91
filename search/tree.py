"""The tree: nodes, the proposals that make them, and every change that a search makes to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from search.checks import check_hashable, check_share

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Proposal(Generic[S]):
    """An offered step, not yet a node."""

    state: S
    """The caller's payload; never looked into."""
    value: float | None = None
    """The evaluation, in [0, 1]; None is unknown, which is not zero."""
    prior: float | None = None
    """The reasoner's own probability of having sampled this step, in [0, 1]; None is unknown."""
    is_terminal: bool = False
    """Whether the path ends here."""
    key: Hashable | None = None
    """Proposals with equal keys under one parent are one node; None equals nothing."""
    outcome: Hashable | None = None
    """Canonical answer of a finished path; None is no answer."""
    rollouts: tuple[Proposal[S], ...] = ()
    """Completions beyond this place, each the whole way to an end; kept when the proposal makes a node."""

    def __post_init__(self) -> None:
        """Check the ranges, and make plain floats of numpy ones, which are slow and do not serialise."""
        if self.value is not None:
            check_share("value", self.value)
            object.__setattr__(self, "value", float(self.value))
        if self.prior is not None:
            check_share("prior", self.prior)
            object.__setattr__(self, "prior", float(self.prior))
        check_hashable("key", self.key)
        check_hashable("outcome", self.outcome)
        if any(rollout.rollouts for rollout in self.rollouts):
            raise ValueError("rollouts must have no rollouts of their own")


@dataclass(slots=True, eq=False, repr=False)
class Node(Generic[S]):
    """A place in the tree. Read it freely; only ``Tree`` writes to it."""

    state: S
    """The caller's payload; never looked into."""
    node_id: int = 0
    """Index in ``Tree.nodes``, by creation; the root is 0. Ends of rollouts count down from -1."""
    parent: Node[S] | None = None
    """The node this one continues; None at the root."""
    depth: int = 0
    """Steps from the root."""
    value: float | None = None
    """The node's own evaluation, in [0, 1]; None is unknown."""
    prior: float | None = None
    """The reasoner's own probability of this step, in [0, 1]; None is unknown."""
    is_terminal: bool = False
    """Whether a finished path ends here."""
    key: Hashable | None = None
    """Key by which siblings are merged; None equals nothing."""
    outcome: Hashable | None = None
    """Canonical answer of the path that ends here; None is no answer."""
    children: Sequence[Node[S]] = ()
    """In order of creation; a shared empty tuple until the first child, as most nodes are leaves."""
    visit_count: int = 0
    """N, number of told trials at this node or below it."""
    pending_count: int = 0
    """O, number of trials at this node or below it that are asked and neither told nor abandoned."""
    value_sum: float = 0.0
    """Sum of the observations: the own value, if known, and each value backed up through this node."""
    value_count: int = 0
    """Number of the observations in ``value_sum``."""
    search_value: float | None = None
    """Q, made of the observations by the backup rule; None while there is none."""
    num_asked: int = 0
    """Proposals asked for here, pending ones included."""
    num_told: int = 0
    """Proposals asked for here whose trial was told; missing ones count."""
    prior_mass: float | None = 0.0
    """Sum of the children's priors; None when one of them is unknown."""
    is_expandable: bool = False
    """Whether more proposals may be asked for here now."""
    is_open: bool = False
    """Whether a trial can be started at this node or below it now. ``Mcts`` and ``AbMcts`` alone renew this,
    ``is_expandable`` and ``num_open_children``: in the trees of other strategies they say nothing."""
    num_open_children: int = 0
    """Children with ``is_open``."""
    votes: float = 1.0
    """Paths that a finished one counts for in a vote, not negative: several where draws that are alike are one node,
    or where particles share it by weight; 0 where it was drawn and then dropped. It says nothing of unfinished ones."""

    def __repr__(self) -> str:
        """Show the place and the statistics; the state and the relatives may be large."""
        return f"Node({self.node_id}, depth={self.depth}, visits={self.visit_count}, value={self.search_value})"


class Tree(Generic[S]):
    """All nodes of one search."""

    def __init__(self, root: S) -> None:
        """Start with the root alone, its value unknown."""
        self.root: Node[S] = Node(root)
        self._nodes: list[Node[S]] = [self.root]
        self._finished: list[Node[S]] = []
        self._rollouts: list[Node[S]] = []
        self._kept: Node[S] | None = None

    def __len__(self) -> int:
        """Return the number of nodes, the root included."""
        return len(self._nodes)

    @property
    def nodes(self) -> Sequence[Node[S]]:
        """Every node, at the index that is its ``node_id``; a live view, not a copy."""
        return self._nodes

    @property
    def finished(self) -> Sequence[Node[S]]:
        """The terminal nodes in order of creation, rollouts apart; a live view, not a copy."""
        return self._finished

    @property
    def rollouts(self) -> Sequence[Node[S]]:
        """The ends of all rollouts in order of creation; a live view, not a copy.

        Each has the node it set out from as its ``parent``, and is neither among its children nor among ``nodes``.
        """
        return self._rollouts

    @property
    def last(self) -> Node[S] | None:
        """The last finished path: the one a strategy kept, else the newest."""
        if self._kept is not None:
            return self._kept
        return self._finished[-1] if self._finished else None

    def path(self, node: Node[S]) -> list[Node[S]]:
        """Return the nodes from the root to ``node``, both included."""
        path = [node]
        while (parent := path[-1].parent) is not None:
            path.append(parent)
        path.reverse()
        return path

    def add_child(self, parent: Node[S], proposal: Proposal[S], *, is_expandable: bool = False) -> Node[S]:
        """Append a node under ``parent``, which may be terminal, and return it; nothing is backed up."""
        value, prior = proposal.value, proposal.prior
        child = Node(
            proposal.state,
            len(self._nodes),
            parent,
            parent.depth + 1,
            value,
            prior,
            proposal.is_terminal,
            proposal.key,
            proposal.outcome,
        )
        if value is not None:
            child.value_sum, child.value_count, child.search_value = value, 1, value
        mass = parent.prior_mass
        parent.prior_mass = None if mass is None or prior is None else mass + prior
        if is_expandable:
            child.is_expandable = child.is_open = True
            parent.num_open_children += 1
        self._append(parent, child)
        for rollout in proposal.rollouts:
            self._add_rollout(child, rollout)
        return child

    def _append(self, parent: Node[S], child: Node[S]) -> None:
        if isinstance(parent.children, list):
            parent.children.append(child)
        else:
            parent.children = [child]
        self._nodes.append(child)
        if child.is_terminal:
            self._finished.append(child)

    def _add_rollout(self, start: Node[S], rollout: Proposal[S]) -> None:
        end = Node(rollout.state, -1 - len(self._rollouts), start, start.depth + 1, rollout.value, rollout.prior, True)
        end.key, end.outcome = rollout.key, rollout.outcome
        self._rollouts.append(end)

    def learn_value(self, node: Node[S], value: float) -> None:
        """Set the own value of a node that had none; it is not observed yet."""
        node.value = value

    def set_votes(self, node: Node[S], votes: float) -> None:
        """Let ``node`` count for ``votes`` paths, which are not negative, once it is finished."""
        node.votes = votes

    def keep(self, node: Node[S]) -> None:
        """Make ``node`` the ``last`` finished path, regardless of later ones."""
        self._kept = node

    def reserve(self, node: Node[S], num_proposals: int) -> None:
        """Count a pending trial of ``num_proposals`` at ``node``, on the whole path to it."""
        node.num_asked += num_proposals
        place: Node[S] | None = node
        while place is not None:
            place.pending_count += 1
            place = place.parent

    def release(self, node: Node[S], num_proposals: int) -> None:
        """Undo ``reserve``."""
        node.num_asked -= num_proposals
        place: Node[S] | None = node
        while place is not None:
            place.pending_count -= 1
            place = place.parent

    def visit(self, node: Node[S], num_proposals: int) -> None:
        """Turn a pending trial of ``num_proposals`` at ``node`` into a visit, on the whole path to it."""
        node.num_told += num_proposals
        place: Node[S] | None = node
        while place is not None:
            place.pending_count -= 1
            place.visit_count += 1
            place = place.parent

    def observe_mean(self, nodes: Iterable[Node[S]], value: float) -> None:
        """Add one observation to each of ``nodes``; Q is the mean of a node's observations."""
        for node in nodes:
            node.value_sum = total = node.value_sum + value
            node.value_count = count = node.value_count + 1
            node.search_value = total / count

    def observe_max(self, nodes: Iterable[Node[S]], value: float) -> None:
        """Add one observation to each of ``nodes``; Q is the largest of a node's observations."""
        for node in nodes:
            node.value_sum += value
            node.value_count += 1
            highest = node.search_value
            if highest is None or value > highest:
                node.search_value = value

    def observe_as(self, node: Node[S], value: float, search_value: float) -> None:
        """Add one observation to ``node`` and set its Q to ``search_value``."""
        node.value_sum += value
        node.value_count += 1
        node.search_value = search_value

    def set_expandable(self, node: Node[S], is_expandable: bool) -> None:
        """Set whether more proposals may be asked for at ``node`` now."""
        node.is_expandable = is_expandable

    def set_open(self, node: Node[S], is_open: bool) -> None:
        """Set whether a trial can be started at ``node`` or below it now, and update the parent's count."""
        if node.is_open != is_open:
            node.is_open = is_open
            if node.parent is not None:
                node.parent.num_open_children += 1 if is_open else -1
