"""The training rows of a run, and the counts of findings that gave none."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from critic_engine.types import Image


@dataclass(slots=True)
class StageCounts:
    """The counts of one stage between the problems of a run and its training rows."""

    name: str
    """The things counted, in the plural, such as ``divergent pairs``."""
    num_in: int = 0
    """The things that reached the stage."""
    left_out: Counter[str] = field(default_factory=Counter)
    """The things left out here, by reason."""

    @property
    def num_kept(self) -> int:
        """The things that passed the stage."""
        return self.num_in - self.left_out.total()

    def count(self, reason: str | None = None, *, num: int = 1) -> None:
        """Count ``num`` in, and leave them out if there is a ``reason``."""
        self.num_in += num
        if reason is not None and num:
            self.left_out[reason] += num

    def lines(self) -> Iterator[tuple[str, int]]:
        """Yield the counts with their descriptions: in, left out by reason in alphabetical order, and kept."""
        yield self.name, self.num_in
        for reason, num in sorted(self.left_out.items()):
            yield f"{self.name} left out: {reason}", num
        yield f"{self.name} kept", self.num_kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """The fields of every row: one user turn, its images first, and the row's provenance."""

    row_id: str
    """Unique in its run and the same in every export of it."""
    problem_id: str
    """The problem's content hash; rows of one problem never part into different splits."""
    prompt: str
    """The text of the user's turn, without any placeholder for images."""
    images: tuple[Image, ...]
    source: str
    """The kind of finding or the annotator that gave the row, such as ``divergent`` or ``injection``."""
    facts: Mapping[str, int | float | str | None] = field(default_factory=dict)
    """Further columns, such as ``depth``; the same names, in the same order, in all rows of an export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(Prompted):
    """Two answers to one prompt."""

    chosen: str
    rejected: str
    margin: float | None = None
    """How much better ``chosen`` is, in the unit of its source; None is unknown."""

    @property
    def answers(self) -> tuple[str, ...]:
        """Both sides, the chosen one first."""
        return (self.chosen, self.rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration(Prompted):
    """An answer to learn by heart."""

    completion: str
    value: float | None = None
    """The value, in [0, 1], of the solution in the prompt: 1 when it is right. None without such a solution."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The completion."""
        return (self.completion,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated(Prompted):
    """An answer that is good or not, on its own."""

    completion: str
    is_good: bool

    @property
    def answers(self) -> tuple[str, ...]:
        """The completion."""
        return (self.completion,)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLabelled(Prompted):
    """A solution with a label for each of its steps; ``prompt`` is the question."""

    steps: tuple[str, ...]
    """At least one."""
    values: tuple[float, ...]
    """For each step the share, in [0, 1], of completions from its end that were right: Monte-Carlo labels.

    Where none were drawn it is 1 or 0, by the solution's answer or by another step's label."""
    num_rollouts: tuple[int, ...]
    """How many completions each value is a share of; 0 where none were drawn."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The steps."""
        return self.steps


TrainingRow: TypeAlias = Preference | Demonstration | Rated | StepLabelled
