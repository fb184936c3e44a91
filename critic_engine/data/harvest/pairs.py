"""Pairs of a better and a worse path of one labelled tree.

Nodes part where the search drew anew, and two draws may still begin with equal steps. So the place where a pair parts
is found in the text: after the last step that both paths share.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from critic_engine.config.collect import PairKind, PairsConfig
from critic_engine.data.harvest.paths import FinishedPath, Places, Support, num_tokens_of, written
from critic_engine.episode.node_state import NodeState, trajectory_of
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.annotator import Parting
from critic_engine.types import Trajectory
from search import Tree, sibling_pairs, worst_order


@dataclass(frozen=True, slots=True)
class Branch:
    """One side of a pair, from where the two part."""

    steps: tuple[str, ...]
    """At least one."""
    text: str
    """Exactly what the reasoner wrote."""
    answer: str | None
    """The answer of the path; None where the branch ends before one."""
    value: float | None
    """For ``sibling`` the node's Q; else the share, in [0, 1], of right ones among the tree's completions that begin
    with the shared steps and the branch's first; one without an answer is not right."""
    num_rollouts: int
    """Completions that the value rests on; for ``sibling`` those below the node."""
    num_tokens: int | None
    """Tokens generated for the whole path to its end; None is unknown."""
    node_id: int
    """The node where it ends; below 0 for a rollout."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two paths of one tree that part."""

    kind: PairKind
    shared: tuple[str, ...]
    """The steps before they part."""
    shared_text: str
    """Exactly what the reasoner wrote of them on the chosen side; white space may differ on the other."""
    chosen: Branch
    rejected: Branch
    support: Support | None = None
    """How often the reasoner drew the chosen side's first own step where the two part; None for ``sibling``."""
    num_paths: int = 1
    """Wrong paths of the tree with this very text."""

    @property
    def depth(self) -> int:
        """Steps that both share."""
        return len(self.shared)

    @property
    def rejected_path(self) -> tuple[str, ...]:
        """The steps of the whole path along the rejected side."""
        return self.shared + self.rejected.steps

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
        # One text in place of all: a continuation starts from their sum.
        texts = (text, *("",) * (len(steps) - 1)) if steps else None
        return Trajectory(steps, texts=texts)


def errors(pairs: Sequence[Pair], believed: Iterable[int]) -> list[int]:
    """Return the number of each error's first divergent pair, the most frequent error first.

    Pairs that part at one place by one wrong step are one error.

    Args:
        pairs: All pairs of a tree, by their numbers.
        believed: Numbers, ascending, of those that are believed.
    """
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, pair in ((number, pairs[number]) for number in believed if pairs[number].kind == "divergent"):
        found.setdefault(pair.shared + pair.rejected.steps[:1], (-pair.rejected.num_rollouts, number))
    return [number for _, number in sorted(found.values())]


@dataclass(frozen=True, slots=True)
class TreePairs:
    """The pairs of one tree."""

    pairs: tuple[Pair, ...]
    num_over_limit: int
    """Wrong paths whose divergent pairs are past ``max_pairs``."""
    num_others_over_limit: int
    """Pairs of the other kinds past ``max_pairs``."""


