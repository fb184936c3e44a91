"""A labelled run's findings, filtered for training in a fixed order, with counts of all that is left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.config.collect import CollectConfig, FiltersConfig, PairKind
from critic_engine.config.engine import EngineConfig
from critic_engine.data.filters.contamination import Guard
from critic_engine.data.filters.duplicates import NearDuplicates
from critic_engine.data.harvest.finding_kinds import INJECTION, LABELS, PAIRS, PATHS, SEARCH, value_key
from critic_engine.data.harvest.injection_scores import ScoredDetection
from critic_engine.data.harvest.labels import FailedSearch, SearchedPath
from critic_engine.data.harvest.pair_checks import (
    PairFault,
    divergence_fault,
    parting_steps,
    reference_fault,
    support_fault,
)
from critic_engine.data.harvest.pairs import Pair, TreePairs, errors
from critic_engine.data.harvest.paths import ReferencePath, TreePaths
from critic_engine.data.selection.critique_filters import Screen, ScreenedCritique, count_critiques
from critic_engine.data.selection.funnel import Funnel
from critic_engine.errors import ImageError
from critic_engine.run.findings import HARVEST_DONE, HARVEST_ERROR, ProblemFindings
from critic_engine.run.store import RunStore
from critic_engine.run.written_report import NOT_DONE
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow


@dataclass(frozen=True, slots=True)
class SelectedProblem:
    """One problem with its filtered findings."""

    position: int
    row_id: str
    problem: Problem
    pairs: tuple[Pair, ...]
    believed: frozenset[int]
    """Numbers of the pairs without a fault; ``sibling`` pairs are not checked."""
    critiques: tuple[ScreenedCritique, ...]
    reference: ReferencePath | None
    """None without a right path."""
    reference_fault: PairFault | None
    """The fault of the reference path by the critic's value of it."""
    findings: ProblemFindings

    def row_fields(self, name: str) -> dict[str, Any]:
        """Return the fields that all training rows of the problem have; ``name`` is unique among its rows."""
        return {
            "row_id": f"{self.position:06}-{name}",
            "problem_id": self.problem.problem_id,
            "images": self.problem.images,
        }

    def believed_of(self, kind: PairKind) -> tuple[Pair, ...]:
        """Return the believed pairs of one kind."""
        return tuple(self.pairs[number] for number in sorted(self.believed) if self.pairs[number].kind == kind)


