"""``decide`` against the plain one of ``references_decision``, and the same answer for any order of tells."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from search import Decision, Node, Proposal, Tree, decide
from search.decision import AGGREGATIONS, DECISION_RULES
from tests.search.references_decision import decided


@dataclass
class Sketch:
    """A node of a tree that is yet to be grown, in one order or another."""

    proposal: Proposal[int]
    visits: int
    votes: float
    children: list[Sketch] = field(default_factory=list)


def random_sketch(draw: random.Random, *, is_keyed: bool) -> Sketch:
    """Return a random tree; with ``is_keyed``, all siblings differ in their keys, ends of rollouts included."""
    is_exact, known_share = draw.random() < 0.6, draw.choice((0.0, 0.8, 1.0))
    prior_share, terminal_share = draw.choice((0.0, 0.9, 1.0)), draw.choice((0.3, 0.6))
    outcomes = draw.choice(((None, "a", "b"), ("a", "b", "c", 1), (None,), (("x", 1), ("x", 2), None)))

    def proposal(key: object, *, is_terminal: bool, num_rollouts: int = 0) -> Proposal[int]:
        value = draw.randint(0, 4) / 4 if is_exact else draw.random()
        return Proposal(
            draw.randrange(10**9),
            value if draw.random() < known_share else None,
            draw.choice((draw.random(), 0.0, 0.5)) if draw.random() < prior_share else None,
            is_terminal,
            key if is_keyed or draw.random() < 0.5 else None,  # type: ignore[arg-type]
            draw.choice(outcomes) if is_terminal else None,
            tuple(proposal(("r", index), is_terminal=True) for index in range(num_rollouts)),
        )

    votes = draw.choice(((1.0,), (0.0, 1.0, 2.0), (0.0, 0.5, draw.random())))
    root = Sketch(Proposal(0), 0, 1.0)
    sketches = [root]
    for _ in range(draw.randint(0, 12)):
        parent = draw.choice(sketches)
        is_terminal = draw.random() < terminal_share
        num_rollouts = 0 if is_terminal else draw.choice((0, 0, 1, 2))
        key = len(parent.children)
        offered = proposal(key, is_terminal=is_terminal, num_rollouts=num_rollouts)
        sketch = Sketch(offered, draw.randint(0, 2), draw.choice(votes))
        parent.children.append(sketch)
        sketches.append(sketch)
    return root


def grown(sketch: Sketch, draw: random.Random) -> Tree[int]:
    """Return the tree, its nodes added in a random order, parents before children."""
    tree = Tree(0)
    waiting = [(tree.root, child) for child in sketch.children]
    while waiting:
        parent, child = waiting.pop(draw.randrange(len(waiting)))
        node = tree.add_child(parent, child.proposal)
        tree.set_votes(node, child.votes)
        for _ in range(child.visits):
            tree.reserve(node, 1)
            tree.visit(node, 1)
        waiting += [(node, grandchild) for grandchild in child.children]
    return tree


def read(decision: Decision[int] | None) -> tuple[Node[int], float | None, float, int] | None:
    return None if decision is None else (decision.node, decision.value, decision.support, decision.num_paths)


def same_as_reference(seeds: Sequence[int]) -> None:
    for seed in seeds:
        draw = random.Random(seed)
        tree = grown(random_sketch(draw, is_keyed=draw.random() < 0.5), draw)
        if tree.finished and draw.random() < 0.3:
            tree.keep(draw.choice(tree.finished))
        aggregation, exponent = draw.choice(AGGREGATIONS), draw.choice((0.0, 0.0, 1.0, 0.5))
        for rule in DECISION_RULES:
            found = read(decide(tree, rule, aggregation=aggregation, prior_exponent=exponent))
            expected = decided(tree, rule, aggregation, exponent)
            assert found == (expected and (*expected[:2], pytest.approx(expected[2]), expected[3])), (seed, rule)


def same_in_any_order(seeds: Sequence[int]) -> None:
    for seed in seeds:
        draw = random.Random(seed)
        is_keyed = draw.random() < 0.5
        sketch = random_sketch(draw, is_keyed=is_keyed)
        trees = [grown(sketch, draw) for _ in range(3)]
        aggregation, exponent = draw.choice(AGGREGATIONS), draw.choice((0.0, 1.0))
        for rule in DECISION_RULES:
            if rule == "last":
                continue
            answers = set()
            for tree in trees:
                decision = decide(tree, rule, aggregation=aggregation, prior_exponent=exponent)
                if decision is not None:
                    state = decision.node.state if is_keyed else None
                    # Without keys a tie goes by creation, and weighed values may tie where values do not.
                    value = decision.value if is_keyed or not exponent else None
                    answer = (decision.node.outcome, value, decision.support, decision.num_paths, state)
                    answers.add(answer)
            assert len(answers) <= 1, (seed, rule)


def test_it_decides_what_its_reference_decides() -> None:
    same_as_reference(range(500))


def test_the_order_of_tells_changes_no_decision_but_the_last() -> None:
    same_in_any_order(range(500))


@pytest.mark.slow
def test_it_decides_what_its_reference_decides_for_thousands_of_seeds() -> None:
    same_as_reference(range(500, 6000))


@pytest.mark.slow
def test_the_order_of_tells_changes_no_decision_but_the_last_for_thousands_of_seeds() -> None:
    same_in_any_order(range(500, 6000))
