"""What nodes hold, what trajectories they make, and how they are written to the log."""

import json
from dataclasses import replace

import pytest

from critic_engine.episode.node_state import (
    NodeState,
    continuation_key,
    decode_state,
    encode_state,
    extend,
    trajectory_of,
)
from critic_engine.protocols import Continuation
from critic_engine.types import Critique, RejectedSibling, Trajectory
from search import Proposal, Tree

WRONG = Critique("wrong step 2", "wrong", 0.2, 2)


def offered(
    *steps: str, texts: tuple[str, ...] | None = None, is_rewrite: bool = False, is_finished: bool = False
) -> Continuation:
    return Continuation(steps, is_rewrite, is_finished, answer="7" if is_finished else None, prior=None, texts=texts)


@pytest.mark.parametrize(
    "state",
    [
        NodeState(),
        NodeState(("a",), answer="a", critique=WRONG, texts=(" a",)),
        NodeState(("a", "b"), is_rewrite=True),
        NodeState(("a",), revised_from=(RejectedSibling("b", WRONG), RejectedSibling("c", WRONG))),
    ],
)
def test_a_state_comes_back_from_the_log_as_it_went_in(state: NodeState) -> None:
    assert decode_state(json.loads(json.dumps(encode_state(state)))) == state


def test_what_is_at_its_default_is_not_in_the_log() -> None:
    assert encode_state(NodeState(("a",))) == {"steps": ["a"]}


def test_text_of_steps_is_each_step_and_a_line_break_unless_it_is_known() -> None:
    assert Trajectory(("a", "b")).prefix == "a\nb\n"
    assert Trajectory(("a", "b"), texts=("a", " b. ")).prefix == "a b. "
    assert Trajectory().prefix == ""


def test_before_the_last_step_there_is_the_text_it_went_on_from() -> None:
    trajectory = Trajectory(("a", "b"), is_finished=True, answer="b", texts=("a---", "b"))
    assert trajectory.before_last_step == Trajectory(("a",), texts=("a---",))
    assert Trajectory(("a",)).before_last_step == Trajectory()
    assert Trajectory(("a",)).before_last_step.texts is None


def test_trajectory_of_a_path_is_what_its_continuations_made() -> None:
    path = [
        offered("a"),
        offered("b", texts=(" b ",)),
        offered("c"),
        offered("x", "y", is_rewrite=True),
        offered("z", texts=("z.",)),
        offered(is_finished=True),
    ]
    tree = Tree(NodeState())
    node, trajectory, prefixes = tree.root, Trajectory(), []
    for continuation in path:
        state = NodeState(continuation.steps, continuation.is_rewrite, continuation.answer, texts=continuation.texts)
        node = tree.add_child(node, Proposal(state, is_terminal=continuation.is_finished))
        trajectory = extend(trajectory, continuation)
        assert trajectory_of(tree.path(node)) == trajectory
        prefixes.append(trajectory.prefix)
    assert prefixes == ["a\n", "a\n b ", "a\n b c\n", "x\ny\n", "x\ny\nz.", "x\ny\nz."]
    assert trajectory == Trajectory(("x", "y", "z"), True, "7", ("x\n", "y\n", "z."))


def test_continuations_of_the_same_words_are_the_same() -> None:
    keys = {continuation_key(offered("a  b", texts=texts), behind="x\n") for texts in (None, ("a b",), ("\n a  b\n",))}
    assert len(keys) == 1


def test_continuations_that_go_on_in_a_word_or_behind_it_are_different() -> None:
    assert continuation_key(offered("4", texts=("4",)), "answer : 1") != continuation_key(
        offered("4", texts=(" 4",)), "answer : 1"
    )
    assert continuation_key(offered("4", texts=("4",)), "answer : ") == continuation_key(
        offered("4", texts=(" 4",)), "answer : "
    )


def test_continuations_that_finish_and_that_do_not_are_different() -> None:
    assert continuation_key(offered("a"), "") != continuation_key(offered("a", is_finished=True), "")


def test_the_examination_before_a_verdict_comes_back_from_the_log_and_is_left_out_if_there_is_none() -> None:
    examined = NodeState(("a",), critique=replace(WRONG, examination="Step 1: it holds."))
    assert decode_state(encode_state(examined)) == examined
    assert "examination" not in encode_state(NodeState(("a",), critique=WRONG))["critique"]
