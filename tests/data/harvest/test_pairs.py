"""Pairs of paths: where they part in what was written, what stands on either side, and how many there are."""

import random
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import pytest

from critic_engine.config.collect import PairsConfig
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.finding_kinds import PAIRS
from critic_engine.data.harvest.pairs import (
    Pair,
    TreePairs,
    errors,
    make_pairs,
)
from critic_engine.data.harvest.paths import FinishedPath, Places, Support, read_paths, right_paths
from critic_engine.episode.node_state import NodeState, ReasoningNode, trajectory_of
from critic_engine.parsing.steps import StepSplitter
from critic_engine.roles.checker import Checker
from critic_engine.types import Problem, ProblemRow
from search import Proposal, Tree

PROBLEM = Problem("how many ?", name="p")
CHECKER = Checker([ProblemRow(1, "p", PROBLEM, ("1",))])
LINES = StepSplitter(ExpanderConfig(split="delimiter"))
PIECES = StepSplitter(ExpanderConfig(split="tokens"))


def add(
    tree: Tree[NodeState],
    parent: ReasoningNode,
    text: str,
    *,
    rollouts: Sequence[tuple[str, str | None]] = (),
    **more: Any,
) -> ReasoningNode:
    """Return a new node that wrote ``text``; its rollouts are texts and what they answer."""
    ends = tuple(
        Proposal(state(rest, answer=answer), 0.9 if answer == "1" else 0.0, is_terminal=True, key=str(number))
        for number, (rest, answer) in enumerate(rollouts)
    )
    fields = {"prior": more.pop("prior", None), "is_terminal": more.pop("is_terminal", False)}
    value = more.pop("value", 0.5)
    return tree.add_child(parent, Proposal(state(text, **more), value, rollouts=ends, **fields))


def state(text: str, **more: Any) -> NodeState:
    return NodeState((text.strip(),) if text.strip() else (), texts=(text,) if text.strip() else None, **more)


def end(tree: Tree[NodeState], parent: ReasoningNode, text: str, answer: str | None, **more: Any) -> ReasoningNode:
    value = {"1": 1.0, None: None}.get(answer, 0.0)
    return add(tree, parent, text, answer=answer, is_terminal=True, **{"value": value, **more})


def paths_of(tree: Tree[NodeState], splitter: StepSplitter = LINES) -> list[FinishedPath]:
    return read_paths(tree, PROBLEM, checker=CHECKER, splitter=splitter)


def found_in(tree: Tree[NodeState], *kinds: str, splitter: StepSplitter = LINES, **options: Any) -> TreePairs:
    config = PairsConfig(**({"kinds": kinds} if kinds else {}), **options)
    paths = paths_of(tree, splitter)
    return make_pairs(tree, paths, right_paths(tree, paths), options=config, splitter=splitter)


def texts(pair: Pair) -> tuple[str, str, str]:
    return (pair.shared_text, pair.chosen.text, pair.rejected.text)


@pytest.fixture
def tree() -> Tree[NodeState]:
    """A shared step, then a right end, a wrong one, and a wrong rollout beside the right end."""
    tree = Tree(NodeState())
    first = add(tree, tree.root, "look\n", num_tokens=2)
    good = add(tree, first, "count 1\n", num_tokens=3, rollouts=[("answer : 2\n", "2"), ("answer : 1\n", "1")])
    bad = add(tree, first, "count 2\n", num_tokens=3)
    end(tree, good, "answer : 1", "1", num_tokens=4)
    end(tree, bad, "answer : 2", "2", num_tokens=4)
    return tree


def test_each_wrong_path_is_set_against_the_reference_where_their_words_part(tree: Tree[NodeState]) -> None:
    late, early = found_in(tree, "divergent").pairs
    assert texts(late) == ("look\ncount 1\n", "answer : 1", "answer : 2\n")
    assert (late.shared, late.depth) == (("look", "count 1"), 2)
    assert (late.chosen.steps, late.rejected.steps) == (("answer : 1",), ("answer : 2",))
    assert texts(early) == ("look\n", "count 1\nanswer : 1", "count 2\nanswer : 2")
    assert early.rejected.answer == "2"


