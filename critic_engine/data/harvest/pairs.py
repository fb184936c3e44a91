"""Pairs of paths of one labelled tree, the one better than the other, from where what they say parts.

Nodes part where the search drew anew; two draws may still say the same for a while. So the place where a pair parts is
found in the text: behind the last step that both paths share.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from critic_engine.annotator import Parting
from critic_engine.checker import Checker
from critic_engine.collect_options import PairKind, PairsConfig
from critic_engine.parsing.steps import StepSplitter
from critic_engine.state import NodeState, ReasoningNode, trajectory_of
from critic_engine.types import Problem, Trajectory
from search import Tree, best_worst_pair, path_log_prior, reference_order, sibling_pairs

Doubt: TypeAlias = Literal[
    "little_support", "critic_unreadable", "reference_doubted", "chosen_doubted", "rejected_believed"
]
"""Why it is not believed of a divergent pair that it parts where the wrong path goes wrong."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One side of a pair, from where the two part."""

    steps: tuple[str, ...]
    """At least one."""
    text: str
    """Exactly what the reasoner wrote of it."""
    answer: str | None
    """What the path answers; None where the branch ends before an answer."""
    value: float | None
    """For ``sibling`` the node's Q; else the share, in [0, 1], of right ones among the tree's completions that begin
    with the shared steps and the branch's first; one without an answer is not right."""
    num_rollouts: int
    """Completions that the value was drawn from."""
    num_tokens: int | None
    """Tokens generated for the whole path to its end; None is unknown."""
    node_id: int
    """Where it ends in the tree; below 0 for a rollout."""

    @property
    def num_right(self) -> int:
        """How many of these are right."""
        return 0 if self.value is None else round(self.value * self.num_rollouts)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two paths of one tree that part."""

    kind: PairKind
    shared: tuple[str, ...]
    """The steps before they part."""
    shared_text: str
    """Exactly what the reasoner wrote of these on the chosen side; the other may have spaced them otherwise."""
    chosen: Branch
    rejected: Branch
    num_rollouts: int
    """Completions of the tree that begin with these."""
    most_alike: int
    """The most of these that go on by the same step; 1 where no two do."""
    num_paths: int = 1
    """Wrong paths of the tree that read just so."""

    @property
    def depth(self) -> int:
        """Steps that both share."""
        return len(self.shared)

    @property
    def margin(self) -> float | None:
        """The chosen side's value less the rejected one's, in [-1, 1]; None when either is unknown."""
        if self.chosen.value is None or self.rejected.value is None:
            return None
        return self.chosen.value - self.rejected.value

    @property
    def parting(self) -> Parting:
        """The two branches as an annotator sees them."""
        return Parting(self.shared, self.chosen.steps, self.rejected.steps)

    def trajectory(self, branch: Branch | None = None) -> Trajectory:
        """Return the shared steps, and with a ``branch`` the whole path along it."""
        steps, text = self.shared, self.shared_text
        if branch is not None:
            steps, text = steps + branch.steps, text + branch.text
        # One text in the place of all: what is gone on from is their sum.
        texts = (text, *("",) * (len(steps) - 1)) if steps else None
        return Trajectory(steps, texts=texts)


def pair_to_dict(pair: Pair) -> dict[str, Any]:
    """Return the pair as what JSON can hold."""
    return asdict(pair)


def pair_from_dict(data: Mapping[str, Any]) -> Pair:
    """Return the pair that ``pair_to_dict`` made ``data`` of."""
    chosen, rejected = (
        Branch(**{**data[side], "steps": tuple(data[side]["steps"])}) for side in ("chosen", "rejected")
    )
    return Pair(**{**data, "shared": tuple(data["shared"]), "chosen": chosen, "rejected": rejected})


@dataclass(frozen=True, slots=True)
class Path:
    """One finished path of a tree, a rollout or not, as text."""

    node: ReasoningNode
    steps: tuple[str, ...]
    pieces: tuple[str, ...]
    """Exactly what was written, a piece a step."""
    is_right: bool | None
    """None when the checker cannot tell, or it has no answer."""
    num_tokens: int | None


def unsupported(pair: Pair, options: PairsConfig) -> Doubt | None:
    """Return ``little_support`` where too few completions take the chosen side's first own step.

    Where no two completions say the same there, as in free text, how often a step is taken says nothing.
    """
    if pair.most_alike < 2:
        return None
    is_rare = pair.chosen.num_rollouts < options.min_share * pair.num_rollouts
    return "little_support" if is_rare or pair.chosen.num_right < options.min_support else None


def looked_at(pair: Pair) -> tuple[tuple[str, ...], ...]:
    """Return what a critic looks at: the reference path, and the two sides up to their first own steps."""
    sides = (pair.chosen.steps, pair.chosen.steps[:1], pair.rejected.steps[:1])
    return tuple(pair.shared + steps for steps in sides)


def doubt(values: Sequence[float | None], options: PairsConfig) -> Doubt | None:
    """Return what the critic's values of what it ``looked_at``, in that order, say against a pair."""
    reference, chosen, rejected = values
    if reference is None or chosen is None or rejected is None:
        return "critic_unreadable"
    if reference < options.min_reference_value:
        return "reference_doubted"
    if chosen < options.min_chosen_value:
        return "chosen_doubted"
    return "rejected_believed" if rejected > options.max_rejected_value else None


