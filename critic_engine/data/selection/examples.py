"""Pairs of a labelled run to look at: chosen by a hash, or named."""

import heapq
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from critic_engine.data.harvest.pairs import Branch, Pair
from critic_engine.data.selection.critique_filters import ScreenedCritique
from critic_engine.data.selection.selected_findings import Harvested
from critic_engine.seeds import derive_seed
from critic_engine.statistics import Interval
from critic_engine.types import Problem

_EXPORT_ROW = re.compile(r"(?P<position>\d{6,})-(?P<kind>[a-z_]+)(?:-(?P<number>\d{3,}))?(?:-\d{3,})?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pairs to show."""

    num_examples: int = 0
    """One pair each of so many problems, chosen by a hash; of problems with critiques where there are so many."""
    name: str | None = None
    """Instead: all pairs of the problems with this id or problem id, or what an export's row of this id was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One pair of one problem, with its critiques."""

    pair_id: str
    """The pair's ``row_id`` in exports."""
    row_id: str
    problem: Problem
    pair: Pair
    is_believed: bool
    """Whether it passed the check of where it parts; ``sibling`` pairs are not checked."""
    critiques: tuple[ScreenedCritique, ...]

    def fields(self) -> dict[str, Any]:
        """Return it as what JSON can hold, images by their digests."""
        return {
            "pair_id": self.pair_id,
            "row_id": self.row_id,
            "problem_id": self.problem.problem_id,
            "question": self.problem.question,
            "choices": list(self.problem.choices),
            "images": [image.digest for image in self.problem.images],
            "kind": self.pair.kind,
            "is_believed": self.is_believed,
            "shared": list(self.pair.shared),
            "chosen": _branch_fields(self.pair.chosen),
            "rejected": _branch_fields(self.pair.rejected),
            "critiques": [_critique_fields(each) for each in self.critiques],
        }


class Chooser:
    """Looks at every problem and keeps the pairs that are wanted."""

    def __init__(self, wanted: Wanted, *, seed: int) -> None:
        """Choose by ``seed``."""
        self._wanted = wanted
        self._seed = seed
        self._named: list[Example] = []
        # A heap. What goes first is on top: pairs without critiques, then by hash; the position parts equals.
        self._chosen: list[tuple[bool, int, int, Example]] = []

    def look_at(self, harvested: Harvested) -> None:
        """Keep of one problem what is wanted."""
        if self._wanted.name is not None:
            self._named += [_example(harvested, number) for number in _numbers_of(self._wanted.name, harvested)]
        elif self._wanted.num_examples and harvested.pairs:
            numbers = [each.record.pair for each in harvested.critiques]
            example = _example(harvested, min(numbers, default=0))
            rank = derive_seed(self._seed, "example", harvested.problem.problem_id)
            heapq.heappush(self._chosen, (bool(numbers), rank, harvested.position, example))
            if len(self._chosen) > self._wanted.num_examples:
                heapq.heappop(self._chosen)

    def examples(self) -> list[Example]:
        """Return what was kept, in the order of the rows."""
        return self._named or [example for *_, example in sorted(self._chosen, key=lambda entry: entry[2])]


def _numbers_of(name: str, harvested: Harvested) -> Iterator[int]:
    """Yield the numbers of the pairs that ``name`` means."""
    if name in (harvested.row_id, harvested.problem.problem_id):
        yield from range(len(harvested.pairs))
        return
    row = _EXPORT_ROW.fullmatch(name)
    if row is None or int(row["position"]) != harvested.position or row["number"] is None:
        return
    number = int(row["number"])
    if row["kind"] in ("critique", "corrected") and number < len(harvested.critiques):
        number = harvested.critiques[number].record.pair
    elif row["kind"] != "pair":
        return
    if number < len(harvested.pairs):
        yield number


def _example(harvested: Harvested, number: int) -> Example:
    pair = harvested.pairs[number]
    return Example(
        pair_id=f"{harvested.position:06}-pair-{number:03}",
        row_id=harvested.row_id,
        problem=harvested.problem,
        pair=pair,
        is_believed=number in harvested.believed,
        critiques=tuple(each for each in harvested.critiques if each.record.pair == number),
    )


def _branch_fields(branch: Branch) -> dict[str, Any]:
    return {
        "steps": list(branch.steps),
        "answer": branch.answer,
        "value": branch.value,
        "num_rollouts": branch.num_rollouts,
    }


def _critique_fields(judged: ScreenedCritique) -> dict[str, Any]:
    record = judged.record
    return {
        "annotator": record.annotator,
        "words": record.words,
        "first_wrong_step": record.annotation.first_wrong_step,
        "lift": _interval_fields(judged.lift),
        "reason_left_out": judged.reason,
    }


def _interval_fields(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else {bound: round(number, 4) for bound, number in asdict(found).items()}