def test_a_branchs_value_is_the_share_right_of_what_begins_like_it(tree: Tree[NodeState]) -> None:
    late, early = found_in(tree, "divergent").pairs
    # Three paths begin "look, count 1", two of which are right; one begins "look, count 2".
    assert (early.chosen.value, early.chosen.num_rollouts) == (pytest.approx(2 / 3), 3)
    assert (early.rejected.value, early.rejected.num_rollouts) == (0.0, 1)
    assert early.margin == pytest.approx(2 / 3)
    assert (late.chosen.value, late.chosen.num_rollouts) == (1.0, 2)
    assert (late.rejected.value, late.rejected.num_rollouts) == (0.0, 1)


def test_tokens_are_those_of_the_whole_path_and_unknown_where_one_is(tree: Tree[NodeState]) -> None:
    late, early = found_in(tree, "divergent").pairs
    assert (early.chosen.num_tokens, early.rejected.num_tokens) == (9, 9)
    assert late.rejected.num_tokens is None


def test_a_word_that_a_token_limit_cut_is_one_word_in_both_paths() -> None:
    tree = Tree(NodeState())
    half = add(tree, tree.root, "row 1 has tw")
    end(tree, half, "o\nso it is 1\nanswer : 1", "1")
    end(tree, half, "elve\nanswer : 12", "12")
    (pair,) = found_in(tree, "divergent", splitter=PIECES).pairs
    assert texts(pair) == ("", "row 1 has two\nso it is 1\nanswer : 1", "row 1 has twelve\nanswer : 12")
    assert pair.chosen.steps == ("row 1 has two", "so it is 1", "answer : 1")
    same = end(tree, add(tree, half, "o\nso it "), "is 2\nanswer : 2", "2")
    late = found_in(tree, "divergent", splitter=PIECES).pairs[0]
    assert texts(late) == ("row 1 has two\n", "so it is 1\nanswer : 1", "so it is 2\nanswer : 2")
    assert late.rejected.node_id == same.node_id


def test_nodes_that_part_and_say_the_same_for_a_while_part_behind_it() -> None:
    tree = Tree(NodeState())
    one, other = add(tree, tree.root, "look\n"), add(tree, tree.root, "look \n")
    end(tree, one, "answer : 1", "1")
    end(tree, other, "answer : 2", "2")
    (pair,) = found_in(tree, "divergent").pairs
    assert texts(pair) == ("look\n", "answer : 1", "answer : 2")


def test_a_rewrite_stands_alone(tree: Tree[NodeState]) -> None:
    wrong = tree.finished[1]
    again = end(tree, wrong, "look again\nanswer : 3", "3", is_rewrite=True, num_tokens=5)
    paths = {path.node.node_id: path for path in paths_of(tree)}
    assert paths[again.node_id].pieces == ("look again\n", "answer : 3")
    assert paths[again.node_id].num_tokens == 5
    pair = next(pair for pair in found_in(tree, "divergent").pairs if pair.rejected.node_id == again.node_id)
    assert texts(pair) == ("", "look\ncount 1\nanswer : 1", "look again\nanswer : 3")


def test_wrong_paths_that_read_alike_are_one_pair_with_their_number() -> None:
    tree = Tree(NodeState())
    ends = [("answer : 2\n", "2"), ("answer : 2", "2"), (" answer : 2 ", "2"), ("answer : 3", "3")]
    add(tree, tree.root, "look\n", rollouts=[("answer : 1", "1"), *ends])
    twos, three = found_in(tree, "divergent").pairs
    assert (twos.rejected.text, twos.num_paths) == ("answer : 2\n", 3)
    assert (three.rejected.text, three.num_paths) == ("answer : 3", 1)


