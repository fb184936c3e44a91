"""The log of judged solutions: what was written is read back, after a kill too."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from critic_engine.data.harvest.critique_lift import DrawCounts
from critic_engine.errors import RunError
from critic_engine.evaluation.critic_card.judgement_log import (
    CriticJudgement,
    JudgedPlace,
    JudgedSolution,
    JudgementLog,
    RepeatedJudgement,
    RewriteOutcomes,
)

JUDGEMENT = CriticJudgement(0.25, "wrong", 2, "Verdict: wrong")
ROW = JudgedSolution(
    position=1,
    solution=0,
    id="p1",
    problem_id="abc",
    num_drawn=3,
    steps=("two ants", "answer: 3"),
    answer="3",
    is_answer_right=True,
    are_steps_right=False,
    labelled_first_wrong_step=2,
    judgement=JUDGEMENT,
    is_checked=True,
    repeats=(RepeatedJudgement("again", CriticJudgement(failure="not readable", is_unreadable=True)),),
    rewrites=RewriteOutcomes(DrawCounts(1, 1), DrawCounts(0, 2)),
    places=(JudgedPlace(1, 0.9, None),),
    critic_tokens=7,
)


def test_rows_are_read_back_as_they_were_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    unreadable = CriticJudgement(failure="no verdict", is_unreadable=True)
    other = replace(ROW, position=0, judgement=unreadable)
    with JudgementLog.open(path) as log:
        log.add(ROW)
        log.add(other)
    with JudgementLog.open(path) as log:
        assert log.rows() == [other, ROW]
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["value"], first["failure"]) == (None, "no verdict")
    assert (second["value"], second["verdict"], second["first_wrong_step"]) == (0.25, "wrong", 2)
    assert "judgement" not in second


@pytest.mark.parametrize("num_kept", [1, 40, -1])
def test_last_line_that_a_kill_cut_is_dropped(tmp_path: Path, num_kept: int) -> None:
    path = tmp_path / "judgements.jsonl"
    cut = replace(ROW, solution=1).row()[:-1]
    path.write_text(ROW.row() + cut[:num_kept])
    with JudgementLog.open(path) as log:
        assert log.rows() == [ROW]
    assert path.read_text() == ROW.row()


@pytest.mark.parametrize("line", ["{}", "[]", "no JSON", '{"position": "one"}'])
def test_file_with_other_lines_is_refused_and_kept(tmp_path: Path, line: str) -> None:
    path = tmp_path / "judgements.jsonl"
    text = ROW.row() + line + "\n" + ROW.row()
    path.write_text(text)
    with pytest.raises(RunError, match=r"line 2 is no judged solution"):
        JudgementLog.open(path)
    assert path.read_text() == text


@pytest.mark.parametrize("value", ["NaN", "1.5", "-0.1", "Infinity"])
def test_value_outside_zero_and_one_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "judgements.jsonl"
    text = re.sub('"value": [0-9.]+', f'"value": {value}', ROW.row())
    assert text != ROW.row()
    path.write_text(text)
    with pytest.raises(RunError, match=r"line 1 is no judged solution"):
        JudgementLog.open(path)


@pytest.mark.parametrize(
    "failed",
    [
        replace(ROW, solution=1, judgement=CriticJudgement(failure="the endpoint failed")),
        replace(ROW, solution=1, repeats=(RepeatedJudgement("again", CriticJudgement(failure="lost")),)),
        replace(ROW, solution=1, failures=("rewrite: lost",)),
    ],
)
def test_rows_in_which_a_model_failed_are_to_be_judged_again(tmp_path: Path, failed: JudgedSolution) -> None:
    path = tmp_path / "judgements.jsonl"
    with JudgementLog.open(path) as log:
        log.add(ROW)
        log.add(failed)
    assert path.read_text() == ROW.row() + failed.row()
    with JudgementLog.open(path) as log:
        assert log.rows() == [ROW]
