"""Gates: claims on accuracy that an evaluation must bear out, such as ``guided >= majority``.

A gate has three outcomes, for data that cannot tell must neither pass nor fail it. With the interval [low, high] of the
difference, or of the accuracy if the right side is a number:

    A > B        pass if the verdict is "better"; fail if it is "worse" or "no difference larger than the margin"
    A >= B       pass if low >= -margin, and the verdict is not "worse"; fail if it is "worse"
    A > B + x    pass if low > x; fail if high <= x
    A >= B + x   pass if low >= x; fail if high < x

and inconclusive otherwise. ``x`` may be negative, as in ``guided >= majority - 0.05``.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from critic_engine.config.critic_card import Measured
from critic_engine.errors import ConfigError
from critic_engine.evaluation.report.comparison_report import ComparisonReport, GateOutcome, PairReport, Passing
from critic_engine.evaluation.report.figure_words import measured_words
from critic_engine.statistics.verdicts import Verdict

_EXAMPLES = "such as 'guided >= majority', 'guided@400 > greedy + 0.02' or 'guided >= 0.75'"
_NUMBER = r"\d{1,12}(?:\.\d{0,12})?|\.\d{1,12}"
_MARGIN = re.compile(rf"(?:^|\s)([+-])\s{{0,20}}({_NUMBER})$")
_BUDGET = re.compile(rf"\s{{0,20}}@\s{{0,20}}({_NUMBER})$")
_MAX_CHARS = 1_000
_REVERSED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True, slots=True)
class Side:
    """A method that a gate names."""

    method: str
    budget: float | None = None
    """None is every budget."""

    @property
    def name(self) -> str:
        """As a gate writes it."""
        return self.method if self.budget is None else f"{self.method}@{self.budget:.12g}"


@dataclass(frozen=True, slots=True)
class Gate:
    """A claim on the accuracy of a method."""

    text: str
    """As it was given."""
    ours: Side
    is_strict: bool
    """Whether it is ``>``."""
    theirs: Side | None
    """The method to compare with; None compares with ``number``."""
    number: float | None
    """The margin in a comparison of two methods, None if the gate names none; else the accuracy."""


class BudgetedMethod(Protocol):
    """A method run, or its figures."""

    @property
    def method(self) -> str:
        """The preset or file."""
        ...

    @property
    def budget(self) -> float | None:
        """None if the method ends on its own."""
        ...

    @property
    def needs_reference(self) -> bool:
        """Whether it has no accuracy."""
        ...


AnyRun = TypeVar("AnyRun", bound=BudgetedMethod)


def parse_gate(text: str) -> Gate:
    """Return the gate that a text states: a method, ``>=`` or ``>``, and a method or an accuracy in [0, 1].

    A method is ``NAME`` or ``NAME@BUDGET``; a margin follows the second one between spaces: ``guided > greedy + 0.02``.

    Raises:
        ConfigError: it states none.
    """
    left, relation, right = text[:_MAX_CHARS].replace("≥", ">=").partition(">")
    is_strict = not right.startswith("=")
    left, right = left.strip(), right.removeprefix("=").strip()
    if len(text) > _MAX_CHARS or not (left and relation and right) or ">" in right or "<" in text or "=" in left[-1:]:
        raise ConfigError(f"--gate {_shown(text)} cannot be read; write METHOD >= METHOD, {_EXAMPLES}", field="gate")
    if re.fullmatch(_NUMBER, right):
        if float(right) > 1:
            raise ConfigError(f"--gate {_shown(text)}: an accuracy lies in [0, 1], such as 0.75", field="gate")
        return Gate(text, _side(left), is_strict, None, float(right))
    found = _MARGIN.search(right)
    margin = None if found is None else float(found[1] + found[2])
    theirs = _side(right if found is None else right[: found.start()])
    if not theirs.method or not _side(left).method:
        raise ConfigError(f"--gate {_shown(text)} names no method; write it {_EXAMPLES}", field="gate")
    return Gate(text, _side(left), is_strict, theirs, margin)


def check_names(gates: Iterable[Gate], methods: Sequence[BudgetedMethod]) -> None:
    """Refuse gates on methods, budgets or pairs that a comparison lacks; call it before the searches.

    Raises:
        ConfigError: a gate names one; the nearest name is suggested.
    """
    for gate in gates:
        ours = _runs_of(gate, gate.ours, methods)
        if gate.theirs is None:
            continue
        theirs = _runs_of(gate, gate.theirs, methods)
        if not any(_is_pair(one, other) for one in ours for other in theirs):
            raise ConfigError(
                f"--gate {_shown(gate.text)}: {gate.ours.name} and {gate.theirs.name} are not compared; name two "
                "methods at the same budget",
                field="gate",
            )


def check_gates(report: ComparisonReport, gates: Iterable[Gate]) -> tuple[GateOutcome, ...]:
    """Return the outcomes of all gates, in order; a gate without a budget has one for each budget.

    Raises:
        ConfigError: see ``check_names``.
    """
    gates = tuple(gates)
    check_names(gates, report.methods)
    return tuple(outcome for gate in gates for outcome in _outcomes(report, gate))


def gate_exit_code(outcomes: Iterable[GateOutcome]) -> int:
    """Return 0 if all gates pass, 1 if one fails, and 3 if none fails and one is inconclusive."""
    passing = {outcome.passing for outcome in outcomes}
    return 1 if "fail" in passing else 3 if "inconclusive" in passing else 0


def _outcomes(report: ComparisonReport, gate: Gate) -> Iterator[GateOutcome]:
    ours = {run.name: run for run in _runs_of(gate, gate.ours, report.methods)}
    needed = _needed(gate, report.margin)
    if gate.theirs is None:
        for name, run in ours.items():
            reason = f"{name} has accuracy {measured_words(run.accuracy)}; a pass needs {needed}"
            yield GateOutcome(gate=gate.text, passing=_against_number(run.accuracy, gate), reason=reason)
        return
    theirs = {run.name for run in _runs_of(gate, gate.theirs, report.methods)}
    for given in report.pairs:
        pair = given if given.ours in ours and given.theirs in theirs else _reversed(given)
        if pair.ours in ours and pair.theirs in theirs:
            found = f"{measured_words(pair.difference, sign='+')}, {pair.verdict.replace('_', ' ')}"
            reason = f"{pair.ours} less {pair.theirs} is {found}; a pass needs {needed}"
            yield GateOutcome(gate=gate.text, passing=_against_method(pair, gate, report.margin), reason=reason)


def _needed(gate: Gate, margin: float) -> str:
    """Return the condition of a pass in words."""
    relation = "above" if gate.is_strict else "of at least"
    if gate.number is not None:
        return f"a low end {relation} {gate.number:{'' if gate.theirs is None else '+'}g}"
    return "the verdict better" if gate.is_strict else f"a low end of at least {-margin:g} and no verdict worse"


def _against_method(pair: PairReport, gate: Gate, margin: float) -> Passing:
    if gate.number is not None:
        return _against_number(pair.difference, gate)
    if pair.verdict == "worse" or (gate.is_strict and pair.verdict == "no_difference"):
        return "fail"
    if gate.is_strict:
        return "pass" if pair.verdict == "better" else "inconclusive"
    return "pass" if pair.difference.low is not None and pair.difference.low >= -margin else "inconclusive"


def _against_number(measured: Measured | None, gate: Gate) -> Passing:
    if measured is None or measured.low is None or measured.high is None or gate.number is None:
        return "inconclusive"
    if gate.is_strict:
        return "pass" if measured.low > gate.number else "fail" if measured.high <= gate.number else "inconclusive"
    return "pass" if measured.low >= gate.number else "fail" if measured.high < gate.number else "inconclusive"


def _reversed(pair: PairReport) -> PairReport:
    """Return the pair seen from the other side."""
    found = pair.difference
    negated = {"estimate": found.estimate, "low": found.high, "high": found.low}
    return pair.model_copy(
        update={
            "ours": pair.theirs,
            "theirs": pair.ours,
            "difference": Measured(**{name: None if each is None else -each for name, each in negated.items()}),
            "verdict": _REVERSED.get(pair.verdict, pair.verdict),
        }
    )


def _side(text: str) -> Side:
    found = _BUDGET.search(text)
    return Side(text.strip()) if found is None else Side(text[: found.start()].strip(), float(found[1]))


def _runs_of(gate: Gate, side: Side, methods: Sequence[AnyRun]) -> list[AnyRun]:
    runs = [run for run in methods if run.method == side.method]
    if not runs:
        names = sorted({run.method for run in methods})
        near = difflib.get_close_matches(side.method, names, n=1, cutoff=0.4)
        hint = f"did you mean {_shown(near[0])}?" if near else f"the methods are {', '.join(map(_shown, names[:10]))}"
        raise ConfigError(f"--gate {_shown(gate.text)}: no method is {_shown(side.method)}; {hint}", field="gate")
    if runs[0].needs_reference:
        raise ConfigError(
            f"--gate {_shown(gate.text)}: {_shown(side.method)} is told the reference answers, so it has no accuracy",
            field="gate",
        )
    found = [run for run in runs if side.budget is None or run.budget == side.budget]
    if not found:
        budgets = ", ".join("none" if run.budget is None else f"{run.budget:.12g}" for run in runs)
        raise ConfigError(
            f"--gate {_shown(gate.text)}: {_shown(side.method)} was not given the budget {side.budget:.12g}; "
            f"its budgets: {budgets}",
            field="gate",
        )
    return found


def _is_pair(one: BudgetedMethod, other: BudgetedMethod) -> bool:
    return one is not other and (one.budget == other.budget or one.budget is None or other.budget is None)


def _shown(text: str) -> str:
    return repr(text[:80])
