"""The three outcomes of gates."""

import pytest

from critic_engine.config.critic_card import Measured
from critic_engine.errors import ConfigError
from critic_engine.evaluation.report.build_report import build_report
from critic_engine.evaluation.report.comparison_report import ComparisonReport, GateOutcome, PairReport
from critic_engine.evaluation.report.gates import (
    Gate,
    Side,
    check_gates,
    check_names,
    gate_exit_code,
    parse_gate,
)
from critic_engine.evaluation.report.report_options import ReportOptions


@pytest.mark.parametrize(
    ("text", "ours", "is_strict", "theirs", "number"),
    [
        ("mcts >= majority", Side("mcts"), False, Side("majority"), None),
        ("mcts>majority", Side("mcts"), True, Side("majority"), None),
        ("mcts ≥ majority", Side("mcts"), False, Side("majority"), None),
        ("mcts@400 > greedy + 0.02", Side("mcts", 400), True, Side("greedy"), 0.02),
        ("mcts @400 >= greedy @ 300.5 - .05", Side("mcts", 400), False, Side("greedy", 300.5), -0.05),
        ("mcts >= majority + 0", Side("mcts"), False, Side("majority"), 0.0),
        ("mcts >= 0.75", Side("mcts"), False, None, 0.75),
        ("my/best-of-8.yaml > a+b.yaml", Side("my/best-of-8.yaml"), True, Side("a+b.yaml"), None),
    ],
)
def test_a_gate_is_read(text: str, ours: Side, is_strict: bool, theirs: Side | None, number: float | None) -> None:
    assert parse_gate(text) == Gate(text, ours, is_strict, theirs, number)


@pytest.mark.parametrize(
    "text",
    ["", "mcts", ">", "mcts >=", "> mcts", "mcts = majority", "mcts => majority", "mcts <= majority", "a > b > c",
     "mcts >= 1.5", "mcts >= 75", "mcts > @400", "@400 > mcts", "mcts > + 0.02", "m" * 2_000 + " > b",
     "a > \x1b[2Jb >"],
)  # fmt: skip
def test_a_text_that_states_no_gate_is_refused_in_one_printable_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_gate(text)
    assert caught.value.field == "gate"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def report_of(
    difference: tuple[float | None, float | None], verdict: str, *, accuracy: tuple[float, float] = (0.7, 0.8)
) -> ComparisonReport:
    """A report of "mcts @100" against "majority @100" with this interval of the difference."""
    low, high = difference
    estimate = None if low is None or high is None else (low + high) / 2
    pair = PairReport(
        ours="mcts @100", theirs="majority @100", our_cost=1, their_cost=1, is_equal_cost=True,
        num_ours_alone_right=0, num_theirs_alone_right=0,
        difference=Measured(estimate=estimate, low=low, high=high), p_value=0.5, adjusted_p_value=0.5,
        smallest_effect=0.1, num_needed=None, verdict=verdict, text="in words",
    )  # fmt: skip
    plain = build_report([], options=ReportOptions("tokens", 1.0, 1, "problems.jsonl"))
    return plain.model_copy(update={"pairs": (pair,), "methods": tuple(method(name, accuracy) for name in NAMES)})


NAMES = ("majority", "mcts")


def method(name: str, accuracy: tuple[float, float]):
    from critic_engine.evaluation.graded import MethodRun

    [plain] = build_report(
        [MethodRun(name, 100.0, ())], options=ReportOptions("tokens", 1.0, 1, "problems.jsonl")
    ).methods
    low, high = accuracy
    return plain.model_copy(update={"accuracy": Measured(estimate=(low + high) / 2, low=low, high=high)})


@pytest.mark.parametrize(
    ("text", "difference", "verdict", "passing"),
    [
        ("mcts > majority", (0.01, 0.05), "better", "pass"),
        ("mcts > majority", (0.01, 0.05), "inconclusive", "inconclusive"),
        ("mcts > majority", (-0.01, 0.01), "no_difference", "fail"),
        ("mcts > majority", (-0.05, -0.01), "worse", "fail"),
        ("mcts > majority", (None, None), "inconclusive", "inconclusive"),
        ("mcts >= majority", (0.01, 0.05), "better", "pass"),
        ("mcts >= majority", (-0.01, 0.01), "no_difference", "pass"),
        ("mcts >= majority", (-0.02, 0.10), "inconclusive", "pass"),
        ("mcts >= majority", (-0.021, 0.10), "inconclusive", "inconclusive"),
        ("mcts >= majority", (-0.015, -0.005), "worse", "fail"),
        ("mcts >= majority", (None, None), "inconclusive", "inconclusive"),
        ("mcts >= majority - 0.05", (-0.05, -0.01), "worse", "pass"),
        ("mcts >= majority - 0.05", (-0.051, -0.01), "worse", "inconclusive"),
        ("mcts >= majority + 0", (-0.01, 0.01), "no_difference", "inconclusive"),
        ("mcts > majority + 0.02", (0.021, 0.05), "better", "pass"),
        ("mcts > majority + 0.02", (0.02, 0.05), "better", "inconclusive"),
        ("mcts > majority + 0.02", (-0.01, 0.02), "inconclusive", "fail"),
        ("mcts >= majority + 0.02", (-0.01, 0.02), "inconclusive", "inconclusive"),
        ("mcts >= majority + 0.02", (-0.01, 0.019), "inconclusive", "fail"),
        # The other way round: the interval and the verdict change sides.
        ("majority > mcts", (0.01, 0.05), "better", "fail"),
        ("majority > mcts", (-0.05, -0.01), "worse", "pass"),
        ("majority >= mcts", (-0.10, 0.02), "inconclusive", "pass"),
        ("majority >= mcts", (-0.10, 0.021), "inconclusive", "inconclusive"),
        ("majority@100 > mcts@100 + 0.02", (-0.05, -0.021), "worse", "pass"),
    ],
)
def test_a_gate_on_two_methods(text: str, difference, verdict: str, passing: str) -> None:
    [outcome] = check_gates(report_of(difference, verdict), [parse_gate(text)])
    assert (outcome.gate, outcome.passing) == (text, passing)


