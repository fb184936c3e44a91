"""The base of all strategies: tickets, the budget, and the ``ask`` / ``tell`` / ``abandon`` bookkeeping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy

from search.budget import NO_LIMIT, Budget, StopReason, Usage
from search.checks import check_at_least
from search.errors import UnknownTrialError
from search.events import Abandoned, Asked, Event, Stopped, Told
from search.stopping import NEVER, StopOptions, StopRecord
from search.tree import Node, Proposal, S, Tree


@dataclass(frozen=True, slots=True)
class Trial(Generic[S]):
    """A ticket: think of proposals that continue ``node``, then tell or abandon it."""

    trial_id: int
    """Counted from 0 in the order asked."""
    node: Node[S]
    """The node to continue; its path gives the states from the root."""
    num_proposals: int
    """Proposals wanted, at least 1; the most that may be told."""
    arm: int = 0
    """Index of the proposer, from 0, where there are several."""
    is_judged: bool = True
    """Whether all proposals are to be evaluated; those that are finished are in any case."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a strategy, apart from its own end."""

    budget: Budget = NO_LIMIT
    """Limit on trials and cost."""
    stop: StopOptions = NEVER
    """Reasons to stop before the budget is spent."""


def asked_of(trial: Trial[S]) -> Asked:
    """Return the event of a trial that was asked."""
    return Asked(trial.trial_id, trial.node.node_id, trial.num_proposals, trial.arm, trial.is_judged)


MAX_ABANDONS = 3
"""Abandons in a row after which a node is not asked again, where a strategy's options do not say."""

NO_LIMITS = Limits()
"""Limits of a strategy that ends on its own."""


