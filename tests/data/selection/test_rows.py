"""The rows that a run gives to trainers: what each says, that none is there twice, and that they stay the same."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from critic_engine.config.collect import FiltersConfig
from critic_engine.config.engine import parse_config
from critic_engine.data.harvest.critique_lift import DrawCounts, DrawResult
from critic_engine.data.harvest.finding_kinds import CRITIQUES, INJECTION, LABELS, SEARCH, baseline_key, refined_key
from critic_engine.data.harvest.labels import FailedSearch, LabelledPath, SearchedPath, StepLabel, TreeLabels
from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.rows import Role, RunRows, open_rows
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.errors import RunError
from critic_engine.prompts import PromptFamily
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import Image, Problem, ProblemRow
from tests.data.harvesting import (
    CONFIG,
    collected,
    config,
    critique,
    detected,
    drawn,
    made_run,
    measured,
    pair,
    tree_findings,
    words_of,
)

PLAIN = PromptFamily.load("plain")
KINDS: tuple[type[TrainingRow], ...] = get_args(TrainingRow)
ROLES: tuple[Role, ...] = get_args(Role)
GOOD, BAD = critique("it is not 2"), critique("the look is off", who="another critic")


def rows_of(run: Path, kind: type[Any], role: Role, **filters: Any) -> list[Any]:
    with closing(RunStore.view(run)) as store:
        return list(RunRows(store, kind=kind, role=role, filters=FiltersConfig(**filters) if filters else None))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over scripted models."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    collected(folder)
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A run of one problem with a divergent pair and a sibling, and three critiques of the first: two say the same."""
    found = {
        **tree_findings(pair(), pair("3", kind="sibling")),
        **measured(GOOD, right=9),
        **measured(BAD, critique("it is not 2", who="another critic"), right=1, who=1),
        **measured(GOOD, right=9, who=0),
    }
    return made_run(tmp_path / "one", found)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_and_role_has_rows_that_are_the_same_each_time(
    kind: type[TrainingRow], role: Role, run: Path
) -> None:
    with closing(RunStore.view(run)) as store:
        rows = RunRows(store, kind=kind, role=role)
        first, funnel = list(rows), rows.funnel.fields()
        assert list(rows) == first
        assert rows.funnel.fields() == funnel
    assert list(open_rows(run, kind=kind, role=role)) == first
    assert {type(row) for row in first} == {kind}
    assert len({row.row_id for row in first}) == len(first)
    assert len({tuple(row.facts) for row in first}) == 1
    said = [repr(replace(row, row_id="", facts={})) for row in first]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("role", ROLES)
def test_of_a_preference_the_better_side_is_another_text_and_the_margin_is_not_negative(run: Path, role: Role) -> None:
    for row in rows_of(run, Preference, role):
        assert row.chosen.strip()
        assert row.rejected.strip()
        assert row.chosen != row.rejected
        if role == "critic":
            assert row.margin is not None
            assert row.margin > 0


def test_of_two_critiques_the_one_that_lifts_more_is_chosen(one: Path) -> None:
    (row,) = rows_of(one, Preference, "critic")
    assert (row.chosen, row.rejected) == (words_of("it is not 2"), words_of("the look is off"))
    assert row.margin == pytest.approx(0.8)
    assert row.source == "lift"
    assert row.facts == {
        "depth": 1,
        "chosen_lift": 0.7,
        "rejected_lift": -0.1,
        "chosen_annotator": "a critic",
        "rejected_annotator": "another critic",
    }
    problem = Problem("how many cats sit on the mat ?")
    assert row.prompt == PLAIN.critique(problem, steps=("look", "answer : 2")).text
    assert rows_of(one, Preference, "critic", min_lift_gap=0.8) == [row]
    assert rows_of(one, Preference, "critic", min_lift_gap=0.81) == []


