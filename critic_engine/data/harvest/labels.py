"""Monte-Carlo labels of steps: from the completions that a tree holds, or by a binary search for the first wrong step.

A label says how often the reasoner comes out right from the end of a step on: Math-Shepherd, arXiv 2312.08935.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

from critic_engine.checker import Checker
from critic_engine.parsing.steps import StepSplitter
from critic_engine.state import NodeState, ReasoningNode, trajectory_of
from critic_engine.types import Problem
from search import Tree


@dataclass(frozen=True, slots=True)
class StepLabel:
    """What is known of the reasoning up to the end of one step."""

    value: float
    """The share of right completions, in [0, 1]; 1 or 0 where none were drawn."""
    num_right: int = 0
    num_rollouts: int = 0
    """How many completions were drawn; 0 where the step is right or wrong by something else than a draw."""

    def __post_init__(self) -> None:
        """Check that the numbers agree."""
        if not 0 <= self.num_right <= self.num_rollouts:
            raise ValueError(f"num_right must be between 0 and num_rollouts {self.num_rollouts}, got {self.num_right}")
        if self.num_rollouts and self.value != self.num_right / self.num_rollouts:
            raise ValueError(f"value must be {self.num_right} / {self.num_rollouts}, got {self.value}")
        if not self.num_rollouts and self.value not in (0.0, 1.0):
            raise ValueError(f"value must be 0 or 1 where nothing was drawn, got {self.value}")

    @classmethod
    def soft(cls, num_right: int, num_rollouts: int) -> "StepLabel":
        """Return the label by ``num_rollouts`` completions, at least 1, of which ``num_right`` were right."""
        if num_rollouts < 1:
            raise ValueError(f"num_rollouts must be at least 1, got {num_rollouts}")
        return cls(num_right / num_rollouts, num_right, num_rollouts)

    @classmethod
    def hard(cls, *, is_right: bool) -> "StepLabel":
        """Return the label of a step that is right or wrong without any draw."""
        return cls(float(is_right))

    @property
    def is_hard_right(self) -> bool:
        """Whether any completion was right: the hard label of Math-Shepherd, and VisualPRM's at its threshold 0."""
        return self.value > 0.0


@dataclass(frozen=True, slots=True)
class LabelledPath:
    """A finished solution, a label a step."""

    node_id: int
    """Where the path ends in its tree."""
    steps: tuple[str, ...]
    """As they are shown. Several are one, a line break between them, where the tree has no label before the last."""
    labels: tuple[StepLabel, ...]
    """For each of ``steps``; the last is right or wrong by the answer, without any draw."""


@dataclass(frozen=True, slots=True)
class TreeLabels:
    """The labelled paths of one tree, and those left out."""

    paths: tuple[LabelledPath, ...]
    """In order of creation."""
    num_coarse: int = 0
    """Finished paths of several steps of which the tree has a label for none but the last."""
    num_unchecked: int = 0
    """Finished paths whose answer cannot be checked."""


@dataclass(frozen=True, slots=True)
class FirstError:
    """What a search for the first wrong step found."""

    first_wrong_step: int | None
    """1-based; None when the whole of the steps can still come out right, and when the problem is unsolvable."""
    labels: Mapping[int, StepLabel]
    """The label of each number of steps that was asked for, in the order asked."""

    @property
    def is_unsolvable(self) -> bool:
        """Whether nothing came out right even from no steps at all, so that no step can be blamed."""
        return 0 in self.labels and not self.labels[0].is_hard_right


def tree_labels(tree: Tree[NodeState], problem: Problem, *, checker: Checker, splitter: StepSplitter) -> TreeLabels:
    """Return a label for each step of each finished path: the share right of all completions that the tree has of it.

    Those are the rollouts that set out from the step's node or below, and the finished paths through it. They are not
    an even sample: a search goes on where it finds a step good, and merges equal steps. A completion without an answer
    is not right. A rewrite completes no step that it replaces, and its path begins with it. Rollouts make no path of
    their own: no completions were drawn from within them.

    A node is labelled at its end, so a step that ends within a node has no label and is one with those behind it; a
    node that ends within a step, as at a token limit, labels nothing. A path that this makes one whole is left out.

    Args:
        tree: Of a labelled run.
        problem: Its problem.
        checker: Says which answers are right.
        splitter: Says where steps end; the one that the run's steps were cut with.
    """
    verdicts = {end.node_id: checker.is_right(problem, end.state.answer) for end in (*tree.finished, *tree.rollouts)}
    labels = _labels_by_node(tree, verdicts)
    paths: list[LabelledPath] = []
    num_coarse = num_unchecked = 0
    for end in tree.finished:
        if verdicts[end.node_id] is None:
            num_unchecked += 1
        elif (path := _labelled(end, labels, splitter)) is None:
            num_coarse += 1
        else:
            paths.append(path)
    return TreeLabels(tuple(paths), num_coarse, num_unchecked)


