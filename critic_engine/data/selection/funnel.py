"""The funnel of a labelled run: how many rows, trees, paths, pairs and critiques are left out, and why."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from critic_engine.data.row_types import StageCounts
from critic_engine.statistics.intervals import clustered_mean


class Funnel:
    """The stages in order, and the lift after each filter. Only a ``Selection`` and its rows count here."""

    def __init__(self) -> None:
        """Start with all counts at 0."""
        self.rows = StageCounts("rows")
        self.trees = StageCounts("trees")
        self.paths = StageCounts("finished paths")
        self.wrong_paths = StageCounts("wrong paths")
        self.pairs = StageCounts("divergent pairs")
        self.errors = StageCounts("errors to annotate")
        self.critiques = StageCounts("critiques")
        self.other_pairs = StageCounts("other pairs")
        self.labelled = StageCounts("paths to label")
        self.searched = StageCounts("binary searches")
        self.injected = StageCounts("injections")
        self.detections = StageCounts("detections")
        """Detections of injected errors, whether those are kept or not."""
        self.training = StageCounts("training rows")
        """Rows of one kind for one role; empty where no rows were made."""
        self.lifts: dict[str, list[list[float]]] = {}
        """The lifts of the critiques that passed each filter, grouped by problem; the first is before any filter."""

    def stages(self) -> Iterator[StageCounts]:
        """Yield the stages from rows to critiques, then the other stages that are not empty."""
        yield from (self.rows, self.trees, self.paths, self.wrong_paths, self.pairs, self.errors, self.critiques)
        beside = (self.other_pairs, self.labelled, self.searched, self.injected, self.detections, self.training)
        yield from (stage for stage in beside if stage.num_in)

    def add_lift(self, filter_name: str, lifts: list[float]) -> None:
        """Add the lifts of one problem's critiques that passed a filter."""
        groups = self.lifts.setdefault(filter_name, [])
        if lifts:
            groups.append(lifts)

    def fields(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        stages = {
            stage.name: {"in": stage.num_in, "left_out": dict(sorted(stage.left_out.items())), "kept": stage.num_kept}
            for stage in self.stages()
        }
        return {"stages": stages, "lift": [_lift_fields(name, groups) for name, groups in self.lifts.items()]}


def _lift_fields(filter_name: str, groups: list[list[float]]) -> dict[str, Any]:
    """Return the mean lift after a filter with its 95 % bootstrap interval over whole problems; None is unknown."""
    numbers = asdict(clustered_mean(groups, seed=0))
    rounded = {name: None if math.isnan(number) else round(number, 4) for name, number in numbers.items()}
    return {"after": filter_name, "num_critiques": sum(map(len, groups)), **rounded}