def test_pairs_past_the_limit_are_counted_in_wrong_paths_and_those_that_part_last_stay() -> None:
    tree = Tree(NodeState())
    first = add(tree, tree.root, "look\n", rollouts=[("answer : 2", "2"), ("answer : 2", "2"), ("answer : 3", "3")])
    end(tree, first, "answer : 1", "1")
    end(tree, tree.root, "answer : 4", "4")
    add(tree, tree.root, "guess\n", rollouts=[("answer : 4", "4"), ("answer : 4", "4")])
    found = found_in(tree, "divergent", max_pairs=2)
    assert [(pair.depth, pair.num_paths) for pair in found.pairs] == [(1, 2), (1, 1)]
    assert found.num_over_limit == 3
    assert found_in(tree, "first_error", max_pairs=2).num_over_limit == 0


def test_a_path_that_goes_on_from_all_of_the_other_gives_no_pair() -> None:
    tree = Tree(NodeState())
    first = add(tree, tree.root, "look\n", rollouts=[("answer : 1\n", "1")])
    end(tree, first, "answer : 1\nno, answer : 2", "2")
    found = found_in(tree)
    assert found == TreePairs((), 0, 0)


def test_a_tree_with_one_side_alone_has_siblings_at_most(tree: Tree[NodeState]) -> None:
    all_wrong = read_paths(tree, PROBLEM, checker=Checker([ProblemRow(1, "p", PROBLEM, ("7",))]), splitter=LINES)
    assert make_pairs(tree, all_wrong, [], options=PairsConfig(), splitter=LINES) == TreePairs((), 0, 0)
    tree.nodes[2].search_value = 0.9
    unknown = read_paths(tree, PROBLEM, checker=Checker(), splitter=LINES)
    found = make_pairs(tree, unknown, [], options=PairsConfig(), splitter=LINES)
    assert {pair.kind for pair in found.pairs} == {"sibling"}
    assert all(path.is_right is None for path in read_paths(tree, PROBLEM, checker=Checker(), splitter=LINES))


def test_a_path_without_an_answer_is_on_neither_side() -> None:
    tree = Tree(NodeState())
    add(tree, tree.root, "look\n", rollouts=[("answer : 1", "1"), ("hm", None), ("answer : one or so", "one or so")])
    assert [path.is_right for path in paths_of(tree)] == [True, None, None]
    assert found_in(tree) == TreePairs((), 0, 0)


def test_a_first_error_is_set_against_the_right_path_that_goes_along_for_longest() -> None:
    tree = Tree(NodeState())
    first = add(tree, tree.root, "look\n", prior=0.5)
    end(tree, tree.root, "answer : 1", "1", value=1.0, prior=0.5)
    near = end(tree, first, "count\nanswer : 1", "1", value=0.9, prior=0.1)
    end(tree, first, "count\nand so\nanswer : 1", "1", value=0.8, prior=0.05)
    bad = end(tree, first, "count\nanswer : 2\n", "2", prior=0.2)
    (pair,) = found_in(tree, "first_error").pairs
    assert texts(pair) == ("look\ncount\n", "answer : 1", "answer : 2\n")
    assert (pair.chosen.node_id, pair.rejected.node_id) == (near.node_id, bad.node_id)
    assert (pair.chosen.answer, pair.rejected.answer) == ("1", "2")
    (whole,) = found_in(tree, "divergent").pairs
    assert texts(whole) == ("", "answer : 1", "look\ncount\nanswer : 2\n")


def test_a_wrong_path_that_goes_on_from_a_right_one_parts_from_another() -> None:
    tree = Tree(NodeState())
    right = end(tree, tree.root, "look\nanswer : 1\n", "1", value=1.0)
    end(tree, right, "no, answer : 2", "2")
    end(tree, tree.root, "look\nso\nanswer : 1", "1", value=0.5)
    (pair,) = found_in(tree, "first_error").pairs
    assert texts(pair) == ("look\n", "so\n", "answer : 1\n")


