"""The summary of a run and the cost of an answer: failures of the models are counted, not hidden."""

from dataclasses import replace
from pathlib import Path

import pytest

from critic_engine.cli.answer_view import Tally, print_answer
from critic_engine.types import Answer

ANSWER = Answer("1", "0" * 16, "3", None, "answered", "num_samples", 100, 4, 0.5, failures={"critic_unreadable": 4})
WARNING = "warning: no answer has a value, for 8 evaluations failed or could not be read"


def reported(capsys: pytest.CaptureFixture[str], *answers: Answer) -> list[str]:
    tally = Tally()
    for answer in answers:
        tally.count(answer)
    tally.report(where=Path("rows"))
    return capsys.readouterr().err.splitlines()


def test_summary_counts_what_failed_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    other = replace(ANSWER, value=0.5, failures={"reasoner_error": 2, "critic_unreadable": 1})
    assert reported(capsys, ANSWER, other, replace(ANSWER, value=1.0, failures={})) == [
        "answered 3 of 3, 0 failed, 300 tokens, 5 critic_unreadable, 2 reasoner_error: rows"
    ]


def test_summary_tells_requests_and_prompt_tokens_where_they_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    answer = replace(ANSWER, failures={}, prompt_tokens=4000, num_requests=12)
    assert reported(capsys, answer, answer) == [
        "answered 2 of 2, 0 failed, 200 tokens in 24 requests with 8,000 prompt tokens: rows"
    ]
    answer = replace(answer, cached_tokens=3000)
    assert reported(capsys, answer, answer)[0].endswith(
        "with 8,000 prompt tokens (cached: 6,000 of the reasoner's 8,000): rows"
    )
    of_both = replace(answer, critic_prompt_tokens=1500, critic_cached_tokens=1000)
    assert reported(capsys, of_both, of_both)[0].endswith(
        "with 8,000 prompt tokens (cached: 4,000 of the reasoner's 5,000, 2,000 of the critic's 3,000): rows"
    )
    tally = Tally()
    tally.count(answer)
    counts = {name: tally.fields()[name] for name in ("num_tokens", "prompt_tokens", "cached_tokens", "num_requests")}
    assert counts == {"num_tokens": 100, "prompt_tokens": 4000, "cached_tokens": 3000, "num_requests": 12}


def test_run_without_a_readable_critique_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    warning, summary = reported(capsys, ANSWER, ANSWER)
    assert warning.startswith(WARNING)
    assert summary == "answered 2 of 2, 0 failed, 200 tokens, 8 critic_unreadable: rows"


@pytest.mark.parametrize("kind", ["critic_error", "evaluator_unreadable", "evaluator_error"])
def test_run_whose_evaluator_never_gave_a_value_is_warned_of(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    warning, _ = reported(capsys, *[replace(ANSWER, failures={kind: 4, "reasoner_error": 9})] * 2)
    assert warning.startswith(WARNING)
    assert "--reward-model" in warning


def test_run_whose_reasoner_alone_failed_is_not_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(reported(capsys, replace(ANSWER, failures={"reasoner_error": 9}))) == 1


def test_run_that_asks_no_critic_is_not_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(capsys, replace(ANSWER, failures={})) == ["answered 1 of 1, 0 failed, 100 tokens: rows"]


def test_cost_of_one_question_counts_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_answer(ANSWER, is_json=False) == 0
    assert capsys.readouterr().err == "value unknown, 100 tokens, 4 simulations, 0.5 s, 4 critic_unreadable\n"


def test_summary_for_programs_counts_what_failed() -> None:
    tally = Tally()
    tally.count(ANSWER)
    assert tally.fields()["failures"] == {"critic_unreadable": 4}