@pytest.mark.parametrize(
    ("fresh", "margin", "reason"),
    [
        ((8, 4), 0.4, None),
        ((5, 5), None, "gap_not_repeated"),
        ((4, 8), None, "gap_not_repeated"),
        ((None, 8), None, "unmeasured"),
    ],
)
def test_a_critique_is_preferred_if_further_draws_bear_it_out_and_its_margin_is_theirs(
    fresh: tuple[int | None, int], margin: float | None, reason: str | None, tmp_path: Path
) -> None:
    found = {**tree_findings(pair()), **measured(GOOD, right=9), **measured(BAD, right=3, who=1)}
    for record, right in zip((GOOD, BAD), fresh, strict=True):
        if right is not None:
            found[refined_key(0, record.words, is_fresh=True)] = drawn(right, 10 - right)
    found[baseline_key(pair().trajectory(), is_fresh=True)] = drawn(2, 8)
    run = made_run(tmp_path / "run", found, lift={"num_refinements": 10, "num_fresh": 10})
    with closing(RunStore.view(run)) as store:
        rows = RunRows(store, kind=Preference, role="critic", filters=FiltersConfig(min_right=4))
        margins = [row.margin for row in rows if isinstance(row, Preference)]
        assert margins == ([] if margin is None else [pytest.approx(margin)])
        assert dict(rows.funnel.training.left_out) == ({} if reason is None else {reason: 1})


def test_of_two_kept_critiques_the_comparison_is_made_once(one: Path) -> None:
    for gap, expected in ((0.2, {}), (0.81, {"small_lift_gap": 1})):
        with closing(RunStore.view(one)) as store:
            rows = RunRows(store, kind=Preference, role="critic", filters=FiltersConfig(min_right=0, min_lift_gap=gap))
            assert len(list(rows)) == (not expected)
            assert dict(rows.funnel.training.left_out) == expected


def test_a_path_that_the_critic_doubts_is_taught_as_right_to_nobody(tmp_path: Path) -> None:
    found = tree_findings(pair(), reference_value=0.1)
    run = made_run(tmp_path / "run", found, pairs={"min_reference_value": 0.5})
    for kind, role in ((Demonstration, "critic"), (Rated, "reasoner")):
        with closing(RunStore.view(run)) as store:
            rows = RunRows(store, kind=kind, role=role, filters=FiltersConfig(correct_share=0.5))  # type: ignore[arg-type]
            assert list(rows) == []
            assert dict(rows.funnel.training.left_out) == {"reference_doubted": 1}
    with closing(RunStore.view(run)) as store:
        selection = Selection(store)
        assert [each.believed for each in selection] == [frozenset()]
        assert selection.funnel.pairs.left_out == {"reference_doubted": 1}


def test_a_path_that_a_search_labels_is_no_second_row(tmp_path: Path) -> None:
    steps, labels = ("look", "answer : 2"), (StepLabel.soft(1, 2), StepLabel.hard(is_right=False))
    found = {
        **tree_findings(pair()),
        LABELS: TreeLabels((LabelledPath(3, ("\n".join(steps),), labels[1:]),)),
        SEARCH.at("0000"): SearchedPath(steps, 2, labels),
    }
    (row,) = rows_of(made_run(tmp_path / "run", found), StepLabelled, "reasoner")
    assert row.source == "binary_search"


def test_of_two_detections_the_better_is_chosen_and_pairs_that_are_equal_are_counted(tmp_path: Path) -> None:
    best, other, worst = words_of("it is not 2"), words_of("it is 3"), words_of("the look is off")
    injection = detected((best, 9), (other, 9), (worst, 1), (worst, 1), (None, None))
    found = {**tree_findings(), INJECTION.at("0000"): injection}
    with closing(RunStore.view(made_run(tmp_path / "run", found))) as store:
        rows = RunRows(store, kind=Preference, role="critic")
        found_rows = [(row.chosen, row.rejected, row.source) for row in rows if isinstance(row, Preference)]
        training, detections = rows.funnel.training, rows.funnel.detections
    assert found_rows == [(best, worst, "injection"), (other, worst, "injection")]
    assert dict(training.left_out) == {"equal_scores": 1, "equal_texts": 3}
    # Of four detections there are six pairs.
    assert (detections.num_kept, training.num_in, training.num_kept) == (4, 6, 2)