def read_paths(tree: Tree[NodeState], problem: Problem, *, checker: Checker, splitter: StepSplitter) -> list[Path]:
    """Return every finished path of the tree, rollouts last, in the order of their making."""
    return [_read_path(tree, node, problem, checker, splitter) for node in (*tree.finished, *tree.rollouts)]


@dataclass(frozen=True, slots=True)
class FoundPairs:
    """The pairs of one tree."""

    pairs: tuple[Pair, ...]
    num_over_limit: int
    """Wrong paths whose divergent pairs are past ``max_pairs``."""
    num_others_over_limit: int
    """Pairs of the other kinds that are."""


def make_pairs(
    tree: Tree[NodeState], paths: Sequence[Path], *, options: PairsConfig, splitter: StepSplitter
) -> FoundPairs:
    """Return the pairs of every kind that ``options`` names, in their order; none reads like another of its kind.

    Args:
        tree: A labelled tree.
        paths: Its paths, as ``read_paths`` returns them.
        options: Which pairs, and how many.
        splitter: What a step is.
    """
    known = _Known(tree, paths, splitter)
    makers = {
        "divergent": known.divergent,
        "sibling": lambda: known.siblings(options),
        "first_error": known.first_errors,
        "best_worst": known.best_worst,
    }
    found = {kind: _distinct(makers[kind]()) for kind in options.kinds}
    pairs = tuple(pair for each in found.values() for pair in each[: options.max_pairs])
    cut = {kind: each[options.max_pairs :] for kind, each in found.items()}
    num_cut = sum(pair.num_paths for pair in cut.get("divergent", []))
    return FoundPairs(pairs, num_cut, sum(len(each) for kind, each in cut.items() if kind != "divergent"))


