"""Decide: which answer a finished search gives."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias

from search.checks import check_at_least, check_choice
from search.tree import Node, S, Tree

DecisionRule: TypeAlias = Literal["best_value", "most_visits", "majority", "weighted_majority", "last", "gated"]
DECISION_RULES: tuple[DecisionRule, ...] = (
    "best_value",
    "most_visits",
    "majority",
    "weighted_majority",
    "last",
    "gated",
)

Aggregation: TypeAlias = Literal["last", "min", "mean", "product"]
AGGREGATIONS: tuple[Aggregation, ...] = ("last", "min", "mean", "product")


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """The decided path and its support."""

    node: Node[S]
    """Where the path ends; ``node.outcome`` is the answer."""
    value: float | None
    """The path's value; None is unknown."""
    support: float
    """Share, in [0, 1], of the votes of the paths that took part which this answer has; for ``weighted_majority`` of
    their votes times values, if any is known, and 0 where they are all 0."""
    num_paths: int
    """Finished paths that took part."""


@dataclass(frozen=True, slots=True)
class _WeighedPath(Generic[S]):
    node: Node[S]
    value: float | None
    likelihood: float
    """``(P(path) / the highest P) ** prior_exponent``, in [0, 1]."""

    @property
    def weight(self) -> float:
        """Its value times its likelihood: 0 while its value is unknown."""
        return 0.0 if self.value is None else self.value * self.likelihood

    def votes(self, *, is_weighted: bool) -> float:
        """The part of the path in a vote."""
        return self.node.votes * self.weight if is_weighted else self.node.votes


def decide(
    tree: Tree[S], rule: DecisionRule, *, aggregation: Aggregation = "last", prior_exponent: float = 0.0
) -> Decision[S] | None:
    """Return the finished path to answer with, rollouts included, or None when no path is finished.

    Paths with no answer (``outcome`` None) take part only when no path has one, and of the rest those with no ``votes``
    only when none has any. The answer is that of

    - ``best_value``: the path with the highest value; unknown values come last.
    - ``most_visits``: the path found by following the most visited child from the root (robust child, Chaslot et al.,
      2008), among the children that lead to a finished path. The first finished node on the way is the end, even if
      more was asked there; one at which nothing was asked has no visits, nor has a rollout's end, and such ones tie.
    - ``majority``: the most votes, each path having ``Node.votes``, commonly 1 (self-consistency, Wang et al., 2022,
      arXiv 2203.11171).
    - ``weighted_majority``: the highest sum of values times votes (Li et al., 2022, arXiv 2206.02336); an unknown value
      adds nothing, and where no value is known only votes count, as in ``majority``.
    - ``last``: ``tree.last``, or the newest path with an answer when that one has none.
    - ``gated``: the last path accepted when all come one by one, the shortest first. A path is accepted if its value is
      known and higher than that of the last one, or known where that is not: a chain's worse rewrites are refused.

    A tree holds each path once, however likely the proposer was to sample it, so the count of an answer says less than
    among samples. With a ``prior_exponent`` a, values weigh ``value * P(path) ** a`` in ``best_value`` and
    ``weighted_majority``, P(path) being the product of the priors on it; 1 weighs as sampling would, 0 not at all.
    Where a prior is unknown, no path is weighed by it.

    Ties go to the answer with more votes, then with the highest value, then with the first ``repr``. Of the paths
    with the answer, a vote gives the one with the highest value, so weighed, then the shortest, then the one whose
    keys come first. So the order in which paths were told counts for ``last``, and otherwise only where nodes without a
    key leave a tie: it goes by creation, rollouts first.
    """
    check_choice("rule", rule, DECISION_RULES)
    check_choice("aggregation", aggregation, AGGREGATIONS)
    check_at_least("prior_exponent", prior_exponent, 0)
    ends = [*tree.rollouts, *tree.finished]
    has_answers = any(node.outcome is not None for node in ends)
    nodes = [node for node in ends if node.outcome is not None or not has_answers]
    nodes = [node for node in nodes if node.votes > 0] or nodes
    if not nodes:
        return None
    is_by_value = rule in ("best_value", "weighted_majority")
    likelihoods = _likelihoods(tree, nodes, prior_exponent if is_by_value else 0.0)
    paths = [
        _WeighedPath(node, path_value(tree, node, aggregation), likelihood)
        for node, likelihood in zip(nodes, likelihoods, strict=True)
    ]
    is_weighted = rule == "weighted_majority" and any(path.value is not None for path in paths)
    groups: dict[Hashable, list[_WeighedPath[S]]] = {}
    for path in paths:
        groups.setdefault(path.node.outcome, []).append(path)
    if rule in ("majority", "weighted_majority"):
        best = _vote(groups, is_weighted=is_weighted)
    else:
        best = _best_path(tree, rule, paths, groups)
    return Decision(best.node, best.value, _support(groups, best.node.outcome, is_weighted=is_weighted), len(paths))


