"""The only search loop: ask the strategy for trials, expand, evaluate, tell."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from critic_engine.config.engine import EngineConfig
from critic_engine.config.gate import CRITIC_GATED, gate_reason
from critic_engine.episode.logged_usage import log_usage, logged_usage
from critic_engine.episode.node_state import NodeState, ReasoningNode, decode_state, encode_state, trajectory_of
from critic_engine.episode.solution_budget import SolutionBudget, too_small
from critic_engine.episode.strategy_factory import make_strategy
from critic_engine.episode.trial import NO_TRIAL, Ending, TrialResult, TrialRunner
from critic_engine.protocols import Evaluator, Expander, ExpansionContext
from critic_engine.types import Answer, Critique, Failure, Problem, TokenUsage, Trajectory
from search import (
    Asked,
    Event,
    Stopped,
    StopReason,
    Told,
    Tree,
    Trial,
    event_from_dict,
    event_to_dict,
    replay,
)

ReasoningTrial: TypeAlias = Trial[NodeState]
# Limits that leave no time to complete the best path, and the option that sets each.
_CUTS = {
    StopReason.SECONDS: "budget.max_wall_s",
    StopReason.RUN_TOKENS: "run.max_tokens",
    StopReason.RUN_SECONDS: "run.max_wall_s",
}


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """One proposal told to the tree, as reported to ``on_event``."""

    node_id: int
    parent_id: int
    depth: int
    """1 for the children of the root."""
    steps: tuple[str, ...]
    """Steps that the node adds to its parent's."""
    value: float | None
    critique: Critique | None
    is_finished: bool
    answer: str | None
    is_duplicate: bool
    """Whether a sibling has the same words."""
    num_tokens: int
    """Tokens generated for the problem so far."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Events and failures of a search since the last commit."""

    events: tuple[dict[str, Any], ...]
    """Search events as plain dicts, in order."""
    failures: tuple[Failure, ...]
    usage: TokenUsage = field(default_factory=TokenUsage)