def test_a_first_error_is_one_step_and_no_answer_where_the_path_goes_on() -> None:
    tree = Tree(NodeState())
    end(tree, tree.root, "count 1\nanswer : 1", "1")
    end(tree, tree.root, "count 2\nanswer : 2", "2")
    (pair,) = found_in(tree, "first_error").pairs
    assert texts(pair) == ("", "count 1\n", "count 2\n")
    assert (pair.chosen.answer, pair.rejected.answer) == (None, None)


def test_siblings_are_set_against_each_other_by_their_values(tree: Tree[NodeState]) -> None:
    good, bad = tree.nodes[2], tree.nodes[3]
    good.search_value, bad.search_value = 0.75, 0.25
    (pair,) = found_in(tree, "sibling").pairs
    assert texts(pair) == ("look\n", "count 1\n", "count 2\n")
    assert (pair.chosen.value, pair.rejected.value) == (0.75, 0.25)
    # A path and two rollouts end below the one, a path below the other.
    assert (pair.chosen.num_rollouts, pair.rejected.num_rollouts) == (3, 1)
    assert pair.support is None
    assert (pair.chosen.answer, pair.rejected.answer) == (None, None)


def test_the_best_and_the_worst_path_are_one_pair(tree: Tree[NodeState]) -> None:
    worst = end(tree, tree.root, "answer : 9", "9")
    (pair,) = found_in(tree, "best_worst").pairs
    assert pair.chosen.text.endswith("answer : 1")
    assert pair.rejected.node_id == worst.node_id


def test_the_worst_path_that_goes_on_from_the_reference_leaves_the_place_to_the_next() -> None:
    tree = Tree(NodeState())
    first = end(tree, tree.root, "answer : 1\n", "1")
    end(tree, first, "no, answer : 2", "2", value=0.0)
    other = end(tree, tree.root, "answer : 3", "3", value=0.25)
    (pair,) = found_in(tree, "best_worst").pairs
    assert pair.rejected.node_id == other.node_id


def test_the_first_of_the_right_paths_is_the_reference_and_first_errors_look_at_all_of_them() -> None:
    tree = Tree(NodeState())
    end(tree, tree.root, "look\nanswer : 1", "1")
    end(tree, tree.root, "guess\nanswer : 1", "1")
    end(tree, tree.root, "look\nanswer : 2", "2")
    paths = paths_of(tree)
    look, guess, _ = paths
    options = PairsConfig(kinds=("divergent", "first_error"))
    pairs = make_pairs(tree, paths, [guess, look], options=options, splitter=LINES).pairs
    assert [(pair.kind, *texts(pair)) for pair in pairs] == [
        ("divergent", "", "guess\nanswer : 1", "look\nanswer : 2"),
        ("first_error", "look\n", "answer : 1", "answer : 2"),
    ]
    pairs = make_pairs(tree, paths, [guess], options=options, splitter=LINES).pairs
    assert texts(pairs[1]) == ("", "guess\n", "look\n")


def test_a_step_is_supported_by_each_draw_once_and_not_by_what_was_given_it() -> None:
    tree = Tree(NodeState())
    add(tree, tree.root, "look once\n", rollouts=[("answer : 1", "1")] * 8)
    add(tree, tree.root, "look twice\n", rollouts=[("answer : 1", "1"), ("answer : 2", "2")])
    end(tree, tree.root, "look twice\nanswer : 1", "1")
    add(tree, tree.root, "guess\n", rollouts=[("answer : 2", "2")] * 3)
    # Eight rollouts were given the step that was drawn once; the other was drawn by two nodes. The guess never pays.
    places = {"look once": Support(1, 3, 2), "look twice": Support(2, 3, 2), "guess": Support(0, 3, 2)}
    assert {step: support_of(tree, step) for step in places} == places
    pair = found_in(tree, "divergent").pairs[-1]
    assert pair.support == places[pair.chosen.steps[0]]
    # Behind it each rollout is a draw of its own, of which those count that come out right.
    assert support_of(tree, "look once", "answer : 1") == Support(8, 8, 8)
    assert support_of(tree, "look twice", "answer : 1") == Support(2, 2, 2)
    assert support_of(tree, "guess", "answer : 2") == Support(0, 0, 3)


