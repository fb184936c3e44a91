"""The facts of a labelled run, complete or not: what was kept and why not the rest, what it cost, what is to come."""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from critic_engine.collect_options import FiltersConfig
from critic_engine.data.estimation import Forecast, ProblemFigures, Range, Sample
from critic_engine.data.funnel import Funnel
from critic_engine.data.pairs import Branch, Pair
from critic_engine.data.selection import Harvested, JudgedCritique, Selection
from critic_engine.errors import RunError
from critic_engine.findings import HARVEST_DONE, HARVEST_ERROR, Finding
from critic_engine.seeds import derive_seed
from critic_engine.store import RunStore
from critic_engine.types import FailedRow, Problem


@dataclass(frozen=True, slots=True)
class Example:
    """One pair of one problem, with its critiques."""

    row_id: str
    problem: Problem
    number: int
    """The pair's among the problem's, from 0."""
    pair: Pair
    is_believed: bool
    """Whether it passed the check of where it parts; only divergent pairs are checked."""
    critiques: tuple[JudgedCritique, ...]

    def fields(self) -> dict[str, Any]:
        """Return it as what JSON can hold, images by their digests."""
        return {
            "row_id": self.row_id,
            "problem_id": self.problem.problem_id,
            "question": self.problem.question,
            "choices": list(self.problem.choices),
            "images": [image.digest for image in self.problem.images],
            "pair": self.number,
            "kind": self.pair.kind,
            "is_believed": self.is_believed,
            "shared": list(self.pair.shared),
            **{side: _branch_fields(getattr(self.pair, side)) for side in ("chosen", "rejected")},
            "critiques": [_critique_fields(each) for each in self.critiques],
        }


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pairs to show."""

    num_examples: int = 0
    """Of so many problems, chosen by a hash, one pair each; of problems with critiques where there are so many."""
    name: str | None = None
    """Instead: all pairs of the problems with this id or problem id, or the one behind this row of an export."""


@dataclass(slots=True)
class Survey:
    """What ``survey`` counts."""

    num_rows: int = 0
    num_unsearchable: int = 0
    """Rows that have no problem to search, of ``num_rows``."""
    num_done: int = 0
    """The other rows of which nothing more is to be found."""
    funnel: Funnel = field(default_factory=Funnel)
    num_pairs: Counter[str] = field(default_factory=Counter)
    """By kind, of the problems that do not nearly repeat another."""
    injections: Counter[str] = field(default_factory=Counter)
    """``num_injected`` solutions that were given errors, ``num_failed`` that could not be, and ``num_preferences``."""
    labels: Counter[str] = field(default_factory=Counter)
    """``num_paths`` labelled from trees, ``num_coarse`` and ``num_unchecked`` left out, ``num_searched`` and
    ``num_first_errors`` by binary search."""
    search_tokens: int = 0
    finding_tokens: Counter[str] = field(default_factory=Counter)
    """By the kind of finding."""
    sample: Sample = field(default_factory=Sample)
    """The figures of the problems that are done."""
    examples: list[Example] = field(default_factory=list)

    @property
    def num_left(self) -> int:
        """Problems that are not done yet."""
        return self.num_rows - self.num_unsearchable - self.num_done

    @property
    def num_tokens(self) -> int:
        """Generated so far by searches and for findings."""
        return self.search_tokens + self.finding_tokens.total()

    def forecast(self) -> Forecast | None:
        """Return what the whole run comes to if the rest is like what is done; None before two problems are done."""
        return self.sample.forecast(num_others=self.num_left, seed=0)

    def tokens_left(self) -> Range | None:
        """Return the tokens still to be generated; None before two problems are done."""
        forecast = self.forecast()
        return None if forecast is None else forecast.num_tokens.less(self.num_tokens)

    def fields(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        forecast = None if self.num_left == 0 else self.forecast()
        return {
            "is_complete": self.num_left == 0,
            "num_rows": self.num_rows,
            "num_unsearchable": self.num_unsearchable,
            "num_done": self.num_done,
            "num_left": self.num_left,
            "funnel": self.funnel.fields(),
            "num_pairs": dict(sorted(self.num_pairs.items())),
            "injections": dict(self.injections),
            "labels": dict(self.labels),
            "tokens": {
                "search": self.search_tokens,
                "findings": dict(sorted(self.finding_tokens.items())),
                "all": self.num_tokens,
            },
            "forecast": None if forecast is None else forecast.fields(),
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
    chooser = _Chooser(wanted or Wanted(), seed=selection.config.run.seed)
    for position, harvested in _by_position(selection, store.num_rows):
        counter.count(position, harvested)
        if harvested is not None:
            chooser.look_at(harvested)
    counter.survey.funnel = selection.funnel
    counter.survey.examples = chooser.examples()
    return counter.survey


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
        self.survey = Survey()

    def count(self, position: int, harvested: Harvested | None) -> None:
        """Count one row."""
        self.survey.num_rows += 1
        answer, findings = self._store.answer(position), self._store.findings.of(position)
        spent = Counter[str]()
        for name, finding in findings.items():
            spent[kind_of(name)] += finding.num_tokens
        self.survey.finding_tokens.update({kind: num for kind, num in spent.items() if num})
        is_unsearchable = isinstance(self._store.row(position), FailedRow)
        if answer is None:
            search_tokens = sum(event.get("cost", 0) for event in self._store.events(position))
        else:
            search_tokens = answer.num_tokens
        self.survey.search_tokens += search_tokens
        if is_unsearchable:
            self.survey.num_unsearchable += 1
        elif answer is not None and self._is_done(position, findings):
            self.survey.num_done += 1
            self.survey.sample.add(_figures(search_tokens, spent.total(), harvested))
        if harvested is not None:
            self._count_findings(harvested)

    def _is_done(self, position: int, findings: Mapping[str, Finding]) -> bool:
        if not self._is_harvesting or HARVEST_DONE in findings or HARVEST_ERROR in findings:
            return True
        # Of a search that failed before its first step there is no tree to harvest.
        return not self._store.events(position)

    def _count_findings(self, harvested: Harvested) -> None:
        self.survey.num_pairs.update(pair.kind for pair in harvested.pairs)
        for content in harvested.named("injection"):
            self._count_injection(content)
        for content in harvested.named("labels"):
            self.survey.labels.update(
                num_paths=len(content["paths"]),
                num_coarse=content["num_coarse"],
                num_unchecked=content["num_unchecked"],
            )
        for content in harvested.named("search"):
            self.survey.labels.update(num_searched=1, num_first_errors=content.get("first_wrong_step") is not None)

    def _count_injection(self, content: Mapping[str, Any]) -> None:
        injection = Injection.from_dict(content)
        is_failed = injection.failure is not None
        self.survey.injections.update(
            num_injected=not is_failed, num_failed=is_failed, num_preferences=len(injection.pairs)
        )


class _Chooser:
    """Keeps the pairs that are wanted, and no more problems than these take."""

    def __init__(self, wanted: Wanted, *, seed: int) -> None:
        self._wanted = wanted
        self._seed = seed
        self._named: list[Example] = []
        self._chosen: list[tuple[bool, int, int, Example]] = []
        """A heap, with what is to be dropped first on top: without critiques, then by hash; the position parts equals."""

    def look_at(self, harvested: Harvested) -> None:
        """Keep of one problem what is wanted."""
        if self._wanted.name is not None:
            self._named += [
                example
                for example in map(lambda number: _example(harvested, number), range(len(harvested.pairs)))
                if is_named(self._wanted.name, harvested, example)
            ]
        elif self._wanted.num_examples and harvested.pairs:
            criticised = [each.record.pair for each in harvested.critiques]
            example = _example(harvested, min(criticised, default=0))
            rank = derive_seed(self._seed, "example", harvested.problem.problem_id)
            heapq.heappush(self._chosen, (bool(criticised), rank, harvested.position, example))
            if len(self._chosen) > self._wanted.num_examples:
                heapq.heappop(self._chosen)

    def examples(self) -> list[Example]:
        """Return what was kept, in the order of the rows."""
        return self._named or [example for *_, example in sorted(self._chosen, key=lambda entry: entry[2])]
