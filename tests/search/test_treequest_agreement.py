"""Where the rules coincide, our tree is that of StandardMCTS in ``treequest``, and our posteriors those of its AB-MCTS.

It asks for k children of a leaf in a row, whatever the first ones bring, and weighs the exploration of a child by the
softmax of the siblings' scores. Its count of a node holds the node's own evaluation, as N of our UCT does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TypeAlias

import numpy
import pytest
from treequest import StandardMCTS
from treequest.algos.ab_mcts_a.prob_state import PriorConfig, ProbabilisticDist
from treequest.algos.standard_mcts import MCTSState

from search import Budget, Limits, Mcts, MctsOptions, Node, Proposal, Tree
from search.backup import back_up
from search.posterior import Evidence, beta_posterior, gaussian_posterior
from search.selection import SelectionTerms, select

NUM_STEPS = 60

Path: TypeAlias = tuple[int, ...]
Score: TypeAlias = Callable[[Path], float]


class Theirs:
    """StandardMCTS, its states being paths of child numbers."""

    def __init__(self, num_children: int, exploration: float, score: Score) -> None:
        self.algorithm = StandardMCTS(samples_per_action=num_children, exploration_weight=exploration)
        self.state: MCTSState[Path] = self.algorithm.init_tree()
        self.score = score
        self.num_told: dict[Path, int] = {}

    def step(self) -> Path:
        """Add one node and return its path."""
        self.state, trial = self.algorithm.ask(self.state, ["act"])
        parent: Path = trial.parent_state or ()
        index = self.num_told[parent] = self.num_told.get(parent, -1) + 1
        path = (*parent, index)
        self.state = self.algorithm.tell(self.state, trial.trial_id, (path, self.score(path)))
        return path

    def counts(self) -> dict[Path, int]:
        """Return the visit count of each path."""
        return {node.state or (): self.state.visit_counts[node.expand_idx] for node in self.state.tree.get_nodes()}


def counts(tree: Tree[Path]) -> dict[Path, int]:
    """Return the visit count of each path, a node's own evaluation included."""
    return {node.state: node.visit_count + (node is not tree.root) for node in tree.nodes}


@pytest.mark.parametrize("num_children", [2, 3, 4])
def test_greedy_trees_are_equal_node_for_node(num_children: int) -> None:
    for seed in range(60):

        def score(path: Path, seed: int = seed) -> float:
            return random.Random(f"{seed} {path}").random()

        theirs = Theirs(num_children, 0.0, score)
        for _ in range(NUM_STEPS):
            theirs.step()
        search = Mcts(
            MctsOptions(
                selection="uct",
                exploration=0.0,
                num_proposals=1,
                max_proposals=num_children,
                max_pending=num_children,
            ),
            rng=numpy.random.default_rng(0),
            root=(),
            limits=Limits(Budget(max_simulations=NUM_STEPS)),
        )
        while not search.is_done:
            for index, trial in enumerate(search.ask(num_children)):
                path = (*trial.node.state, index)
                search.tell(trial, [Proposal(path, score(path))])
        assert counts(search.tree) == theirs.counts(), seed


class Mirror:
    """Our tree, grown as ``Theirs`` grows: one trial a node."""

    def __init__(self, num_children: int) -> None:
        self.tree: Tree[Path] = Tree(())
        self.num_children = num_children
        self.tree.set_expandable(self.tree.root, True)
        self.by_path: dict[Path, Node[Path]] = {(): self.tree.root}

    def add(self, path: Path, score: float) -> None:
        """Add the node that they added."""
        parent = self.by_path[path[:-1]]
        self.tree.reserve(parent, 1)
        self.tree.visit(parent, 1)
        self.by_path[path] = self.tree.add_child(parent, Proposal(path, score), is_expandable=True)
        back_up(self.tree, parent, score, "mean")
        self.tree.set_expandable(parent, len(parent.children) < self.num_children)

    def next(self, exploration: float) -> Path:
        """Return the path that UCT would ask at."""
        terms = SelectionTerms(exploration / self.num_children, self.num_children)
        return select(self.tree.root, "uct", terms, numpy.random.default_rng(0)).state


@pytest.mark.parametrize("num_children", [2, 3, 4])
def test_where_siblings_score_alike_uct_with_exploration_goes_where_theirs_goes(num_children: int) -> None:
    """The priors of siblings are then 1 / k, so that our c is their weight over k."""
    num_deep = 0
    for seed in range(60):
        draw = random.Random(seed)
        exploration = draw.choice((0.3, 1.0, math.sqrt(2), 4.0))

        def score(path: Path, seed: int = seed) -> float:
            alike = random.Random(f"{seed} children of {path[:-1]}").random()
            return 0.9 * alike + 1e-7 * random.Random(f"{seed} {path}").random()

        theirs, mirror = Theirs(num_children, exploration, score), Mirror(num_children)
        expected: Path = ()
        for step in range(NUM_STEPS):
            if step % num_children == 0:
                expected = mirror.next(exploration)
            path = theirs.step()
            assert path[:-1] == expected, (seed, step)
            mirror.add(path, score(path))
            num_deep += len(path) > 2
        assert counts(mirror.tree) == theirs.counts()
    assert num_deep > 60 * NUM_STEPS / 4


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
def test_posteriors_are_equal(prior: str) -> None:
    for seed in range(60):
        draw = random.Random(seed)
        theirs, ours = ProbabilisticDist(PriorConfig(prior)), Evidence()
        for _ in range(draw.randint(0, 20)):
            value = draw.random()
            theirs.tell_observation(value)
            ours.add(value)
        if prior == "beta":
            expected = [theirs.params["a"], theirs.params["b"]]
            assert list(beta_posterior(ours)) == pytest.approx(expected)
        else:
            scale = math.sqrt(theirs.params["tau_square"] / theirs.params["kappa"])
            expected = [theirs.params["m"], scale, theirs.params["nu"]]
            assert list(gaussian_posterior(ours)) == pytest.approx(expected)
