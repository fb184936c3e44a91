"""The facts of a labelled run, complete or not: what was kept and why not the rest, what it cost, what is to come."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from critic_engine.config.collect import FiltersConfig
from critic_engine.data.harvest.error_detection import Injection
from critic_engine.data.selection.examples import Chooser, Example, Wanted
from critic_engine.data.selection.forecast import Forecast, ProblemFigures, Sample
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.selected_findings import Harvested, Selection
from critic_engine.errors import RunError
from critic_engine.run.findings import HARVEST_DONE, FailedHarvest, Finding
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow

# Of the problems that a forecast rests on, those that are not done.
_MAX_SHARE_LEFT = 0.05


@dataclass(frozen=True, slots=True)
class Session:
    """What ``report.json`` says of the last session of a run."""

    wall_s: float
    num_tokens: int
    """Generated in it by all models."""
    usd: float | None
    """None where no model has a price."""

    @property
    def tokens_per_s(self) -> float | None:
        """Its pace; None where nothing was generated."""
        return self.num_tokens / self.wall_s if self.num_tokens and self.wall_s else None


@dataclass(slots=True)
class Survey:
    """What ``survey`` counts."""

    num_rows: int = 0
    num_unsearchable: int = 0
    """Rows that have no problem to search, of ``num_rows``."""
    num_done: int = 0
    """The other rows of which nothing more is to be found."""
    failed: list[FailedHarvest] = field(default_factory=list)
    """Those of the others of whose trees nothing could be made."""
    funnel: Funnel = field(default_factory=Funnel)
    num_pairs: Counter[str] = field(default_factory=Counter)
    """By kind, of the problems that do not nearly repeat another."""
    injections: Counter[str] = field(default_factory=Counter)
    """``num_injected`` solutions that were given errors, ``num_failed`` that could not be, ``num_detections`` of those
    and ``num_scored`` among them, ``num_preferences``, and ``num_unranked`` pairs of scored ones that make none."""
    labels: Counter[str] = field(default_factory=Counter)
    """``num_paths`` labelled from trees; ``num_searched`` and ``num_first_errors`` by binary search."""
    search_tokens: int = 0
    finding_tokens: Counter[str] = field(default_factory=Counter)
    """By the kind of finding."""
    sample: Sample = field(default_factory=Sample)
    """The figures of the first problems, done or failed but for one in twenty: those that are quickly done, whatever
    their place, cost less than the others."""
    examples: list[Example] = field(default_factory=list)

    @property
    def num_problems(self) -> int:
        """Rows that have a problem to search."""
        return self.num_rows - self.num_unsearchable

    @property
    def num_left(self) -> int:
        """Problems that are not done yet, and did not fail."""
        return self.num_problems - self.num_done - len(self.failed)

    @property
    def is_complete(self) -> bool:
        """Whether a resume would find nothing to do."""
        return self.num_done == self.num_problems

    @property
    def num_tokens(self) -> int:
        """Generated so far by searches and for findings."""
        return self.search_tokens + self.finding_tokens.total()

    def forecast(self) -> Forecast | None:
        """Return what the whole run comes to if the others are like the first problems; None before these are done."""
        return self.sample.forecast(num_others=self.num_problems - len(self.sample), seed=0)

    def fields(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
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


def survey(store: RunStore, *, filters: FiltersConfig | None = None, wanted: Wanted | None = None) -> Survey:
    """Return the facts of a labelled run; it may go on in another process meanwhile.

    Args:
        store: The run's, open.
        filters: Others than those of its configuration.
        wanted: Which pairs to show; None shows none.

    Raises:
        RunError: the run is not labelled.
        ProblemError: an evaluation set cannot be read.
    """
    if store.checker is None:
        raise RunError(f"{store.folder} is no labelled run; make one with `critic-engine collect`")
    selection = Selection(store, filters)
    counter = _Counter(store, is_harvesting=selection.config.collect is not None)
    chooser = Chooser(wanted or Wanted(), seed=selection.config.run.seed)
    for position, harvested in _by_position(selection, store.num_rows):
        counter.count(position, harvested)
        if harvested is not None:
            chooser.look_at(harvested)
    facts = counter.end()
    facts.funnel, facts.examples = selection.funnel, chooser.examples()
    return facts


def last_session(folder: Path) -> Session | None:
    """Return what the run's report says of its last session; None while there is no whole report."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        models = report["models"].values()
        usd = float(sum(model["usd"] for model in models))
        num_tokens = int(sum(model["generated_tokens"] for model in models))
        return Session(float(report["wall_s"]), num_tokens, usd or None)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        # A run that goes on has none, and one that just ends may have half of it.
        return None


