"""Figures of hand-worked answers."""

import dataclasses
import itertools
import json
import random
from pathlib import Path

import pytest

from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.comparison_report import ComparisonReport
from critic_engine.evaluation.report.report_files import write_report
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.intervals import share


def test_answers_are_counted_and_unsure_and_failed_ones_are_not_right(make_run, options: ReportOptions) -> None:
    [method] = build_report([make_run("mcts", 100, "rr rw ww ru rf")], options=options).methods
    assert (method.num_right, method.num_wrong, method.num_unsure, method.num_failed) == (5, 3, 1, 1)
    assert (method.num_problems, method.num_seeds) == (5, 2)
    assert method.accuracy is not None
    assert method.accuracy.estimate == 0.5


def test_the_commonest_reasons_for_unsure_and_failed_answers_are_counted(make_run, options: ReportOptions) -> None:
    [method] = build_report([make_run("mcts", 100, "rf uf ww uf")], options=options).methods
    assert [each.model_dump() for each in method.reasons] == [
        {"outcome": "failed", "reason": "the endpoint is gone", "num": 3},
        {"outcome": "unsure", "reason": "two readings", "num": 2},
    ]


def test_gradings_that_ran_out_of_time_are_counted_and_said(make_run, options: ReportOptions) -> None:
    run = make_run("mcts", None, "r u u")
    (first,), (late,), (other,) = run.answers
    late = dataclasses.replace(late, grade=dataclasses.replace(late.grade, is_timeout=True))
    report = build_report([dataclasses.replace(run, answers=((first,), (late,), (other,)))], options=options)
    assert (report.methods[0].num_unsure, report.methods[0].num_timed_out) == (2, 1)
    assert "Answers among these whose grading ran out of time: mcts 1." in report.cautions


def test_failures_of_models_are_summed_by_kind_and_said(make_run, options: ReportOptions) -> None:
    run = make_run("mcts", None, "r w")
    met = ({"critic_unreadable": 2, "critic_gated": 1}, {"critic_unreadable": 1, "budget_too_small": 4, "other": 0})
    answers = tuple(
        (dataclasses.replace(graded, answer=dataclasses.replace(graded.answer, failures=failures)),)
        for (graded,), failures in zip(run.answers, met, strict=True)
    )
    report = build_report([dataclasses.replace(run, answers=answers)], options=options)
    assert report.methods[0].failures == {"budget_too_small": 4, "critic_gated": 1, "critic_unreadable": 3}
    said = "after which they may have gone on: mcts (budget_too_small 4, critic_unreadable 3)."
    assert any(sentence.endswith(said) for sentence in report.cautions)
    assert any("the critic did not steer" in each and "wrong: mcts 1." in each for each in report.cautions)


def test_accuracy_of_one_seed_has_wilsons_interval(make_run, options: ReportOptions) -> None:
    [method] = build_report([make_run("mcts", 100, "r r w r")], options=options).methods
    expected = share(3, 4)
    assert method.accuracy is not None
    assert method.accuracy.low == pytest.approx(expected.low)
    assert method.accuracy.high == pytest.approx(expected.high)


def test_all_currencies_and_both_roles_stand_beside_the_accuracy(make_run, options: ReportOptions) -> None:
    run = make_run("mcts", 100, "rw ww", tokens=80, flops=4e9, usd=0.02, wall_s=7.5)
    [method] = build_report([run], options=options).methods
    costs = method.costs
    assert costs is not None
    # Two searches of 80 tokens and two of 81; the critic wrote 20, and 240 prompt tokens were read uncached.
    assert (costs.tokens, costs.reasoner_tokens, costs.critic_tokens) == (80.5, 60.5, 20)
    assert (costs.prompt_tokens, costs.uncached_prompt_tokens) == (320, 240)
    assert (costs.critic_prompt_tokens, costs.critic_uncached_prompt_tokens) == (80, 60)
    assert costs.compute == 80.5 + 0.25 * 240
    assert costs.seconds == 1.0
    assert (costs.num_requests, costs.flops, costs.usd) == (3, 1e9, 0.005)
    assert (method.num_requests, method.wall_s, method.flops, method.usd) == (12, 7.5, 4e9, 0.02)


