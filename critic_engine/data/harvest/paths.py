"""The finished paths of one labelled tree as text, and how often the reasoner drew each step."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from critic_engine.episode.node_state import NodeState, ReasoningNode, trajectory_of
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.checker import Checker
from critic_engine.types import Problem
from search import Tree, reference_order


@dataclass(frozen=True, slots=True)
class FinishedPath:
    """One finished path of a tree, a rollout or not, as text."""

    node: ReasoningNode
    """The last node."""
    steps: tuple[str, ...]
    pieces: tuple[str, ...]
    """Exactly what was written of each step."""
    is_right: bool | None
    """None when the path has no answer, or one that the checker cannot tell."""
    num_tokens: int | None
    """Tokens of its text; None is unknown."""
    nodes: tuple[ReasoningNode, ...]
    """The nodes whose texts make up the path: its last rewrite and those after it."""
    writers: tuple[int, ...]
    """For each step, the id of the node in whose text it begins."""
    num_given: int
    """Characters that were given when the last text was drawn; all of them where that is a rewrite, which completes
    nothing."""

    @property
    def is_known(self) -> bool:
        """Whether it is right or wrong; a path without an answer is not right."""
        return self.is_right is not None or self.node.state.answer is None


def read_paths(
    tree: Tree[NodeState], problem: Problem, *, checker: Checker, splitter: StepSplitter
) -> list[FinishedPath]:
    """Return every finished path of the tree in order of creation, rollouts last."""
    return [_read_path(tree, node, problem, checker, splitter) for node in (*tree.finished, *tree.rollouts)]


def right_paths(tree: Tree[NodeState], paths: Sequence[FinishedPath]) -> list[FinishedPath]:
    """Return the distinct right paths in the order of ``search.reference_order``."""
    right = (path for path in paths if path.is_right)
    return distinct(sorted(right, key=lambda path: reference_order(tree, path.node)))


def distinct(paths: Iterable[FinishedPath]) -> list[FinishedPath]:
    """Return the first path of each text, in their order."""
    found: dict[tuple[str, ...], FinishedPath] = {}
    for path in paths:
        found.setdefault(path.steps, path)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Support:
    """How often the reasoner drew one step at a place, among all its draws there."""

    num_alike: int
    """Right draws that begin with the step."""
    num_drawn: int
    """Right draws at its place."""
    most_alike: int
    """The most draws at its place, right or wrong, that begin with one step; 1 where no two do."""

    @property
    def share(self) -> float:
        """The share of right draws that begin with the step, in [0, 1]."""
        return self.num_alike / self.num_drawn if self.num_drawn else 0.0


@dataclass(frozen=True, slots=True)
class ReferencePath:
    """The right path that wrong paths are paired with."""

    steps: tuple[str, ...]
    text: str
    """Exactly what the reasoner wrote."""
    value: float | None
    """The critic's value, in [0, 1]; None without a critic, or where it was unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePaths:
    """The finished paths of one tree by outcome, rollouts included."""

    num_right: int
    num_wrong: int
    num_unsure: int
    """Paths whose answer the checker cannot tell."""
    num_unanswered: int
    num_rollouts: int | None = None
    """Rollouts among them; None in runs that did not store it."""
    reference: ReferencePath | None
    """None when there is no right path."""


def count_outcomes(paths: Iterable[FinishedPath], reference: ReferencePath | None = None) -> TreePaths:
    """Return the finished paths of a tree by outcome, with its reference path."""
    counts = dict.fromkeys(("num_right", "num_wrong", "num_unsure", "num_unanswered", "num_rollouts"), 0)
    for path in paths:
        outcome = {True: "num_right", False: "num_wrong", None: "num_unsure"}[path.is_right]
        counts["num_unanswered" if path.node.state.answer is None else outcome] += 1
        counts["num_rollouts"] += path.node.node_id < 0
    return TreePaths(reference=reference, **counts)