def support_of(tree: Tree[NodeState], *steps: str) -> Support:
    places = Places(paths_of(tree))
    return places.support(*places.along(steps)[-2:])


def test_a_step_that_a_token_limit_cut_is_one_draw_of_the_node_it_begins_in() -> None:
    tree = Tree(NodeState())
    add(tree, tree.root, "row 1 has tw", rollouts=[("o\nanswer : 1", "1"), ("o\nanswer : 1", "1")])
    places = Places(paths_of(tree, PIECES))
    assert places.support(*places.along(["row 1 has two"])) == Support(1, 1, 1)


def test_pairs_that_part_by_one_wrong_step_are_one_error_and_the_commonest_goes_first() -> None:
    tree = Tree(NodeState())
    ends = [("answer : 2", "2"), ("answer : 2\n", "2"), ("so\nanswer : 3", "3"), ("so\nanswer : 4", "4")]
    add(tree, tree.root, "look\n", rollouts=[("answer : 1", "1"), *ends, ("so\nanswer : 5", "5")])
    pairs = found_in(tree, "divergent").pairs
    assert [pair.rejected.answer for pair in pairs] == ["2", "3", "4", "5"]
    assert errors(pairs, range(4)) == [1, 0]
    assert errors(pairs, [0, 3]) == [3, 0]


def test_a_pair_survives_json(tree: Tree[NodeState]) -> None:
    found = found_in(tree)
    assert len(found.pairs) > 1
    assert PAIRS.decode(PAIRS.encode(found), position=0) == found


def test_what_is_gone_on_from_is_what_was_written(tree: Tree[NodeState]) -> None:
    for pair in found_in(tree).pairs:
        assert pair.trajectory().prefix == pair.shared_text
        assert pair.trajectory().steps == pair.shared
        for side in (pair.chosen, pair.rejected):
            assert pair.trajectory(side).prefix == pair.shared_text + side.text
            assert pair.trajectory(side).steps == pair.shared + side.steps
        assert pair.parting.wrong_path.steps == pair.shared + pair.rejected.steps


def random_tree(draw: random.Random) -> Tree[NodeState]:
    """Return a tree of few words, cut anywhere: paths say the same, join within words, and contain each other."""
    tree = Tree(NodeState())
    open_nodes = [tree.root]

    def text() -> str:
        return "".join(draw.choice(("a", "b", "a\n", "b\n", "\n", " ")) for _ in range(draw.randint(0, 4)))

    for _ in range(draw.randint(1, 25)):
        parent = draw.choice(open_nodes)
        rollouts = [
            (text() + f"\nanswer : {draw.randint(1, 2)}", draw.choice(("1", "2", None)))
            for _ in range(draw.choice((0, 0, 2)))
        ]
        more = {"value": draw.choice((None, 0.0, 0.5, 1.0)), "prior": draw.choice((None, 0.0, 0.3, 1.0))}
        if draw.random() < 0.4:
            is_rewrite = draw.random() < 0.2
            end(tree, parent, text() + "\nend", draw.choice(("1", "2", None)), is_rewrite=is_rewrite, **more)
        else:
            open_nodes.append(add(tree, parent, text(), rollouts=rollouts, **more))
    for node in tree.nodes:
        node.visit_count, node.search_value = 2, draw.choice((None, 0.0, 0.25, 1.0))
    return tree


def written(tree: Tree[NodeState], node_id: int) -> str:
    node = next(each for each in (*tree.nodes, *tree.rollouts) if each.node_id == node_id)
    return trajectory_of(tree.path(node)).prefix


