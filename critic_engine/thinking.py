"""The work between an ask and its tell: the reasoner's proposals for one node, each with the critic's judgement."""

import asyncio
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from critic_engine.config import EngineConfig
from critic_engine.errors import GenerationError
from critic_engine.parsing.answers import canonical_answer
from critic_engine.protocols import Candidate, Evaluation, Evaluator, Expander, Expansion, Place
from critic_engine.seeds import derive_seed
from critic_engine.state import NodeState, ReasoningNode, candidate_key, extend, trajectory_of
from critic_engine.store import Failure
from critic_engine.types import Critique, Problem, RejectedSibling, TokenUsage, Trajectory
from search import Proposal, Tree, Trial

# What is done for a problem outside any trial bears this number.
NO_TRIAL = -1


@dataclass(frozen=True, slots=True)
class View:
    """The tree around a trial's node as it was when the trial was asked.

    Work done again after a stop sees what it saw the first time, though siblings may have been told since.
    """

    node_id: int
    place: Place


@dataclass(frozen=True, slots=True)
class Thought:
    """What the work of one trial brought."""

    proposals: tuple[Proposal[NodeState], ...]
    num_tokens: int
    """Generated."""
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """A trajectory written to its end."""

    trajectory: Trajectory
    num_tokens: int
    """Generated."""
    failures: tuple[Failure, ...] = ()


class Thinker:
    """Does the work of one problem's trials. A model's failure becomes a count and an unknown value, never an error."""

    def __init__(self, problem: Problem, config: EngineConfig, *, expander: Expander, evaluator: Evaluator) -> None:
        """Take the problem, the knobs and the two roles."""
        self._problem = problem
        self._config = config
        self._expander = expander
        self._evaluator = evaluator
        self._judged: dict[int, dict[Hashable, tuple[float | None, Critique | None]]] = {}
        self._rejected: dict[int, list[RejectedSibling]] = {}

    def look(self, tree: Tree[NodeState], node: ReasoningNode) -> View:
        """Return what the work at ``node`` may see."""
        limit = self._config.expander.max_rejected
        rejected = self._rejected.get(node.node_id, [])
        place = Place(
            trajectory=trajectory_of(tree.path(node)),
            critique=node.state.critique,
            rejected=tuple(rejected[-limit:]) if limit else (),
        )
        return View(node.node_id, place)

    def learn(self, view: View, proposals: Iterable[Proposal[NodeState]]) -> None:
        """Remember what was told at a node: what is judged already, and what is rejected there."""
        judged = self._judged.setdefault(view.node_id, {})
        rejected = self._rejected.setdefault(view.node_id, [])
        for proposal in proposals:
            value, critique = proposal.value, proposal.state.critique
            is_new = proposal.key not in judged
            judged[proposal.key] = (value, critique)
            is_rejected = value is not None and value < self._config.evaluator.reject_below
            if is_new and is_rejected and critique is not None:
                step = self._config.expander.delimiter.join(proposal.state.steps)
                rejected.append(RejectedSibling(step=step, critique=critique))

    async def think(self, trial: Trial[NodeState], view: View) -> Thought:
        """Return the trial's proposals, each judged; none when the reasoner failed."""
        seeds = tuple(self._seed("reasoner", trial.trial_id, sample) for sample in range(trial.num_proposals))
        try:
            expansion = await self._expander.expand(self._problem, view.place, seeds=seeds)
        except GenerationError as error:
            return Thought((), 0, (Failure(trial.trial_id, "reasoner_error", str(error)),))
        return await self._judge_all(trial.trial_id, view, expansion)

    async def finish(self, trajectory: Trajectory) -> Ending:
        """Return ``trajectory`` written to its end by the reasoner, as far as it comes."""
        try:
            seed = self._seed("reasoner", NO_TRIAL, 0)
            expansion = await self._expander.finish(self._problem, trajectory, seed=seed)
        except GenerationError as error:
            return Ending(trajectory, 0, (Failure(NO_TRIAL, "reasoner_error", str(error)),))
        if expansion.candidates:
            trajectory = extend(trajectory, expansion.candidates[0])
        return Ending(trajectory, expansion.usage.generated_tokens, _unreadable(NO_TRIAL, expansion))

    async def _judge_all(self, trial_id: int, view: View, expansion: Expansion) -> Thought:
        """Judge each distinct candidate once, and those not at all that a sibling said before."""
        judged = self._judged.get(view.node_id, {})
        fresh: dict[str, Candidate] = {}
        for candidate in expansion.candidates:
            if candidate_key(candidate) not in judged:
                fresh.setdefault(candidate_key(candidate), candidate)
        base = view.place.trajectory
        judgements = await asyncio.gather(
            *(self._judge(trial_id, index, extend(base, candidate)) for index, candidate in enumerate(fresh.values()))
        )
        usage, failures = expansion.usage, _unreadable(trial_id, expansion)
        known: dict[str, tuple[float | None, Critique | None]] = {}
        for key, (evaluation, met) in zip(fresh, judgements, strict=True):
            known[key] = (evaluation.value, evaluation.critique)
            usage += evaluation.usage
            failures += met
        keyed = [(candidate_key(candidate), candidate) for candidate in expansion.candidates]
        proposals = tuple(self._proposal(each, *(known[key] if key in known else judged[key])) for key, each in keyed)
        return Thought(proposals, usage.generated_tokens, failures)

    async def _judge(self, trial_id: int, index: int, trajectory: Trajectory) -> tuple[Evaluation, tuple[Failure, ...]]:
        try:
            seed = self._seed("critic", trial_id, index)
            evaluation = await self._evaluator.evaluate(self._problem, trajectory, seed=seed)
        except GenerationError as error:
            unknown = Evaluation(value=None, critique=None, usage=TokenUsage())
            return unknown, (Failure(trial_id, "critic_error", str(error)),)
        failure = Failure(trial_id, "critic_unreadable", "no verdict in the critic's text")
        return evaluation, (failure,) * evaluation.num_unreadable

    def _proposal(self, candidate: Candidate, value: float | None, critique: Critique | None) -> Proposal[NodeState]:
        answer = candidate.answer
        return Proposal(
            state=NodeState(candidate.steps, candidate.is_rewrite, answer, critique),
            value=value,
            prior=candidate.prior,
            is_terminal=candidate.is_finished,
            key=candidate_key(candidate),
            outcome=None if answer is None else canonical_answer(answer, self._problem.choices),
        )

    def _seed(self, role: str, trial_id: int, sample: int) -> int:
        return derive_seed(self._config.run.seed, self._problem.problem_id, role, trial_id, sample)


def _unreadable(trial_id: int, expansion: Expansion) -> tuple[Failure, ...]:
    failure = Failure(trial_id, "reasoner_unreadable", "no step or solution in the reasoner's text")
    return (failure,) * expansion.num_unreadable
