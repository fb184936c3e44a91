"""Training rows of one kind for the critic or the reasoner, from a labelled run."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from critic_engine.config.collect import FiltersConfig
from critic_engine.config.engine import dump_config
from critic_engine.data.filters.balance import Balance, Census, Stratum
from critic_engine.data.row_spool import RowSpool
from critic_engine.data.row_types import Demonstration, Preference, Rated, StageCounts, StepLabelled, TrainingRow
from critic_engine.data.selection.critic_rows import CORRECT, CriticRows
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.reasoner_rows import ReasonerRows
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.errors import RunError
from critic_engine.run.store import RunStore

Role: TypeAlias = Literal["critic", "reasoner"]


class RunRows:
    """The training rows of one run; each iteration yields the same ones in the same order.

    ``Preference``: for the critic, between two critiques of one error by their lift, and between two detections of
    injected errors by their scores; for the reasoner, between two paths. ``Demonstration``: for the critic, a kept
    critique, or one that accepts a right path; for the reasoner, a right solution after a wrong one and its critique.
    ``Rated``: a critique, good when it is kept, or a path, good when it is right. ``StepLabelled``: a solution with
    labelled steps, the same for both roles.
    """

    def __init__(
        self, store: RunStore, *, kind: type[TrainingRow], role: Role, filters: FiltersConfig | None = None
    ) -> None:
        """Take an open labelled run, the kind of rows and their role; ``filters`` replaces those of its configuration.

        Raises:
            RunError: the run is not labelled.
            ProblemError: an evaluation set cannot be read.
        """
        if store.checker is None:
            raise RunError(f"{store.folder} is no labelled run; make one with `critic-engine collect`")
        self._store = store
        self._selection = Selection(store, filters)
        self._kind: type[TrainingRow] = kind
        self._role = role

    @property
    def funnel(self) -> Funnel:
        """The counts of rows that are left out, by reason; valid after an iteration."""
        return self._selection.funnel

    @property
    def stages(self) -> tuple[StageCounts, ...]:
        """The counts of each stage of the funnel; valid after an iteration."""
        return tuple(self.funnel.stages())

    @property
    def config_yaml(self) -> str:
        """The run's resolved configuration, with the filters that are used."""
        config = self._selection.config
        if config.collect is None:
            return dump_config(config)
        collect = config.collect.model_copy(update={"filters": self._selection.filters})
        return dump_config(config.model_copy(update={"collect": collect}))

    def close(self) -> None:
        """Close the run; no iteration may follow."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the rows themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the run, as its store is closed."""
        self._store.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[TrainingRow]:
        """Yield the rows, one problem's in memory at a time; the others wait in a temporary file."""
        with RowSpool() as spool:
            self.fill(spool)
            yield from spool

    def fill(self, spool: RowSpool) -> None:
        """Write the rows, balanced, into an empty ``spool``; the run is read once.

        Balancing takes 8 bytes a row.
        """
        seed, filters = self._selection.config.run.seed, self._selection.filters
        correct, others = Census(seed=seed), Census(seed=seed)
        for row in self._rows():
            (correct if row.source == CORRECT else others).add(_stratum(row), row.row_id)
            spool.add(row)
        balance = Balance(others, max_ratio=filters.max_balance_ratio)
        num_others = sum(min(num, balance.max_rows or num) for num in others.counts.values())
        ends = correct.smallest_dropped(round(num_others * filters.correct_share / (1 - filters.correct_share)))

        def is_kept(row: TrainingRow) -> bool:
            reason = None
            if row.source == CORRECT:
                end = ends.get(_stratum(row))
                reason = None if end is None or correct.rank(row.row_id) < end else "correct_share"
            elif not balance.keeps(_stratum(row), row.row_id):
                reason = "out_of_balance"
            self.funnel.training.count(reason)
            return reason is None

        spool.retain(is_kept)

    def _rows(self) -> Iterator[TrainingRow]:
        critic, reasoner = CriticRows(self._selection), ReasonerRows(self._selection)
        makers = {
            Preference: (critic.preferences, reasoner.preferences),
            Demonstration: (critic.demonstrations, reasoner.demonstrations),
            Rated: (critic.rated, reasoner.rated),
            StepLabelled: (reasoner.labelled, reasoner.labelled),
        }
        for_critic, for_reasoner = makers[self._kind]
        make = for_critic if self._role == "critic" else for_reasoner
        for selected in self._selection:
            yield from make(selected)


def open_rows(run: Path, *, kind: type[TrainingRow], role: Role, filters: FiltersConfig | None = None) -> RunRows:
    """Return the rows of the run in a folder; the caller closes them. See ``RunRows``.

    Raises:
        RunError: there is no labelled run.
    """
    return RunRows(RunStore.view(run), kind=kind, role=role, filters=filters)


def _stratum(row: TrainingRow) -> Stratum:
    outcome = row.is_good if isinstance(row, Rated) else None
    depth = row.facts.get("depth")
    return (depth if isinstance(depth, int) else None, outcome, row.source)