class Selection:
    """A pass over a run's problems. Each pass starts a new funnel."""

    def __init__(self, store: RunStore, filters: FiltersConfig | None = None) -> None:
        """Take an open labelled run; ``filters`` None takes those of its configuration.

        Raises:
            ProblemError: an evaluation set cannot be read.
        """
        self._store = store
        self.config: EngineConfig = store.config()
        self._collect = self.config.collect or CollectConfig()
        self.filters = self._collect.filters if filters is None else filters
        # The rows were checked against the evaluation sets of the run's own configuration when they were read in.
        guarded = self._collect.filters.evaluation_sets
        paths = [Path(path) for path in self.filters.evaluation_sets if path not in guarded]
        self._guard = Guard(paths, limits=self.config.run, reading=self.config.problems) if paths else None
        self.screen = Screen(self.config, self.filters, store.checker)
        self.funnel = Funnel()

    def __iter__(self) -> Iterator[SelectedProblem]:
        """Yield the problems with complete findings, in the order of their rows."""
        self.funnel = Funnel()
        duplicates = None if self.filters.is_near_duplicate_allowed else NearDuplicates()
        for position in range(self._store.num_rows):
            row, findings = self._store.row(position), self._store.findings.of(position)
            reason = self._objection(row, self._store.answer(position), findings)
            self.funnel.rows.count(reason)
            if reason is None and isinstance(row, ProblemRow):
                yield self._selected(position, row, findings, duplicates)

    def _objection(self, row: ProblemRow | FailedRow, answer: Answer | None, findings: ProblemFindings) -> str | None:
        """Return the reason to leave a row out; None when there is none."""
        if isinstance(row, FailedRow):
            return row.fault
        if HARVEST_ERROR in findings:
            return "harvest_failed"
        if HARVEST_DONE not in findings:
            is_failed = answer is not None and answer.stop_reason == "error"
            return "search_failed" if is_failed else NOT_DONE
        return "evaluation_set" if self._guard is not None and _repeats(self._guard, row.problem) else None

    def _selected(
        self, position: int, row: ProblemRow, findings: ProblemFindings, duplicates: NearDuplicates | None
    ) -> SelectedProblem:
        paths, found = findings[PATHS], findings[PAIRS]
        self._count_paths(paths, found)
        is_repeat = duplicates is not None and _is_repeat(duplicates, position, row.problem)
        fault = None
        if paths.reference is not None and self.config.checks_pairs:
            fault = reference_fault(paths.reference.value, self._collect.pairs)
        pair_faults = [self._pair_fault(pair, fault, findings) for pair in found.pairs]
        self._count_pairs(found, pair_faults, is_repeat=is_repeat)
        critiques = self.screen.critiques(found.pairs, findings, row.problem, is_repeat=is_repeat)
        count_critiques(critiques, self.funnel)
        self._count_others(findings, is_repeat=is_repeat)
        if self._collect.injection is not None and fault:
            self.funnel.injected.count(fault)
        return SelectedProblem(
            position=position,
            row_id=row.id,
            problem=row.problem,
            pairs=() if is_repeat else found.pairs,
            believed=frozenset(n for n, each in enumerate(pair_faults) if each is None and not is_repeat),
            critiques=() if is_repeat else critiques,
            reference=None if is_repeat else paths.reference,
            reference_fault=fault,
            findings=ProblemFindings(position) if is_repeat else findings,
        )

    def _count_paths(self, paths: TreePaths, found: TreePairs) -> None:
        stage = self.funnel.paths
        stage.count(num=paths.num_right + paths.num_wrong)
        stage.count("unsure", num=paths.num_unsure)
        stage.count("unanswered", num=paths.num_unanswered)
        sides = {(False, False): "no_known_path", (True, False): "all_right", (False, True): "all_wrong"}
        self.funnel.trees.count(sides.get((paths.num_right > 0, paths.num_wrong > 0)))
        divergent = [pair.num_paths for pair in found.pairs if pair.kind == "divergent"]
        stage = self.funnel.wrong_paths
        stage.count(num=len(divergent))
        stage.count("says_the_same", num=sum(divergent) - len(divergent))
        stage.count("over_max_pairs", num=found.num_over_limit)
        rest = paths.num_wrong - sum(divergent) - found.num_over_limit
        is_paired = "divergent" in self._collect.pairs.kinds
        reason = "never_parts" if is_paired else "not_paired"
        stage.count(reason if paths.num_right else "no_right_path", num=rest)

    def _count_others(self, findings: ProblemFindings, *, is_repeat: bool) -> None:
        repeat = "near_duplicate" if is_repeat else None
        for labels in findings.of_kind(LABELS):
            stage = self.funnel.labelled
            stage.count(repeat, num=len(labels.paths))
            stage.count("says_the_same", num=labels.num_alike)
            stage.count("coarse", num=labels.num_coarse)
            stage.count("unchecked", num=labels.num_unchecked)
            stage.count("over_max_paths", num=labels.num_over_limit)
        for search in findings.of_kind(SEARCH):
            self.funnel.searched.count(_search_fault(search) or repeat)
        for injection in findings.of_kind(INJECTION):
            self.funnel.injected.count("not_injected" if injection.failure else repeat)
            for detection in injection.detections:
                self.funnel.detections.count(_detection_fault(detection) or repeat)

    def _count_pairs(self, found: TreePairs, faults: Sequence[PairFault | None], *, is_repeat: bool) -> None:
        for pair, fault in zip(found.pairs, faults, strict=True):
            stage = self.funnel.pairs if pair.kind == "divergent" else self.funnel.other_pairs
            stage.count(fault or ("near_duplicate" if is_repeat else None))
        believed = [number for number, fault in enumerate(faults) if fault is None]
        num_believed = sum(found.pairs[number].kind == "divergent" for number in believed)
        num_errors = len(errors(found.pairs, believed))
        num_annotated = min(num_errors, self._collect.pairs.max_annotated)
        if not is_repeat:
            self.funnel.errors.count(None if self._collect.annotators else "not_annotated", num=num_annotated)
            self.funnel.errors.count("same_error", num=num_believed - num_errors)
            self.funnel.errors.count("over_max_annotated", num=num_errors - num_annotated)
        self.funnel.other_pairs.count("over_max_pairs", num=found.num_others_over_limit)

    def _pair_fault(self, pair: Pair, reference_fault: PairFault | None, findings: ProblemFindings) -> PairFault | None:
        """Return why a pair is not believed, the fault of its reference path first."""
        options = self._collect.pairs
        if pair.kind == "sibling":
            return None
        if fault := reference_fault or support_fault(pair, options):
            return fault
        if not self.config.checks_pairs:
            return None
        chosen, rejected = (findings[value_key(steps)] for steps in parting_steps(pair))
        return divergence_fault(chosen, rejected, options)


def summarise(folder: Path) -> dict[str, Any]:
    """Return the summary of a run's findings for its report."""
    with RunStore.view(folder) as store:
        selection = Selection(store)
        kinds: Counter[str] = Counter()
        usage = store.findings.usage()
        for selected in selection:
            kinds.update(pair.kind for pair in selected.pairs)
        return {
            "num_tokens": usage.generated_tokens,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "num_requests": usage.num_requests,
            "num_retries": usage.num_retries,
            "num_pairs": dict(sorted(kinds.items())),
            "failed": [{"id": each.id, "reason": each.reason} for each in store.findings.failed()],
            **selection.funnel.fields(),
        }


def _search_fault(search: SearchedPath | FailedSearch) -> str | None:
    if isinstance(search, FailedSearch):
        return "search_failed"
    return None if search.known_labels else "unsolvable"


def _detection_fault(detection: ScoredDetection) -> str | None:
    if detection.words is None:
        return "not_detected"
    return "not_graded" if detection.score is None else None


def _repeats(guard: Guard, problem: Problem) -> bool:
    try:
        return guard.objection(problem) is not None
    except ImageError:
        # The image could be decoded when the run began. What cannot be compared now is refused.
        return True


def _is_repeat(duplicates: NearDuplicates, position: int, problem: Problem) -> bool:
    text = "\n".join((problem.question, *problem.choices))
    try:
        return duplicates.repeated(str(position), text, problem.images) is not None
    except ImageError:
        # The image could be decoded when the run began. What cannot be compared now counts as no repeat.
        return False
