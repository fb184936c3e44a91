"""One problem searched: the only loop. Ask the strategy where to think, expand, evaluate, tell."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from critic_engine.config import EngineConfig
from critic_engine.errors import GenerationError
from critic_engine.parsing.answers import canonical_answer
from critic_engine.protocols import Candidate, Evaluation, Evaluator, Expander, Expansion, Place
from critic_engine.state import (
    NodeState,
    ReasoningNode,
    candidate_key,
    decode_state,
    encode_state,
    extend,
    trajectory_of,
)
from critic_engine.store import Failure
from critic_engine.types import Answer, Critique, Problem, RejectedSibling, TokenUsage, Trajectory
from search import (
    Asked,
    BestOfN,
    BestOfNOptions,
    Budget,
    Chain,
    ChainOptions,
    Event,
    Mcts,
    Proposal,
    Strategy,
    Tree,
    Trial,
    decide,
    event_from_dict,
    event_to_dict,
    replay,
)

ReasoningTrial: TypeAlias = Trial[NodeState]


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """One proposal that was told to the tree, for whoever watches it grow."""

    node_id: int
    parent_id: int
    depth: int
    """1 for the children of the root."""
    steps: tuple[str, ...]
    """What the node adds to its parent."""
    value: float | None
    critique: Critique | None
    is_finished: bool
    answer: str | None
    is_duplicate: bool
    """Whether it said what a sibling had said already."""
    num_tokens: int
    """Generated for the problem so far."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What happened in a search since the last commit."""

    events: tuple[dict[str, Any], ...]
    """Search events as plain dicts, in order."""
    failures: tuple[Failure, ...]
    num_tokens: int
    """Generated."""


@dataclass(frozen=True, slots=True)
class _Thought:
    """The outcome of one trial's work."""

    proposals: tuple[Proposal[NodeState], ...]
    num_tokens: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _View:
    """The tree around a trial's node as it was when the trial was asked.

    Work done again after a stop sees what it saw the first time, though siblings may have been told since.
    """

    place: Place
    judged: dict[Hashable, tuple[float | None, Critique | None]]
    """Value and critique of each child, by key."""