def test_a_rejected_text_is_there_once_however_many_said_it(tmp_path: Path) -> None:
    faulty = [critique("hm", who=who, fault="misses_error") for who in ("one", "two")]
    found = {**tree_findings(pair()), **measured(*faulty, right=0), **measured(GOOD, right=9, who=1)}
    run = made_run(tmp_path / "run", found)
    (row,) = rows_of(run, Preference, "critic")
    assert (row.chosen, row.rejected) == (words_of("it is not 2"), words_of("hm"))


def test_a_text_is_never_good_and_bad_at_once(tmp_path: Path) -> None:
    faulty = critique("it is not 2", who="first", fault="orders_disagree")
    found = {
        **tree_findings(pair()),
        **measured(faulty, right=9),
        **measured(GOOD, right=9, who=1),
        **measured(critique("it is not 2", who="last", fault="unreadable"), right=9, who=2),
    }
    (row,) = rows_of(made_run(tmp_path / "run", found), Rated, "critic")
    assert (row.completion, row.is_good, row.source) == (words_of("it is not 2"), True, "a critic")


def test_a_faulty_text_that_two_said_is_bad_once(tmp_path: Path) -> None:
    faulty = [critique("hm", who=who, fault="misses_error") for who in ("one", "two")]
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **measured(*faulty, right=9)})
    assert [(row.completion, row.is_good) for row in rows_of(run, Rated, "critic")] == [(words_of("hm"), False)]


def test_a_critique_that_was_not_measured_is_neither_good_nor_bad(tmp_path: Path) -> None:
    found = {key: each for key, each in measured(GOOD).items() if not key.name.startswith("refined/")}
    assert rows_of(made_run(tmp_path / "run", {**tree_findings(pair()), **found}), Rated, "critic") == []


def test_kept_critiques_are_demonstrations_and_so_is_that_a_right_path_needs_none(one: Path) -> None:
    wrong, right = rows_of(one, Demonstration, "critic", correct_share=0.5)
    assert (wrong.completion, wrong.value, wrong.source) == (words_of("it is not 2"), 0.0, "a critic")
    assert (wrong.facts["num_right"], wrong.facts["num_refined"], wrong.facts["first_wrong_step"]) == (9, 10, 2)
    assert (right.completion, right.value) == (PLAIN.written_critique(step=None), 1.0)
    problem = Problem("how many cats sit on the mat ?")
    assert right.prompt == PLAIN.critique(problem, steps=("look", "answer : 1")).text
    assert list(wrong.facts) == list(right.facts)


def test_a_correction_is_what_a_kept_critique_brought_about(one: Path) -> None:
    (row,) = rows_of(one, Demonstration, "reasoner", min_right=2)
    problem = Problem("how many cats sit on the mat ?")
    message = PLAIN.rewrite(problem, steps=("look", "answer : 2"), critique=words_of("it is not 2"))
    assert (row.prompt, row.completion, row.value) == (message.text, "look\nanswer : 1", 0.0)