@pytest.mark.parametrize(
    ("text", "accuracy", "passing"),
    [
        ("mcts >= 0.7", (0.7, 0.8), "pass"),
        ("mcts > 0.7", (0.7, 0.8), "inconclusive"),
        ("mcts > 0.8", (0.7, 0.8), "fail"),
        ("mcts >= 0.8", (0.7, 0.8), "inconclusive"),
        ("mcts >= 0.81", (0.7, 0.8), "fail"),
        ("mcts@100 >= 0.6", (0.7, 0.8), "pass"),
    ],
)
def test_a_gate_on_an_accuracy_asks_its_interval(text: str, accuracy: tuple[float, float], passing: str) -> None:
    [outcome] = check_gates(report_of((0.0, 0.1), "inconclusive", accuracy=accuracy), [parse_gate(text)])
    assert outcome.passing == passing
    assert outcome.reason.startswith("mcts @100 has accuracy 0.750 [0.700, 0.800]; a pass needs a low end ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mcts >= majority", "mcts @100 less majority @100 is +0.030 [+0.010, +0.050], better; a pass needs a low end "
         "of at least -0.02 and no verdict worse"),
        ("majority > mcts", "majority @100 less mcts @100 is -0.030 [-0.050, -0.010], worse; a pass needs the verdict "
         "better"),
        ("mcts > majority - 0.05", "mcts @100 less majority @100 is +0.030 [+0.010, +0.050], better; a pass needs a "
         "low end above -0.05"),
        ("mcts >= 0.9", "mcts @100 has accuracy 0.750 [0.700, 0.800]; a pass needs a low end of at least 0.9"),
    ],
)  # fmt: skip
def test_an_outcome_says_what_was_found_and_what_is_needed(text: str, reason: str) -> None:
    [outcome] = check_gates(report_of((0.01, 0.05), "better"), [parse_gate(text)])
    assert outcome.reason == reason


def test_a_gate_without_a_budget_has_an_outcome_for_each(make_run, options: ReportOptions) -> None:
    good, bad = "r " * 60, "w " * 60
    runs = [make_run("majority", None, bad)]
    runs += [make_run("mcts", budget, words) for budget, words in ((100, good), (200, bad))]
    report = build_report(runs, options=options)
    outcomes = check_gates(report, [parse_gate("mcts > majority"), parse_gate("mcts@100 > majority + 0.5")])
    assert [outcome.passing for outcome in outcomes] == ["inconclusive", "pass", "pass"]


@pytest.mark.parametrize(
    ("passings", "code"),
    [((), 0), (("pass", "pass"), 0), (("pass", "inconclusive"), 3), (("inconclusive", "fail", "pass"), 1)],
)
def test_exit_codes_tell_a_failure_from_an_inconclusive_gate(passings, code: int) -> None:
    assert gate_exit_code(GateOutcome(gate="a > b", passing=passing, reason="") for passing in passings) == code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mtcs > majority", "no method is 'mtcs'; did you mean 'mcts'?"),
        ("mcts > zzz", "no method is 'zzz'; the methods are 'labelled', 'majority', 'mcts'"),
        ("mcts@300 > majority", "'mcts' was not given the budget 300; its budgets: 100, 200"),
        ("mcts@200 > majority", "mcts@200 and majority are not compared; name two methods at the same budget"),
        ("mcts > mcts", "mcts and mcts are not compared"),
        ("labelled > 0.5", "'labelled' is told the reference answers, so it has no accuracy"),
    ],
)
def test_a_gate_on_what_is_not_compared_is_refused_before_the_searches(make_run, text: str, message: str) -> None:
    runs = [make_run("mcts", 100, "r"), make_run("mcts", 200, "r"), make_run("majority", 100, "r")]
    runs.append(make_run("labelled", 100, "r", needs_reference=True))
    with pytest.raises(ConfigError, match=r"^--gate ") as caught:
        check_names([parse_gate(text)], runs)
    assert message in str(caught.value)
