"""What of a labelled run's findings is fit for training: read from the run, filtered in a fixed order, and counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.config.collect import CollectConfig, FiltersConfig, PairKind
from critic_engine.config.engine import EngineConfig
from critic_engine.data.filters.contamination import Guard
from critic_engine.data.filters.duplicates import NearDuplicates
from critic_engine.data.harvest.harvester import value_name
from critic_engine.data.harvest.pair_checks import (
    Doubt,
    doubt_of_parting,
    doubt_of_reference,
    doubt_of_support,
    parting_steps,
)
from critic_engine.data.harvest.pairs import Pair, errors, pair_from_dict
from critic_engine.data.records import NOT_DONE
from critic_engine.data.selection.critique_filters import Screen, ScreenedCritique, count_critiques
from critic_engine.data.selection.funnel import Funnel
from critic_engine.errors import ImageError
from critic_engine.run.findings import HARVEST_DONE, HARVEST_ERROR, Finding
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow

# Why paths have no labels, by the names under which they are counted.
_NOT_LABELLED = {
    "num_alike": "says_the_same",
    "num_coarse": "coarse",
    "num_unchecked": "unchecked",
    "num_over_limit": "over_max_paths",
}


@dataclass(frozen=True, slots=True)
class Harvested:
    """One problem's findings, filtered."""

    position: int
    row_id: str
    problem: Problem
    pairs: tuple[Pair, ...]
    believed: frozenset[int]
    """The numbers of the pairs that passed the check of where they part; ``sibling`` ones go by their values alone."""
    critiques: tuple[ScreenedCritique, ...]
    reference: tuple[str, ...] | None
    """The steps of the reference path; None without a right path."""
    reference_text: str
    """Exactly what was written of it."""
    reference_doubt: Doubt | None
    """What the critic has against it, where it looked."""
    findings: Mapping[str, Finding]

    def believed_of(self, kind: PairKind) -> tuple[Pair, ...]:
        """Return the pairs of one kind that passed the check."""
        return tuple(self.pairs[number] for number in sorted(self.believed) if self.pairs[number].kind == kind)

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
        self._screen = Screen(self.config, self.filters, store.checker)
        self.funnel = Funnel()

    def fault_of_text(self, words: str, problem: Problem) -> str | None:
        """Return why a critique, as a critic wrote it, is unfit by its text alone; None when it is not."""
        return self._screen.fault_of_text(words, problem)

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
            return "search_failed" if is_failed else NOT_DONE
        return "evaluation_set" if self._guard is not None and _repeats(self._guard, row.problem) else None

    def _harvested(
        self, position: int, row: ProblemRow, findings: Mapping[str, Finding], duplicates: NearDuplicates | None
    ) -> Harvested:
        paths = findings["paths"].content
        pairs = tuple(map(pair_from_dict, findings["pairs"].content["pairs"]))
        self._count_paths(paths, findings["pairs"].content, pairs)
        is_repeat = duplicates is not None and _is_repeat(duplicates, position, row.problem)
        reference = paths["reference"]
        doubts = [self._doubt(pair, reference, findings) for pair in pairs]
        self._count_pairs(pairs, doubts, findings, is_repeat=is_repeat)
        critiques = self._screen.critiques(pairs, findings, row.problem, is_repeat=is_repeat)
        count_critiques(critiques, self.funnel)
        self._count_beside(findings, is_repeat=is_repeat)
        if self._collect.injection is not None and (doubt := self._doubt_of_reference(reference)):
            self.funnel.injected.count(doubt)
        return Harvested(
            position=position,
            row_id=row.id,
            problem=row.problem,
            pairs=() if is_repeat else pairs,
            believed=frozenset(n for n, doubt in enumerate(doubts) if doubt is None and not is_repeat),
            critiques=() if is_repeat else critiques,
            reference=None if reference is None or is_repeat else tuple(reference["steps"]),
            reference_text="" if reference is None else reference["text"],
            reference_doubt=self._doubt_of_reference(reference),
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

    def _count_beside(self, findings: Mapping[str, Finding], *, is_repeat: bool) -> None:
        """Count what is made beside critiques."""
        repeat = "near_duplicate" if is_repeat else None
        for kind, finding in findings.items():
            content = finding.content
            if kind == "labels":
                self.funnel.labelled.count(repeat, num=len(content["paths"]))
                for name, reason in _NOT_LABELLED.items():
                    self.funnel.labelled.count(reason, num=content[name])
            elif kind.startswith("search/"):
                self.funnel.searched.count(_search_fault(content) or repeat)
            elif kind.startswith("injection/"):
                self.funnel.injected.count("not_injected" if content["failure"] else repeat)
                for each in content["detections"]:
                    self.funnel.detections.count(_detection_fault(each) or repeat)

    def _count_pairs(
        self,
        pairs: tuple[Pair, ...],
        doubts: Sequence[Doubt | None],
        findings: Mapping[str, Finding],
        *,
        is_repeat: bool,
    ) -> None:
        for pair, doubt in zip(pairs, doubts, strict=True):
            stage = self.funnel.pairs if pair.kind == "divergent" else self.funnel.other_pairs
            stage.count(doubt or ("near_duplicate" if is_repeat else None))
        believed = [number for number, doubt in enumerate(doubts) if doubt is None]
        num_believed = sum(pairs[number].kind == "divergent" for number in believed)
        num_errors = len(errors(pairs, believed))
        num_annotated = min(num_errors, self._collect.pairs.max_annotated)
        if not is_repeat:
            self.funnel.errors.count(None if self._collect.annotators else "not_annotated", num=num_annotated)
            self.funnel.errors.count("same_error", num=num_believed - num_errors)
            self.funnel.errors.count("over_max_annotated", num=num_errors - num_annotated)
        self.funnel.other_pairs.count("over_max_pairs", num=findings["pairs"].content["num_others_over_limit"])

    def _doubt(self, pair: Pair, reference: Mapping[str, Any] | None, findings: Mapping[str, Finding]) -> Doubt | None:
        """Return why a pair is not believed, the reference path's own fault first."""
        options = self._collect.pairs
        if pair.kind == "sibling":
            return None
        if doubt := self._doubt_of_reference(reference) or doubt_of_support(pair, options):
            return doubt
        if not self.config.checks_pairs:
            return None
        chosen, rejected = (findings[value_name(steps)].content for steps in parting_steps(pair))
        return doubt_of_parting(chosen, rejected, options)

    def _doubt_of_reference(self, reference: Mapping[str, Any] | None) -> Doubt | None:
        if reference is None or not self.config.checks_pairs:
            return None
        return doubt_of_reference(reference["value"], self._collect.pairs)


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


def _detection_fault(content: Mapping[str, Any]) -> str | None:
    if content["words"] is None:
        return "not_detected"
    return "not_graded" if content["score"] is None else None


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
