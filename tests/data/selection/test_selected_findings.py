"""What of a run is fit for training: each filter by hand, and that nothing vanishes without a count."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from critic_engine.config.collect import FiltersConfig
from critic_engine.data.harvest.critique_lift import CritiqueRecord, DrawResult
from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.finding_kinds import CRITIQUES, INJECTION, PATHS, baseline_key, refined_key, value_key
from critic_engine.data.row_types import StageCounts
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.selected_findings import SelectedProblem, Selection
from critic_engine.errors import ProblemError
from critic_engine.protocols import GenerationRequest
from critic_engine.run.findings import HARVEST_DONE, HARVEST_ERROR, ProblemFindings
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, Problem, ProblemRow
from tests.data.harvesting import (
    collected,
    config,
    critique,
    detected,
    drawn,
    findings,
    made_run,
    measured,
    pair,
    role_of,
    say,
    tree_findings,
    words_of,
)


def selected(run: Path, **filters: Any) -> tuple[list[SelectedProblem], Funnel]:
    """Return what passes, and the funnel."""
    with closing(RunStore.view(run)) as store:
        selection = Selection(store, FiltersConfig(**filters) if filters else None)
        return list(selection), selection.funnel


def reasons(harvested: list[SelectedProblem]) -> list[str | None]:
    return [each.reason for one in harvested for each in one.critiques]


def stage(found: StageCounts) -> tuple[int, dict[str, int], int]:
    return (found.num_in, dict(found.left_out), found.num_kept)


LONG = "the picture shows one and the text says another " * 80


@pytest.mark.parametrize(
    ("record", "right", "filters", "reason"),
    [
        (critique(), 8, {}, None),
        (critique(fault="orders_disagree"), 8, {}, "orders_disagree"),
        (critique(fault="misses_error"), 8, {}, "misses_error"),
        (critique("..."), 8, {}, "text_empty"),
        (critique(LONG), 8, {}, "text_too_long"),
        (critique("so the final answer is 5"), 8, {}, "text_answers"),
        (critique("it is not 2 so " * 30), 8, {}, "text_repeats"),
        (critique("there is 1 in row 3"), 8, {}, "leaks_answer"),
        (critique("there is 1 in row 3"), 8, {"is_leak_allowed": True}, None),
        (critique(), 2, {}, "few_right"),
        (critique(), 3, {}, None),
        (critique(), 2, {"min_right": 2}, None),
        (critique(), 0, {"min_right": 0}, None),
        (critique(), 4, {"min_lift": 0.21}, "low_lift"),
        (critique(), 4, {"min_lift": 0.2}, None),
    ],
)
def test_the_first_filter_that_applies_is_named(
    record: CritiqueRecord, right: int, filters: dict[str, Any], reason: str | None, tmp_path: Path
) -> None:
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **measured(record, right=right)})
    harvested, funnel = selected(run, **(filters or {"min_right": 3}))
    assert reasons(harvested) == [reason]
    assert stage(funnel.critiques) == (1, {reason: 1} if reason else {}, 0 if reason else 1)
    assert harvested[0].critiques[0].lift is not None
    assert harvested[0].critiques[0].lift.estimate == pytest.approx((right - 2) / 10)


@pytest.mark.parametrize("refined", [None, DrawResult(None, None, "down"), drawn(0, 0, 10)])
def test_a_critique_that_could_not_be_measured_is_not_kept(refined: DrawResult | None, tmp_path: Path) -> None:
    found = {key: refined if key.name.startswith("refined/") else each for key, each in measured(critique()).items()}
    found = {key: each for key, each in found.items() if each is not None}
    harvested, _ = selected(made_run(tmp_path / "run", {**tree_findings(pair()), **found}))
    assert reasons(harvested) == ["unmeasured"]
    assert harvested[0].critiques[0].lift is None


@pytest.mark.parametrize("baseline", [None, DrawResult(None, None, "down"), drawn(0, 0, 10)])
def test_without_a_baseline_a_lift_is_unknown_and_no_low_one(baseline: DrawResult | None, tmp_path: Path) -> None:
    found = {key: each for key, each in measured(critique()).items() if not key.name.startswith("baseline/")}
    if baseline is not None:
        found[baseline_key(pair().trajectory())] = baseline
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **found})
    harvested, _ = selected(run, min_lift=0.1)
    assert reasons(harvested) == ["unmeasured"]
    assert harvested[0].critiques[0].lift is None
    assert reasons(selected(run)[0]) == [None]


def test_where_nothing_is_measured_critiques_are_kept_unmeasured(tmp_path: Path) -> None:
    found = {key: each for key, each in measured(critique()).items() if key.name.startswith("critique/")}
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **found}, lift={"num_refinements": 0})
    assert reasons(selected(run)[0]) == [None]


def test_of_critiques_that_say_the_same_the_first_that_would_be_kept_is(tmp_path: Path) -> None:
    faulty, kept, again = critique(fault="orders_disagree"), critique(), critique(who="another")
    found = {**measured(faulty, kept), **measured(again, who=1)}
    harvested, funnel = selected(made_run(tmp_path / "run", {**tree_findings(pair()), **found}))
    assert reasons(harvested) == ["orders_disagree", None, "says_the_same"]
    assert stage(funnel.critiques) == (3, {"orders_disagree": 1, "says_the_same": 1}, 1)


def test_the_same_words_on_another_pair_are_another_critique(tmp_path: Path) -> None:
    found = measured(critique(), critique(pair=1))
    run = made_run(tmp_path / "run", {**tree_findings(pair("2"), pair("3")), **found})
    assert reasons(selected(run)[0]) == [None, None]


def test_the_lift_rests_on_fresh_draws_alone_and_no_filter_sees_them(tmp_path: Path) -> None:
    found = measured(critique(), right=4)
    found[refined_key(0, critique().words, is_fresh=True)] = drawn(10, 0)
    found[baseline_key(pair().trajectory(), is_fresh=True)] = drawn(3, 7)
    draws = {"num_refinements": 10, "num_fresh": 10}
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **found}, lift=draws)
    harvested, funnel = selected(run, min_right=5)
    (judged,) = harvested[0].critiques
    assert judged.reason == "few_right"
    assert judged.lift is not None
    assert judged.lift.estimate == pytest.approx(0.7)
    assert funnel.lifts["none"] == [[pytest.approx(0.7)]]
    assert reasons(selected(run, min_right=1, min_lift=0.3)[0]) == ["low_lift"]


def test_wrong_paths_are_all_accounted_for(tmp_path: Path) -> None:
    pairs = [pair("2", num_paths=3), pair("3"), pair("4", kind="sibling"), pair("5", kind="first_error", num_paths=9)]
    run = made_run(
        tmp_path / "run",
        tree_findings(*pairs, num_right=2, num_wrong=20, num_over=5),
        tree_findings(num_right=0, num_wrong=7),
        tree_findings(num_right=4, num_wrong=0),
        tree_findings(num_right=0, num_wrong=0),
    )
    _, funnel = selected(run)
    assert stage(funnel.trees) == (4, {"all_wrong": 1, "all_right": 1, "no_known_path": 1}, 1)
    left_out = {"says_the_same": 2, "over_max_pairs": 5, "never_parts": 11, "no_right_path": 7}
    assert stage(funnel.wrong_paths) == (27, left_out, 2)
    assert stage(funnel.pairs) == (2, {}, 2)


def test_wrong_paths_that_nobody_asked_to_pair_are_not_said_to_never_part(tmp_path: Path) -> None:
    found = tree_findings(pair(kind="sibling"), num_wrong=4)
    _, funnel = selected(made_run(tmp_path / "run", found, pairs={"kinds": ["sibling"]}))
    assert stage(funnel.wrong_paths) == (4, {"not_paired": 4}, 0)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (0.6, 0.5, None),
        (0.59, 0.5, "chosen_doubted"),
        (0.6, 0.51, "rejected_believed"),
        (0.1, 0.9, "chosen_doubted"),
        (None, 0.1, "critic_unreadable"),
        (0.9, None, "critic_unreadable"),
    ],
)
def test_a_pair_that_the_critic_does_not_believe_is_left_out(
    chosen: float | None, rejected: float | None, reason: str | None, tmp_path: Path
) -> None:
    values = {value_key(("look", "answer : 1")): chosen, value_key(("look", "answer : 2")): rejected}
    harvested, funnel = selected(made_run(tmp_path / "run", {**tree_findings(pair()), **values}))
    assert stage(funnel.pairs) == (1, {reason: 1} if reason else {}, 0 if reason else 1)
    assert harvested[0].believed == (frozenset() if reason else {0})


@pytest.mark.parametrize(
    ("options", "num_kept"),
    [
        ({"min_share": 0, "min_support": 3}, 1),
        ({"min_share": 0, "min_support": 4}, 0),
        ({"min_share": 0.75, "min_support": 0}, 1),
        ({"min_share": 0.76, "min_support": 0}, 0),
    ],
)
def test_a_pair_needs_right_draws_that_take_the_chosen_step(
    options: dict[str, float], num_kept: int, tmp_path: Path
) -> None:
    # Of 4 draws that came out right 3 take it.
    run = made_run(tmp_path / "run", tree_findings(pair()), pairs=options)
    harvested, funnel = selected(run)
    assert stage(funnel.pairs) == (1, {} if num_kept else {"little_support": 1}, num_kept)
    assert len(harvested[0].believed) == num_kept


def test_a_problem_like_an_earlier_one_gives_nothing_and_is_counted(tmp_path: Path) -> None:
    problems = [
        ProblemRow(n, str(n), Problem(f"How many red  shapes are there here {mark}"), ("1",))
        for n, mark in ((1, "?"), (2, "!"))
    ]
    kept, few = critique(), critique("it is not so")
    found = {**tree_findings(pair()), **measured(kept), **measured(few, right=0, who=1)}
    run = made_run(tmp_path / "run", found, found, problems=problems)
    harvested, funnel = selected(run)
    assert [each.position for each in harvested] == [0, 1]
    assert reasons(harvested) == [None, "few_right"]
    repeat = harvested[1]
    assert (repeat.pairs, repeat.believed, repeat.critiques, repeat.reference) == ((), frozenset(), (), None)
    assert repeat.findings == ProblemFindings(repeat.position)
    assert stage(funnel.pairs) == (2, {"near_duplicate": 1}, 1)
    assert stage(funnel.critiques) == (4, {"few_right": 2, "near_duplicate": 1}, 1)
    both, _ = selected(run, is_near_duplicate_allowed=True)
    assert reasons(both) == [None, "few_right"] * 2


def test_rows_without_findings_are_left_out_for_their_reason(tmp_path: Path) -> None:
    problems = [
        FailedRow(1, "1", "it is no JSON"),
        ProblemRow(2, "2", Problem("has nobody said how many cats sit there ?")),
        ProblemRow(3, "3", Problem("which of the dogs runs in the park ?"), ("1",)),
        ProblemRow(4, "4", Problem("where do red kites fly today ?"), ("1",)),
        ProblemRow(5, "5", Problem("who sails the old ships in winter ?"), ("1",)),
    ]
    part = {key: each for key, each in tree_findings(pair()).items() if key != HARVEST_DONE}
    failed = {**part, HARVEST_ERROR: "it broke"}
    run = made_run(tmp_path / "run", {}, {}, part, failed, tree_findings(), problems=problems)
    harvested, funnel = selected(run)
    assert [each.row_id for each in harvested] == ["5"]
    left_out = {"unreadable": 1, "no_reference_answer": 1, "not_done_yet": 1, "harvest_failed": 1}
    assert stage(funnel.rows) == (5, left_out, 1)


def test_problems_of_an_evaluation_set_are_left_out(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"question": "How many CATS sit on the mat?"}) + "\n", encoding="utf-8")
    found = {**tree_findings(pair()), **measured(critique())}
    run = made_run(tmp_path / "run", found, found)
    harvested, funnel = selected(run, evaluation_sets=(str(exam),))
    assert [each.position for each in harvested] == [1]
    assert stage(funnel.rows) == (2, {"evaluation_set": 1}, 1)
    with closing(RunStore.view(run)) as store, pytest.raises(ProblemError):
        Selection(store, FiltersConfig(evaluation_sets=(str(tmp_path / "gone.jsonl"),)))


def test_each_filter_has_the_lifts_of_what_it_lets_through(tmp_path: Path) -> None:
    leak, few, low = critique("there is 1 in row 3"), critique("not so"), critique("hardly so")
    found = {
        **measured(critique(), leak, critique("odd", fault="unreadable"), right=8),
        **measured(few, right=1, who=1),
        **measured(low, right=3, who=2),
    }
    _, funnel = selected(made_run(tmp_path / "run", {**tree_findings(pair()), **found}), min_right=2, min_lift=0.2)
    counts = {name: len(column[0]) for name, column in funnel.lifts.items()}
    assert counts == {"none": 5, "faults": 4, "leaks": 3, "few_right": 2, "low_lift": 1, "near_duplicates": 1}
    assert [each["num_critiques"] for each in funnel.fields()["lift"]] == [5, 4, 3, 2, 1, 1]
    assert funnel.fields()["lift"][-1]["estimate"] == 0.6


def test_what_detectors_said_is_counted_with_the_reason_why_it_is_not_scored(tmp_path: Path) -> None:
    found = {
        **tree_findings(),
        INJECTION.at("0000"): detected(
            (words_of("it is"), 7), (None, None), (words_of("so"), None), (words_of("no"), 3)
        ),
        INJECTION.at("0001"): InjectionResult(failure="no line 'Solution:'"),
    }
    problems = [
        ProblemRow(n, str(n), Problem(f"how many red shapes are there {mark}"), ("1",))
        for n, mark in ((1, "?"), (2, "!"))
    ]
    _, funnel = selected(made_run(tmp_path / "run", found, found, problems=problems))
    assert stage(funnel.injected) == (4, {"not_injected": 2, "near_duplicate": 1}, 1)
    assert stage(funnel.detections) == (8, {"not_detected": 2, "not_graded": 2, "near_duplicate": 2}, 2)
    assert funnel.fields()["stages"]["detections"]["kept"] == 2
    assert list(funnel.stages())[-1].left_out["not_detected"] == 2


@pytest.mark.parametrize(("role", "reason"), [("detect", "not_detected"), ("grade", "not_graded")])
def test_a_model_that_cannot_be_read_leaves_its_reason_behind(role: str, reason: str, tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        return "I would rather not." if role_of(request) == role else say(request, seed)

    collected(tmp_path / "run", script=script)
    _, funnel = selected(tmp_path / "run")
    assert funnel.injected.num_kept > 0
    assert stage(funnel.detections) == (2 * funnel.injected.num_kept, {reason: 2 * funnel.injected.num_kept}, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_funnel_adds_up(seed: int, tmp_path: Path) -> None:
    settings = config()
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"seed": seed})})
    run = tmp_path / "run"
    collected(run, settings)
    found = findings(run)
    records = [record for each in found.values() for critiques in each.of_kind(CRITIQUES) for record in critiques]
    with closing(RunStore.view(run)) as store:
        selection = Selection(store)
        harvested = list(selection)
        funnel, fields = selection.funnel, selection.funnel.fields()
        list(selection)
        assert selection.funnel.fields() == fields
    assert all(each.num_kept >= 0 and min(each.left_out.values(), default=1) > 0 for each in funnel.stages())
    assert funnel.rows.num_in == len(found)
    assert funnel.trees.num_in == funnel.rows.num_kept == len(harvested)
    assert funnel.wrong_paths.num_in == sum(each[PATHS].num_wrong for each in found.values())
    assert funnel.pairs.num_in == funnel.wrong_paths.num_kept
    assert funnel.pairs.num_kept == sum(len(each.believed_of("divergent")) for each in harvested)
    assert funnel.errors.num_in == funnel.pairs.num_kept
    annotated = {
        (at, name.split("/")[1]) for at, each in found.items() for name in each.stored if name[:8] == "critique"
    }
    assert funnel.errors.num_kept == len(annotated)
    assert funnel.critiques.num_in == len(records) == sum(len(each.critiques) for each in harvested)
    assert funnel.critiques.num_kept == sum(each.is_kept for one in harvested for each in one.critiques)
    injections = [injection for each in found.values() for injection in each.of_kind(INJECTION)]
    assert funnel.injected.num_in == len(injections) > 0
    assert funnel.detections.num_in == sum(len(each.detections) for each in injections) > 0
    assert funnel.detections.num_kept == sum(
        each.score is not None
        for one in harvested
        for injection in one.findings.of_kind(INJECTION)
        for each in injection.detections
    )
    assert json.loads(json.dumps(fields)) == fields
    for each in funnel.stages():
        (_, num_in), *left_out, (_, num_kept) = each.lines()
        assert (num_in, num_kept) == (each.num_in, each.num_kept)
        assert num_in == sum(num for _, num in left_out) + num_kept


def test_nothing_measured_has_no_lift_in_the_report() -> None:
    funnel = Funnel()
    funnel.add_lift("none", [])
    assert funnel.fields()["lift"] == [
        {"after": "none", "num_critiques": 0, "estimate": None, "low": None, "high": None}
    ]


def test_a_reason_without_a_number_is_no_reason() -> None:
    found = StageCounts("things")
    found.count("gone", num=0)
    found.count(num=2)
    found.count("gone")
    assert stage(found) == (3, {"gone": 1}, 2)
