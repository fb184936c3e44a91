"""Monte-Carlo labels of steps: from the completions that a tree holds, or by a binary search for the first wrong step.

A label says how often the reasoner comes out right from the end of a step on: Math-Shepherd, arXiv 2312.08935.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from critic_engine.config.collect import LabelsConfig
from critic_engine.data.harvest.paths import FinishedPath, Places, distinct
from critic_engine.episode.node_state import trajectory_of
from critic_engine.parsing.steps import StepSplitter


@dataclass(frozen=True, slots=True)
class StepLabel:
    """The Monte-Carlo label of the reasoning up to the end of one step."""

    value: float
    """Share of right completions, in [0, 1]; 1 or 0 where none were drawn."""
    num_right: int = 0
    num_rollouts: int = 0
    """Completions that were drawn; 0 where the step is known to be right or wrong without a draw."""

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
    """Where the path ends in its tree; below 0 for a rollout."""
    steps: tuple[str, ...]
    """Steps as they are shown; steps without a label are joined by line breaks to the next one that has one."""
    labels: tuple[StepLabel, ...]
    """The label of each of ``steps``; the last is hard, by the answer."""


@dataclass(frozen=True, slots=True)
class TreeLabels:
    """The labelled paths of one tree, and the numbers of those left out."""

    paths: tuple[LabelledPath, ...]
    """Right and wrong paths by turns, those with most labels first."""
    num_alike: int = 0
    """Finished paths that read like another one."""
    num_coarse: int = 0
    """Finished paths of several steps of which there is a label for none but the last."""
    num_unchecked: int = 0
    """Finished paths whose answer cannot be checked, or that have none."""
    num_over_limit: int = 0
    """Finished paths past ``max_paths``."""


@dataclass(frozen=True, slots=True)
class FirstError:
    """The result of a search for the first wrong step."""

    first_wrong_step: int | None
    """1-based; None when the whole of the steps can still come out right, and when the problem is unsolvable."""
    labels: Mapping[int, StepLabel]
    """The label of each number of steps that was asked for, in the order asked."""
    num_steps: int

    @property
    def is_unsolvable(self) -> bool:
        """Whether no completion is right even from the start, so that no step can be blamed."""
        return 0 in self.labels and not self.labels[0].is_hard_right

    @property
    def step_labels(self) -> tuple[StepLabel | None, ...]:
        """The label that the search gives each step of its path.

        A step that was asked for has its drawn label. All others have a hard label, 1 before the first wrong step and 0
        from there on, by the assumption of the search. For an unsolvable problem all labels are None.
        """
        if self.is_unsolvable:
            return (None,) * self.num_steps
        first_wrong = self.num_steps + 1 if self.first_wrong_step is None else self.first_wrong_step
        return tuple(
            self.labels.get(step, StepLabel.hard(is_right=step < first_wrong)) for step in range(1, self.num_steps + 1)
        )


def tree_labels(paths: Sequence[FinishedPath], options: LabelsConfig, *, splitter: StepSplitter) -> TreeLabels:
    """Return finished paths with a label for each step: the share right of the completions drawn from its end.

    A completion counts at each step that was given when it was drawn, and at each step of its own that equals a step of
    others; see ``Places.completions``. A completion without an answer is not right, and one that cannot be checked does
    not count. A step with fewer than ``min_completions`` completions has no label and is joined to the next. Where only
    the last step would have a label, as where a token limit ends nodes within steps and no two completions are equal,
    the nodes' texts serve as steps, for all completions of a node were drawn at its end.

    Args:
        paths: All finished paths of a labelled tree.
        options: Least completions, and most paths.
        splitter: Says how a step is shown.
    """
    places, nodes = Places(paths), _labels_by_node(paths, options)
    checked = [path for path in paths if path.is_right is not None and path.steps]
    different = distinct(checked)
    labelled: list[tuple[FinishedPath, LabelledPath]] = []
    for path in different:
        labels = [_label(*places.completions(place), options) for place in places.along(path.steps)[1:-1]]
        found = _joined(path, path.steps, labels) or _by_nodes(path, nodes, splitter)
        if found is not None:
            labelled.append((path, found))
    kept = _by_turns(labelled)
    return TreeLabels(
        paths=tuple(kept[: options.max_paths]),
        num_alike=len(checked) - len(different),
        num_coarse=len(different) - len(kept),
        num_unchecked=len(paths) - len(checked),
        num_over_limit=max(0, len(kept) - options.max_paths),
    )


@dataclass(frozen=True, slots=True)
class SearchedPath:
    """A wrong path with the result of a search for its first wrong step."""

    steps: tuple[str, ...]
    first_wrong_step: int | None
    """1-based; None as in ``FirstError``."""
    labels: tuple[StepLabel | None, ...]
    """The label of each step; all are None when the problem is unsolvable."""

    @property
    def known_labels(self) -> tuple[StepLabel, ...]:
        """The label of each step; empty when the problem is unsolvable."""
        return tuple(label for label in self.labels if label is not None)


@dataclass(frozen=True, slots=True)
class FailedSearch:
    """A search that failed because no completions could be drawn or checked."""

    error: str


async def first_error(num_steps: int, count_right: Callable[[int], Awaitable[StepLabel]]) -> FirstError:
    """Search for the first wrong step, after which no completion is right: OmegaPRM, arXiv 2406.06592.

    It assumes that wrong steps stay wrong, however they are continued. A right completion proves that no step before
    it is the first wrong one. If by chance all completions of right steps are wrong, the step found is too early, never
    too late. Asks for at most ``ceil(log2(num_steps + 2))`` labels, and for that of no steps only if the first step is
    wrong.

    Args:
        num_steps: At least 1.
        count_right: Draws completions from the end of the first n steps and returns their label. The end of a
            finished solution needs no draw: ``StepLabel.hard`` by its answer.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    labels: dict[int, StepLabel] = {}
    # The most steps with a right completion, and the fewest without one; both start beyond the ends.
    right, wrong = -1, num_steps + 1
    while wrong - right > 1:
        middle = (right + wrong + 1) // 2
        labels[middle] = await count_right(middle)
        if labels[middle].is_hard_right:
            right = middle
        else:
            wrong = middle
    return FirstError(wrong if 1 <= wrong <= num_steps else None, labels, num_steps)


