"""Labels of steps by the completions of a tree, and by a search for the first wrong step."""

import asyncio
import random
from collections.abc import Collection, Sequence
from fractions import Fraction
from math import ceil, log2

import pytest

from critic_engine.config.collect import LabelsConfig
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.labels import (
    FirstError,
    LabelledPath,
    StepLabel,
    TreeLabels,
    first_error,
    tree_labels,
)
from critic_engine.data.harvest.paths import read_paths
from critic_engine.episode.node_state import NodeState, ReasoningNode, trajectory_of
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.checker import Checker
from critic_engine.types import Problem, ProblemRow
from search import Proposal, Tree

PROBLEM = Problem("how many ?", name="p")
CHECKER = Checker([ProblemRow(1, "p", PROBLEM, ("1",))])
LINES = StepSplitter(ExpanderConfig(split="delimiter"))
RIGHT, WRONG = StepLabel.hard(is_right=True), StepLabel.hard(is_right=False)


def add(
    parent: ReasoningNode,
    tree: Tree[NodeState],
    *steps: str,
    texts: tuple[str, ...] | None = None,
    rollouts: Sequence[str | None] = (),
) -> ReasoningNode:
    """Return a new step from which rollouts with these answers set out."""
    ends = tuple(Proposal(NodeState((f"answer : {answer}",), answer=answer), is_terminal=True) for answer in rollouts)
    return tree.add_child(parent, Proposal(NodeState(steps, texts=texts), rollouts=ends))


def finish(
    parent: ReasoningNode, tree: Tree[NodeState], *steps: str, answer: str | None, is_rewrite: bool = False
) -> ReasoningNode:
    return tree.add_child(parent, Proposal(NodeState(steps, is_rewrite, answer), is_terminal=True))


def labels_of(
    tree: Tree[NodeState], splitter: StepSplitter = LINES, checker: Checker = CHECKER, **options: int
) -> TreeLabels:
    paths = read_paths(tree, PROBLEM, checker=checker, splitter=splitter)
    return tree_labels(paths, LabelsConfig(**{"min_completions": 1, "max_paths": 1000, **options}), splitter=splitter)


def said(found: TreeLabels) -> dict[tuple[str, ...], tuple[StepLabel, ...]]:
    return {path.steps: path.labels for path in found.paths}


def test_a_step_is_labelled_by_what_was_drawn_from_its_end_or_before_it_and_the_last_by_its_answer() -> None:
    tree = Tree(NodeState())
    first = add(tree.root, tree, "first", rollouts=("1", "2", None))
    second = add(first, tree, "second", rollouts=("1", "1"))
    finish(first, tree, "answer : 1", answer="1")
    finish(second, tree, "answer : 3", answer="3")
    add(tree.root, tree, "elsewhere", rollouts=("1",))
    # Behind the first step stand its rollouts and the end that was drawn from it; what set out from the second step,
    # which was chosen among others, tells nothing of the first.
    at_first, at_second = StepLabel.soft(2, 4), StepLabel.soft(2, 3)
    found = labels_of(tree)
    assert said(found) == {
        ("first", "second", "answer : 1"): (at_first, at_second, RIGHT),
        ("first", "second", "answer : 3"): (at_first, at_second, WRONG),
        ("first", "answer : 1"): (at_first, RIGHT),
        ("first", "answer : 2"): (at_first, WRONG),
        ("elsewhere", "answer : 1"): (StepLabel.soft(1, 1), RIGHT),
    }
    assert (found.num_alike, found.num_coarse, found.num_unchecked, found.num_over_limit) == (2, 0, 1, 0)


