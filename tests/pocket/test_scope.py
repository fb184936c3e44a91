"""The pocket models say when they are asked what they cannot know."""

import logging

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.engine import Engine
from critic_engine.pocket.scope import ScopeWarning, out_of_scope
from critic_engine.types import Image, Problem

BOARD = Image(b"a board", "image/png", 96, 96)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem("What is the capital of France?"), "it does not know 'capital', 'france'"),
        (Problem("how many cats ?", images=(BOARD,)), "it does not know 'cats'"),
        (Problem("one two three four five six"), "it does not know 'one', 'two', 'three', …"),
        (Problem("how many red shapes ?"), "the problem has 0 images in place of one board"),
        (Problem("how many red shapes ?", images=(BOARD, BOARD)), "the problem has 2 images in place of one board"),
        (Problem("How many red shapes ?", images=(BOARD,)), None),
    ],
)
def test_only_one_board_and_known_words_are_in_scope(problem: Problem, reason: str | None) -> None:
    assert out_of_scope(problem) == reason


def test_warning_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    warning = ScopeWarning(is_on=True)
    for question in ("how many red shapes ?", "What is the capital of France?", "how many cats ?"):
        warning.check(Problem(question))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "knows only the boards and words of the pocket world" in record.getMessage()
    assert "--reasoner" in record.getMessage()


def test_python_users_are_warned_too(caplog: pytest.LogCaptureFixture) -> None:
    with Engine("greedy", overrides=["reasoner.max_tokens=4"]) as engine:
        engine.solve("What is the capital of France?")
        list(engine.solve_many(["What is the capital of France?"]))
    assert sum("pocket world" in record.getMessage() for record in caplog.records) == 1


def test_other_reasoners_are_asked_anything(caplog: pytest.LogCaptureFixture) -> None:
    with Engine("greedy", reasoner=ScriptedGenerator(["answer: Paris"])) as engine:
        assert engine.solve("What is the capital of France?").answer == "Paris"
    assert not caplog.records
