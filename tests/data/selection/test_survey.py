"""The facts of a labelled run: they add up, whole or half-way, and say the same as the selection they are of."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from critic_engine.config.collect import FiltersConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.data.harvest.finding_kinds import INJECTION, LABELS, SEARCH
from critic_engine.data.row_types import Preference
from critic_engine.data.selection.rows import open_rows
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.data.selection.survey import Session, Survey, last_session, survey
from critic_engine.engine import Engine
from critic_engine.errors import RunError
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow
from tests.data.harvesting import collected, config, copied, findings, model, rows

NUM = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    collected(run, num=NUM)
    return run


def facts_of(run: Path, **more: Any) -> Survey:
    with closing(RunStore.view(run)) as store:
        return survey(store, **more)


def cut_config(max_tokens: int) -> EngineConfig:
    settings = config()
    run = settings.run.model_copy(update={"max_tokens": max_tokens, "problems_in_flight": 1})
    return settings.model_copy(update={"run": run})


def test_tokens_are_those_of_the_run(whole: Path) -> None:
    facts = facts_of(whole)
    with closing(RunStore.view(whole)) as store:
        assert facts.num_tokens == store.num_tokens()
        assert facts.finding_tokens.total() == store.findings.num_tokens()
    assert facts.sample.num_tokens == facts.num_tokens
    assert {"critique", "refined", "fresh", "baseline", "injection"} <= set(facts.finding_tokens)


def test_whole_run_has_nothing_to_come(whole: Path) -> None:
    facts = facts_of(whole)
    assert (facts.num_rows, facts.num_problems, facts.num_done, facts.num_left) == (NUM, NUM, NUM, 0)
    fields = facts.fields()
    assert (fields["is_complete"], fields["forecast"]) == (True, None)
    assert json.loads(json.dumps(fields)) == fields


def test_funnel_is_that_of_the_selection_and_adds_up(whole: Path) -> None:
    facts = facts_of(whole)
    with closing(RunStore.view(whole)) as store:
        selection = Selection(store)
        harvested = list(selection)
    assert facts.funnel.fields() == selection.funnel.fields()
    for stage in facts.funnel.stages():
        assert stage.num_in == stage.left_out.total() + stage.num_kept
    forecast = facts.forecast()
    assert forecast is not None
    assert forecast.num_pairs is not None
    assert forecast.num_critiques is not None
    assert forecast.num_pairs.estimate == facts.funnel.pairs.num_kept > 0
    assert forecast.num_critiques.estimate == facts.funnel.critiques.num_kept > 0
    assert facts.num_pairs.total() == sum(len(each.pairs) for each in harvested)


def test_labels_and_injections_are_counted(whole: Path) -> None:
    facts = facts_of(whole)
    found = findings(whole).values()
    injected = [injection for each in found for injection in each.of_kind(INJECTION)]
    assert facts.injections["num_injected"] + facts.injections["num_failed"] == len(injected) > 0
    said = [each for injection in injected for each in injection.detections]
    assert facts.injections["num_detections"] == len(said) == facts.funnel.detections.num_in
    assert facts.injections["num_scored"] == sum(each.score is not None for each in said) > 0
    # Each solution is looked at twice, so that there is one pair of each whose two looks were scored.
    num_pairs = facts.injections["num_preferences"] + facts.injections["num_unranked"]
    assert num_pairs == sum(all(each.score for each in injection.detections) for injection in injected) > 0
    assert facts.labels["num_paths"] == sum(len(each[LABELS].paths) for each in found)
    assert facts.labels["num_searched"] == sum(len(each.of_kind(SEARCH)) for each in found) > 0


def test_other_filters_need_no_other_run(whole: Path) -> None:
    some = facts_of(whole).funnel.critiques.num_kept
    none = facts_of(whole, filters=FiltersConfig(min_lift=1.0, min_right=4)).funnel.critiques
    assert none.num_kept < some


def test_run_that_was_cut_says_what_is_to_come(whole: Path, tmp_path: Path) -> None:
    num_tokens = facts_of(whole).num_tokens
    collected(tmp_path / "cut", cut_config(num_tokens // 2), num=NUM)
    facts = facts_of(tmp_path / "cut")
    assert 2 <= facts.num_done < NUM
    assert facts.num_left == NUM - facts.num_done == facts.funnel.rows.left_out["not_done_yet"]
    with closing(RunStore.view(tmp_path / "cut")) as store:
        assert facts.num_tokens == store.num_tokens() >= num_tokens // 2
    forecast = facts.forecast()
    assert forecast is not None
    assert forecast.num_tokens.low <= num_tokens <= forecast.num_tokens.high
    fields = facts.fields()
    assert fields["is_complete"] is False
    assert fields["forecast"]["by_num_problems"] == len(facts.sample) <= facts.num_done


def test_problems_that_are_quickly_done_do_not_speak_for_the_others(whole: Path, tmp_path: Path) -> None:
    """The first problem is not done, so that those behind it may be those that were done soonest."""
    run = copied(whole, tmp_path / "hole")
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        connection.execute("DELETE FROM findings WHERE position = 0 AND name = 'done'")
    facts = facts_of(run)
    assert (facts.num_done, facts.num_left, len(facts.sample)) == (NUM - 1, 1, 0)
    assert facts.forecast() is None
    assert facts.num_tokens == facts_of(whole).num_tokens


def test_one_problem_in_twenty_may_be_left_where_the_others_are_forecast_from(tmp_path: Path) -> None:
    collected(tmp_path / "run", num=20)
    for num_left, size in ((1, 19), (2, 0)):
        with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as connection, connection:
            connection.execute("DELETE FROM findings WHERE position = ? AND name = 'done'", (num_left - 1,))
        facts = facts_of(tmp_path / "run")
        assert (facts.num_left, len(facts.sample)) == (num_left, size)


def test_rows_without_a_problem_are_neither_done_nor_to_come(tmp_path: Path) -> None:
    generator = model()
    given = [FailedRow(1, "bad", "question is missing; write it as text"), *rows(2)]
    with Engine(config(), reasoner=generator, critic=generator, checker=Checker()) as engine:
        list(engine.solve_many(given, run=tmp_path / "run"))
    facts = facts_of(tmp_path / "run")
    assert (facts.num_rows, facts.num_unsearchable, facts.num_done, facts.num_left) == (3, 1, 2, 0)
    assert facts.funnel.rows.left_out == {"unreadable": 1}


def test_run_without_labels_is_refused(tmp_path: Path) -> None:
    with closing(RunStore.create(tmp_path / "run", EngineConfig(budget={"max_tokens": 9}))) as store:
        store.add_rows(rows(1))
    with pytest.raises(RunError, match=r"run is no labelled run; make one with `critic-engine collect`"):
        facts_of(tmp_path / "run")


def test_examples_are_of_different_problems_with_critiques_and_the_same_each_time(whole: Path) -> None:
    chosen = facts_of(whole, num_examples=3).examples
    assert len({example.row_id for example in chosen}) == 3
    assert all(example.critiques for example in chosen)
    assert [example.pair_id for example in chosen] == sorted(example.pair_id for example in chosen)
    assert [example.pair_id for example in chosen] == [
        example.pair_id for example in facts_of(whole, num_examples=3).examples
    ]
    assert not facts_of(whole).examples


def test_pairs_are_found_by_row_id_problem_id_and_the_ids_of_exports(whole: Path) -> None:
    (example,) = facts_of(whole, num_examples=1).examples
    by_id, by_problem = (facts_of(whole, name=name).examples for name in (example.row_id, example.problem.problem_id))
    assert [each.pair_id for each in by_id] == [each.pair_id for each in by_problem]
    assert example.pair_id in [each.pair_id for each in by_id]
    (same,) = facts_of(whole, name=example.pair_id).examples
    assert same.fields() == example.fields()
    assert not facts_of(whole, name="000000-pair-999").examples


def test_row_of_an_export_leads_to_its_pair(whole: Path) -> None:
    row = next(row for row in open_rows(whole, kind=Preference, role="critic") if row.source == "lift")
    (example,) = facts_of(whole, name=row.row_id).examples
    assert isinstance(row, Preference)
    assert row.problem_id == example.problem.problem_id
    assert {row.chosen, row.rejected} <= {each.record.words for each in example.critiques}


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            '{"wall_s": 2, "models": {"a": {"usd": 0.5, "generated_tokens": 30},'
            ' "b": {"usd": 0, "generated_tokens": 4}}}',
            Session(2.0, 34, 0.5),
        ),
        ('{"wall_s": 2, "models": {"a": {"usd": 0.0, "generated_tokens": 30}}}', Session(2.0, 30, None)),
        ('{"wall_s": 2, "mod', None),
        ("[]", None),
        (None, None),
    ],
)
def test_last_session_is_what_a_whole_report_says(tmp_path: Path, report: str | None, expected: Session | None) -> None:
    if report is not None:
        (tmp_path / "report.json").write_text(report)
    assert last_session(tmp_path) == expected


def test_session_that_generated_nothing_has_no_pace() -> None:
    assert Session(2.0, 34, None).tokens_per_s == 17.0
    assert Session(2.0, 0, None).tokens_per_s is None