async def first_error(num_steps: int, count_right: Callable[[int], Awaitable[StepLabel]]) -> FirstError:
    """Search for the first step from whose end nothing comes out right: OmegaPRM, arXiv 2406.06592.

    It takes for granted that steps which can no longer come out right never can again, however they go on. A right
    completion is proof that no step before it is the first wrong one; by chance, or with too few of them, all may be
    wrong where one could be right: then the step found is too early, never too late. Asks at most
    ``ceil(log2(num_steps + 2))`` times, and for no steps at all only when the first step comes out wrong.

    Args:
        num_steps: At least 1.
        count_right: Draws completions from the end of the first n steps and returns their label. Of a finished
            solution, the end needs none: ``StepLabel.hard`` by its answer.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    labels: dict[int, StepLabel] = {}
    # The most steps that are known to come out right, and the fewest that are known not to; beyond the ends, neither.
    right, wrong = -1, num_steps + 1
    while wrong - right > 1:
        middle = (right + wrong + 1) // 2
        labels[middle] = await count_right(middle)
        if labels[middle].is_hard_right:
            right = middle
        else:
            wrong = middle
    return FirstError(wrong if 1 <= wrong <= num_steps else None, labels)


def labels_from_search(found: FirstError, num_steps: int) -> tuple[StepLabel | None, ...]:
    """Return what the search says of each of the ``num_steps`` steps it was made over.

    A step that was asked for has the label that was drawn. Every other one is 1 before the first wrong step and 0 from
    there on, by what the search takes for granted: a hard label, which is no share and was drawn from no completions.
    Of an unsolvable problem nothing is known: None for all steps.
    """
    most_asked = max(found.labels, default=0)
    if most_asked > num_steps:
        raise ValueError(f"num_steps must be that of the search, at least {most_asked}, got {num_steps}")
    if found.is_unsolvable:
        return (None,) * num_steps
    first_wrong = num_steps + 1 if found.first_wrong_step is None else found.first_wrong_step
    return tuple(
        found.labels.get(step, StepLabel.hard(is_right=step < first_wrong)) for step in range(1, num_steps + 1)
    )


def _labels_by_node(tree: Tree[NodeState], verdicts: Mapping[int, bool | None]) -> dict[int, StepLabel]:
    """Return the label of each node that a completion passes through, by node id; of an end, that of its answer."""
    num_right: Counter[int] = Counter()
    num_ends: Counter[int] = Counter()
    for end in (*tree.finished, *tree.rollouts):
        verdict = verdicts[end.node_id]
        if verdict is not None:
            for node in _up_to_rewrite(end):
                num_ends[node.node_id] += 1
                num_right[node.node_id] += verdict
    labels = {node_id: StepLabel.soft(num_right[node_id], num) for node_id, num in num_ends.items()}
    for end in tree.finished:
        verdict = verdicts[end.node_id]
        if verdict is not None:
            labels[end.node_id] = StepLabel.hard(is_right=verdict)
    return labels


def _up_to_rewrite(end: ReasoningNode) -> Iterator[ReasoningNode]:
    """Yield the nodes whose steps are in the solution that ends at ``end``, the last first; and the root."""
    node: ReasoningNode | None = end
    while node is not None:
        yield node
        node = None if node.state.is_rewrite else node.parent


def _labelled(end: ReasoningNode, labels: Mapping[int, StepLabel], splitter: StepSplitter) -> LabelledPath | None:
    """Return the path to ``end``; None when it has no steps, or several and a label for none but the last."""
    path = list(_up_to_rewrite(end))[::-1]
    by_place: dict[int, StepLabel] = {}
    text = ""
    for node in path:
        text += trajectory_of([node]).prefix
        by_place[len(text)] = labels[node.node_id]
    step_ends = set(accumulate(map(len, splitter.pieces(text))))
    places = [place for place in by_place if place in step_ends]
    if not places or (len(places) == 1 and len(step_ends) > 1):
        return None
    spans = pairwise([0, *places])
    steps = tuple(splitter.shown(text[begin:stop], text[:begin]) for begin, stop in spans)
    return LabelledPath(end.node_id, steps, tuple(by_place[place] for place in places))