class Strategy(ABC, Generic[S]):
    """Decides at which node to ask next, one trial at a time.

    Trials are told or abandoned in any order. The same options, seed and order of calls give the same tree, bit for
    bit, and ``ask(limit=k)`` is the same as ``k`` times ``ask()``.
    """

    def __init__(self, *, rng: numpy.random.Generator, root: S, limits: Limits, max_abandons: int) -> None:
        """Start at ``root``; ``rng`` belongs to the strategy from here on."""
        self._tree: Tree[S] = Tree(root)
        self._rng = rng
        self._budget = limits.budget
        self._stops = StopRecord(limits.stop)
        self._max_abandons = max_abandons
        self._pending: dict[int, Trial[S]] = {}
        self._num_abandons: dict[int, int] = {}
        self._num_asked = 0
        self._num_told = 0
        self._cost = 0
        self._stop_reason: StopReason | None = None
        self._sink: Callable[[Event[S]], None] | None = None

    def record_to(self, sink: Callable[[Event[S]], None]) -> None:
        """Hand every event from now on to ``sink``, in order, once it has taken effect.

        If ``sink`` raises, the error reaches the caller and the log lacks an event: begin anew from the log.
        """
        self._sink = sink

    @property
    def tree(self) -> Tree[S]:
        """The tree so far, live; do not change it while the search runs."""
        return self._tree

    @property
    def usage(self) -> Usage:
        """The usage so far."""
        return Usage(self._num_told, self._cost)

    @property
    def pending(self) -> tuple[Trial[S], ...]:
        """The trials asked and neither told nor abandoned, in the order asked."""
        return tuple(self._pending.values())

    @property
    def stop_reason(self) -> StopReason | None:
        """The reason why nothing more will be asked; None while more may be. Pending trials may still be told."""
        return self._stop_reason

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be asked and nothing is pending."""
        return self._stop_reason is not None and not self._pending

    def ask(self, limit: int = 1) -> list[Trial[S]]:
        """Return up to ``limit`` new trials, and reserve them as pending visits along their paths.

        Fewer, or none, when nothing useful can start before a pending trial is told, and none once there is a
        ``stop_reason``. While the search is not done and nothing is pending there is at least one.
        """
        check_at_least("limit", limit, 1)
        trials: list[Trial[S]] = []
        while len(trials) < limit and self._can_start():
            trial = self._next_trial(self._num_asked)
            self._tree.reserve(trial.node, trial.num_proposals)
            self._num_asked += 1
            self._pending[trial.trial_id] = trial
            self._refresh(trial.node)
            trials.append(trial)
            if self._sink is not None:
                self._sink(asked_of(trial))
        return trials

    def tell(self, trial: Trial[S], proposals: Sequence[Proposal[S]], *, cost: int = 0, judging_cost: int = 0) -> None:
        """Give the result of a pending trial: one simulation, even with no proposals.

        Args:
            trial: A ticket from ``ask``; ``UnknownTrialError`` if it is not pending.
            proposals: At most ``trial.num_proposals``.
            cost: Cost of the trial, not negative, in the unit of the budget.
            judging_cost: The part of it that evaluating the proposals took; 0 if none was evaluated.
        """
        check_at_least("judging_cost", judging_cost, 0)
        if judging_cost > max(cost, 0):
            raise ValueError(f"judging_cost is a part of cost, {cost}, got {judging_cost}")
        if len(proposals) > trial.num_proposals:
            raise ValueError(f"proposals must be at most {trial.num_proposals} for this trial, got {len(proposals)}")
        self._settle(trial, cost)
        self._num_told += 1
        self._num_abandons.pop(trial.node.node_id, None)
        self._tree.visit(trial.node, trial.num_proposals)
        first_new_id, num_rollouts = len(self._tree), len(self._tree.rollouts)
        self._observe_cost(proposals, cost, judging_cost)
        places = self._receive(trial, proposals)
        self._stops.observe(places, self._tree.rollouts[num_rollouts:], first_new_id=first_new_id)
        self._refresh(trial.node)
        self._update_stop_reason()
        if self._sink is not None:
            self._sink(Told(trial.trial_id, tuple(proposals), cost, judging_cost))

    def abandon(self, trial: Trial[S], *, cost: int = 0) -> None:
        """Give a pending trial back, its work failed: the tree is as before the ask, but ``cost`` is spent.

        After ``max_abandons`` in a row at one node, nothing more is asked there, and votes may be divided anew.
        """
        self._settle(trial, cost)
        node_id = trial.node.node_id
        self._num_abandons[node_id] = self._num_abandons.get(node_id, 0) + 1
        self._tree.release(trial.node, trial.num_proposals)
        self._lose(trial)
        self._refresh(trial.node)
        self._update_stop_reason()
        if self._sink is not None:
            self._sink(Abandoned(trial.trial_id, cost))

    def stop(self, reason: StopReason) -> None:
        """Ask no more, for a reason of the caller's; pending trials are still to be told or abandoned."""
        if self._stop_reason is None:
            self._stop_reason = reason
            if self._sink is not None:
                self._sink(Stopped(reason))

    def _settle(self, trial: Trial[S], cost: int) -> None:
        check_at_least("cost", cost, 0)
        if self._pending.get(trial.trial_id) is not trial:
            raise UnknownTrialError(f"trial {trial.trial_id} is not pending", trial_id=trial.trial_id)
        del self._pending[trial.trial_id]
        self._cost += cost

    def _can_start(self) -> bool:
        if self._stop_reason is not None or not self._budget.allows(self._num_told + len(self._pending)):
            return False
        return self._is_open()

    def _update_stop_reason(self) -> None:
        if self._stop_reason is None:
            self._stop_reason = self._goal() or self._stops.reason() or self._budget.stop_reason(self.usage)
        if self._stop_reason is None and not self._pending and not self._is_open():
            self._stop_reason = StopReason.EXHAUSTED

    def _has_failed(self, node: Node[S]) -> bool:
        """Return whether ``node`` was abandoned too often in a row."""
        return self._num_abandons.get(node.node_id, 0) >= self._max_abandons

    @abstractmethod
    def _is_open(self) -> bool:
        """Return whether a trial can be started now, the budget apart."""

    @abstractmethod
    def _next_trial(self, trial_id: int) -> Trial[S]:
        """Return the next ticket; called only when open."""

    @abstractmethod
    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> Sequence[Node[S]]:
        """Add ``proposals``, back their values up, and return each one's node."""

    def _observe_cost(self, proposals: Sequence[Proposal[S]], cost: int, judging_cost: int) -> None:
        """Learn what a trial that is told has cost, before its ``proposals`` are received."""

    def _lose(self, trial: Trial[S]) -> None:
        """Handle an abandoned ``trial``, after its reservation is undone."""

    def _goal(self) -> StopReason | None:
        """Return the strategy's own reason to stop, if it is reached."""
        return None

    def _refresh(self, node: Node[S]) -> None:
        """Renew the record of nodes where trials can start, after a change at ``node``."""
