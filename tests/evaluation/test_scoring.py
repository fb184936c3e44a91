"""Grading the answers and samples of a run directory."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.engine import Engine
from critic_engine.errors import RunError
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.named_graders import make_grader
from critic_engine.evaluation.problem_set import GradedProblem
from critic_engine.evaluation.scored_runs import ScoredRun, common_problems
from critic_engine.evaluation.scoring import Scorekeeper, stored_answers
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, Problem, ProblemRow

ROWS = [
    ProblemRow(number, f"p{number}", Problem(f"how many of {number} ?", name=f"p{number}"), ("2",)) for number in (1, 2)
]
GRADED = tuple(map(GradedProblem.of, ROWS))
RELATION = make_grader("relation")


def sample(folder: Path, *texts: str, rows: list[ProblemRow] = ROWS) -> Path:
    """Search by one sample of each text and keep the run."""
    in_turn = itertools.cycle(texts)
    reasoner = ScriptedGenerator(lambda request, seed: next(in_turn), name="reasoner")
    overrides = [f"strategy.num_samples={len(texts)}", "run.problems_in_flight=1", "reasoner.max_attempts=1"]
    with Engine("majority", overrides=overrides, reasoner=reasoner) as engine:
        list(engine.solve_many(rows, run=folder))
    return folder


def answer(text: str | None) -> Answer:
    status = "failed" if text is None else "answered"
    return Answer(
        "p1", GRADED[0].problem_id, text, None, status, "error", 1, 1, 0.1, error=None if text else "it broke"
    )


def test_failed_problem_is_wrong_and_says_why() -> None:
    graded = Scorekeeper(RELATION).grade(GRADED[0], answer(None))
    assert graded.grade == Grade(False, "the problem failed: it broke")
    assert Scorekeeper(RELATION).grade(GRADED[0], answer("2.0")).grade.is_right is True
    assert Scorekeeper(RELATION).grade(GRADED[0], answer("3")).grade.is_right is False


def test_samples_are_graded_in_order_and_equal_answers_share_a_class(tmp_path: Path) -> None:
    run = sample(tmp_path, "answer: 2", "answer: 3", "hm", "answer: 2.0")
    with RunStore.view(run) as store:
        grades, classes = Scorekeeper(RELATION).samples(store, 0, GRADED[0])
    assert [grade.is_right for grade in grades] == [True, False, False, True]
    assert classes[0] == classes[3] != classes[1]
    assert len(set(classes)) == 3


def test_run_over_other_problems_is_not_graded(tmp_path: Path) -> None:
    with RunStore.view(sample(tmp_path, "answer: 2")) as store:
        assert [each.answer for each in stored_answers(store, GRADED)] == ["2", "2"]
        with pytest.raises(RunError, match="has 2 problems, and 1 are graded"):
            stored_answers(store, GRADED[:1])
        with pytest.raises(RunError, match="row 1 is not the problem p2 of the problems file"):
            stored_answers(store, GRADED[::-1])


def test_two_runs_over_other_problems_are_compared_over_the_common_ones_only_when_told_to(tmp_path: Path) -> None:
    folders = sample(tmp_path / "a", "answer: 2"), sample(tmp_path / "b", "answer: 3", rows=ROWS[1:])
    references = {row.problem.problem_id: row for row in ROWS}
    runs = []
    for folder in folders:
        with RunStore.view(folder) as store:
            rows = [store.row(position) for position in range(store.num_rows)]
            config = store.config()
        problems = tuple(GradedProblem.of(references[row.problem.problem_id]) for row in rows)
        runs.append(ScoredRun(folder, config, problems, tuple(range(len(rows))), ()))
    with pytest.raises(RunError, match=r"1 problems only in .*a \(p1\)\. Add --common to compare the 1 problems"):
        common_problems(*runs, is_common=False)
    ours, theirs = common_problems(*runs, is_common=True)
    assert (ours.positions, theirs.positions) == ((1,), (0,))
    keeper = Scorekeeper(RELATION)
    assert [ours.graded(keeper, method="a").answers[0][0].grade.is_right, ours.problems] == [True, GRADED[1:]]
    assert theirs.graded(keeper, method="b").answers[0][0].grade.is_right is False


def test_runs_of_other_models_are_named(tmp_path: Path) -> None:
    folder = sample(tmp_path, "answer: 2")
    with RunStore.view(folder) as store:
        config = store.config()
    ours = ScoredRun(folder, config, GRADED, (0, 1), ())
    reasoner = config.reasoner.model_copy(update={"model": "other"})
    theirs = replace(ours, config=config.model_copy(update={"reasoner": reasoner}))
    with pytest.raises(RunError, match="reasoner pocket and other"):
        common_problems(ours, theirs, is_common=False)


def test_run_without_references_names_the_way_to_give_them(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no reference answers; name the problems file too"):
        ScoredRun.open(sample(tmp_path, "answer: 2"), None)