@pytest.mark.parametrize(("currency", "spent"), [("tokens", 80.5), ("compute", 140.5), ("seconds", 1.0)])
def test_spending_is_in_the_currency_of_the_budget_and_never_rescaled(
    make_run, options: ReportOptions, currency, spent: float
) -> None:
    run = make_run("mcts", 100, "rw ww")
    [method] = build_report([run], options=dataclasses.replace(options, currency=currency)).methods
    assert method.spending is not None
    assert (method.spending.mean, method.spending.share) == (spent, spent / 100)
    assert method.spending.num_over == (4 if currency == "compute" else 0)


def test_value_auroc_leaves_out_unsure_and_failed_answers(make_run, options: ReportOptions) -> None:
    [method] = build_report([make_run("mcts", 100, "r w u f r w")], options=options).methods
    assert method.num_valued == 4
    assert method.value_auroc is not None
    assert method.value_auroc.estimate == 1.0


def test_value_auroc_is_unknown_when_all_answers_are_right(make_run, options: ReportOptions) -> None:
    report = build_report([make_run("mcts", 100, "r r")], options=options)
    assert report.methods[0].value_auroc is None
    assert any("cannot be told whether values" in sentence for sentence in report.cautions)


def test_pass_and_majority_at_k_are_of_the_independent_samples(make_run, options: ReportOptions) -> None:
    right, wrong, unsure = Grade(True), Grade(False), Grade(None, "two readings")
    run = make_run(
        "majority",
        100,
        "r w",
        samples=((right, right, wrong, unsure), (wrong, wrong, right, wrong)),
        sample_classes=(("7", "7", "8", "9"), ("1", "1", "2", "3")),
    )
    [method] = build_report([run], options=options).methods
    # C(4, 2) = 6 pairs: 5 of the first problem's hold a right one, 3 of the second's.
    assert [(each.k, each.share.estimate) for each in method.pass_at] == [
        (1, 3 / 8),
        (2, pytest.approx((5 / 6 + 3 / 6) / 2)),
        (4, 1.0),
    ]
    assert [(each.k, each.share.estimate) for each in method.majority_at][-1] == (4, 0.5)


def test_samples_without_an_answer_cast_no_vote_and_problems_of_like_votes_have_one_majority(
    make_run, options: ReportOptions
) -> None:
    right, wrong = Grade(True), Grade(False)
    run = make_run(
        "majority",
        100,
        "r r w",
        samples=((wrong, right, wrong), (right, wrong, wrong), (wrong, wrong, wrong)),
        sample_classes=((None, "7", None), ("x", None, None), (None, None, None)),
    )
    [method] = build_report([run], options=dataclasses.replace(options, pass_ks=(1, 3))).methods
    assert [(each.k, each.share.estimate) for each in method.majority_at] == [
        (1, pytest.approx(2 / 9)),
        (3, pytest.approx(2 / 3)),
    ]


def test_samples_count_as_far_as_every_search_that_did_not_fail_has_them(make_run, options: ReportOptions) -> None:
    right, wrong = Grade(True), Grade(False)
    run = make_run("majority", 100, "r w f", samples=((right, wrong, right), (wrong, right), ()))
    [method] = build_report([run], options=options).methods
    assert [(each.k, each.share.estimate) for each in method.pass_at] == [
        (1, pytest.approx((1 / 2 + 1 / 2 + 0) / 3)),
        (2, pytest.approx(2 / 3)),
    ]
    assert method.majority_at == ()


def test_pairs_are_of_one_budget_or_with_a_method_without_one(make_run, options: ReportOptions) -> None:
    words = "rw " * 20
    runs = [make_run("greedy", None, words)]
    runs += [make_run(method, budget, words) for method in ("majority", "mcts") for budget in (100, 200)]
    pairs = build_report(runs, options=options).pairs
    assert {(pair.ours, pair.theirs) for pair in pairs} == {
        ("majority @100", "greedy"),
        ("majority @200", "greedy"),
        ("mcts @100", "greedy"),
        ("mcts @200", "greedy"),
        ("mcts @100", "majority @100"),
        ("mcts @200", "majority @200"),
    }


def test_equal_amounts_are_equal_cost_whether_or_not_there_is_a_budget(make_run, options: ReportOptions) -> None:
    words = "r w " * 10
    runs = [make_run("a", None, words), make_run("b", 100, words), make_run("c", None, words, tokens=40)]
    pairs = {(pair.ours, pair.theirs): pair for pair in build_report(runs, options=options).pairs}
    assert pairs["b @100", "a"].is_equal_cost
    assert "not at equal cost" not in pairs["b @100", "a"].text
    assert not pairs["c", "a"].is_equal_cost


