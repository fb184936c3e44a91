import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from critic_engine import Checker, Engine
from critic_engine.cli.main import cli
from critic_engine.config.engine import load_config
from critic_engine.errors import ConfigError, ExportError
from critic_engine.evaluation.harnesses.inspect_log import SCORER, write_inspect_log
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow

inspect_ai = pytest.importorskip("inspect_ai")

from inspect_ai.event import InfoEvent, ModelEvent, SpanBeginEvent, event_tree  # noqa: E402
from inspect_ai.log import EvalLog, read_eval_log, resolve_sample_attachments  # noqa: E402

pytestmark = [
    pytest.mark.harnesses,
    pytest.mark.usefixtures("entry_points"),
    pytest.mark.filterwarnings("ignore"),
]

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=400"]
REFERENCES = ("1", "2", "3", "4")


@pytest.fixture
def answers(tmp_path: Path, rows: Sequence[ProblemRow]) -> Sequence[Answer]:
    """Return the answers of a run at ``run``, of four problems with a board, a text alone, and a row that is none."""
    given = [
        *rows[:4],
        ProblemRow(5, "text", Problem("how many of kind 5 ?")),
        FailedRow(6, "without", "it has no question"),
    ]
    with Engine("mcts", overrides=SCRIPTED) as engine:
        return list(engine.solve_many(given, run=tmp_path / "run"))


def log_of(tmp_path: Path, **options: object) -> EvalLog:
    write_inspect_log(tmp_path / "run", tmp_path / "run.eval", **options)
    return read_eval_log(str(tmp_path / "run.eval"))


def test_log_has_a_sample_a_problem_and_all_tokens_of_the_run(tmp_path: Path, answers: Sequence[Answer]) -> None:
    log = log_of(tmp_path)
    assert log.status == "success"
    assert [sample.id for sample in log.samples] == [answer.id for answer in answers]
    for sample, answer in zip(log.samples, answers, strict=True):
        assert sample.output.metadata["value"] == answer.value
        assert sample.output.usage.output_tokens == answer.num_tokens
        assert sample.output.usage.input_tokens == answer.prompt_tokens - answer.cached_tokens
    assert log.samples[0].output.completion.endswith(f"ANSWER: {answers[0].answer}")
    assert log.samples[5].error.message == "it has no question"
    (total,) = log.stats.model_usage.values()
    assert total.output_tokens == sum(answer.num_tokens for answer in answers)
    assert not log.results.scores
    assert log.samples[0].scores is None


def test_sample_holds_the_question_and_its_picture(
    tmp_path: Path, answers: Sequence[Answer], rows: Sequence[ProblemRow]
) -> None:
    sample = resolve_sample_attachments(log_of(tmp_path).samples[0], "full")
    image, text = sample.input[0].content
    assert text.text == rows[0].problem.question
    assert image.image.startswith("data:image/png;base64,")


def test_each_simulation_is_a_span_with_its_steps_critiques_and_tokens(
    tmp_path: Path, answers: Sequence[Answer]
) -> None:
    for sample, answer in zip(log_of(tmp_path).samples[:5], answers, strict=False):
        spans = [event for event in sample.events if isinstance(event, SpanBeginEvent)]
        kinds = [node.type for node in event_tree(sample.events)]
        assert kinds.count("simulation") == answer.num_simulations
        assert len(kinds) == len(spans)
        texts = [event for event in sample.events if isinstance(event, ModelEvent)]
        assert {event.role for event in texts} == {"reasoner", "critic"}
        spent = [event.output.usage.output_tokens for event in texts if event.output.usage is not None]
        facts = [event.data for event in sample.events if isinstance(event, InfoEvent)]
        assert sum(spent) + sum(each.get("generated_tokens", 0) for each in facts) == answer.num_tokens
        steps = {event.output.completion for event in texts if event.role == "reasoner"}
        assert set(answer.steps) <= {line for text in steps for line in text.splitlines()}
        assert all({"value", "prior", "is_finished"} <= set(each) for each in facts if "num_proposals" not in each)