def test_completions_that_say_the_same_for_a_while_label_what_they_say_together() -> None:
    tree = Tree(NodeState())
    ends = [(f"count {count}\nanswer : {answer}", answer) for count, answer in ((1, "1"), (1, "1"), (1, "3"), (2, "2"))]
    rollouts = tuple(Proposal(NodeState((text,), answer=answer), is_terminal=True) for text, answer in ends)
    tree.add_child(tree.root, Proposal(NodeState(("look",)), rollouts=rollouts))
    assert said(labels_of(tree)) == {
        ("look", "count 1", "answer : 1"): (StepLabel.soft(2, 4), StepLabel.soft(2, 3), RIGHT),
        ("look", "count 1", "answer : 3"): (StepLabel.soft(2, 4), StepLabel.soft(2, 3), WRONG),
        ("look", "count 2", "answer : 2"): (StepLabel.soft(2, 4), StepLabel.soft(0, 1), WRONG),
    }
    # Of a step behind which too few were drawn nothing is said: it is one with what comes after it.
    assert ("look", "count 2\nanswer : 2") in said(labels_of(tree, min_completions=2))
    assert labels_of(tree, min_completions=4).paths[0].labels == (StepLabel.soft(2, 4), RIGHT)
    assert labels_of(tree, min_completions=5) == TreeLabels((), num_alike=1, num_coarse=3)


def test_past_the_limit_right_and_wrong_paths_stay_by_turns_those_with_most_labels_first() -> None:
    tree = Tree(NodeState())
    first = add(tree.root, tree, "first", rollouts=("1", "2", "3"))
    add(first, tree, "second", rollouts=("1", "4"))
    found = labels_of(tree, max_paths=3)
    assert [path.steps for path in found.paths] == [
        ("first", "second", "answer : 1"),
        ("first", "second", "answer : 4"),
        ("first", "answer : 1"),
    ]
    assert found.num_over_limit == 2


def test_an_answer_that_cannot_be_checked_labels_nothing_and_its_path_is_counted() -> None:
    tree = Tree(NodeState())
    finish(add(tree.root, tree, "first", rollouts=("1",)), tree, "answer : 1", answer="1")
    assert labels_of(tree, checker=Checker()) == TreeLabels((), num_unchecked=2)


def test_a_turn_that_ends_with_no_more_words_labels_the_step_before_it() -> None:
    tree = Tree(NodeState())
    first = add(tree.root, tree, "first", rollouts=("2",))
    finish(add(first, tree, "answer : 1"), tree, answer="1")
    assert said(labels_of(tree))["first", "answer : 1"] == (StepLabel.soft(0, 1), RIGHT)


@pytest.mark.parametrize("splitter", [LINES, StepSplitter(ExpanderConfig(split="tokens"))], ids=["lines", "tokens"])
def test_a_node_that_ends_within_a_step_labels_the_whole_steps_that_its_completions_write(
    splitter: StepSplitter,
) -> None:
    tree = Tree(NodeState())
    rests = [("1 red\nanswer : 1\n", "1"), ("1 red\nanswer : 2\n", "2"), ("1 blue\nanswer : 2\n", "2")]
    rollouts = tuple(
        Proposal(NodeState((text,), answer=answer, texts=(text,)), is_terminal=True) for text, answer in rests
    )
    tree.add_child(tree.root, Proposal(NodeState(("row 1 : a",), texts=("row 1 : a",)), rollouts=rollouts))
    assert said(labels_of(tree, splitter)) == {
        ("row 1 : a1 red", "answer : 1"): (StepLabel.soft(1, 2), RIGHT),
        ("row 1 : a1 red", "answer : 2"): (StepLabel.soft(1, 2), WRONG),
        ("row 1 : a1 blue", "answer : 2"): (StepLabel.soft(0, 1), WRONG),
    }


def test_where_no_whole_step_has_a_label_the_nodes_are_the_steps() -> None:
    tree = Tree(NodeState())
    rests = [("1 red\nanswer : 1\n", "1"), ("1 blue\nanswer : 2\n", "2")]
    rollouts = tuple(
        Proposal(NodeState((text,), answer=answer, texts=(text,)), is_terminal=True) for text, answer in rests
    )
    tree.add_child(tree.root, Proposal(NodeState(("row 1 : a",), texts=("row 1 : a",)), rollouts=rollouts))
    assert said(labels_of(tree, min_completions=2)) == {
        ("row 1 : a", "1 red\nanswer : 1"): (StepLabel.soft(1, 2), RIGHT),
        ("row 1 : a", "1 blue\nanswer : 2"): (StepLabel.soft(1, 2), WRONG),
    }