def test_repeated_problems_are_said_to_narrow_the_intervals(make_run, options: ReportOptions) -> None:
    run = make_run("mcts", None, "r w r")
    run = dataclasses.replace(run, answers=(*run.answers, run.answers[0], run.answers[0]))
    cautions = build_report([run], options=options).cautions
    said = "Problems that repeat another: 2 of 5. They count as problems of their own, so intervals are too narrow"
    assert any(sentence.startswith(said) for sentence in cautions)


def test_pairs_that_spent_unequal_amounts_of_one_budget_are_not_at_equal_cost(make_run, options: ReportOptions) -> None:
    runs = [make_run(f"m{tokens}", 100, "r w " * 10, tokens=tokens) for tokens in (100, 92, 80)]
    pairs = {(pair.ours, pair.theirs): pair for pair in build_report(runs, options=options).pairs}
    assert pairs["m92 @100", "m100 @100"].is_equal_cost
    unequal = pairs["m80 @100", "m100 @100"]
    assert (unequal.is_equal_cost, unequal.our_cost, unequal.their_cost) == (False, 80.5, 100.5)
    assert "(not at equal cost: 80.5 against 100 tokens; difference +0.000 [" in unequal.text


def test_equal_tokens_at_unequal_compute_are_said(make_run, options: ReportOptions) -> None:
    runs = [make_run("reads", 100, "r w " * 10), make_run("samples", 100, "r w " * 10)]
    lighter = tuple(
        tuple(dataclasses.replace(each, answer=dataclasses.replace(each.answer, prompt_tokens=80)) for each in problem)
        for problem in runs[1].answers
    )
    assert not any("equal compute" in each for each in build_report(runs, options=options).cautions)
    runs[1] = dataclasses.replace(runs[1], answers=lighter)
    cautions = build_report(runs, options=options).cautions
    assert any(each.startswith("Pairs at equal tokens and not at equal compute: 1 of 1") for each in cautions)


def test_losses_come_first(make_run, options: ReportOptions) -> None:
    good, bad, fair = "r " * 60, "w " * 60, "r " * 30 + "w " * 30
    runs = [make_run("fair", 100, fair), make_run("good", 100, good), make_run("bad", 100, bad)]
    pairs = build_report(runs, options=options).pairs
    assert [(pair.ours, pair.theirs, pair.verdict) for pair in pairs] == [
        ("bad @100", "good @100", "worse"),
        ("bad @100", "fair @100", "worse"),
        ("good @100", "fair @100", "better"),
    ]
    assert pairs[0].text.startswith("bad @100 is worse than good @100 (80.5 against 80.5 tokens; difference -1.000 [")
    assert (pairs[0].num_ours_alone_right, pairs[0].num_theirs_alone_right) == (0, 60)
    [one] = build_report([make_run("a", 100, "w r"), make_run("b", 100, "r r")], options=options).pairs
    assert "1 answer won and 0 lost" in one.text


def test_equal_runs_are_never_better_or_worse(make_run, options: ReportOptions) -> None:
    words = "r w " * 500
    [pair] = build_report([make_run("a", 100, words), make_run("b", 100, words)], options=options).pairs
    assert (pair.difference.estimate, pair.verdict, pair.p_value) == (0.0, "no_difference", 1.0)
    assert "no difference larger than" in pair.text


def test_a_method_that_was_told_the_answers_has_no_accuracy_and_no_verdict(make_run, options: ReportOptions) -> None:
    runs = [make_run("labelled", 100, "r " * 30, needs_reference=True), make_run("mcts", 100, "r w " * 15)]
    report = build_report(runs, options=options)
    assert report.methods[0].accuracy is None
    assert report.methods[0].value_auroc is None
    assert report.methods[0].costs is not None
    assert report.pairs == ()
    assert (
        "labelled @100 was told the reference answers, so it has no accuracy and is in no verdict." in report.cautions
    )


