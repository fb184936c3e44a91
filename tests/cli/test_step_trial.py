"""The trial of how a model's text splits into steps, on scripted models."""

import asyncio
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.cli.step_trial import StepTrial, trial_lines, try_steps
from critic_engine.config.engine import parse_config
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Problem

LINES = "row 1 : a1 none\n\nred : 2\nanswer : 2"
HEADED = "Step 1: look at e.g. Fig. 2. It is red.\nStep 2: count.\nAnswer: 2"


def attempt(text: str, **expander: Any) -> StepTrial:
    """Return the trial of a model that writes ``text`` whatever it is asked."""

    def rest(request: GenerationRequest, seed: int) -> str:
        return text[len(request.prefix) :]

    config = parse_config({"budget": {"max_tokens": 1}, "expander": expander, "reasoner": {"prompts": "headed"}})
    return asyncio.run(try_steps(Problem("how many ?"), ScriptedGenerator(rest), config))


@pytest.mark.parametrize(
    ("text", "expander", "steps"),
    [
        (LINES, {}, ["row 1 : a1 none", "red : 2", "answer : 2"]),
        (LINES, {"split": "delimiter", "delimiter": "\n\n"}, ["row 1 : a1 none", "red : 2\nanswer : 2"]),
        (HEADED, {"split": "template"}, ["Step 1: look at e.g. Fig. 2. It is red.", "Step 2: count.\nAnswer: 2"]),
        (
            HEADED,
            {"split": "sentence"},
            ["Step 1: look at e.g. Fig. 2.", "It is red.", "Step 2: count.", "Answer: 2"],
        ),
    ],
)
def test_both_ways_find_the_steps_and_the_answer(text: str, expander: dict[str, Any], steps: list[str]) -> None:
    trial = attempt(text, **expander)
    assert [step.text for step in trial.in_one_piece.steps] == steps
    assert [step.text for step in trial.step_by_step.steps] == steps
    assert trial.in_one_piece.answer == trial.step_by_step.answer == "2"
    assert (trial.is_same_text, trial.is_cut_alike, trial.has_steps, trial.warnings) == (True, True, True, ())


def test_tokens_are_counted_for_each_step() -> None:
    trial = attempt(LINES)
    assert [step.num_tokens for step in trial.in_one_piece.steps] == [7, 4, 4]
    assert trial.in_one_piece.num_tokens == 15
    assert [step.num_tokens for step in trial.step_by_step.steps] == [6, 5, 4]
    assert sum(step.num_tokens or 0 for step in trial.step_by_step.steps) == trial.step_by_step.num_tokens


def test_the_token_limit_alone_cuts_step_by_step_and_leaves_lines_when_whole() -> None:
    trial = attempt(LINES, split="tokens", max_step_tokens=4)
    assert [step.text for step in trial.step_by_step.steps] == ["row 1 : a1", "none\n\nred", ": 2\nanswer", ": 2"]
    assert len(trial.in_one_piece.steps) == 3
    assert (trial.is_cut_alike, trial.has_steps, trial.warnings) == (None, True, ())
    assert trial.step_by_step.answer == "2"


@pytest.mark.parametrize(
    ("text", "expander", "warning"),
    [
        (LINES, {"delimiter": ";"}, "the delimiter ';' never occurs"),
        (LINES, {"delimiter": ";"}, "only one step was found"),
        (LINES, {"split": "template"}, "the heading 'Step 2:' never occurs"),
        (LINES, {"delimiter": ";", "max_step_tokens": 4}, "3 of 4 steps were cut at 4 tokens"),
        ("red : 2", {}, "only one step was found"),
        ("", {}, "wrote no word"),
    ],
)
def test_what_does_not_fall_into_steps_is_told_in_words(text: str, expander: dict[str, Any], warning: str) -> None:
    trial = attempt(text, **expander)
    assert not trial.has_steps
    assert any(warning in each for each in trial.warnings)


@pytest.mark.parametrize(
    ("text", "expander", "warning"),
    [
        ("a\nb", {}, "in one piece no answer was found"),
        ("a\nb", {}, "step by step no answer was found"),
        ("so " * 10 + "\n" + LINES, {"max_step_tokens": 9}, "1 of 5 steps were cut at 9 tokens"),
        ("\n".join(["so"] * 9), {"max_steps": 4}, "no end within the 4 steps"),
        ("\n".join(["so so"] * 900), {"max_steps": 2}, "in one piece the solution was cut at 1024 tokens"),
    ],
)
def test_what_is_wrong_with_steps_that_were_found_is_told_in_words(
    text: str, expander: dict[str, Any], warning: str
) -> None:
    trial = attempt(text, **expander)
    assert trial.has_steps
    assert any(warning in each for each in trial.warnings)


def test_lines_for_a_person_number_the_steps_and_mark_what_was_cut() -> None:
    lines = list(trial_lines(attempt(LINES, max_step_tokens=4)))
    assert lines[0] == "question       how many ?"
    assert lines[1:5] == [
        "in one piece   3 steps, 15 tokens, answer '2'",
        "   1     7  row 1 : a1 none",
        "   2     4  red : 2",
        "   3     4  answer : 2",
    ]
    assert lines[5:10] == [
        "step by step   4 steps, 15 tokens, answer '2'",
        "   1     4  row 1 : a1 [cut]",
        "   2     2  none",
        "   3     5  red : 2",
        "   4     4  answer : 2",
    ]
    assert lines[10:] == [
        "cut            both ways differently",
        "warning        1 of 4 steps were cut at 4 tokens; raise expander.max_step_tokens or split otherwise",
    ]


def test_two_texts_are_said_to_be_two() -> None:
    texts = iter(["a\nanswer : 1", "b\n", "answer : 2"])
    generator = ScriptedGenerator(lambda request, seed: next(texts))
    config = parse_config({"budget": {"max_tokens": 1}})
    trial = asyncio.run(try_steps(Problem("how many ?"), generator, config))
    assert not trial.is_same_text
    assert "cut            the model wrote two texts; what it wrote step by step is cut alike when it is whole" in (
        list(trial_lines(trial))
    )
