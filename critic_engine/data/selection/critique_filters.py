"""Which critiques of a run are fit for training, and why the others are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from critic_engine.config.collect import CollectConfig, FiltersConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.data.filters.critique_text import CritiqueTextOptions, text_fault
from critic_engine.data.filters.leaks import leaks_answer
from critic_engine.data.harvest.critique_lift import CritiqueRecord, Tally, base_of, critique_from_dict, lift, tally_of
from critic_engine.data.harvest.harvester import baseline_name, refined_name
from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.selection.funnel import Funnel
from critic_engine.parsing.critiques import reason_of
from critic_engine.prompts import PromptFamily
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import Finding
from critic_engine.statistics import Interval
from critic_engine.types import Problem

_FILTERS = ("none", "faults", "leaks", "few_right", "low_lift", "near_duplicates")


@dataclass(frozen=True, slots=True)
class ScreenedCritique:
    """One critique of a divergent pair, measured and filtered."""

    record: CritiqueRecord
    screened: Interval | None
    """Its lift by the draws that filters look at; None when it was not measured."""
    lift: Interval | None
    """By the draws that no filter of critiques looks at, where the run has such; None when it was not measured."""
    reason: str | None
    """Why it is left out; None when it is kept."""

    @property
    def is_kept(self) -> bool:
        """Whether it is fit for training."""
        return self.reason is None


class Screen:
    """Screens the critiques of one problem after another."""

    def __init__(self, config: EngineConfig, filters: FiltersConfig, checker: Checker | None) -> None:
        """Take a run's configuration, which filters, and who holds the reference answers."""
        self._lift = (config.collect or CollectConfig()).lift
        self._filters = filters
        self._checker = checker
        self._form = PromptFamily.for_model(config.critique_model).form.critique

    def critiques(
        self, pairs: Sequence[Pair], findings: Mapping[str, Finding], problem: Problem, *, is_repeat: bool
    ) -> tuple[ScreenedCritique, ...]:
        """Return the critiques among a problem's findings; of one that repeats an earlier problem none is kept."""
        screened: list[ScreenedCritique] = []
        said: set[tuple[int, str]] = set()
        for name, finding in findings.items():
            for data in finding.content if name.startswith("critique/") else ():
                screened.append(self._screened(critique_from_dict(data), pairs, findings, problem))
                record = screened[-1].record
                if screened[-1].reason is not None:
                    continue
                if (record.pair, record.words) in said:
                    screened[-1] = replace(screened[-1], reason="says_the_same")
                said.add((record.pair, record.words))
        if is_repeat:
            screened = [replace(each, reason=each.reason or "near_duplicate") for each in screened]
        return tuple(screened)

    def _screened(
        self, record: CritiqueRecord, pairs: Sequence[Pair], findings: Mapping[str, Finding], problem: Problem
    ) -> ScreenedCritique:
        refined = _measured(findings, refined_name(record.pair, record.words))
        base = base_of(pairs[record.pair], self._lift)
        record = replace(record, refined=tally_of(refined["tally"]), corrected=refined["corrected"])
        without = tally_of(_measured(findings, baseline_name(base))["tally"])
        screened = fresh_lift = _lift(record.refined, without)
        if self._lift.num_fresh:
            fresh = _measured(findings, refined_name(record.pair, record.words, is_fresh=True))
            fresh_without = _measured(findings, baseline_name(base, is_fresh=True))
            fresh_lift = _lift(tally_of(fresh["tally"]), tally_of(fresh_without["tally"]))
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
        if not _is_told(record.refined):
            return "unmeasured"
        assert record.refined is not None
        if record.refined.num_right < filters.min_right:
            return "few_right"
        if filters.min_lift is None:
            return None
        if measured is None:
            return "unmeasured"
        return "low_lift" if measured.estimate < filters.min_lift else None

    def fault_of_text(self, words: str, problem: Problem) -> str | None:
        """Return why a critique, as a critic wrote it, is unfit by its text alone; None when it is not."""
        return self._text_fault(reason_of(words, self._form), problem)

    def _text_fault(self, reason: str, problem: Problem) -> str | None:
        if fault := text_fault(reason, CritiqueTextOptions(max_characters=self._filters.max_characters)):
            return f"text_{fault}"
        references = _references(self._checker, problem)
        is_leak = not self._filters.is_leak_allowed and leaks_answer(reason, references, problem.choices)
        return "leaks_answer" if is_leak else None


def count_critiques(screened: Sequence[ScreenedCritique], funnel: Funnel) -> None:
    """Count one problem's critiques, and what each filter did to their lift."""
    for each in screened:
        funnel.critiques.count(each.reason)
    for number, name in enumerate(_FILTERS):
        passed = [each for each in screened if _place(each.reason) > number]
        funnel.add_lift(name, [each.lift.estimate for each in passed if each.lift is not None])


def gap(better: Interval | None, worse: Interval | None) -> float | None:
    """Return how much more one critique lifts than another, in [-2, 2]; None when either is unknown."""
    return None if better is None or worse is None else better.estimate - worse.estimate


def _lift(refined: Tally | None, baseline: Tally | None) -> Interval | None:
    return None if refined is None or baseline is None else lift(refined, baseline)


def _measured(findings: Mapping[str, Finding], name: str) -> Mapping[str, Any]:
    """Return what came of draws; nothing where there were none."""
    found = findings.get(name)
    return {"tally": None, "corrected": None} if found is None else found.content


def _place(reason: str | None) -> int:
    """Return the number of the filter in ``_FILTERS`` that has this reason; past the end for none."""
    places = {
        "leaks_answer": 2,
        "unmeasured": 3,
        "few_right": 3,
        "low_lift": 4,
        "says_the_same": 5,
        "near_duplicate": 5,
    }
    return len(_FILTERS) if reason is None else places.get(reason, 1)


def _is_told(refined: Tally | None) -> bool:
    return refined is not None and refined.num_known > 0


def _references(checker: Checker | None, problem: Problem) -> tuple[str, ...]:
    return () if checker is None else checker.references(problem)