@pytest.mark.parametrize("words", ["rr", "ff", "uu ff", "r", "f"])
def test_few_or_failed_problems_are_inconclusive_and_nothing_is_nan(
    make_run, options: ReportOptions, words: str
) -> None:
    report = build_report([make_run("a", 100, words), make_run("b", 100, words)], options=options)
    assert [pair.verdict for pair in report.pairs] == ["inconclusive"]
    assert "fewer than 20" in " ".join(report.cautions)
    text = json.dumps(report.model_dump(), allow_nan=False)
    assert ComparisonReport.model_validate_json(text) == report


def test_no_problems_are_a_report_that_says_so(make_run, options: ReportOptions) -> None:
    runs = [make_run("a", 100, ""), make_run("b", 100, "", samples=(), sample_classes=())]
    report = build_report(runs, options=dataclasses.replace(options, num_rows_without_reference=12))
    assert (report.num_problems, report.num_seeds, report.pairs) == (0, 0, ())
    assert [method.accuracy for method in report.methods] == [None, None]
    assert report.cautions == (
        "12 rows without a reference answer that can be used: nothing is known of them.",
        "No problem could be graded, so there is no accuracy and no verdict.",
    )
    assert build_report([], options=options).methods == ()


def test_cautions_name_unsure_failed_and_unspent(make_run, options: ReportOptions) -> None:
    report = build_report([make_run("mcts", 400, "r w u f " * 10)], options=options)
    assert report.cautions == (
        "There is one seed: the figures do not show how much a method varies from seed to seed.",
        "Answers that could not be judged count as not right: mcts @400 10. Were all of them right, no accuracy would "
        "rise by more than 0.250.",
        "Searches that failed count as not right: mcts @400 10.",
        "mcts @400 spent 80.5 of 400 generated tokens: it may do better or worse where it spends all.",
    )


def test_cut_searches_are_said_to_cost_more_than_is_counted(make_run, options: ReportOptions) -> None:
    run = make_run("mcts", None, "r w")
    cut = tuple(
        (dataclasses.replace(graded, answer=dataclasses.replace(graded.answer, stop_reason="seconds")),)
        for (graded,) in run.answers
    )
    cautions = build_report([dataclasses.replace(run, answers=cut)], options=options).cautions
    assert any(sentence.startswith("Searches that were cut: mcts 2. Tokens, compute") for sentence in cautions)


def test_the_same_runs_give_the_same_report(make_run, options: ReportOptions) -> None:
    runs = [make_run("a", 100, "rw ww rr " * 10), make_run("b", 100, "ww rr rr " * 10)]
    assert build_report(runs, options=options) == build_report(runs, options=options)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ("a", "2 runs have the name 'a @100'"),
        ("fewer", "have answers to other problems or numbers of seeds"),
        ("ragged", "lacks seeds of some problems"),
        ("samples", "samples of b @100 has 1 problems; it must have 2"),
    ],
)
def test_runs_that_do_not_fit_are_refused(make_run, options: ReportOptions, others: str, message: str) -> None:
    runs: list[MethodRun] = {
        "a": [make_run("a", 100, "r w"), make_run("a", 100, "r w")],
        "fewer": [make_run("a", 100, "r w"), make_run("b", 100, "r")],
        "ragged": [make_run("a", 100, "rr w")],
        "samples": [make_run("b", 100, "r w", samples=((Grade(True),),))],
    }[others]
    with pytest.raises(ValueError, match=message):
        build_report(runs, options=options)


@pytest.mark.parametrize("change", [{"prompt_weight": -1}, {"margin": -0.1}, {"level": 1.0}, {"pass_ks": (0,)}])
def test_options_out_of_range_are_refused(options: ReportOptions, change) -> None:
    with pytest.raises(ValueError, match="must"):
        dataclasses.replace(options, **change)


@pytest.mark.slow
def test_a_large_comparison_is_built_and_written_whole(make_run, options: ReportOptions, tmp_path: Path) -> None:
    rng = random.Random(0)
    runs = []
    for method, budget in itertools.product(("majority", "best_of_n", "mcts", "beam"), (300, 1000, 3000)):
        words = " ".join("".join(rng.choice("rrrwwu") for _ in range(3)) for _ in range(5_000))
        runs.append(make_run(method, budget, words))
    report = build_report(runs, options=options)
    assert len(report.pairs) == 3 * 6
    write_report(report, tmp_path, runs=runs)
    num_flips = sum(pair.num_ours_alone_right + pair.num_theirs_alone_right for pair in report.pairs)
    with (tmp_path / "flips.jsonl").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == num_flips