def test_a_kept_critique_without_a_right_solution_is_counted_and_no_correction(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", {**tree_findings(pair()), **measured(critique(), right=0)})
    with closing(RunStore.view(run)) as store:
        rows = RunRows(store, kind=Demonstration, role="reasoner", filters=FiltersConfig(min_right=0))
        assert list(rows) == []
    assert dict(rows.funnel.training.left_out) == {"not_corrected": 1}


def test_paths_are_preferred_from_their_beginning(one: Path) -> None:
    divergent, sibling = rows_of(one, Preference, "reasoner")
    assert (divergent.chosen, divergent.rejected) == ("look\nanswer : 1", "look\nanswer : 2")
    assert (divergent.source, divergent.margin, sibling.source) == ("divergent", 0.5, "sibling")
    assert divergent.prompt == PLAIN.solve(Problem("how many cats sit on the mat ?")).text
    assert divergent.facts["depth"] == 1


def test_paths_are_right_or_wrong(one: Path) -> None:
    assert [(row.completion, row.is_good) for row in rows_of(one, Rated, "reasoner")] == [
        ("look\nanswer : 1", True),
        ("look\nanswer : 2", False),
    ]


def test_labels_of_trees_and_of_searches_are_rows_and_failed_or_unsolvable_searches_none(tmp_path: Path) -> None:
    path = LabelledPath(3, ("look", "answer : 1"), (StepLabel.soft(3, 4), StepLabel.hard(is_right=True)))
    found = {
        **tree_findings(pair()),
        LABELS: TreeLabels((path,)),
        SEARCH.at("0000"): SearchedPath(("a", "b"), 2, (StepLabel.soft(1, 2), StepLabel.hard(is_right=False))),
        SEARCH.at("0001"): FailedSearch("the model is down"),
        SEARCH.at("0002"): SearchedPath(("a",), None, (None,)),
    }
    tree, search = rows_of(made_run(tmp_path / "run", found), StepLabelled, "reasoner")
    assert (tree.source, tree.steps, tree.values, tree.num_rollouts) == (
        "tree",
        ("look", "answer : 1"),
        (0.75, 1.0),
        (4, 0),
    )
    assert (search.source, search.values, search.num_rollouts) == ("binary_search", (0.5, 0.0), (2, 0))
    assert tree.prompt == "how many cats sit on the mat ?"


def test_a_pair_that_is_not_believed_is_no_row(tmp_path: Path) -> None:
    pairs = pair(), pair("3", kind="first_error"), pair("4", kind="sibling")
    run = made_run(tmp_path / "run", tree_findings(*pairs), pairs={"min_share": 1})
    assert [row.source for row in rows_of(run, Preference, "reasoner")] == ["sibling"]
    assert [row.is_good for row in rows_of(run, Rated, "reasoner")] == [True]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_problem_like_an_earlier_one_has_no_rows(kind: type[TrainingRow], role: Role, tmp_path: Path) -> None:
    problems = [
        ProblemRow(n, str(n), Problem(f"how many red shapes are there {mark}"), ("1",))
        for n, mark in ((1, "?"), (2, "!"))
    ]
    few = measured(critique("not so"), right=0, who=1)
    found = {**tree_findings(pair(), pair("3", kind="sibling")), **measured(GOOD), **few}
    run = made_run(tmp_path / "run", found, found, problems=problems)
    assert {row.problem_id for row in rows_of(run, kind, role)} <= {problems[0].problem.problem_id}
    both = rows_of(run, kind, role, is_near_duplicate_allowed=True)
    assert len(both) == 2 * len(rows_of(run, kind, role)) or kind is Demonstration


def test_pictures_go_along(tmp_path: Path) -> None:
    image = Image(b"not decoded here", "image/png", 1, 1)
    problem = Problem("how many cats ?", images=(image,))
    found = {**tree_findings(pair()), **measured(GOOD), **measured(BAD, right=1, who=1)}
    run = made_run(tmp_path / "run", found, problems=[ProblemRow(1, "1", problem, ("1",))])
    for kind in (Preference, Demonstration, Rated):
        for role in ROLES:
            rows = rows_of(run, kind, role)
            assert rows
            assert {row.images for row in rows} == {(image,)}


def many(folder: Path, num: int, **collect: Any) -> Path:
    """Return a run of many problems, each with a critique of an early pair, and half with one of a late pair."""
    problems = [ProblemRow(n, str(n), Problem(f"question number {n} of many ?"), ("1",)) for n in range(num)]
    early, late = critique(), critique(pair=1, who="a critic")
    deep = pair("4", shared="look\nand look")
    deep = replace(deep, shared=("look", "and look"))
    both = {**tree_findings(pair(), deep), **measured(early), **measured(late)}
    both[CRITIQUES.at("0001", "00")] = (late,)
    alone = {**tree_findings(pair()), **measured(early)}
    return made_run(folder, *(both if n % 2 else alone for n in range(num)), problems=problems, **collect)


@pytest.mark.parametrize(("share", "num_correct"), [(0.0, 0), (0.1, 7), (0.25, 20), (0.5, 40), (0.9, 40), (0.999, 40)])
def test_as_many_say_that_all_is_right_as_asked_for(share: float, num_correct: int, tmp_path: Path) -> None:
    rows = rows_of(many(tmp_path / "run", 40), Demonstration, "critic", correct_share=share)
    counts = Counter(row.source == "correct" for row in rows)
    # 60 critiques are kept, and there are 40 right paths.
    assert (counts[False], counts[True]) == (60, num_correct)


def test_balance_thins_out_what_there_is_too_much_of_and_the_share_is_of_what_is_left(tmp_path: Path) -> None:
    run = many(tmp_path / "run", 40)
    rows = rows_of(run, Demonstration, "critic", max_balance_ratio=1.0, correct_share=0.5)
    depths = Counter(row.facts["depth"] for row in rows if row.source != "correct")
    assert depths == {1: 20, 2: 20}
    assert sum(row.source == "correct" for row in rows) == 40
    fewer = rows_of(run, Demonstration, "critic", max_balance_ratio=1.0, correct_share=0.2)
    assert sum(row.source == "correct" for row in fewer) == 10
    every = rows_of(run, Demonstration, "critic", correct_share=0.5)
    assert [row for row in every if row in rows] == rows


def test_without_any_wrong_path_nobody_learns_that_all_is_right(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", tree_findings(num_wrong=0))
    assert rows_of(run, Demonstration, "critic") == []
    assert rows_of(run, Demonstration, "critic", correct_share=0.999) == []


def test_the_configuration_says_which_filters_were_used(one: Path) -> None:
    with closing(RunStore.view(one)) as store:
        rows = RunRows(store, kind=Rated, role="critic", filters=FiltersConfig(min_right=7))
        assert "min_right: 7" in rows.config_yaml
        assert "min_right: 1" in RunRows(store, kind=Rated, role="critic").config_yaml


def test_a_run_that_is_not_labelled_is_refused(tmp_path: Path) -> None:
    plain = parse_config(
        {name: each for name, each in CONFIG.items() if name != "collect"} | {"evaluator": {"kind": "critic"}}
    )
    with closing(RunStore.create(tmp_path / "run", plain)) as store:
        store.add_rows([])
    with pytest.raises(RunError, match="is no labelled run"):
        open_rows(tmp_path / "run", kind=Rated, role="critic")


def test_a_labelled_run_without_findings_has_no_rows(tmp_path: Path) -> None:
    with closing(RunStore.create(tmp_path / "run", config(), checker=Checker())) as store:
        store.add_rows([ProblemRow(1, "1", Problem("how many ?"), ("1",))])
    for kind in KINDS:
        assert rows_of(tmp_path / "run", kind, "critic") == []


def test_hostile_words_come_through_as_they_are(tmp_path: Path) -> None:
    nasty = critique("\x1b[2J <image> $steps {{0}} \ud800")
    found = {**tree_findings(pair()), **measured(nasty, right=9)}
    found[refined_key(9, "unknown", is_fresh=True)] = drawn(1, 1)
    (row,) = rows_of(made_run(tmp_path / "run", found), Rated, "critic")
    assert row.completion == nasty.words


def test_no_text_of_a_solution_holds_a_thought(tmp_path: Path) -> None:
    plain = pair()
    thoughtful = replace(
        plain,
        shared_text=f"<think>\nperhaps answer : 7\n</think>\n\n{plain.shared_text}",
        chosen=replace(plain.chosen, text=f"[THINK]or 8?[/THINK]{plain.chosen.text}"),
        rejected=replace(plain.rejected, text=f"<think>or 9?</think>{plain.rejected.text}"),
    )
    refined = {refined_key(0, GOOD.words): DrawResult(DrawCounts(9, 1, 0), "<think>hm</think>\nlook\nanswer : 1")}
    run = made_run(tmp_path / "run", {**tree_findings(thoughtful), **measured(GOOD), **refined})
    (preference,) = rows_of(run, Preference, "reasoner")
    assert (preference.chosen, preference.rejected) == ("look\nanswer : 1", "look\nanswer : 2")
    assert {row.completion for row in rows_of(run, Rated, "reasoner")} == {"look\nanswer : 1", "look\nanswer : 2"}
    assert {row.completion for row in rows_of(run, Demonstration, "reasoner")} == {"look\nanswer : 1"}