class _Counter:
    """Counts the problems of a run, one after another."""

    def __init__(self, store: RunStore, *, is_harvesting: bool) -> None:
        self._store = store
        self._is_harvesting = is_harvesting
        self._failed = {each.position: each for each in store.findings.failed()}
        self.survey = Survey()
        self._num_even = 0

    def count(self, position: int, harvested: Harvested | None) -> None:
        """Count one row."""
        self.survey.num_rows += 1
        if harvested is None and isinstance(self._store.row(position), FailedRow):
            self.survey.num_unsearchable += 1
            return
        findings = self._store.findings.of(position)
        search_tokens, finding_tokens = self._search_tokens(position), _tokens_by_kind(findings)
        self.survey.search_tokens += search_tokens
        self.survey.finding_tokens.update(finding_tokens)
        failed, is_done = self._failed.get(position), self._is_done(position, findings)
        if failed is not None:
            self.survey.failed.append(failed)
        self.survey.num_done += is_done
        if is_done or failed is not None:
            self.survey.sample.add(_figures(search_tokens, finding_tokens.total(), harvested))
        if self.survey.num_left <= _MAX_SHARE_LEFT * self.survey.num_problems:
            self._num_even = len(self.survey.sample)
        if harvested is not None:
            self._count_findings(harvested)

    def end(self) -> Survey:
        """Return what was counted."""
        self.survey.sample.cut(self._num_even)
        return self.survey

    def _search_tokens(self, position: int) -> int:
        answer = self._store.answer(position)
        if answer is not None:
            return answer.num_tokens
        return sum(event.get("cost", 0) for event in self._store.events(position))

    def _is_done(self, position: int, findings: Mapping[str, Finding]) -> bool:
        if self._store.answer(position) is None:
            return False
        if not self._is_harvesting or HARVEST_DONE in findings:
            return True
        # Of a search that failed before its first step there is no tree to harvest.
        return not self._store.events(position)

    def _count_findings(self, harvested: Harvested) -> None:
        self.survey.num_pairs.update(pair.kind for pair in harvested.pairs)
        for content in harvested.named("injection"):
            self._count_injection(content)
        for content in harvested.named("labels"):
            self.survey.labels.update(num_paths=len(content["paths"]))
        for content in harvested.named("search"):
            self.survey.labels.update(num_searched=1, num_first_errors=content.get("first_wrong_step") is not None)

    def _count_injection(self, content: Mapping[str, Any]) -> None:
        injection = Injection.from_dict(content)
        is_failed = injection.failure is not None
        self.survey.injections.update(
            num_injected=not is_failed,
            num_failed=is_failed,
            num_detections=len(injection.detections),
            num_scored=sum(each.score is not None for each in injection.detections),
            num_preferences=len(injection.pairs),
            num_unranked=sum(injection.num_unranked.values()),
        )


def _by_position(selection: Selection, num_rows: int) -> Iterator[tuple[int, Harvested | None]]:
    """Yield every row's position with what the selection has of it."""
    found = iter(selection)
    upcoming = next(found, None)
    for position in range(num_rows):
        if upcoming is None or upcoming.position != position:
            yield position, None
            continue
        yield position, upcoming
        upcoming = next(found, None)


def _tokens_by_kind(findings: Mapping[str, Finding]) -> Counter[str]:
    tokens: Counter[str] = Counter()
    for name, finding in findings.items():
        if finding.num_tokens:
            tokens[name.split("/")[0]] += finding.num_tokens
    return tokens


def _figures(search_tokens: int, finding_tokens: int, harvested: Harvested | None) -> ProblemFigures:
    return ProblemFigures(
        search_tokens=search_tokens,
        finding_tokens=finding_tokens,
        num_pairs=0 if harvested is None else len(harvested.believed_of("divergent")),
        num_critiques=0 if harvested is None else sum(each.is_kept for each in harvested.critiques),
    )