class Places:
    """Counts of a tree's paths at each place: 0 is the start, and each distinct prefix has a number of its own."""

    def __init__(self, paths: Iterable[FinishedPath]) -> None:
        """Count the paths that are right or wrong."""
        self._numbers: dict[tuple[int, str], int] = {}
        self._num_known: Counter[int] = Counter()
        self._num_right: Counter[int] = Counter()
        self._num_completions: Counter[int] = Counter()
        self._num_right_completions: Counter[int] = Counter()
        draws: dict[tuple[int, int, int], bool] = {}
        for path in paths:
            if path.is_known:
                places = self._count(path)
                for draw in zip(places[:-1], places[1:], path.writers, strict=True):
                    draws[draw] = draws.get(draw, False) or bool(path.is_right)
        self._num_right_drawn = Counter(place for (place, _, _), is_right in draws.items() if is_right)
        self._num_right_alike = Counter(behind for (_, behind, _), is_right in draws.items() if is_right)
        num_alike = Counter((place, behind) for place, behind, _ in draws)
        self._most_alike: dict[int, int] = {}
        for (place, _), num in num_alike.items():
            self._most_alike[place] = max(self._most_alike.get(place, 0), num)

    def along(self, steps: Sequence[str]) -> list[int]:
        """Return the place before the first step, after the first, after the second and so on."""
        places = [0]
        for step in steps:
            places.append(self._numbers.setdefault((places[-1], step), len(self._numbers) + 1))
        return places

    def known(self, place: int) -> tuple[int, int]:
        """Return how many paths through a place are right, and how many are right or wrong."""
        return self._num_right[place], self._num_known[place]

    def completions(self, place: int) -> tuple[int, int]:
        """Return the same counts of paths with an end that was drawn from the place or before it.

        They are a fair sample of the reasoner's completions of the place. Paths that were drawn from later places are
        not, for a search expands the good ones.
        """
        return self._num_right_completions[place], self._num_completions[place]

    def support(self, place: int, behind: int) -> Support:
        """Return how often the step from ``place`` to ``behind`` was drawn there.

        The text of a node or rollout is one draw, however many paths continue it. The draw is right if any of them is.
        """
        return Support(self._num_right_alike[behind], self._num_right_drawn[place], self._most_alike.get(place, 0))

    def _count(self, path: FinishedPath) -> list[int]:
        places = self.along(path.steps)
        for place, end in zip(places, accumulate(map(len, path.pieces), initial=0), strict=True):
            self._num_known[place] += 1
            self._num_right[place] += bool(path.is_right)
            if end >= path.num_given:
                self._num_completions[place] += 1
                self._num_right_completions[place] += bool(path.is_right)
        return places


def _read_path(
    tree: Tree[NodeState], node: ReasoningNode, problem: Problem, checker: Checker, splitter: StepSplitter
) -> FinishedPath:
    nodes = written(tree.path(node))
    texts = [trajectory_of([each]).prefix for each in nodes]
    text, answer = "".join(texts), node.state.answer
    pieces = splitter.pieces(text)
    ends = list(accumulate(map(len, texts)))
    starts = [0, *accumulate(map(len, pieces))][: len(pieces)]
    return FinishedPath(
        node=node,
        steps=splitter.steps(text),
        pieces=pieces,
        is_right=None if answer is None else checker.is_right(problem, answer),
        num_tokens=num_tokens_of(nodes),
        nodes=tuple(nodes),
        writers=tuple(nodes[bisect_right(ends, start)].node_id for start in starts),
        num_given=len(text) - (0 if node.state.is_rewrite else len(texts[-1])),
    )


def written(path: Iterable[ReasoningNode]) -> list[ReasoningNode]:
    """Return the nodes that wrote the solution at the end of a path from the root."""
    nodes: list[ReasoningNode] = []
    for node in path:
        if node.state.is_rewrite:
            nodes.clear()
        nodes.append(node)
    return nodes


def num_tokens_of(nodes: Iterable[ReasoningNode]) -> int | None:
    """Return the tokens of the path's own text: a rewrite's are those of the rewrite alone."""
    total = 0
    for node in nodes:
        if node.state.steps:
            if node.state.num_tokens is None:
                return None
            total += node.state.num_tokens
    return total
