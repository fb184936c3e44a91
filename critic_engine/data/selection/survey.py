"""A survey of a labelled run, complete or not: its funnel, its cost so far, and a forecast."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from critic_engine.config.collect import FiltersConfig
from critic_engine.data.harvest.finding_kinds import INJECTION, LABELS, SEARCH
from critic_engine.data.harvest.injection_scores import num_unranked
from critic_engine.data.harvest.labels import SearchedPath
from critic_engine.data.selection.examples import Chooser, Example
from critic_engine.data.selection.forecast import Forecast, ProblemFigures, SampledProblems
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.selected_findings import SelectedProblem, Selection
from critic_engine.episode.logged_usage import logged_usage
from critic_engine.errors import RunError
from critic_engine.run.findings import HARVEST_DONE, FailedHarvest, ProblemFindings
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow

# Largest share of problems that may be missing before the last one that a forecast rests on.
_MAX_SHARE_LEFT = 0.05


@dataclass(frozen=True, slots=True)
class Session:
    """The last session of a run, by its ``report.json``."""

    wall_s: float
    num_tokens: int
    """Generated in it by all models."""
    usd: float | None
    """None where no model has a price."""

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens per second; None where nothing was generated."""
        return self.num_tokens / self.wall_s if self.num_tokens and self.wall_s else None


