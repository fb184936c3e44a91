"""The funnel of a labelled run: how many rows, trees, paths, pairs and critiques are left out, and why."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from critic_engine.data.records import StageCounts
from critic_engine.statistics import Interval, clustered_mean


@dataclass(slots=True)
class Stage:
    """One stage of the funnel, which leaves some out for a reason and keeps the others."""

    name: str
    """Plural of the counted noun, such as ``critiques``."""
    num_in: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Numbers by reason."""

    @property
    def num_out(self) -> int:
        """The number that is kept."""
        return self.num_in - self.left_out.total()

    def count(self, reason: str | None = None, *, num: int = 1) -> None:
        """Count ``num`` in, and leave them out if there is a ``reason``."""
        self.num_in += num
        if reason is not None and num:
            self.left_out[reason] += num


@dataclass(slots=True)
class LiftColumn:
    """The lifts of the critiques that passed one filter, grouped by problem."""

    name: str
    groups: list[list[float]] = field(default_factory=list)

    def interval(self) -> Interval:
        """Return the mean lift with its 95 % bootstrap interval over whole problems."""
        return clustered_mean(self.groups, seed=0)


class Funnel:
    """The stages in order, and the lift after each filter. Only a ``Selection`` and its rows count here."""

    def __init__(self) -> None:
        """Start with all counts at 0."""
        self.rows = Stage("rows")
        self.trees = Stage("trees")
        self.paths = Stage("finished paths")
        self.wrong_paths = Stage("wrong paths")
        self.pairs = Stage("divergent pairs")
        self.errors = Stage("errors to annotate")
        self.critiques = Stage("critiques")
        self.other_pairs = Stage("other pairs")
        self.labelled = Stage("paths to label")
        self.searched = Stage("binary searches")
        self.injected = Stage("injections")
        self.detections = Stage("detections")
        """Detections of injected errors, whether those are kept or not."""
        self.training = Stage("training rows")
        """Rows of one kind for one role; empty where no rows were made."""
        self.lifts: dict[str, LiftColumn] = {}
        """Lifts by filter, in the order of the filters; the first is before any."""

    def stages(self) -> Iterator[Stage]:
        """Yield the stages from rows to critiques, then the other stages that are not empty."""
        yield from (self.rows, self.trees, self.paths, self.wrong_paths, self.pairs, self.errors, self.critiques)
        beside = (self.other_pairs, self.labelled, self.searched, self.injected, self.detections, self.training)
        yield from (stage for stage in beside if stage.num_in)

    def counts(self) -> tuple[StageCounts, ...]:
        """Return the counts of each stage, in order."""
        return tuple(
            StageCounts(stage.name, stage.num_in, dict(sorted(stage.left_out.items()))) for stage in self.stages()
        )

    def add_lift(self, filter_name: str, lifts: list[float]) -> None:
        """Add the lifts of one problem's critiques that passed a filter."""
        column = self.lifts.setdefault(filter_name, LiftColumn(filter_name))
        if lifts:
            column.groups.append(lifts)

    def fields(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        stages = {
            counts.name: {"in": counts.num_in, "left_out": dict(counts.left_out), "kept": counts.num_kept}
            for counts in self.counts()
        }
        return {"stages": stages, "lift": [_lift_fields(column) for column in self.lifts.values()]}


def _lift_fields(column: LiftColumn) -> dict[str, Any]:
    found = column.interval()
    numbers = {name: getattr(found, name) for name in ("estimate", "low", "high")}
    rounded = {name: None if math.isnan(number) else round(number, 4) for name, number in numbers.items()}
    return {"after": column.name, "num_critiques": sum(map(len, column.groups)), **rounded}
