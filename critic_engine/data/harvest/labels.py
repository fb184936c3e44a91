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
    """Where the path ends in its tree; below 0 for a rollout."""
    steps: tuple[str, ...]
    """As they are shown. Several are one, a line break between them, where there is no label before the last."""
    labels: tuple[StepLabel, ...]
    """For each of ``steps``; the last is right or wrong by the answer, without any draw."""


@dataclass(frozen=True, slots=True)
class TreeLabels:
    """The labelled paths of one tree, and those left out."""

    paths: tuple[LabelledPath, ...]
    """Those with most labels first, right and wrong ones by turns."""
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
    """What a search for the first wrong step found."""

    first_wrong_step: int | None
    """1-based; None when the whole of the steps can still come out right, and when the problem is unsolvable."""
    labels: Mapping[int, StepLabel]
    """The label of each number of steps that was asked for, in the order asked."""

    @property
    def is_unsolvable(self) -> bool:
        """Whether nothing came out right even from no steps at all, so that no step can be blamed."""
        return 0 in self.labels and not self.labels[0].is_hard_right


def tree_labels(paths: Sequence[FinishedPath], options: LabelsConfig, *, splitter: StepSplitter) -> TreeLabels:
    """Return finished paths with a label for each step: the share right of the completions drawn from its end.

    A completion counts at each step that was written when it was drawn, or that it wrote itself as others did; see
    ``Places.completions``. One without an answer is not right; one that cannot be checked does not count. A step behind
    which fewer than ``min_completions`` were drawn has no label, and is one with those behind it. Where that leaves
    none but the last, as where a token limit ends the nodes within steps and no two completions say the same, the
    nodes' texts are the steps: there all completions of a node were drawn.

    Args:
        paths: All finished paths of a labelled tree.
        options: Least completions, and most paths.
        splitter: Says how a step is shown.
    """
    places, nodes = Places(paths), _labels_by_node(paths, options)
    checked = [path for path in paths if path.is_right is not None and path.steps]
    different = distinct(checked)
    labelled = [_by_steps(path, places, options) or _by_nodes(path, nodes, options, splitter) for path in different]
    kept = _by_turns([(path, found) for path, found in zip(different, labelled, strict=True) if found is not None])
    return TreeLabels(
        paths=tuple(kept[: options.max_paths]),
        num_alike=len(checked) - len(different),
        num_coarse=len(different) - len(kept),
        num_unchecked=len(paths) - len(checked),
        num_over_limit=max(0, len(kept) - options.max_paths),
    )


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


def _by_steps(path: FinishedPath, places: Places, options: LabelsConfig) -> LabelledPath | None:
    """Return the path with a label for each step that has one; None when it has several, and none but the last."""
    labels = [_label(*places.completions(place), options) for place in places.along(path.steps)[1:-1]]
    return _joined(path, path.steps, labels)


def _by_nodes(
    path: FinishedPath, labels: Mapping[int, StepLabel], options: LabelsConfig, splitter: StepSplitter
) -> LabelledPath | None:
    """Return the path with what its nodes wrote for steps; None when there is a label for none but the last."""
    nodes, behind = [], ""
    for node in path.nodes:
        text = trajectory_of([node]).prefix
        if text.strip():
            nodes.append((node.node_id, splitter.shown(text, behind)))
        behind += text
    return _joined(path, [step for _, step in nodes], [labels.get(node_id) for node_id, _ in nodes[:-1]])


def _joined(path: FinishedPath, steps: Sequence[str], labels: Sequence[StepLabel | None]) -> LabelledPath | None:
    """Return the path, steps without a label joined to those behind them; ``labels`` are those of all but the last."""
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
