"""What ``decide`` must answer, by going through all finished paths one rule at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from search import Aggregation, DecisionRule, Node, Tree

Path: TypeAlias = list[Node[int]]


def finished_paths(tree: Tree[int]) -> list[Path]:
    """Return the paths that take part, without their root, those of rollouts first."""
    paths = []
    for end in [*tree.rollouts, *tree.finished]:
        path: Path = []
        node: Node[int] | None = end
        while node is not None and node is not tree.root:
            path.insert(0, node)
            node = node.parent
        paths.append(path)
    paths = [path for path in paths if path[-1].outcome is not None] or paths
    return [path for path in paths if path[-1].votes] or paths


def value_of(path: Path, aggregation: Aggregation) -> float | None:
    """Return the value of a path."""
    values = [node.value for node in path]
    if aggregation == "last":
        return values[-1]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    joined = {"min": min(known), "mean": math.fsum(known) / len(known), "product": math.prod(known)}
    return joined[aggregation]


def weights_of(paths: Sequence[Path], exponent: float) -> list[float]:
    """Return what each path weighs by its probability, the likeliest one 1."""
    priors = [[node.prior for node in path] for path in paths]
    if exponent == 0 or any(prior is None for path in priors for prior in path):
        return [1.0 for _ in paths]
    products = [math.prod(prior for prior in path if prior is not None) for path in priors]
    if max(products, default=0.0) == 0:
        return [1.0 for _ in paths]
    return [(product / max(products)) ** exponent for product in products]


def best(candidates: Sequence[int], wish: Callable[[int], Any]) -> list[int]:
    """Return those of ``candidates`` for which ``wish`` is lowest."""
    lowest = min(wish(index) for index in candidates)
    return [index for index in candidates if wish(index) == lowest]


class Votes:
    """All that the rules look at."""

    def __init__(self, tree: Tree[int], rule: DecisionRule, aggregation: Aggregation, exponent: float) -> None:
        """Look at the finished paths of ``tree``."""
        self.tree, self.rule = tree, rule
        self.paths = finished_paths(tree)
        self.everyone = range(len(self.paths))
        self.values = [value_of(path, aggregation) for path in self.paths]
        weighs = rule in ("best_value", "weighted_majority")
        weights = weights_of(self.paths, exponent if weighs else 0.0)
        self.weighed = [None if value is None else value * w for value, w in zip(self.values, weights, strict=True)]
        self.is_weighted = rule == "weighted_majority" and any(value is not None for value in self.values)

    def outcome(self, index: int) -> object:
        """Return the answer of a path."""
        return self.paths[index][-1].outcome

    def with_answer(self, index: int) -> list[int]:
        """Return the paths of the same answer."""
        return [other for other in self.everyone if self.outcome(other) == self.outcome(index)]

    def votes(self, index: int) -> float:
        """Return the votes for the answer of a path."""
        voters = self.with_answer(index)
        weights = [(self.weighed[voter] or 0.0) if self.is_weighted else 1.0 for voter in voters]
        counts = [self.paths[voter][-1].votes for voter in voters]
        return math.fsum(weight * count for weight, count in zip(weights, counts, strict=True))

    def count(self, index: int) -> float:
        """Return how many paths have the answer of a path."""
        return math.fsum(self.paths[voter][-1].votes for voter in self.with_answer(index))

    def loss(self, index: int) -> float:
        """Return less for a higher value, and most for an unknown one."""
        value = self.weighed[index]
        return 2.0 if value is None else -value

    def winner(self) -> int:
        """Return the path that is decided on."""
        if self.rule == "last":
            return self.last()
        vote = self.rule in ("majority", "weighted_majority")
        tied = best(self.everyone, lambda index: -self.votes(index)) if vote else self.best_single()
        tied = best(tied, lambda index: -self.count(index))
        if vote:
            tied = best(tied, lambda index: min(self.loss(other) for other in self.with_answer(index)))
            tied = best(tied, lambda index: repr(self.outcome(index)))
            tied = best(tied, self.loss)
        else:
            tied = best(tied, self.loss)
            tied = best(tied, lambda index: repr(self.outcome(index)))
        tied = best(tied, lambda index: len(self.paths[index]))
        return best(tied, lambda index: [repr(node.key) for node in self.paths[index]])[0]

    def best_single(self) -> list[int]:
        """Return the paths that are best by a rule that does not vote."""
        if self.rule == "best_value":
            return best(self.everyone, self.loss)
        if self.rule == "gated":
            return self.standing()
        tied = list(self.everyone)
        for depth in range(max(map(len, self.paths))):
            ended = [index for index in tied if len(self.paths[index]) == depth]
            if ended:
                return ended
            tied = best(tied, lambda index: -self.paths[index][depth].visit_count)  # noqa: B023
        return tied

    def standing(self) -> list[int]:
        """Return what stands after all paths came by, the shortest first."""
        stands: list[int] = []
        for index in sorted(self.everyone, key=lambda index: len(self.paths[index])):
            if not stands or self.loss(index) < self.loss(stands[0]):
                stands = [index]
            elif self.loss(index) == self.loss(stands[0]) and len(self.paths[index]) == len(self.paths[stands[0]]):
                stands.append(index)
        return stands

    def last(self) -> int:
        """Return the path that was kept, else the newest."""
        last = self.tree.last
        return next((index for index in self.everyone if self.paths[index][-1] is last), self.everyone[-1])


def decided(
    tree: Tree[int], rule: DecisionRule, aggregation: Aggregation, exponent: float
) -> tuple[Node[int], float | None, float, int] | None:
    """Return the end of the path decided on, its value, its support and the number of paths."""
    votes = Votes(tree, rule, aggregation, exponent)
    if not votes.paths:
        return None
    winner = votes.winner()
    firsts = {votes.outcome(index): index for index in votes.everyone}
    total = math.fsum(votes.votes(index) for index in firsts.values())
    support = votes.votes(winner) / total if total else 0.0
    return votes.paths[winner][-1], votes.values[winner], support, len(votes.paths)
