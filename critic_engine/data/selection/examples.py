"""Example pairs of a labelled run, chosen by a hash or by name."""

import heapq
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.selection.critique_filters import ScreenedCritique
from critic_engine.data.selection.selected_findings import SelectedProblem
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem

_BRANCH_FIELDS = ("steps", "answer", "value", "num_rollouts")
_EXPORT_ROW = re.compile(r"(?P<position>\d{6,})-(?P<kind>[a-z_]+)(?:-(?P<number>\d{3,}))?(?:-\d{3,})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One pair of one problem, with its critiques."""

    pair_id: str
    """The pair's ``row_id`` in exports."""
    row_id: str
    problem: Problem
    pair: Pair
    is_believed: bool
    """Whether it has no fault; ``sibling`` pairs are not checked."""
    critiques: tuple[ScreenedCritique, ...]

    def fields(self) -> dict[str, Any]:
        """Return it as values that JSON can hold, images by their digests."""
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
            "chosen": {name: getattr(self.pair.chosen, name) for name in _BRANCH_FIELDS},
            "rejected": {name: getattr(self.pair.rejected, name) for name in _BRANCH_FIELDS},
            "critiques": [_critique_fields(each) for each in self.critiques],
        }


@dataclass(slots=True, kw_only=True)
class Chooser:
    """Keeps the wanted pairs of all problems that it is shown."""

    num_examples: int = 0
    """Number of problems to keep one pair of, chosen by a hash; problems with critiques come first."""
    name: str | None = None
    """Set instead to keep all pairs of the problems with this id or problem id, or the pair of an exported row."""
    seed: int
    """The seed of the hash."""
    _named: list[Example] = field(default_factory=list)
    _chosen: list[tuple[bool, int, int, Example]] = field(default_factory=list)
    """A heap with the next pair to drop on top: pairs without critiques first, then by hash, then by position."""

    def look_at(self, selected: SelectedProblem) -> None:
        """Keep the wanted pairs of one problem."""
        if self.name is not None:
            self._named += [_example(selected, number) for number in _numbers_of(self.name, selected)]
        elif self.num_examples and selected.pairs:
            numbers = [each.record.pair for each in selected.critiques]
            example = _example(selected, min(numbers, default=0))
            rank = derive_seed(self.seed, "example", selected.problem.problem_id)
            heapq.heappush(self._chosen, (bool(numbers), rank, selected.position, example))
            if len(self._chosen) > self.num_examples:
                heapq.heappop(self._chosen)

    def examples(self) -> list[Example]:
        """Return the kept pairs in the order of their rows."""
        return self._named or [example for *_, example in sorted(self._chosen, key=lambda entry: entry[2])]


def _numbers_of(name: str, selected: SelectedProblem) -> Iterator[int]:
    """Yield the numbers of the pairs that ``name`` refers to."""
    if name in (selected.row_id, selected.problem.problem_id):
        yield from range(len(selected.pairs))
        return
    row = _EXPORT_ROW.fullmatch(name)
    if row is None or int(row["position"]) != selected.position or row["number"] is None:
        return
    number = int(row["number"])
    if row["kind"] in ("critique", "corrected") and number < len(selected.critiques):
        number = selected.critiques[number].record.pair
    elif row["kind"] != "pair":
        return
    if number < len(selected.pairs):
        yield number


def _example(selected: SelectedProblem, number: int) -> Example:
    pair = selected.pairs[number]
    return Example(
        pair_id=f"{selected.position:06}-pair-{number:03}",
        row_id=selected.row_id,
        problem=selected.problem,
        pair=pair,
        is_believed=number in selected.believed,
        critiques=tuple(each for each in selected.critiques if each.record.pair == number),
    )


def _critique_fields(judged: ScreenedCritique) -> dict[str, Any]:
    lift = None if judged.lift is None else asdict(judged.lift)
    return {
        "annotator": judged.record.annotator,
        "words": judged.record.words,
        "first_wrong_step": judged.record.annotation.first_wrong_step,
        "lift": lift and {bound: round(number, 4) for bound, number in lift.items()},
        "reason_left_out": judged.reason,
    }