def _by_nodes(path: FinishedPath, labels: Mapping[int, StepLabel], splitter: StepSplitter) -> LabelledPath | None:
    """Return the path with its nodes' texts as steps; None when there is a label for none but the last."""
    nodes, behind = [], ""
    for node in path.nodes:
        text = trajectory_of([node]).prefix
        if text.strip():
            nodes.append((node.node_id, splitter.shown(text, behind)))
        behind += text
    return _joined(path, [step for _, step in nodes], [labels.get(node_id) for node_id, _ in nodes[:-1]])


def _joined(path: FinishedPath, steps: Sequence[str], labels: Sequence[StepLabel | None]) -> LabelledPath | None:
    """Return the path with each step without a label joined to the next; ``labels`` has all but the last.

    The result is None when there are several steps, and a label for none but the last.
    """
    found: list[tuple[str, StepLabel]] = []
    waiting: list[str] = []
    for step, label in zip(steps, (*labels, StepLabel.hard(is_right=bool(path.is_right))), strict=True):
        waiting.append(step)
        if label is not None:
            found.append(("\n".join(waiting), label))
            waiting.clear()
    if len(found) == 1 and len(path.steps) > 1:
        return None
    joined, given = zip(*found, strict=True)
    return LabelledPath(path.node.node_id, joined, given)


def _label(num_right: int, num_completions: int, options: LabelsConfig) -> StepLabel | None:
    return StepLabel.soft(num_right, num_completions) if num_completions >= options.min_completions else None


def _labels_by_node(paths: Iterable[FinishedPath], options: LabelsConfig) -> dict[int, StepLabel]:
    """Return the label of each node that enough paths were drawn from, by node id."""
    num_right: Counter[int] = Counter()
    num_drawn: Counter[int] = Counter()
    for path in paths:
        if path.is_known and path.node.parent is not None and not path.node.state.is_rewrite:
            num_drawn[path.node.parent.node_id] += 1
            num_right[path.node.parent.node_id] += bool(path.is_right)
    labels = ((node_id, _label(num_right[node_id], num, options)) for node_id, num in num_drawn.items())
    return {node_id: label for node_id, label in labels if label is not None}


def _by_turns(labelled: Iterable[tuple[FinishedPath, LabelledPath]]) -> list[LabelledPath]:
    """Return right and wrong paths by turns, each with those of most labels first."""
    sides: dict[bool, list[LabelledPath]] = {True: [], False: []}
    for path, found in labelled:
        sides[bool(path.is_right)].append(found)
    for side in sides.values():
        side.sort(key=lambda found: -len(found.labels))
    turns = zip_longest(sides[True], sides[False])
    return [found for turn in turns for found in turn if found is not None]