def test_answers_are_scored_by_the_references_and_unsure_ones_are_no_number(
    tmp_path: Path, answers: Sequence[Answer], rows: Sequence[ProblemRow]
) -> None:
    told = [answers[0].answer, f"no {answers[1].answer}", f"about {answers[2].answer}"]
    given = [replace(row, reference_answers=(text,)) for row, text in zip(rows, told, strict=False)]
    checker = Checker(given)
    expected = [checker.is_right(row.problem, answer.answer) for row, answer in zip(given, answers, strict=False)]
    report = write_inspect_log(tmp_path / "run", tmp_path / "run.eval", rows=given)
    log = read_eval_log(str(tmp_path / "run.eval"))
    values = [sample.scores[SCORER].value for sample in log.samples[:3]]
    assert [None if isinstance(value, float) and math.isnan(value) else value == "C" for value in values] == expected
    assert log.samples[3].scores is None
    known = [is_right for is_right in expected if is_right is not None]
    assert (report.num_scored, report.num_right) == (len(known), sum(known))
    assert report.num_unsure == 3 - len(known)
    (score,) = log.results.scores
    assert score.metrics["accuracy"].value == sum(known) / len(known)


def test_failed_problem_with_a_reference_is_wrong(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    with RunStore.create(tmp_path / "run", load_config("mcts", SCRIPTED)) as store:
        store.add_rows(rows[:2])
        failed = Answer("a", rows[0].problem.problem_id, None, None, "failed", "error", 3, 0, 0.0, error="it broke")
        store.set_answer(0, failed)
    report = write_inspect_log(tmp_path / "run", tmp_path / "run.json", rows=rows)
    log = read_eval_log(str(tmp_path / "run.json"))
    assert log.status == "cancelled"
    assert (report.num_samples, report.num_rows, report.num_scored, report.num_right) == (1, 2, 1, 0)
    assert log.samples[0].error.message == "it broke"
    assert log.samples[0].scores[SCORER].value == "I"


def test_labelled_run_brings_its_own_references(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    with Engine("mcts", overrides=SCRIPTED, checker=Checker()) as engine:
        list(engine.solve_many(rows[:2], run=tmp_path / "run"))
    report = write_inspect_log(tmp_path / "run", tmp_path / "run.eval")
    assert report.num_scored == 2
    samples = read_eval_log(str(tmp_path / "run.eval")).samples
    assert [sample.target for sample in samples] == [list(row.reference_answers) for row in rows[:2]]


def test_rows_that_share_an_id_are_samples_of_their_own(tmp_path: Path) -> None:
    same = [Problem("how many of kind 1 ?", name="a"), Problem("how many of kind 2 ?", name="a")]
    with Engine("greedy", overrides=["reasoner.backend=scripted"]) as engine:
        list(engine.solve_many(same, run=tmp_path / "run"))
    assert [sample.id for sample in log_of(tmp_path).samples] == ["a", "a (row 2)"]


def test_file_is_never_replaced_unasked_and_ends_in_its_kind(tmp_path: Path, answers: Sequence[Answer]) -> None:
    log_of(tmp_path)
    with pytest.raises(ExportError, match="--overwrite"):
        log_of(tmp_path)
    log_of(tmp_path, is_overwritten=True)
    with pytest.raises(ConfigError, match=r"\.eval or \.json"):
        write_inspect_log(tmp_path / "run", tmp_path / "run.txt")
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.fixture
def exported(tmp_path: Path, answers: Sequence[Answer], problems_file: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    command = ["export", str(tmp_path / "run"), "--format", "inspect", "--out", str(folder / "a.eval")]
    done = CliRunner().invoke(cli, [*command, "--problems", str(problems_file), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["num_scored"] == 4
    return folder


def test_programs_of_inspect_read_the_exported_log(exported: Path, environment: Mapping[str, str]) -> None:
    program = [sys.executable, "-m", "inspect_ai"]
    dumped = subprocess.run(
        [*program, "log", "dump", str(exported / "a.eval")], env=environment, capture_output=True, text=True, check=True
    )
    assert len(json.loads(dumped.stdout)["samples"]) == 6
    bundle = exported.parent / "bundle"
    subprocess.run(
        [*program, "view", "bundle", "--log-dir", str(exported), "--output-dir", str(bundle)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (bundle / "index.html").is_file()
    assert list(bundle.glob("logs/*.eval"))


def test_options_of_training_data_are_refused(tmp_path: Path, answers: Sequence[Answer]) -> None:
    command = ["export", str(tmp_path / "run"), "--format", "inspect", "--out", str(tmp_path / "a.eval")]
    done = CliRunner().invoke(cli, [*command, "--role", "critic"])
    assert done.exit_code == 2
    assert "--role is about training data" in done.output