@dataclass(slots=True)
class Survey:
    """The counts of a labelled run."""

    num_rows: int = 0
    num_unsearchable: int = 0
    """Rows without a problem to search, among ``num_rows``."""
    num_done: int = 0
    """Other rows with complete findings."""
    failed: list[FailedHarvest] = field(default_factory=list)
    """Other rows whose harvest failed."""
    funnel: Funnel = field(default_factory=Funnel)
    num_pairs: Counter[str] = field(default_factory=Counter)
    """Pairs by kind, without those of near duplicates."""
    injections: Counter[str] = field(default_factory=Counter)
    """Solutions with injected errors (``num_injected``) and without (``num_failed``), detections of the errors
    (``num_detections``) and those with a score (``num_scored``), preferences between these (``num_preferences``), and
    pairs of them that are none (``num_unranked``)."""
    labels: Counter[str] = field(default_factory=Counter)
    """Paths labelled from trees (``num_paths``), binary searches (``num_searched``), and first wrong steps that these
    found (``num_first_errors``)."""
    search_tokens: int = 0
    finding_tokens: Counter[str] = field(default_factory=Counter)
    """Tokens by the kind of finding."""
    sample: SampledProblems = field(default_factory=SampledProblems)
    """Figures of the first problems, of which at most one in twenty is not done. Later ones do not count: those that
    are done before their turn cost less than the others."""
    examples: list[Example] = field(default_factory=list)

    @property
    def num_problems(self) -> int:
        """Rows with a problem to search."""
        return self.num_rows - self.num_unsearchable

    @property
    def num_left(self) -> int:
        """Problems that are not done yet, and did not fail."""
        return self.num_problems - self.num_done - len(self.failed)

    @property
    def is_complete(self) -> bool:
        """Whether a resume has nothing left to do."""
        return self.num_done == self.num_problems

    @property
    def num_tokens(self) -> int:
        """Generated so far by searches and for findings."""
        return self.search_tokens + self.finding_tokens.total()

    def forecast(self) -> Forecast | None:
        """Return the totals of the whole run if all problems are like the first ones; None before these are done."""
        return self.sample.forecast(num_others=self.num_problems - len(self.sample), seed=0)

    def fields(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        forecast = None if self.num_left == 0 else self.forecast()
        return {
            "is_complete": self.is_complete,
            "num_rows": self.num_rows,
            "num_unsearchable": self.num_unsearchable,
            "num_done": self.num_done,
            "num_left": self.num_left,
            "failed": [{"id": each.id, "reason": each.reason} for each in self.failed],
            "funnel": self.funnel.fields(),
            "num_pairs": dict(sorted(self.num_pairs.items())),
            "injections": dict(self.injections),
            "labels": dict(self.labels),
            "tokens": {
                "search": self.search_tokens,
                "findings": dict(sorted(self.finding_tokens.items())),
                "all": self.num_tokens,
            },
            "forecast": None if forecast is None else {"by_num_problems": len(self.sample), **forecast.fields()},
            "examples": [example.fields() for example in self.examples],
        }


def survey(
    store: RunStore, *, filters: FiltersConfig | None = None, num_examples: int = 0, name: str | None = None
) -> Survey:
    """Return the survey of a labelled run; another process may go on with the run meanwhile.

    Args:
        store: The open run.
        filters: Filters to use instead of those of its configuration.
        num_examples: See ``Chooser``.
        name: See ``Chooser``.

    Raises:
        RunError: the run is not labelled.
        ProblemError: an evaluation set cannot be read.
    """
    if store.checker is None:
        raise RunError(f"{store.folder} is no labelled run; make one with `critic-engine collect`")
    selection = Selection(store, filters)
    counter = _Counter(store, is_harvesting=selection.config.collect is not None)
    chooser = Chooser(num_examples=num_examples, name=name, seed=selection.config.run.seed)
    for selected in selection:
        counter.count_up_to(selected.position, selected)
        chooser.look_at(selected)
    counter.count_up_to(store.num_rows - 1, None)
    facts = counter.survey
    facts.sample.cut(counter.num_even)
    facts.funnel, facts.examples = selection.funnel, chooser.examples()
    return facts


def last_session(folder: Path) -> Session | None:
    """Return the last session of a run; None while there is no whole report."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        models = report["models"].values()
        usd = float(sum(model["usd"] for model in models))
        num_tokens = int(sum(model["generated_tokens"] for model in models))
        return Session(float(report["wall_s"]), num_tokens, usd or None)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        # A running session has no report, and one that is ending may have half of it.
        return None


class _Counter:
    """Counts the problems of a run, row by row."""

    def __init__(self, store: RunStore, *, is_harvesting: bool) -> None:
        self._store = store
        self._is_harvesting = is_harvesting
        self._failed = {each.position: each for each in store.findings.failed()}
        self.survey = Survey()
        self.num_even = 0

    def count_up_to(self, last: int, selected: SelectedProblem | None) -> None:
        """Count the next rows up to position ``last``, of which only the last may be a selected problem."""
        for position in range(self.survey.num_rows, last + 1):
            self._count(position, selected if position == last else None)

    def _count(self, position: int, selected: SelectedProblem | None) -> None:
        self.survey.num_rows += 1
        if selected is None and isinstance(self._store.row(position), FailedRow):
            self.survey.num_unsearchable += 1
            return
        findings = self._store.findings.of(position)
        search_tokens, finding_tokens = self._search_tokens(position), findings.num_tokens()
        self.survey.search_tokens += search_tokens
        self.survey.finding_tokens.update(finding_tokens)
        failed, is_done = self._failed.get(position), self._is_done(position, findings)
        if failed is not None:
            self.survey.failed.append(failed)
        self.survey.num_done += is_done
        if is_done or failed is not None:
            num_pairs = 0 if selected is None else len(selected.believed_of("divergent"))
            num_critiques = 0 if selected is None else sum(each.is_kept for each in selected.critiques)
            self.survey.sample.add(
                ProblemFigures(
                    search_tokens=search_tokens,
                    finding_tokens=finding_tokens.total(),
                    num_pairs=num_pairs,
                    num_critiques=num_critiques,
                )
            )
        if self.survey.num_left <= _MAX_SHARE_LEFT * self.survey.num_problems:
            self.num_even = len(self.survey.sample)
        if selected is not None:
            self._count_findings(selected)

    def _search_tokens(self, position: int) -> int:
        answer = self._store.answer(position)
        if answer is not None:
            return answer.num_tokens
        return logged_usage(self._store.events(position)).generated_tokens

    def _is_done(self, position: int, findings: ProblemFindings) -> bool:
        if self._store.answer(position) is None:
            return False
        if not self._is_harvesting or HARVEST_DONE in findings:
            return True
        # A search that failed before its first step has no tree to harvest.
        return not self._store.events(position)

    def _count_findings(self, selected: SelectedProblem) -> None:
        self.survey.num_pairs.update(pair.kind for pair in selected.pairs)
        for injection in selected.findings.of_kind(INJECTION):
            is_failed = injection.failure is not None
            self.survey.injections.update(
                num_injected=not is_failed,
                num_failed=is_failed,
                num_detections=len(injection.detections),
                num_scored=sum(each.score is not None for each in injection.detections),
                num_preferences=len(injection.pairs),
                num_unranked=sum(num_unranked(injection.detections).values()),
            )
        for labels in selected.findings.of_kind(LABELS):
            self.survey.labels.update(num_paths=len(labels.paths))
        for search in selected.findings.of_kind(SEARCH):
            is_found = isinstance(search, SearchedPath) and search.first_wrong_step is not None
            self.survey.labels.update(num_searched=1, num_first_errors=is_found)
