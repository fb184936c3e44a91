"""The funnel: what became of every row, tree, path, pair and critique of a labelled run, and why."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from critic_engine.data.records import StageCounts
from critic_engine.statistics import Interval, clustered_mean


@dataclass(slots=True)
class Stage:
    """One stage: what came in either is left out for a reason or goes on."""

    name: str
    """What is counted, in the plural."""
    num_in: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """By reason."""

    @property
    def num_out(self) -> int:
        """What goes on."""
        return self.num_in - self.left_out.total()

    def count(self, reason: str | None = None, *, num: int = 1) -> None:
        """Count ``num`` that came in, and are left out for ``reason`` if there is one."""
        self.num_in += num
        if reason is not None and num:
            self.left_out[reason] += num


@dataclass(slots=True)
class LiftColumn:
    """The lifts of the critiques that one filter let through, by problem."""

    name: str
    groups: list[list[float]] = field(default_factory=list)

    def interval(self) -> Interval:
        """Return the mean lift with its 95 % interval; problems are drawn whole."""
        return clustered_mean(self.groups, seed=0)


class Funnel:
    """The stages in order, and what each filter did to the measured lift. Only a ``Selection`` counts here."""

    def __init__(self) -> None:
        """Start with nothing counted."""
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
        """Of the injected errors, whether they were kept or not."""
        self.training = Stage("training rows")
        """Of one kind, for one role; nothing where no rows were asked for."""
        self.lifts: dict[str, LiftColumn] = {}
        """By filter, in their order; the first is before any."""

    def stages(self) -> Iterator[Stage]:
        """Yield the stages from rows to critiques, then those beside them that anything came to."""
        yield from (self.rows, self.trees, self.paths, self.wrong_paths, self.pairs, self.errors, self.critiques)
        beside = (self.other_pairs, self.labelled, self.searched, self.injected, self.detections, self.training)
        yield from (stage for stage in beside if stage.num_in)

    def counts(self) -> tuple[StageCounts, ...]:
        """Return the counts of each stage, in order."""
        return tuple(
            StageCounts(stage.name, stage.num_in, dict(sorted(stage.left_out.items()))) for stage in self.stages()
        )

    def add_lift(self, filter_name: str, lifts: list[float]) -> None:
        """Take the lifts of one problem's critiques that passed a filter."""
        column = self.lifts.setdefault(filter_name, LiftColumn(filter_name))
        if lifts:
            column.groups.append(lifts)

    def fields(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
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
