"""Filters for critiques, and the reason why each one is left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from critic_engine.config.collect import CollectConfig, FiltersConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.data.filters.critique_text import text_fault
from critic_engine.data.filters.leaks import leaks_answer
from critic_engine.data.harvest.critique_lift import CritiqueRecord, DrawResult, base_of, lift
from critic_engine.data.harvest.finding_kinds import CRITIQUES, baseline_key, refined_key
from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.selection.funnel import Funnel
from critic_engine.parsing.critiques import reason_of
from critic_engine.prompts import PromptFamily
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import FindingKey, ProblemFindings
from critic_engine.statistics.intervals import Interval
from critic_engine.types import Problem

# The filters in order, with the reasons of each; ``faults`` has all others.
_FILTERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "faults": (),
    "leaks": ("leaks_answer",),
    "few_right": ("unmeasured", "few_right"),
    "low_lift": ("low_lift",),
    "near_duplicates": ("says_the_same", "near_duplicate"),
}


@dataclass(frozen=True, slots=True)
class ScreenedCritique:
    """One critique of a divergent pair, measured and filtered."""

    record: CritiqueRecord
    screened: Interval | None
    """Its lift in the draws that filters use; None when it was not measured."""
    lift: Interval | None
    """Its lift in fresh draws, which no filter uses, where the run has such; None when it was not measured."""
    reason: str | None
    """The reason why it is left out; None when it is kept."""

    @property
    def is_kept(self) -> bool:
        """Whether it passed all filters."""
        return self.reason is None


class Screen:
    """Filters the critiques of a run, problem by problem."""

    def __init__(self, config: EngineConfig, filters: FiltersConfig, checker: Checker | None) -> None:
        """Take a run's configuration, the filters, and the checker with the reference answers."""
        self._lift = (config.collect or CollectConfig()).lift
        self._filters = filters
        self._checker = checker
        self._form = PromptFamily.for_model(config.critique_model).form.critique

    def critiques(
        self, pairs: Sequence[Pair], findings: ProblemFindings, problem: Problem, *, is_repeat: bool
    ) -> tuple[ScreenedCritique, ...]:
        """Return the screened critiques of a problem; none is kept when the problem repeats an earlier one."""
        screened: list[ScreenedCritique] = []
        said: set[tuple[int, str]] = set()
        for record in (record for records in findings.of_kind(CRITIQUES) for record in records):
            found = self._screened(record, pairs, findings, problem)
            if found.is_kept and (record.pair, record.words) in said:
                found = replace(found, reason="says_the_same")
            elif found.is_kept:
                said.add((record.pair, record.words))
            screened.append(found)
        if is_repeat:
            screened = [replace(each, reason=each.reason or "near_duplicate") for each in screened]
        return tuple(screened)

    def _screened(
        self, record: CritiqueRecord, pairs: Sequence[Pair], findings: ProblemFindings, problem: Problem
    ) -> ScreenedCritique:
        def drawn(key: FindingKey[DrawResult]) -> DrawResult:
            return findings.get(key) or DrawResult()

        refined, base = drawn(refined_key(record.pair, record.words)), base_of(pairs[record.pair], self._lift)
        record = replace(record, refined=refined.tally, corrected=refined.corrected)
        screened = fresh_lift = lift(refined.tally, drawn(baseline_key(base)).tally)
        if self._lift.num_fresh:
            fresh = drawn(refined_key(record.pair, record.words, is_fresh=True))
            fresh_lift = lift(fresh.tally, drawn(baseline_key(base, is_fresh=True)).tally)
        return ScreenedCritique(record, screened, fresh_lift, self._reason(record, screened, problem))

    def _reason(self, record: CritiqueRecord, measured: Interval | None, problem: Problem) -> str | None:
        """Return the first reason to leave a critique out, in the order of ``_FILTERS``."""
        filters = self._filters
        if record.annotation.fault is not None:
            return record.annotation.fault
        if fault := self._text_fault(record.annotation.reason, problem):
            return fault
        if self._lift.num_refinements == 0:
            return None
        if record.refined is None or not record.refined.num_known:
            return "unmeasured"
        if record.refined.num_right < filters.min_right:
            return "few_right"
        if filters.min_lift is None:
            return None
        if measured is None:
            return "unmeasured"
        return "low_lift" if measured.estimate < filters.min_lift else None

    def words_fault(self, words: str, problem: Problem) -> str | None:
        """Return the reason to leave a critique out by its text alone; None when there is none."""
        return self._text_fault(reason_of(words, self._form), problem)

    def _text_fault(self, reason: str, problem: Problem) -> str | None:
        if fault := text_fault(reason, max_characters=self._filters.max_characters):
            return f"text_{fault}"
        references = () if self._checker is None else self._checker.references(problem)
        is_leak = not self._filters.is_leak_allowed and leaks_answer(reason, references, problem.choices)
        return "leaks_answer" if is_leak else None


def count_critiques(screened: Sequence[ScreenedCritique], funnel: Funnel) -> None:
    """Count one problem's critiques in the funnel, with their lift after each filter."""
    for each in screened:
        funnel.critiques.count(each.reason)
    for number, name in enumerate(_FILTERS):
        passed = [each for each in screened if _place(each.reason) > number]
        funnel.add_lift(name, [each.lift.estimate for each in passed if each.lift is not None])


def gap(better: Interval | None, worse: Interval | None) -> float | None:
    """Return the lift of one critique less that of another, in [-2, 2]; None when either is unknown."""
    return None if better is None or worse is None else better.estimate - worse.estimate


def _place(reason: str | None) -> int:
    """Return the index in ``_FILTERS`` of the filter with this reason; past the end when there is no reason."""
    if reason is None:
        return len(_FILTERS)
    return next((place for place, reasons in enumerate(_FILTERS.values()) if reason in reasons), 1)