def make_pairs(
    tree: Tree[NodeState],
    paths: Sequence[FinishedPath],
    right: Sequence[FinishedPath],
    *,
    options: PairsConfig,
    splitter: StepSplitter,
) -> TreePairs:
    """Return the distinct pairs of each kind that ``options`` names, in their order.

    Args:
        tree: A labelled tree.
        paths: Its paths, as ``read_paths`` returns them.
        right: Right paths to pair with wrong ones, the reference path first.
        options: Kinds of pairs, and limits.
        splitter: Cuts texts into steps.
    """
    maker = _Maker(tree, paths, right, splitter, Places(paths))
    makers = {
        "divergent": maker.divergent,
        "sibling": lambda: maker.siblings(options),
        "first_error": maker.first_errors,
        "best_worst": maker.best_worst,
    }
    found = {kind: _distinct(makers[kind]()) for kind in options.kinds}
    pairs = tuple(pair for each in found.values() for pair in each[: options.max_pairs])
    cut = {kind: each[options.max_pairs :] for kind, each in found.items()}
    num_cut = sum(pair.num_paths for pair in cut.get("divergent", []))
    return TreePairs(pairs, num_cut, sum(len(each) for kind, each in cut.items() if kind != "divergent"))


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the pairs of one tree."""

    tree: Tree[NodeState]
    paths: Sequence[FinishedPath]
    right: Sequence[FinishedPath]
    splitter: StepSplitter
    places: Places

    def divergent(self) -> Iterator[Pair]:
        """Yield each wrong path against the reference path: MMC, arXiv 2504.11009, stage 2."""
        for path in self._wrong():
            if self.right:
                yield from self._pair("divergent", self.right[0], path)

    def best_worst(self) -> Iterator[Pair]:
        """Yield the first pair of the reference path with a wrong one, the worst of these first."""
        worst_first = sorted(self._wrong() if self.right else (), key=lambda path: worst_order(path.node))
        pairs = (pair for path in worst_first for pair in self._pair("best_worst", self.right[0], path))
        yield from islice(pairs, 1)

    def first_errors(self) -> Iterator[Pair]:
        """Yield, for each wrong path, its first own step against that of the right path that parts from it last."""
        ways: dict[int, dict[int, FinishedPath]] = {}
        for path in self.right:
            for place, behind in pairwise(self.places.along(path.steps)):
                ways.setdefault(place, {}).setdefault(behind, path)
        for path in self._wrong():
            steps = list(pairwise(self.places.along(path.steps)))
            others = (way for place, own in steps[::-1] for behind, way in ways.get(place, {}).items() if behind != own)
            for match in islice(others, 1):
                for pair in self._pair("first_error", match, path):
                    chosen, rejected = _first_step(pair.chosen, match), _first_step(pair.rejected, path)
                    yield replace(pair, chosen=chosen, rejected=rejected)

    def siblings(self, options: PairsConfig) -> Iterator[Pair]:
        """Yield, for each node, its best child against its worst."""
        num_ends = Counter(node.node_id for path in self.paths if path.is_known for node in path.nodes)
        for found in sibling_pairs(self.tree, min_margin=options.min_margin, max_pairs=max(1, len(self.tree))):
            nodes = (found.accepted, found.rejected)
            texts = [trajectory_of(self.tree.path(node)).prefix for node in nodes]
            steps, pieces = ([cut(text) for text in texts] for cut in (self.splitter.steps, self.splitter.pieces))
            num_shared = _num_shared(*steps)
            if num_shared < min(map(len, steps)):
                chosen, rejected = (
                    Branch(
                        steps=steps[side][num_shared:],
                        text="".join(pieces[side][num_shared:]),
                        answer=node.state.answer,
                        value=node.search_value,
                        num_rollouts=num_ends[node.node_id],
                        num_tokens=num_tokens_of(written(self.tree.path(node))),
                        node_id=node.node_id,
                    )
                    for side, node in enumerate(nodes)
                )
                yield Pair("sibling", steps[0][:num_shared], "".join(pieces[0][:num_shared]), chosen, rejected)

    def _wrong(self) -> Iterator[FinishedPath]:
        return (path for path in self.paths if path.is_right is False)

    def _pair(self, kind: PairKind, right: FinishedPath, wrong: FinishedPath) -> Iterator[Pair]:
        """Yield the pair of two paths; none where one is a prefix of the other."""
        num_shared = _num_shared(right.steps, wrong.steps)
        if num_shared < min(len(right.steps), len(wrong.steps)):
            place, behind = self.places.along(right.steps[: num_shared + 1])[-2:]
            yield Pair(
                kind=kind,
                shared=right.steps[:num_shared],
                shared_text="".join(right.pieces[:num_shared]),
                chosen=self._branch(right, num_shared),
                rejected=self._branch(wrong, num_shared),
                support=self.places.support(place, behind),
            )

    def _branch(self, path: FinishedPath, num_shared: int) -> Branch:
        num_right, num_known = self.places.known(self.places.along(path.steps[: num_shared + 1])[-1])
        return Branch(
            steps=path.steps[num_shared:],
            text="".join(path.pieces[num_shared:]),
            answer=path.node.state.answer,
            value=num_right / num_known if num_known else None,
            num_rollouts=num_known,
            num_tokens=path.num_tokens,
            node_id=path.node.node_id,
        )


def _num_shared(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))


def _first_step(branch: Branch, path: FinishedPath) -> Branch:
    num_shared = len(path.steps) - len(branch.steps)
    answer = branch.answer if len(branch.steps) == 1 else None
    return replace(branch, steps=branch.steps[:1], text=path.pieces[num_shared], answer=answer)


def _distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """Return each distinct pair once with its count, the deepest first, then the first found."""
    found: dict[tuple[tuple[str, ...], ...], Pair] = {}
    for pair in pairs:
        key = (pair.shared, pair.chosen.steps, pair.rejected.steps)
        found[key] = replace(found[key], num_paths=found[key].num_paths + 1) if key in found else pair
    return sorted(found.values(), key=lambda pair: -pair.depth)
