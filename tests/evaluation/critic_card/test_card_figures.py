"""Figures of judged solutions, worked by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from critic_engine.config.critic_card import CardModel, CriticCard, Measured
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.data.harvest.critique_lift import DrawCounts
from critic_engine.evaluation.critic_card.card_figures import CardSubject, make_card
from critic_engine.evaluation.critic_card.card_files import write_card
from critic_engine.evaluation.critic_card.card_report import report_markdown, summary_lines
from critic_engine.evaluation.critic_card.judgement_log import (
    CriticJudgement,
    JudgedPlace,
    JudgedSolution,
    RepeatedJudgement,
    RewriteOutcomes,
)
from critic_engine.types import Verdict

UNREADABLE = CriticJudgement(failure="no verdict in 'hm'", is_unreadable=True)
FAILED = CriticJudgement(failure="the endpoint failed")


def judged(value: float | None, verdict: Verdict = "right", first_wrong_step: int | None = None) -> CriticJudgement:
    return CriticJudgement(value, verdict, first_wrong_step, "words")


def solution(number: int, judgement: CriticJudgement, *, is_right: bool, **fields: object) -> JudgedSolution:
    given: dict[str, object] = {"num_drawn": 1, "is_checked": False, **fields}
    return JudgedSolution(
        position=number,
        solution=0,
        id=str(number),
        problem_id=f"problem {number}",
        steps=("one", "answer: 2"),
        answer="2",
        is_answer_right=is_right,
        judgement=judgement,
        **given,  # type: ignore[arg-type]
    )


def card(rows: Sequence[JudgedSolution], config: EngineConfig | None = None) -> CriticCard:
    config = config or load_config("best_of_n", ["critic.backend=scripted", "reasoner.backend=scripted"])
    subject = CardSubject(
        config=config,
        judge=CardModel(name="judge", prompts="plain"),
        reasoner=CardModel(name="r", prompts="plain"),
        task="t",
        is_of_search=False,
        num_rollouts=4,
        left_out={"unsure_solution": 2},
    )
    return make_card(rows, subject)


def of_values(right: Sequence[float], wrong: Sequence[float]) -> list[JudgedSolution]:
    """Return solutions of as many problems, half right and half wrong, with these values in turn."""
    rows = [(value, True) for value in right] + [(value, False) for value in wrong]
    verdicts: dict[bool, Verdict] = {True: "right", False: "wrong"}
    return [
        solution(number, judged(value, verdicts[value >= 0.5]), is_right=is_right)
        for number, (value, is_right) in enumerate(rows)
    ]


def test_perfect_inverted_and_constant_critics_are_told_apart() -> None:
    perfect = card(of_values([0.9] * 30, [0.1] * 30))
    inverted = card(of_values([0.1, 0.2] * 15, [0.8, 0.9, 0.15] * 10))
    constant = card(of_values([0.7] * 30, [0.7] * 30))
    assert perfect.answer_auroc.estimate == 1
    assert perfect.answer_auroc.low is not None
    assert perfect.answer_auroc.low > 0.8
    assert inverted.answer_auroc.high is not None
    assert inverted.answer_auroc.high < 0.5
    assert constant.answer_auroc.estimate == 0.5
    assert "it is inverted" in next(line for line in summary_lines(inverted) if line.startswith("AUROC"))
    assert "it cannot be told from chance" in next(line for line in summary_lines(constant) if "AUROC" in line)
    assert constant.answer is not None
    assert constant.answer.yes_if_wrong.estimate == 1
    assert constant.answer.base_rate.estimate == 0.5
    assert constant.answer.mean_value_if_wrong.estimate == pytest.approx(0.7)
    assert constant.answer.calibration_error.estimate == pytest.approx(0.2)


@pytest.fixture(scope="module")
def overconfident() -> CriticCard:
    """Of values 0.99 six in ten are right, of values 0.01 four in ten."""
    return card(of_values([0.99] * 120 + [0.01] * 80, [0.99] * 80 + [0.01] * 120))


def test_scaling_is_fitted_on_one_half_and_mends_an_overconfident_critic(overconfident: CriticCard) -> None:
    answer = overconfident.answer
    assert answer is not None
    assert answer.scaling is not None
    assert answer.scaling.num_fitted == answer.scaling.num_held == 200
    assert answer.scaling.error_before.estimate is not None
    assert answer.scaling.error_before.estimate > 0.3
    assert answer.scaling.error_after.estimate is not None
    assert answer.scaling.error_after.estimate < 0.12
    assert 0 < answer.scaling.slope < 0.3
    assert answer.scaling.beta.error_after.estimate is not None
    assert answer.scaling.beta.error_after.estimate < 0.12
    assert min(answer.scaling.beta.a, answer.scaling.beta.b) >= 0


def test_values_that_no_scaling_mends_are_said_to_be_an_order_only(overconfident: CriticCard) -> None:
    # The extremes are right and the middle is wrong.
    rows = of_values([0.99] * 50 + [0.01] * 50, [0.5] * 100)
    assert any(
        "no scaling makes the value the probability that the answer is right" in line
        for line in summary_lines(card(rows))
    )
    assert not any("no scaling" in line for line in summary_lines(overconfident))


def test_few_problems_have_figures_and_a_note_but_no_scaling() -> None:
    found = card(of_values([0.9] * 5, [0.1] * 5))
    assert found.answer is not None
    assert found.answer.scaling is None
    assert any("10 problems are too few" in line for line in summary_lines(found))


def test_solution_counts_as_often_as_it_was_drawn() -> None:
    rows = [solution(0, judged(0.5), is_right=True, num_drawn=3), solution(1, judged(0.5), is_right=False)]
    found = card(rows)
    assert (found.num_solutions, found.num_judged) == (4, 2)
    assert found.answer is not None
    assert found.answer.base_rate.estimate == 0.75


def test_failures_and_unreadable_texts_are_counted_and_are_no_numbers() -> None:
    rows = [*of_values([0.9, 0.9], [0.1]), solution(8, UNREADABLE, is_right=False), solution(9, FAILED, is_right=True)]
    found = card(rows)
    assert found.num_failed == 1
    assert found.unreadable_share.estimate == 0.25
    assert found.answer is not None
    assert found.answer.num == 3
    assert found.answer_auroc.estimate == 1
    notes = [line for line in summary_lines(found) if line.startswith("note")]
    assert "failed to judge 1 solutions" in " ".join(notes)
    assert "left out, unsure solution: 2" in " ".join(notes)


def test_critic_that_never_can_be_read_has_a_card_without_figures() -> None:
    again = (RepeatedJudgement("again", UNREADABLE),)
    found = card([solution(number, UNREADABLE, is_right=number > 1, repeats=again) for number in range(4)])
    assert found.answer_auroc == Measured(estimate=None)
    assert found.answer is None
    assert found.unreadable_share.estimate == 1
    assert "No judgement could be read" in report_markdown(found, has_plot=False)
    lines = list(summary_lines(found))
    assert lines[1] == "AUROC, the answer is right: unknown; no solution has a value"
    assert not any("flips" in line for line in lines)


def test_no_solutions_at_all_make_a_card_that_says_so() -> None:
    found = card([])
    assert (found.num_solutions, found.answer, found.flips) == (0, None, ())
    assert next(iter(summary_lines(found))) == "critic judge on 0 solutions of 0 problems"
    assert report_markdown(found, has_plot=False)


def test_verdicts_without_values_are_counted_and_still_tell_the_bias() -> None:
    found = card([solution(0, judged(None), is_right=True), solution(1, judged(0.5), is_right=True)])
    assert found.num_without_value == 1
    assert found.answer is not None
    assert found.answer.num == 1
    verdicts = card([solution(0, judged(None), is_right=True), solution(1, judged(None), is_right=False)])
    assert verdicts.answer_auroc == Measured(estimate=None)
    assert verdicts.answer is not None
    assert (verdicts.answer.bins, verdicts.answer.calibration_error) == ((), Measured(estimate=None))
    assert verdicts.answer.yes_if_wrong.estimate == 1
    assert "| unknown; no solution has a value |" in report_markdown(verdicts, has_plot=False)


def test_first_wrong_step_exactly_and_within_one() -> None:
    def wrong(number: int, named: int | None) -> JudgedSolution:
        verdict: Verdict = "right" if named is None else "wrong"
        fields = {"are_steps_right": False, "labelled_first_wrong_step": 3}
        return solution(number, judged(0.2, verdict, named), is_right=False, **fields)

    right = solution(9, judged(0.9), is_right=True, are_steps_right=True)
    found = card([wrong(0, 3), wrong(1, 2), wrong(2, 1), wrong(3, None), right])
    assert found.first_wrong_step is not None
    assert found.first_wrong_step.num == 4
    assert found.first_wrong_step.exact.estimate == 0.25
    assert found.first_wrong_step.within_one.estimate == 0.5
    assert found.steps is not None
    assert found.steps_auroc is not None
    assert found.steps_auroc.estimate == 1


def test_solutions_without_labelled_steps_have_no_figures_of_steps() -> None:
    found = card(of_values([0.9], [0.1]))
    assert (found.steps, found.steps_auroc, found.first_wrong_step) == (None, None, None)


def test_flips_by_kind_with_unreadable_pairs_apart() -> None:
    again = RepeatedJudgement("again", judged(0.3, "wrong"))
    greedy = (RepeatedJudgement("greedy", judged(0.6)), RepeatedJudgement("greedy again", judged(0.6)))
    rows = [
        solution(0, judged(0.7), is_right=True, is_checked=True, repeats=(again, *greedy)),
        solution(1, judged(0.2, "wrong"), is_right=True, is_checked=True, repeats=(again, *greedy)),
        solution(2, UNREADABLE, is_right=True, is_checked=True, repeats=(again,)),
    ]
    found = {each.kind: each for each in card(rows).flips}
    assert set(found) == {"again", "greedy"}
    assert (found["again"].num, found["again"].num_unreadable, found["again"].flip_share.estimate) == (2, 1, 0.5)
    assert found["again"].mean_change == pytest.approx(0.25)
    assert (found["greedy"].temperature, found["greedy"].flip_share.estimate) == (0.0, 0.0)


def test_lift_is_paired_and_leaves_out_what_cannot_be_told() -> None:
    def rewritten(number: int, counts: RewriteOutcomes, *, is_right: bool) -> JudgedSolution:
        return solution(number, judged(0.5), is_right=is_right, is_checked=True, rewrites=counts)

    rows = [
        rewritten(0, RewriteOutcomes(DrawCounts(2, 0), DrawCounts(0, 2)), is_right=False),
        rewritten(1, RewriteOutcomes(DrawCounts(1, 1), DrawCounts(1, 1)), is_right=True),
        rewritten(2, RewriteOutcomes(DrawCounts(0, 0, 2), DrawCounts(1, 1)), is_right=True),
    ]
    lift = card(rows).lift
    assert lift is not None
    assert (lift.num, lift.rewritten.estimate, lift.fresh.estimate) == (2, 0.75, 0.25)
    assert (lift.lift.estimate, lift.lift_if_wrong.estimate, lift.lift_if_right.estimate) == (0.5, 1, 0)


def test_agreement_with_rollouts() -> None:
    def at(number: int, *places: JudgedPlace) -> JudgedSolution:
        return solution(number, judged(0.5), is_right=True, is_checked=True, places=places)

    rows = [
        at(0, JudgedPlace(1, 0.1, 0.0), JudgedPlace(2, 0.2, 0.25), JudgedPlace(3, None, 0.5)),
        at(1, JudgedPlace(1, 0.3, 0.75), JudgedPlace(2, 0.9, 1.0), JudgedPlace(3, 0.5, None)),
        at(2, JudgedPlace(1, 0.2, 0.25)),
    ]
    rollouts = card(rows).rollouts
    assert rollouts is not None
    assert (rollouts.num, rollouts.num_rollouts) == (5, 4)
    assert rollouts.rank_correlation.estimate == pytest.approx(1)
    assert rollouts.auroc.estimate == 1


def test_files_are_written_and_the_card_is_read_back(tmp_path: Path) -> None:
    # With 25 right ones in a bin, Wilson's interval ends a rounding error below 1.
    found = card(of_values([0.9] * 25 + [0.4] * 20, [0.1, 0.6] * 20))
    assert write_card(found, tmp_path) == ()
    assert CriticCard.read(tmp_path / "critic_card.json") == found
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "report.md").read_text()
    assert "![reliability](reliability.png)" in text
    assert all(line.count("|") in (0, 4, 5, 6, 7, 8) for line in text.splitlines())


def test_missing_plotting_package_is_named_and_the_rest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    (line,) = write_card(card(of_values([0.9], [0.1])), tmp_path)
    assert "install critic-engine[plots]" in line
    assert not (tmp_path / "reliability.png").exists()
    assert "reliability.png" not in (tmp_path / "report.md").read_text()
