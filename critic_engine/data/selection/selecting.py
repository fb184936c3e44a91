"""What of a labelled run's findings is fit for training: read from the run, filtered in a fixed order, and counted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from critic_engine.checker import Checker
from critic_engine.collect_options import CollectConfig, FiltersConfig
from critic_engine.config import EngineConfig
from critic_engine.data.filters.duplicates import NearDuplicates
from critic_engine.data.filters.faults import CritiqueTextOptions, text_fault
from critic_engine.data.filters.guard import Guard
from critic_engine.data.filters.leaks import leaks_answer
from critic_engine.data.harvest.critiques import CritiqueRecord, Tally, base_of, critique_from_dict, lift, tally_of
from critic_engine.data.harvest.harvester import baseline_name, refined_name, value_name
from critic_engine.data.harvest.pairs import Doubt, Pair, doubt, looked_at, pair_from_dict, unsupported
from critic_engine.data.selection.funnel import Funnel
from critic_engine.errors import ImageError
from critic_engine.evaluation.metrics import Interval
from critic_engine.findings import HARVEST_DONE, HARVEST_ERROR, Finding
from critic_engine.parsing.critiques import reason_of
from critic_engine.prompts import PromptFamily
from critic_engine.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow

_FILTERS = ("none", "faults", "leaks", "few_right", "low_lift", "near_duplicates")


@dataclass(frozen=True, slots=True)
class JudgedCritique:
    """One critique of a divergent pair, measured and filtered."""

    record: CritiqueRecord
    lift: Interval | None
    """By the draws that no filter looks at, where the run has such; None when it was not measured."""
    reason: str | None
    """Why it is left out; None when it is kept."""

    @property
    def is_kept(self) -> bool:
        """Whether it is fit for training."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Harvested:
    """One problem's findings, filtered."""

    position: int
    row_id: str
    problem: Problem
    pairs: tuple[Pair, ...]
    believed: frozenset[int]
    """The numbers of the divergent pairs that passed the check of where they part."""
    critiques: tuple[JudgedCritique, ...]
    reference: tuple[str, ...] | None
    """The steps of the reference path; None without a right path."""
    reference_text: str
    """Exactly what was written of it."""
    findings: Mapping[str, Finding]

    def named(self, kind: str) -> Iterator[Any]:
        """Yield the contents of the findings whose name begins with ``kind``, in order."""
        return (finding.content for name, finding in self.findings.items() if name.split("/")[0] == kind)