def path_value(tree: Tree[S], node: Node[S], aggregation: Aggregation) -> float | None:
    """Return the value of the path to ``node``: ``last`` is the node's own, the others join all values below the root.

    None when the node's own value (``last``), or any value that is joined, is unknown, and for the root itself.
    """
    if aggregation == "last":
        return node.value
    places = tree.path(node)[1:]
    values = [place.value for place in places if place.value is not None]
    if not values or len(values) < len(places):
        return None
    if aggregation == "min":
        return min(values)
    return math.prod(values) if aggregation == "product" else math.fsum(values) / len(values)


def path_log_prior(tree: Tree[S], node: Node[S]) -> float | None:
    """Return the logarithm of the proposer's probability of the path to ``node``; None when a prior is unknown."""
    priors = [place.prior for place in tree.path(node)[1:]]
    if None in priors:
        return None
    return math.fsum(math.log(prior) if prior else -math.inf for prior in priors if prior is not None)


def _likelihoods(tree: Tree[S], nodes: Sequence[Node[S]], prior_exponent: float) -> list[float]:
    """Return ``(P(path) / the highest P) ** prior_exponent`` of each path; 1 for all if a prior is unknown."""
    found = [path_log_prior(tree, node) for node in nodes] if prior_exponent else [None]
    logs = [log for log in found if log is not None]
    highest = max(logs, default=-math.inf)
    if len(logs) < len(nodes) or highest == -math.inf:
        return [1.0] * len(nodes)
    return [math.exp(prior_exponent * (log - highest)) for log in logs]


def _vote(groups: dict[Hashable, list[_WeighedPath[S]]], *, is_weighted: bool) -> _WeighedPath[S]:
    """Return the best path of the answer with the most votes."""

    def order(outcome: Hashable) -> tuple[float, float, tuple[bool, float], str]:
        paths = groups[outcome]
        return (
            -_votes(paths, is_weighted=is_weighted),
            -_votes(paths, is_weighted=False),
            min(_value_order(path) for path in paths),
            repr(outcome),
        )

    winners = groups[min(groups, key=order)]
    highest = min(_value_order(path) for path in winners)
    return _first([path for path in winners if _value_order(path) == highest])


def _best_path(
    tree: Tree[S], rule: DecisionRule, paths: Sequence[_WeighedPath[S]], groups: dict[Hashable, list[_WeighedPath[S]]]
) -> _WeighedPath[S]:
    """Return the best single path by ``rule``."""
    if rule == "last":
        by_id = {path.node.node_id: path for path in paths}
        return by_id.get(tree.last.node_id, paths[-1]) if tree.last is not None else paths[-1]
    if rule == "gated":
        paths = _gated(paths)
    elif rule == "most_visits":
        paths = _most_visited(tree, paths)
    else:
        highest = min(_value_order(path) for path in paths)
        paths = [path for path in paths if _value_order(path) == highest]

    def order(path: _WeighedPath[S]) -> tuple[float, tuple[bool, float], str]:
        outcome = path.node.outcome
        return (-_votes(groups[outcome], is_weighted=False), _value_order(path), repr(outcome))

    first = min(order(path) for path in paths)
    return _first([path for path in paths if order(path) == first])


def _gated(paths: Sequence[_WeighedPath[S]]) -> list[_WeighedPath[S]]:
    """Return the paths that may be the last accepted when all come one by one, the shortest first."""
    highest = min(_value_order(path) for path in paths)
    best = [path for path in paths if _value_order(path) == highest]
    shortest = min(path.node.depth for path in best)
    return [path for path in best if path.node.depth == shortest]


def _most_visited(tree: Tree[S], paths: Sequence[_WeighedPath[S]]) -> list[_WeighedPath[S]]:
    """Return the paths with the largest visit counts, compared from the root down."""
    visits = [[-node.visit_count for node in tree.path(path.node)] for path in paths]
    most = min(visits)
    return [path for path, counts in zip(paths, visits, strict=True) if counts == most]


def _support(groups: dict[Hashable, list[_WeighedPath[S]]], outcome: Hashable, *, is_weighted: bool) -> float:
    total = math.fsum(_votes(paths, is_weighted=is_weighted) for paths in groups.values())
    return _votes(groups[outcome], is_weighted=is_weighted) / total if total else 0.0


def _votes(paths: Sequence[_WeighedPath[S]], *, is_weighted: bool) -> float:
    return math.fsum(path.votes(is_weighted=is_weighted) for path in paths)


def _value_order(path: _WeighedPath[S]) -> tuple[bool, float]:
    """Order by value, highest first and unknown last."""
    return (path.value is None, -path.weight)


def _first(paths: Sequence[_WeighedPath[S]]) -> _WeighedPath[S]:
    return min(paths, key=lambda path: place_order(path.node)) if len(paths) > 1 else paths[0]


def place_order(node: Node[S]) -> tuple[int, list[str]]:
    """Order by length, then by the keys along the path; neither depends on the order of tells."""
    keys: list[str] = []
    place: Node[S] | None = node
    while place is not None:
        keys.append(repr(place.key))
        place = place.parent
    return (node.depth, keys[::-1])