class Episode:
    """The search of one problem: it holds the tree and passes each finished trial to ``on_commit``."""

    def __init__(
        self,
        problem: Problem,
        config: EngineConfig,
        *,
        expanders: Sequence[Expander],
        evaluator: Evaluator,
        row_id: str = "",
        max_tokens: int | None = None,
        on_commit: Callable[[Commit], None] = lambda commit: None,
        on_event: Callable[[SearchEvent], None] = lambda event: None,
    ) -> None:
        """Start a search at its root.

        Args:
            problem: The problem.
            config: The configuration.
            expanders: One for each arm of the strategy, in order.
            evaluator: Values trajectories.
            row_id: The id in the answer; the problem's name unless given.
            max_tokens: A limit on its tokens besides that of the budget.
            on_commit: Called after each trial, before the search continues; must store the commit.
            on_event: Called for each proposal told to the tree.
        """
        self.problem = problem
        self._row_id = row_id or problem.name
        self._config = config
        self._trials = TrialRunner(problem, config, expanders=expanders, evaluator=evaluator)
        self._on_commit = on_commit
        self._on_event = on_event
        self._events: list[Event[NodeState]] = []
        self._failures: list[Failure] = []
        self._usage = TokenUsage()
        # The ask of each pending trial, and the context of its node at that time.
        self._asked: dict[int, tuple[Asked, ExpansionContext]] = {}
        # A strategy counts in the unit of the budget: where prompts have a weight, that is not generated tokens.
        self._max_tokens = max_tokens if config.budget.prompt_weight else None
        of_strategy = None if config.budget.prompt_weight else max_tokens
        self._strategy = make_strategy(config, problem.problem_id, max_tokens=of_strategy)
        self._measured = SolutionBudget(max_tokens=config.reasoner.max_tokens)
        self._strategy.record_to(self._record)
        self._wake: asyncio.Future[None] | None = None
        self._cut_reason: StopReason | None = None

    @property
    def tree(self) -> Tree[NodeState]:
        """The current tree."""
        return self._strategy.tree

    def restore(self, events: Sequence[Mapping[str, Any]], failures: Sequence[Failure] = ()) -> None:
        """Replay a log of this search before ``run``, which repeats the trials that were pending at its end.

        Args:
            events: The committed events, in order.
            failures: The committed failures.

        Raises:
            ReplayError: the log belongs to another search.
        """
        log = [event_from_dict(event, decode_state) for event in events]
        replay(self._strategy, log)
        self._measured.observe((*self.tree.nodes, *self.tree.rollouts))
        self._events.clear()
        self._failures = list(failures)
        self._usage = logged_usage(events)

    async def run(self) -> Answer:
        """Search until the strategy is done or the search is cut, and decide.

        Bad model output never raises; it is recorded.
        """
        self._started_s = time.perf_counter()
        self._wake = asyncio.get_running_loop().create_future()
        self._note_gate()
        tasks: dict[asyncio.Task[TrialResult], ReasoningTrial] = {}
        if self._stop_reason not in _CUTS:
            tasks.update((self._start(trial), trial) for trial in self._strategy.pending)
            self._fill(tasks)
        try:
            while tasks and self._stop_reason not in _CUTS:
                waited: set[asyncio.Future[Any]] = {*tasks, self._wake}
                done, _ = await asyncio.wait(waited, timeout=self._left_s(), return_when=asyncio.FIRST_COMPLETED)
                # One told, then one asked, in the order of the asks: equal timing gives equal trees, resumed or not.
                for task in [task for task in tasks if task in done]:
                    result = task.result()
                    self._tell(tasks.pop(task), result)
                    self._fill(tasks)
                if self._left_s() == 0:
                    self.cut(StopReason.SECONDS)
        finally:
            for task in tasks:
                task.cancel()
        if self._cut_reason is StopReason.SECONDS:
            # The tokens that these trials generated so far are unknown and not counted.
            for trial in tasks.values():
                self._strategy.abandon(trial)
            if self._events:
                self._commit(())
        value, ending = await self._decide()
        has_prompts = self._config.budget.prompt_weight > 0
        if (failure := too_small(self._strategy, ending.trajectory, has_prompts=has_prompts)) is not None:
            self._commit((failure,))
        return self._answer(value, ending)

    def cut(self, reason: StopReason) -> None:
        """End the search now without its trials in flight; ``run`` returns the best answer found so far.

        ``SECONDS`` stops the search for good and is logged. A limit of the run is not logged, so a resumed run
        continues the search; it does not cut a search that is done.
        """
        if reason is not StopReason.SECONDS and self._strategy.is_done:
            return
        if self._cut_reason is None:
            self._cut_reason = reason
            if reason is StopReason.SECONDS:
                self._strategy.stop(reason)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _note_gate(self) -> None:
        """Record once, whoever continues the search, that its critic does not steer."""
        reason = gate_reason(self._config.critic)
        if reason is not None and all(failure.kind != CRITIC_GATED for failure in self._failures):
            self._commit((Failure(NO_TRIAL, CRITIC_GATED, f"{reason}: the critic does not steer"),))

    def _left_s(self) -> float | None:
        limit_s = self._config.budget.max_wall_s
        return None if limit_s is None else max(0.0, self._started_s + limit_s - time.perf_counter())

    def _fill(self, tasks: "dict[asyncio.Task[TrialResult], ReasoningTrial]") -> None:
        num_free = self._config.run.trials_in_flight - len(tasks)
        if num_free > 0:
            tasks.update((self._start(trial), trial) for trial in self._strategy.ask(num_free))

    def _start(self, trial: ReasoningTrial) -> "asyncio.Task[TrialResult]":
        _, context = self._asked[trial.trial_id]
        return asyncio.create_task(self._trials.run(trial, context))

    def _record(self, event: Event[NodeState]) -> None:
        self._events.append(event)
        if isinstance(event, Stopped):
            return
        if isinstance(event, Asked):
            context = self._trials.ask_at(self.tree, self.tree.nodes[event.node_id], arm=event.arm)
            self._asked[event.trial_id] = event, context
            return
        asked, _ = self._asked.pop(event.trial_id)
        if isinstance(event, Told):
            self._trials.learn(asked.node_id, event.proposals, is_judged=asked.is_judged)
        else:
            self._measured.observe_lost(event.cost // asked.num_proposals)

    def _tell(self, trial: ReasoningTrial, result: TrialResult) -> None:
        first_node_id, num_rollouts = len(self.tree), len(self.tree.rollouts)
        cost = self._config.budget.cost(result.usage)
        if result.proposals:
            judging_cost = self._config.budget.cost(result.judging)
            self._strategy.tell(trial, result.proposals, cost=cost, judging_cost=min(judging_cost, cost))
        else:
            self._strategy.abandon(trial, cost=cost)
        self._measured.observe((*self.tree.nodes[first_node_id:], *self.tree.rollouts[num_rollouts:]))
        self._stop_if_spent(result.usage.generated_tokens)
        self._commit(result.failures, result.usage)
        nodes = {child.key: child for child in trial.node.children}
        for proposal in result.proposals:
            self._emit(nodes[proposal.key], is_duplicate=nodes[proposal.key].node_id < first_node_id)

    def _stop_if_spent(self, num_tokens: int) -> None:
        """Stop a search that has spent what the strategy does not count, in the commit of a trial of ``num_tokens``."""
        if self._max_tokens is not None and self._usage.generated_tokens + num_tokens >= self._max_tokens:
            self._strategy.stop(StopReason.COST)
        num_solutions = None if self._config.reasoner.is_pocket else self._config.budget.num_solutions
        if num_solutions is not None and self._strategy.usage.cost >= self._measured.limit(num_solutions):
            self._strategy.stop(StopReason.COST)

    def _commit(self, failures: tuple[Failure, ...], usage: TokenUsage | None = None) -> None:
        events = tuple(event_to_dict(event, encode_state) for event in self._events)
        self._events.clear()
        self._failures.extend(failures)
        if usage is not None:
            self._usage += usage
            log_usage(events, usage)
        self._on_commit(Commit(events, failures, usage or TokenUsage()))

    def _emit(self, node: ReasoningNode, *, is_duplicate: bool) -> None:
        self._on_event(
            SearchEvent(
                node_id=node.node_id,
                parent_id=-1 if node.parent is None else node.parent.node_id,
                depth=node.depth,
                steps=node.state.steps,
                value=node.value,
                critique=node.state.critique,
                is_finished=node.is_terminal,
                answer=node.state.answer,
                is_duplicate=is_duplicate,
                num_tokens=self._usage.generated_tokens,
            )
        )

    async def _decide(self) -> tuple[float | None, Ending]:
        """Return the value and path that the decision rule chooses; without finished paths, complete the best one."""
        decision = self._config.decision.decide(self.tree)
        if decision is not None:
            return decision.value, Ending(trajectory_of(self.tree.path(decision.node)))
        if self._stop_reason in _CUTS:
            return None, Ending(Trajectory())
        leaf = max(
            self.tree.nodes, key=lambda node: (-1 if node.value is None else node.value, node.depth, -node.node_id)
        )
        ending = await self._trials.finish(trajectory_of(self.tree.path(leaf)))
        self._commit(ending.failures, ending.usage)
        return None, ending

    def _answer(self, value: float | None, ending: Ending) -> Answer:
        answer = ending.trajectory.answer
        return Answer(
            id=self._row_id,
            problem_id=self.problem.problem_id,
            answer=answer,
            value=None if answer is None else value,
            status="failed" if answer is None else "answered",
            stop_reason="tokens" if self._stop_reason is StopReason.COST else str(self._stop_reason),
            num_tokens=self._usage.generated_tokens,
            num_simulations=self.tree.root.visit_count,
            wall_s=round(time.perf_counter() - self._started_s, 4),
            error=None if answer is not None else self._why_unanswered(),
            steps=ending.trajectory.steps,
            failures=dict(Counter(failure.kind for failure in self._failures)),
            prompt_tokens=self._usage.prompt_tokens,
            cached_tokens=self._usage.cached_tokens,
            num_requests=self._usage.num_requests,
            critic_tokens=self._usage.critic_generated_tokens,
            critic_prompt_tokens=self._usage.critic_prompt_tokens,
            critic_cached_tokens=self._usage.critic_cached_tokens,
        )

    @property
    def _stop_reason(self) -> StopReason | None:
        return self._cut_reason or self._strategy.stop_reason

    def _why_unanswered(self) -> str:
        failures = [failure for failure in self._failures if failure.kind != CRITIC_GATED]
        if failures:
            counts = Counter(failure.kind for failure in failures)
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
            # A text that was cut is the likeliest cause.
            cuts = [failure for failure in failures if failure.kind == "reasoner_cut"]
            last = (cuts or failures)[-1]
            return f"no path ends in an answer ({kinds}); the last failure: {last.reason}"
        if self._stop_reason in _CUTS:
            return f"no path had ended when the search was cut; raise {_CUTS[self._stop_reason]}"
        if self._strategy.stop_reason in (StopReason.COST, StopReason.SIMULATIONS):
            return "no path ends in an answer within the budget; raise it, or check reasoner.prompts"
        max_steps = self._config.expander.max_steps
        if self._config.expander.kind == "step" and any(node.depth >= max_steps for node in self.tree.nodes):
            return f"no path ends in an answer within {max_steps} steps; raise expander.max_steps"
        return "no path ends in an answer; check that reasoner.prompts ask for a last line `answer: X`"