class Selection:
    """A pass over a run's problems. Each pass counts anew what is left out and why."""

    def __init__(self, store: RunStore, filters: FiltersConfig | None = None) -> None:
        """Take an open labelled run; ``filters`` None takes those of its configuration.

        Raises:
            ProblemError: an evaluation set cannot be read.
        """
        self._store = store
        self.config: EngineConfig = store.config()
        self._collect = self.config.collect or CollectConfig()
        self.filters = self._collect.filters if filters is None else filters
        # Those of the run's own configuration were guarded against when its rows were read in.
        guarded = self._collect.filters.evaluation_sets
        paths = [Path(path) for path in self.filters.evaluation_sets if path not in guarded]
        self._guard = Guard.from_files(paths, limits=self.config.run) if paths else None
        self._form = PromptFamily.for_model(self.config.critiquing).form.critique
        self.funnel = Funnel()

    def __iter__(self) -> Iterator[Harvested]:
        """Yield the problems whose findings are complete, in the order of their rows."""
        self.funnel = Funnel()
        duplicates = None if self.filters.is_near_duplicate_allowed else NearDuplicates()
        for position in range(self._store.num_rows):
            row, findings = self._store.row(position), self._store.findings.of(position)
            reason = self._objection(row, self._store.answer(position), findings)
            self.funnel.rows.count(reason)
            if reason is None and isinstance(row, ProblemRow):
                yield self._harvested(position, row, findings, duplicates)

    def _objection(
        self, row: ProblemRow | FailedRow, answer: Answer | None, findings: Mapping[str, Finding]
    ) -> str | None:
        """Return why a row has nothing to give."""
        if isinstance(row, FailedRow):
            return row.fault
        if HARVEST_ERROR in findings:
            return "harvest_failed"
        if HARVEST_DONE not in findings:
            is_failed = answer is not None and answer.stop_reason == "error"
            return "search_failed" if is_failed else "not_done_yet"
        return "evaluation_set" if self._guard is not None and _repeats(self._guard, row.problem) else None

    def _harvested(
        self, position: int, row: ProblemRow, findings: Mapping[str, Finding], duplicates: NearDuplicates | None
    ) -> Harvested:
        paths = findings["paths"].content
        pairs = tuple(map(pair_from_dict, findings["pairs"].content["pairs"]))
        self._count_paths(paths, findings["pairs"].content, pairs)
        is_repeat = duplicates is not None and _is_repeat(duplicates, position, row.problem)
        believed = self._believed(pairs, findings, is_repeat=is_repeat)
        critiques = self._judge(pairs, findings, row.problem, is_repeat=is_repeat)
        self._count_beside(pairs, findings, is_repeat=is_repeat)
        reference = paths["reference"]
        return Harvested(
            position=position,
            row_id=row.id,
            problem=row.problem,
            pairs=() if is_repeat else pairs,
            believed=believed,
            critiques=() if is_repeat else critiques,
            reference=None if reference is None or is_repeat else tuple(reference["steps"]),
            reference_text="" if reference is None else reference["text"],
            findings={} if is_repeat else findings,
        )

    def _count_paths(self, paths: Mapping[str, Any], found: Mapping[str, Any], pairs: tuple[Pair, ...]) -> None:
        num_right, num_wrong = paths["num_right"], paths["num_wrong"]
        for name in ("right", "wrong", "unsure", "unanswered"):
            reason = None if name in ("right", "wrong") else name
            self.funnel.paths.count(reason, num=paths[f"num_{name}"])
        sides = {(False, False): "no_known_path", (True, False): "all_right", (False, True): "all_wrong"}
        self.funnel.trees.count(sides.get((num_right > 0, num_wrong > 0)))
        divergent = [pair.num_paths for pair in pairs if pair.kind == "divergent"]
        stage = self.funnel.wrong_paths
        stage.count(num=len(divergent))
        stage.count("says_the_same", num=sum(divergent) - len(divergent))
        stage.count("over_max_pairs", num=found["num_over_limit"])
        rest = num_wrong - sum(divergent) - found["num_over_limit"]
        is_paired = "divergent" in self._collect.pairs.kinds
        stage.count(("never_parts" if is_paired else "not_paired") if num_right else "no_right_path", num=rest)

    def _count_beside(self, pairs: tuple[Pair, ...], findings: Mapping[str, Finding], *, is_repeat: bool) -> None:
        """Count what is made beside critiques."""
        repeat = "near_duplicate" if is_repeat else None
        self.funnel.other_pairs.count(repeat, num=sum(pair.kind != "divergent" for pair in pairs))
        self.funnel.other_pairs.count("over_max_pairs", num=findings["pairs"].content["num_others_over_limit"])
        for name, finding in findings.items():
            content = finding.content
            if name == "labels":
                self.funnel.labelled.count(repeat, num=len(content["paths"]))
                self.funnel.labelled.count("coarse", num=content["num_coarse"])
                self.funnel.labelled.count("unchecked", num=content["num_unchecked"])
            elif name.startswith("search/"):
                self.funnel.searched.count(_search_fault(content) or repeat)
            elif name.startswith("injection/"):
                self.funnel.injected.count("not_injected" if content["failure"] else repeat)

    def _believed(self, pairs: tuple[Pair, ...], findings: Mapping[str, Finding], *, is_repeat: bool) -> frozenset[int]:
        believed = set()
        for number, pair in enumerate(pairs):
            if pair.kind == "divergent":
                reason = self._doubt(pair, findings) or ("near_duplicate" if is_repeat else None)
                self.funnel.pairs.count(reason)
                if reason is None:
                    believed.add(number)
        return frozenset(believed)

    def _doubt(self, pair: Pair, findings: Mapping[str, Finding]) -> Doubt | None:
        options = self._collect.pairs
        if reason := unsupported(pair, options):
            return reason
        names = [value_name(steps) for steps in looked_at(pair)]
        if not all(name in findings for name in names):
            return None
        return doubt([findings[name].content for name in names], options)

    def _judge(
        self, pairs: tuple[Pair, ...], findings: Mapping[str, Finding], problem: Problem, *, is_repeat: bool
    ) -> tuple[JudgedCritique, ...]:
        judged: list[JudgedCritique] = []
        said: set[tuple[int, str]] = set()
        for name, finding in findings.items():
            for data in finding.content if name.startswith("critique/") else ():
                judged.append(self._judged(critique_from_dict(data), pairs, findings, problem))
                record = judged[-1].record
                if judged[-1].reason is not None:
                    continue
                if (record.pair, record.words) in said:
                    judged[-1] = replace(judged[-1], reason="says_the_same")
                said.add((record.pair, record.words))
        if is_repeat:
            judged = [replace(each, reason=each.reason or "near_duplicate") for each in judged]
        self._count_critiques(judged)
        return tuple(judged)

    def _judged(
        self, record: CritiqueRecord, pairs: tuple[Pair, ...], findings: Mapping[str, Finding], problem: Problem
    ) -> JudgedCritique:
        refined = _measured(findings, refined_name(record.pair, record.words))
        base = base_of(pairs[record.pair], self._collect.lift)
        record = replace(record, refined=tally_of(refined["tally"]), corrected=refined["corrected"])
        without = tally_of(_measured(findings, baseline_name(base))["tally"])
        looked_at = found = _lift(record.refined, without)
        if self._collect.lift.num_fresh:
            fresh = _measured(findings, refined_name(record.pair, record.words, is_fresh=True))
            fresh_without = _measured(findings, baseline_name(base, is_fresh=True))
            found = _lift(tally_of(fresh["tally"]), tally_of(fresh_without["tally"]))
        return JudgedCritique(record, found, self._reason(record, looked_at, problem))

    def _reason(self, record: CritiqueRecord, measured: Interval | None, problem: Problem) -> str | None:
        """Return the first reason to leave a critique out, in the order of ``_FILTERS``."""
        filters = self.filters
        if record.annotation.fault is not None:
            return record.annotation.fault
        if fault := self._text_fault(record.annotation.reason, problem):
            return fault
        if self._collect.lift.num_refinements == 0:
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
        if fault := text_fault(reason, CritiqueTextOptions(max_characters=self.filters.max_characters)):
            return f"text_{fault}"
        references = _references(self._store.checker, problem)
        is_leak = not self.filters.is_leak_allowed and leaks_answer(reason, references, problem.choices)
        return "leaks_answer" if is_leak else None

    def _count_critiques(self, judged: list[JudgedCritique]) -> None:
        for each in judged:
            self.funnel.critiques.count(each.reason)
        for number, name in enumerate(_FILTERS):
            passed = [each for each in judged if _place(each.reason) > number]
            self.funnel.add_lift(name, [each.lift.estimate for each in passed if each.lift is not None])