class _Known:
    """What the paths of one tree say, looked up by how they begin."""

    def __init__(self, tree: Tree[NodeState], paths: Sequence[Path], splitter: StepSplitter) -> None:
        self._tree = tree
        self._splitter = splitter
        self._paths = {path.node.node_id: path for path in paths}
        self._numbers: dict[tuple[int, str], int] = {}
        self._num_known: Counter[int] = Counter()
        self._num_right: Counter[int] = Counter()
        for path in paths:
            is_known = path.is_right is not None or path.node.state.answer is None
            for beginning in self._beginnings(path.steps) if is_known else ():
                self._num_known[beginning] += 1
                self._num_right[beginning] += bool(path.is_right)
        self._most_alike: Counter[int] = Counter()
        for (place, _), beginning in self._numbers.items():
            self._most_alike[place] = max(self._most_alike[place], self._num_known[beginning])

    def _beginnings(self, steps: Sequence[str]) -> list[int]:
        """Return a number for no steps, for the first, the first two and so on; equal beginnings have equal ones."""
        numbers = [0]
        for step in steps:
            numbers.append(self._numbers.setdefault((numbers[-1], step), len(self._numbers) + 1))
        return numbers

    def _is_right(self, node: ReasoningNode) -> bool | None:
        return self._paths[node.node_id].is_right

    def divergent(self) -> Iterator[Pair]:
        """Yield each wrong path against the reference path: MMC, arXiv 2504.11009, stage 2."""
        right = [path.node for path in self._paths.values() if path.is_right]
        reference = min(right, key=lambda node: reference_order(self._tree, node), default=None)
        for path in self._paths.values():
            if reference is not None and path.is_right is False:
                yield from self._pair("divergent", reference, path.node)

    def best_worst(self) -> Iterator[Pair]:
        found = best_worst_pair(self._tree, self._is_right)
        if found is not None:
            yield from self._pair("best_worst", found.accepted_leaf, found.rejected_leaf)

    def first_errors(self) -> Iterator[Pair]:
        """Yield, for each wrong path, its first own step against that of the right path that parts from it last."""
        nearest: dict[int, Path] = {}
        right = [path for path in self._paths.values() if path.is_right]
        for path in sorted(right, key=self._likeliest_first):
            for beginning in self._beginnings(path.steps):
                nearest.setdefault(beginning, path)
        for path in self._paths.values():
            if path.is_right is False and nearest:
                match = nearest[next(each for each in self._beginnings(path.steps)[::-1] if each in nearest)]
                for pair in self._pair("first_error", match.node, path.node):
                    yield replace(
                        pair, chosen=_first_step(pair.chosen, match), rejected=_first_step(pair.rejected, path)
                    )

    def _likeliest_first(self, path: Path) -> tuple[bool, float, bool, int]:
        log_prior = path_log_prior(self._tree, path.node)
        return (log_prior is None, -(log_prior or 0.0), path.node.node_id < 0, abs(path.node.node_id))

    def siblings(self, options: PairsConfig) -> Iterator[Pair]:
        for found in sibling_pairs(self._tree, min_margin=options.min_margin, max_pairs=max(1, len(self._tree))):
            sides = [self._node_path(node) for node in (found.accepted, found.rejected)]
            num_shared = _num_shared(*(side.steps for side in sides))
            if num_shared < min(len(side.steps) for side in sides):
                nodes = (found.accepted, found.rejected)
                chosen, rejected = (
                    replace(self._branch(side, num_shared), value=node.search_value, num_rollouts=node.visit_count)
                    for side, node in zip(sides, nodes, strict=True)
                )
                most_alike = max(node.visit_count for node in nodes)
                yield _joined("sibling", sides[0], (chosen, rejected), (found.ancestor.visit_count, most_alike))

    def _pair(self, kind: PairKind, right: ReasoningNode, wrong: ReasoningNode) -> Iterator[Pair]:
        """Yield the pair of two paths; none where the one goes on from all of the other."""
        good, bad = self._paths[right.node_id], self._paths[wrong.node_id]
        num_shared = _num_shared(good.steps, bad.steps)
        if num_shared < min(len(good.steps), len(bad.steps)):
            sides = self._branch(good, num_shared), self._branch(bad, num_shared)
            place = self._beginnings(good.steps)[num_shared]
            yield _joined(kind, good, sides, (self._num_known[place], self._most_alike[place]))

    def _branch(self, path: Path, num_shared: int) -> Branch:
        beginning = self._beginnings(path.steps[: num_shared + 1])[-1]
        num_known = self._num_known[beginning]
        return Branch(
            steps=path.steps[num_shared:],
            text="".join(path.pieces[num_shared:]),
            answer=path.node.state.answer,
            value=self._num_right[beginning] / num_known if num_known else None,
            num_rollouts=num_known,
            num_tokens=path.num_tokens,
            node_id=path.node.node_id,
        )

    def _node_path(self, node: ReasoningNode) -> Path:
        nodes = self._tree.path(node)
        text = trajectory_of(nodes).prefix
        return Path(node, self._splitter.steps(text), self._splitter.pieces(text), None, _num_tokens(nodes))


def _read_path(
    tree: Tree[NodeState], node: ReasoningNode, problem: Problem, checker: Checker, splitter: StepSplitter
) -> Path:
    nodes = tree.path(node)
    text, answer = trajectory_of(nodes).prefix, node.state.answer
    is_right = None if answer is None else checker.is_right(problem, answer)
    return Path(node, splitter.steps(text), splitter.pieces(text), is_right, _num_tokens(nodes))


def _num_tokens(nodes: Iterable[ReasoningNode]) -> int | None:
    """Return the tokens of the path's own text: a rewrite's are those of the rewrite alone."""
    total: int | None = 0
    for node in nodes:
        if node.state.is_rewrite:
            total = 0
        if node.state.steps:
            total = None if total is None or node.state.num_tokens is None else total + node.state.num_tokens
    return total


def _num_shared(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))


def _first_step(branch: Branch, path: Path) -> Branch:
    num_shared = len(path.steps) - len(branch.steps)
    answer = branch.answer if len(branch.steps) == 1 else None
    return replace(branch, steps=branch.steps[:1], text=path.pieces[num_shared], answer=answer)


def _joined(kind: PairKind, chosen_path: Path, sides: tuple[Branch, Branch], counts: tuple[int, int]) -> Pair:
    num_shared = len(chosen_path.steps) - len(sides[0].steps)
    shared_text = "".join(chosen_path.pieces[:num_shared])
    return Pair(kind, chosen_path.steps[:num_shared], shared_text, *sides, *counts)


def _distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """Return what reads alike once, with its number; the pairs that part last first, then the first found."""
    found: dict[tuple[tuple[str, ...], ...], Pair] = {}
    for pair in pairs:
        key = (pair.shared, pair.chosen.steps, pair.rejected.steps)
        found[key] = replace(found[key], num_paths=found[key].num_paths + 1) if key in found else pair
    return sorted(found.values(), key=lambda pair: -pair.depth)