def test_steps_end_where_the_splitter_says() -> None:
    tree = Tree(NodeState())
    first = add(tree.root, tree, "It is, e.g. red.", texts=("It is, e.g. red.",))
    for text, answer in ((" So one is left.", "1"), (" No. 2 it is.", "2")):
        tree.add_child(first, Proposal(NodeState((text.strip(),), answer=answer, texts=(text,)), is_terminal=True))
    assert said(labels_of(tree, StepSplitter(ExpanderConfig(split="sentence")))) == {
        ("It is, e.g. red.", "So one is left."): (StepLabel.soft(1, 2), RIGHT),
        ("It is, e.g. red.", "No. 2 it is."): (StepLabel.soft(1, 2), WRONG),
    }


def test_a_path_of_several_steps_with_a_label_for_none_but_the_last_is_left_out_and_counted() -> None:
    tree = Tree(NodeState())
    finish(tree.root, tree, "row 1 : none", "answer : 2", answer="2")
    only = finish(tree.root, tree, "answer : 1", answer="1")
    found = labels_of(tree, min_completions=2)
    assert found == TreeLabels((LabelledPath(only.node_id, ("answer : 1",), (RIGHT,)),), num_coarse=1)


def test_a_rewrite_completes_nothing_that_it_replaces_and_its_path_begins_with_it() -> None:
    tree = Tree(NodeState())
    first = add(tree.root, tree, "first", rollouts=("3",))
    wrong = finish(first, tree, "answer : 2", answer="2")
    finish(wrong, tree, "look again", "answer : 1", answer="1", is_rewrite=True)
    finish(wrong, tree, "answer : 1", answer="1", is_rewrite=True)
    found = labels_of(tree)
    assert said(found)["first", "answer : 2"] == (StepLabel.soft(0, 2), WRONG)
    assert said(found)["answer : 1",] == (RIGHT,)
    # Nobody drew from within the other rewrite.
    assert ("look again", "answer : 1") not in said(found)
    assert found.num_coarse == 1


def random_tree(seed: int) -> Tree[NodeState]:
    """Return a tree of one-line steps of few words, some of them rewrites."""
    draw = random.Random(seed)
    tree = Tree(NodeState())
    open_nodes = [tree.root]
    for _ in range(draw.randint(1, 40)):
        parent, step = draw.choice(open_nodes), f"step {draw.randint(1, 3)}"
        answers = [draw.choice(("1", "2", None)) for _ in range(draw.choice((0, 0, 2, 4)))]
        if draw.random() < 0.4:
            is_rewrite, answer = draw.random() < 0.2, draw.choice(("1", "2", None))
            finish(parent, tree, step, f"answer : {answer}", answer=answer, is_rewrite=is_rewrite)
        else:
            open_nodes.append(add(parent, tree, step, rollouts=answers))
    return tree


@pytest.mark.parametrize("seed", range(40))
def test_labels_are_the_shares_right_counted_one_by_one(seed: int) -> None:
    tree = random_tree(seed)
    ends = [(trajectory_of(tree.path(end)).steps, end) for end in (*tree.finished, *tree.rollouts)]

    def given(steps: tuple[str, ...], end: ReasoningNode) -> int:
        assert end.parent is not None
        return len(steps) if end.state.is_rewrite else len(trajectory_of(tree.path(end.parent)).steps)

    for path in labels_of(tree).paths:
        whole = next(steps for steps, end in ends if end.node_id == path.node_id)
        assert "\n".join(path.steps) == "\n".join(whole)
        num_steps = 0
        for step, label in zip(path.steps[:-1], path.labels[:-1], strict=True):
            num_steps += step.count("\n") + 1
            drawn = [
                end.state.answer == "1"
                for steps, end in ends
                if steps[:num_steps] == whole[:num_steps] and given(steps, end) <= num_steps
            ]
            assert (label.num_right, label.num_rollouts) == (sum(drawn), len(drawn))
            assert label.value == float(Fraction(sum(drawn), len(drawn)))
        assert path.labels[-1] == StepLabel.hard(is_right=whole[-1] == "answer : 1")