def _lift(refined: Tally | None, baseline: Tally | None) -> Interval | None:
    return None if refined is None or baseline is None else lift(refined, baseline)


def _measured(findings: Mapping[str, Finding], name: str) -> Mapping[str, Any]:
    """Return what came of draws; nothing where there were none."""
    found = findings.get(name)
    return {"tally": None, "corrected": None} if found is None else found.content


def summarise(folder: Path) -> dict[str, Any]:
    """Return what the findings of the run in ``folder`` come to, as its report holds it."""
    with RunStore.view(folder) as store:
        selection = Selection(store)
        kinds: Counter[str] = Counter()
        for harvested in selection:
            kinds.update(pair.kind for pair in harvested.pairs)
        return {
            "num_tokens": store.findings.num_tokens(),
            "num_pairs": dict(sorted(kinds.items())),
            "failed": [{"id": each.id, "reason": each.reason} for each in store.findings.failed()],
            **selection.funnel.fields(),
        }


def _search_fault(content: Mapping[str, Any]) -> str | None:
    if "error" in content:
        return "search_failed"
    return None if all(content["labels"]) else "unsolvable"


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


def _repeats(guard: Guard, problem: Problem) -> bool:
    try:
        return guard.objection(problem) is not None
    except ImageError:
        # It was decoded when the run was begun; what cannot be compared now is not let through.
        return True


def _is_repeat(duplicates: NearDuplicates, position: int, problem: Problem) -> bool:
    text = "\n".join((problem.question, *problem.choices))
    try:
        return duplicates.repeated(str(position), text, problem.images) is not None
    except ImageError:
        # It was decoded when the run was begun; what cannot be compared now is not known to repeat anything.
        return False