@pytest.mark.parametrize("splitter", [LINES, PIECES], ids=["lines", "pieces"])
@pytest.mark.parametrize("seed", range(20))
def test_pairs_of_random_trees_hold_what_pairs_promise(seed: int, splitter: StepSplitter) -> None:
    tree = random_tree(random.Random(seed))
    paths = paths_of(tree, splitter)
    by_id = {path.node.node_id: path for path in paths}
    found = found_in(tree, splitter=splitter, max_pairs=10_000)
    assert found.num_over_limit == 0
    num_wrong = sum(path.is_right is False for path in paths)
    assert sum(pair.num_paths for pair in found.pairs if pair.kind == "divergent") <= num_wrong
    for pair in found.pairs:
        sides = (pair.chosen, pair.rejected)
        assert pair.chosen.steps
        assert pair.rejected.steps
        assert pair.chosen.steps[0] != pair.rejected.steps[0]
        for side in sides:
            whole = written(tree, side.node_id)
            beginning = pair.shared_text + side.text
            if side is pair.rejected:
                # The shared steps are as the chosen side wrote them; the other may have spaced them otherwise.
                whole = pair.shared_text + "".join(splitter.pieces(whole)[pair.depth :])
            assert whole == beginning or (pair.kind == "first_error" and whole.startswith(beginning))
            assert (
                splitter.steps(written(tree, side.node_id))[: pair.depth + len(side.steps)] == pair.shared + side.steps
            )
        if pair.kind != "sibling":
            right, wrong = (by_id[side.node_id] for side in sides)
            assert (right.is_right, wrong.is_right) == (True, False)
            alike = takewhile(lambda steps: steps[0] == steps[1], zip(right.steps, wrong.steps, strict=False))
            assert len(list(alike)) == pair.depth
            for side in sides:
                like = [path for path in paths if path.is_right is not None or path.node.state.answer is None]
                like = [path for path in like if path.steps[: pair.depth + 1] == (*pair.shared, side.steps[0])]
                assert side.num_rollouts == len(like) > 0
                assert side.value == sum(path.is_right is True for path in like) / len(like)
        else:
            assert (pair.margin or 0) >= 0.25
    for kind in ("divergent", "sibling", "first_error", "best_worst"):
        keys = [(pair.shared, pair.chosen.steps, pair.rejected.steps) for pair in found.pairs if pair.kind == kind]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("seed", range(20))
def test_a_limit_drops_the_last_pairs_and_counts_their_paths(seed: int) -> None:
    tree = random_tree(random.Random(seed))
    every = found_in(tree, "divergent", max_pairs=10_000).pairs
    some = found_in(tree, "divergent", max_pairs=2)
    assert some.pairs == every[:2]
    assert some.num_over_limit == sum(pair.num_paths for pair in every[2:])


@pytest.mark.parametrize("seed", range(20))
def test_first_errors_part_no_earlier_than_the_reference_does(seed: int) -> None:
    tree = random_tree(random.Random(seed))
    paths = paths_of(tree)
    depths = {pair.rejected.node_id: pair.depth for pair in found_in(tree, "first_error", max_pairs=10_000).pairs}
    for path in paths:
        if path.node.node_id in depths:
            shared = [
                len(list(takewhile(lambda steps: steps[0] == steps[1], zip(path.steps, other.steps, strict=False))))
                for other in paths
                if other.is_right and other.steps != path.steps[: len(other.steps)]
            ]
            assert depths[path.node.node_id] == max(shared)


def test_a_path_of_very_many_steps_takes_little_memory() -> None:
    tree = Tree(NodeState())
    lines = "".join(f"step {number}\n" for number in range(20_000))
    end(tree, tree.root, lines + "answer : 1", "1")
    end(tree, tree.root, lines + "answer : 2", "2")
    (pair,) = found_in(tree, "divergent", "first_error").pairs[:1]
    assert pair.depth == 20_000