class Episode:
    """The search of one problem: it holds the tree and hands each finished trial to ``on_commit`` before it goes on."""

    def __init__(
        self,
        problem: Problem,
        config: EngineConfig,
        *,
        expander: Expander,
        evaluator: Evaluator,
        on_commit: Callable[[Commit], None] = lambda commit: None,
        on_event: Callable[[SearchEvent], None] = lambda event: None,
    ) -> None:
        """Start a search at its root.

        Args:
            problem: What to solve.
            config: The knobs.
            expander: Asks the reasoner.
            evaluator: Asks the critic.
            on_commit: Called after each trial; when it returns, what happened is safe.
            on_event: Called for each proposal told to the tree.
        """
        self.problem = problem
        self._config = config
        self._expander = expander
        self._evaluator = evaluator
        self._on_commit = on_commit
        self._on_event = on_event
        self._events: list[Event[NodeState]] = []
        self._views: dict[int, _View] = {}
        self._strategy = self._new_strategy()
        self._strategy.record_to(self._record)

    @property
    def tree(self) -> Tree[NodeState]:
        """The tree as it stands."""
        return self._strategy.tree

    def restore(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Replay a log of this search, before ``run``, which does again what was in flight when the log ended.

        Raises:
            ReplayError: the log is of another search.
        """
        log = [event_from_dict(event, decode_state) for event in events]
        replay(self._strategy, log)
        self._events.clear()

    async def run(self, row_id: str = "") -> Answer:
        """Search until the strategy is done and return the decision. Bad model output never raises; it is counted."""
        started_s = time.perf_counter()
        failures: Counter[str] = Counter()
        tasks = {self._start(trial): trial for trial in self._strategy.pending}
        self._fill(tasks)
        try:
            while tasks:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                # One told, then one asked, in the order of the asks: equal timing gives equal trees, resumed or not.
                for task in sorted(done, key=lambda task: tasks[task].trial_id):
                    thought = task.result()
                    self._tell(tasks.pop(task), thought)
                    failures.update(failure.kind for failure in thought.failures)
                    self._fill(tasks)
        finally:
            for task in tasks:
                task.cancel()
        return self._answer(row_id, wall_s=time.perf_counter() - started_s, failures=failures)

    def _fill(self, tasks: "dict[asyncio.Task[_Thought], ReasoningTrial]") -> None:
        num_free = self._config.run.trials_in_flight - len(tasks)
        if num_free > 0:
            tasks.update((self._start(trial), trial) for trial in self._strategy.ask(num_free))

    def _start(self, trial: ReasoningTrial) -> "asyncio.Task[_Thought]":
        return asyncio.create_task(self._think(trial))

    async def _think(self, trial: ReasoningTrial) -> _Thought:
        view = self._views[trial.trial_id]
        seeds = tuple(self._seed("reasoner", trial.trial_id, sample) for sample in range(trial.num_proposals))
        try:
            expansion = await self._expander.expand(self.problem, view.place, seeds=seeds)
        except GenerationError as error:
            return _Thought((), 0, (Failure(trial.trial_id, "reasoner_error", str(error)),))
        unreadable = (Failure(trial.trial_id, "reasoner_unreadable", "no step or solution in the text"),)
        failures = unreadable * expansion.num_unreadable
        return await self._evaluate(trial, view, expansion, failures)

    async def _evaluate(
        self, trial: ReasoningTrial, view: _View, expansion: Expansion, failures: tuple[Failure, ...]
    ) -> _Thought:
        fresh: dict[str, Candidate] = {}
        for candidate in expansion.candidates:
            if candidate_key(candidate) not in view.judged:
                fresh.setdefault(candidate_key(candidate), candidate)
        base = view.place.trajectory
        judgements = await asyncio.gather(
            *(self._judge(trial, extend(base, candidate), index) for index, candidate in enumerate(fresh.values()))
        )
        judged = dict(view.judged)
        usage = expansion.usage
        for key, (evaluation, met) in zip(fresh, judgements, strict=True):
            judged[key] = (evaluation.value, evaluation.critique)
            usage += evaluation.usage
            failures += met
        proposals = tuple(self._proposal(each, *judged[candidate_key(each)]) for each in expansion.candidates)
        return _Thought(proposals, usage.generated_tokens, failures)

    async def _judge(
        self, trial: ReasoningTrial, trajectory: Trajectory, index: int
    ) -> tuple[Evaluation, tuple[Failure, ...]]:
        seed = self._seed("critic", trial.trial_id, index)
        try:
            evaluation = await self._evaluator.evaluate(self.problem, trajectory, seed=seed)
        except GenerationError as error:
            failure = Failure(trial.trial_id, "critic_error", str(error))
            return Evaluation(value=None, critique=None, usage=TokenUsage()), (failure,)
        unreadable = (Failure(trial.trial_id, "critic_unreadable", "no verdict in the text"),)
        return evaluation, unreadable * evaluation.num_unreadable

    def _record(self, event: Event[NodeState]) -> None:
        self._events.append(event)
        if isinstance(event, Asked):
            self._views[event.trial_id] = self._look(self._strategy.tree.nodes[event.node_id])

    def _look(self, node: ReasoningNode) -> _View:
        rejected = tuple(
            RejectedSibling(step=self._config.expander.delimiter.join(child.state.steps), critique=child.state.critique)
            for child in node.children
            if child.state.critique is not None and _is_rejected(child, self._config.evaluator.reject_below)
        )
        limit = self._config.expander.max_rejected
        place = Place(
            trajectory=trajectory_of(self._strategy.tree.path(node)),
            critique=node.state.critique,
            rejected=rejected[-limit:] if limit else (),
        )
        return _View(place, {child.key: (child.value, child.state.critique) for child in node.children})

    def _proposal(self, candidate: Candidate, value: float | None, critique: Critique | None) -> Proposal[NodeState]:
        answer = candidate.answer
        outcome = None if answer is None else canonical_answer(answer, self.problem.choices)
        state = NodeState(candidate.steps, candidate.is_rewrite, answer, critique)
        return Proposal(
            state=state,
            value=value,
            prior=candidate.prior,
            is_terminal=candidate.is_finished,
            key=candidate_key(candidate),
            outcome=outcome,
        )

    def _tell(self, trial: ReasoningTrial, thought: _Thought) -> None:
        del self._views[trial.trial_id]
        first_node_id = len(self._strategy.tree)
        if thought.proposals:
            self._strategy.tell(trial, thought.proposals, cost=thought.num_tokens)
        else:
            self._strategy.abandon(trial, cost=thought.num_tokens)
        events = tuple(event_to_dict(event, encode_state) for event in self._events)
        self._events.clear()
        self._on_commit(Commit(events, thought.failures, thought.num_tokens))
        nodes = {child.key: child for child in trial.node.children}
        for proposal in thought.proposals:
            self._emit(nodes[proposal.key], is_duplicate=nodes[proposal.key].node_id < first_node_id)

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
                num_tokens=self._strategy.usage.cost,
            )
        )

    def _answer(self, row_id: str, *, wall_s: float, failures: Mapping[str, int]) -> Answer:
        strategy = self._strategy
        outcome = Answer(
            id=row_id or self.problem.name,
            problem_id=self.problem.problem_id,
            answer=None,
            value=None,
            status="failed",
            stop_reason=str(strategy.stop_reason),
            num_tokens=self._strategy.usage.cost,
            num_simulations=strategy.tree.root.visit_count,
            wall_s=round(wall_s, 4),
            failures=failures,
        )
        rule, aggregation = self._config.decision.rule, self._config.decision.aggregation
        decision = decide(strategy.tree, rule, aggregation=aggregation)
        if decision is None:
            return replace(outcome, error=_why_unanswered(failures, "no path was finished"))
        steps = trajectory_of(strategy.tree.path(decision.node)).steps
        if decision.node.state.answer is None:
            return replace(outcome, steps=steps, error=_why_unanswered(failures, "no finished path holds an answer"))
        return replace(outcome, answer=decision.node.state.answer, value=decision.value, status="answered", steps=steps)

    def _seed(self, role: str, trial_id: int, sample: int) -> int:
        return derive_seed(self._config.run.seed, self.problem.problem_id, role, trial_id, sample)

    def _new_strategy(self) -> Strategy[NodeState]:
        options = self._config.strategy.options
        limits = self._config.budget
        budget = Budget(max_simulations=limits.max_simulations, max_cost=limits.max_tokens)
        rng = np.random.default_rng(derive_seed(self._config.run.seed, self.problem.problem_id, "strategy"))
        if isinstance(options, BestOfNOptions):
            return BestOfN(options, rng=rng, root=NodeState(), budget=budget)
        if isinstance(options, ChainOptions):
            return Chain(options, rng=rng, root=NodeState(), budget=budget)
        return Mcts(options, rng=rng, root=NodeState(), budget=budget)


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) that is a hash of ``parts``: the same everywhere, unrelated for unequal parts."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def _is_rejected(child: ReasoningNode, reject_below: float) -> bool:
    return child.value is not None and child.value < reject_below


def _why_unanswered(failures: Mapping[str, int], reason: str) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(failures.items()))
    return f"{reason} within the budget; raise it, or look at the failures ({counts or 'none'})"