@pytest.mark.parametrize(
    ("value", "num_right", "num_rollouts"), [(0.5, 0, 0), (0.5, 1, 4), (1.0, 3, 2), (-1.0, -1, 1), (float("nan"), 0, 0)]
)
def test_a_label_whose_numbers_disagree_is_refused(value: float, num_right: int, num_rollouts: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        StepLabel(value, num_right, num_rollouts)


def test_a_label_of_no_completions_is_refused() -> None:
    with pytest.raises(ValueError, match="num_rollouts must be at least 1"):
        StepLabel.soft(0, 0)


def test_one_right_completion_makes_a_step_right() -> None:
    assert [StepLabel.soft(num_right, 16).is_hard_right for num_right in (0, 1, 16)] == [False, True, True]
    assert (RIGHT.is_hard_right, WRONG.is_hard_right) == (True, False)


class Completions:
    """Completions of a solution: from so many steps on, how many of 4 are right; and what was asked."""

    def __init__(self, can_come_out_right: Collection[int], num_right: int = 1) -> None:
        self._can_come_out_right = can_come_out_right
        self._num_right = num_right
        self.asked: list[int] = []

    async def count_right(self, num_steps: int) -> StepLabel:
        self.asked.append(num_steps)
        return StepLabel.soft(self._num_right if num_steps in self._can_come_out_right else 0, 4)


def search_of(num_steps: int, completions: Completions) -> FirstError:
    return asyncio.run(first_error(num_steps, completions.count_right))


def test_the_search_halves_what_is_open() -> None:
    completions = Completions(range(0, 5), num_right=3)
    found = search_of(8, completions)
    assert found.first_wrong_step == 5
    assert completions.asked == [4, 7, 6, 5]
    assert found.labels == {4: StepLabel.soft(3, 4), **dict.fromkeys((7, 6, 5), StepLabel.soft(0, 4))}
    assert not found.is_unsolvable
    assert found.step_labels == (
        *(RIGHT,) * 3,
        StepLabel.soft(3, 4),
        *(StepLabel.soft(0, 4),) * 3,
        WRONG,
    )


@pytest.mark.parametrize("num_steps", range(1, 65))
def test_every_first_wrong_step_is_found_with_few_questions(num_steps: int) -> None:
    most = ceil(log2(num_steps + 2))
    assert most <= max(2, ceil(log2(num_steps)) + 1)
    for first_wrong in range(0, num_steps + 2):
        completions = Completions(range(first_wrong))
        found = search_of(num_steps, completions)
        assert found.first_wrong_step == (first_wrong if 1 <= first_wrong <= num_steps else None)
        assert found.is_unsolvable == (first_wrong == 0)
        assert len(completions.asked) == len(set(completions.asked)) <= most
        assert list(found.labels) == completions.asked
        assert (0 in found.labels) == (first_wrong <= 1)
        labels = found.step_labels
        if found.is_unsolvable:
            assert labels == (None,) * num_steps
            continue
        for step, label in enumerate(labels, start=1):
            assert label is not None
            assert label.is_hard_right == (step < first_wrong)
            assert (label.num_rollouts > 0) == (step in completions.asked)


def test_completions_that_fail_by_chance_put_the_first_wrong_step_too_early() -> None:
    true_first_wrong = 7
    unlucky = Completions(set(range(true_first_wrong)) - {4})
    found = search_of(8, unlucky)
    assert unlucky.asked == [4, 2, 3]
    assert found.first_wrong_step == 4
    for seed in range(50):
        lucky = {step for step in range(true_first_wrong) if random.Random(f"{seed} {step}").random() < 0.7}
        found = search_of(8, Completions(lucky))
        assert found.is_unsolvable or (found.first_wrong_step or 9) <= true_first_wrong


def test_the_end_of_a_finished_solution_is_labelled_without_a_draw() -> None:
    async def count_right(num_steps: int) -> StepLabel:
        return WRONG if num_steps == 2 else StepLabel.soft(1, 4)

    found = asyncio.run(first_error(2, count_right))
    assert found.first_wrong_step == 2
    assert found.step_labels == (StepLabel.soft(1, 4), WRONG)


def test_a_draw_that_fails_ends_the_search() -> None:
    async def count_right(num_steps: int) -> StepLabel:
        raise TimeoutError(str(num_steps))

    with pytest.raises(TimeoutError, match="2"):
        asyncio.run(first_error(4, count_right))


def test_a_search_needs_steps() -> None:
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        search_of(0, Completions(()))
