"""The work of a trial, between its ask and its tell: draw proposals for one node, evaluate and revise them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.engine import EngineConfig
from critic_engine.episode.node_state import NodeState, ReasoningNode, continuation_key, extend, trajectory_of
from critic_engine.episode.revision import Judged, Reviser
from critic_engine.errors import GenerationError
from critic_engine.parsing.answers import AnswerClasses
from critic_engine.protocols import (
    UNKNOWN,
    Continuation,
    Evaluation,
    Evaluator,
    Expander,
    Expansion,
    ExpansionContext,
    Rollout,
)
from critic_engine.seeds import derive_seed
from critic_engine.types import Critique, Failure, Problem, RejectedSibling, TokenUsage, Trajectory
from search import Proposal, Tree, Trial

# Trial number of work outside any trial.
NO_TRIAL = -1


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The proposals of one trial, with their cost and failures."""

    proposals: tuple[Proposal[NodeState], ...]
    usage: TokenUsage
    failures: tuple[Failure, ...] = ()
    judging: TokenUsage = field(default_factory=TokenUsage)
    """The part of ``usage`` that evaluating and revising took."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A completed trajectory, with its cost and failures."""

    trajectory: Trajectory
    usage: TokenUsage = field(default_factory=TokenUsage)
    failures: tuple[Failure, ...] = ()


class TrialRunner:
    """Runs the trials of one problem.

    A model's failure is recorded and leaves a value unknown; it never raises.
    """

    def __init__(
        self, problem: Problem, config: EngineConfig, *, expanders: Sequence[Expander], evaluator: Evaluator
    ) -> None:
        """Take the problem, the configuration, one expander for each arm of the strategy, and the evaluator."""
        self._problem = problem
        self._config = config
        self._expanders = expanders
        self._evaluator = evaluator
        self._judge_name = "critic" if config.evaluator.kind == "critic" else "evaluator"
        self._judged: dict[int, dict[Hashable, Evaluation]] = {}
        self._rejected: dict[int, list[RejectedSibling]] = {}
        self._answers = AnswerClasses(problem.question, problem.choices)
        self._asked: set[tuple[int, ExpansionContext]] = set()

    def ask_at(self, tree: Tree[NodeState], node: ReasoningNode, *, arm: int) -> ExpansionContext:
        """Return the present context of ``node``, at which the reasoner number ``arm`` is about to be asked."""
        limit = self._config.expander.max_rejected
        rejected = self._rejected.get(node.node_id, [])
        context = ExpansionContext(
            trajectory=trajectory_of(tree.path(node)),
            critique=self._critique_of(node),
            rejected=tuple(rejected[-limit:]) if limit else (),
        )
        asked = (arm, context)
        if asked in self._asked:
            return replace(context, is_repeated=True)
        self._asked.add(asked)
        return context

    def _critique_of(self, node: ReasoningNode) -> Critique | None:
        """Return the critique of a node, which may have been judged only when its words were drawn again."""
        if node.parent is None or node.state.critique is not None:
            return node.state.critique
        evaluation = self._judged.get(node.parent.node_id, {}).get(node.key)
        return None if evaluation is None else evaluation.critique

    def learn(self, node_id: int, proposals: Iterable[Proposal[NodeState]], *, is_judged: bool = True) -> None:
        """Remember the evaluations, answers and rejected siblings among the proposals told at a node.

        Without ``is_judged`` only the finished ones were evaluated.
        """
        judged = self._judged.setdefault(node_id, {})
        rejected = self._rejected.setdefault(node_id, [])
        for proposal in proposals:
            value, critique = proposal.value, proposal.state.critique
            is_new = proposal.key not in judged
            if is_judged or proposal.is_terminal:
                judged[proposal.key] = Evaluation(value, critique, TokenUsage())
            for end in (proposal, *proposal.rollouts):
                if end.state.answer is not None and isinstance(end.outcome, str):
                    self._answers.learn(end.state.answer, end.outcome)
            rejected += [each for each in proposal.state.revised_from if each not in rejected]
            is_rejected = value is not None and value < self._config.expander.reject_below
            if is_new and is_rejected and critique is not None and proposal.state.steps:
                rejected.append(RejectedSibling("\n".join(proposal.state.steps), critique))

    async def run(self, trial: Trial[NodeState], context: ExpansionContext) -> TrialResult:
        """Return the trial's proposals, evaluated and, if weak, revised; none if the reasoner failed.

        ``context`` is that of the trial's node at the time of its ask: a trial repeated after a resume sees the same,
        though siblings may have been told since.

        Each distinct continuation is evaluated once, and not at all if a sibling with the same words was, or if the
        trial asks for no judgement of what is not finished.
        """
        seeds = tuple(self._seed("reasoner", trial.trial_id, sample) for sample in range(trial.num_proposals))
        expansion, failures = await self._expand(trial, context, seeds)
        continuations, base = expansion.continuations, context.trajectory
        keys = [continuation_key(continuation, base.prefix) for continuation in continuations]
        known = self._judged.get(trial.node.node_id, {})
        fresh = {key: keys.index(key) for key in keys if key not in known}
        work = (self._judge_and_revise(trial, context, index, continuations[index]) for index in fresh.values())
        judged = dict(zip(fresh, await gather_or_cancel(work), strict=True))
        await self._answers.settle(_answers(judged.values(), continuations))
        proposals = tuple(
            self._proposal(base, judged[key] if key in judged else Judged(continuation, known[key]))
            for key, continuation in zip(keys, continuations, strict=True)
        )
        judging = sum((each.usage for each in judged.values()), TokenUsage())
        failures = sum((each.failures for each in judged.values()), failures)
        return TrialResult(proposals, expansion.usage + judging, failures, judging)

    async def finish(self, trajectory: Trajectory) -> Ending:
        """Return ``trajectory`` completed by the first reasoner; unchanged if that fails."""
        try:
            seed = self._seed("reasoner", NO_TRIAL, 0)
            expansion = await self._expanders[0].finish(self._problem, trajectory, seeds=(seed,))
        except GenerationError as error:
            return Ending(trajectory, error.usage, _error(NO_TRIAL, "reasoner", error))
        if expansion.continuations:
            trajectory = extend(trajectory, expansion.continuations[0])
        return Ending(trajectory, expansion.usage, _failures(NO_TRIAL, expansion))

    async def _expand(
        self, trial: Trial[NodeState], context: ExpansionContext, seeds: tuple[int, ...]
    ) -> tuple[Expansion, tuple[Failure, ...]]:
        try:
            expansion = await self._expanders[trial.arm].expand(self._problem, context, seeds=seeds)
        except GenerationError as error:
            return Expansion((), error.usage), _error(trial.trial_id, "reasoner", error)
        return expansion, _failures(trial.trial_id, expansion)

    async def _judge_and_revise(
        self, trial: Trial[NodeState], context: ExpansionContext, index: int, continuation: Continuation
    ) -> Judged:
        """Return the trial's continuation number ``index``, evaluated and revised."""
        if not (trial.is_judged or continuation.is_finished):
            return Judged(continuation, UNKNOWN)
        base = context.trajectory

        async def rewrite(shown: ExpansionContext, attempt: int) -> tuple[Expansion, tuple[Failure, ...]]:
            return await self._expand(trial, shown, (self._seed("reasoner", trial.trial_id, index, attempt),))

        async def judge(rewritten: Continuation, attempt: int) -> Judged:
            known = self._judged.get(trial.node.node_id, {}).get(continuation_key(rewritten, base.prefix))
            if known is not None:
                return Judged(rewritten, known)
            seed = self._seed("critic", trial.trial_id, index, attempt)
            return await self._judge(trial.trial_id, base, rewritten, seed=seed)

        seed = self._seed("critic", trial.trial_id, index)
        judged = await self._judge(trial.trial_id, base, continuation, seed=seed)
        return await Reviser(self._config.expander, rewrite=rewrite, judge=judge).revise(judged, context)

    async def _judge(self, trial_id: int, base: Trajectory, continuation: Continuation, *, seed: int) -> Judged:
        try:
            evaluation = await self._evaluator.evaluate(self._problem, extend(base, continuation), seed=seed)
        except GenerationError as error:
            return Judged(continuation, UNKNOWN, error.usage, _error(trial_id, self._judge_name, error))
        num_unknown = evaluation.num_unreadable - len(evaluation.unreadable)
        reasons = evaluation.unreadable + ("the text of a critique or verdict could not be read",) * num_unknown
        failures = tuple(Failure(trial_id, f"{self._judge_name}_unreadable", reason) for reason in reasons)
        failures += tuple(Failure(trial_id, f"{self._judge_name}_error", error) for error in evaluation.errors)
        failures += _retries(trial_id, self._judge_name, evaluation.usage)
        return Judged(continuation, evaluation, evaluation.usage, failures)

    def _proposal(self, base: Trajectory, judged: Judged) -> Proposal[NodeState]:
        continuation, evaluation = judged.continuation, judged.evaluation
        behind = extend(base, continuation).prefix
        return Proposal(
            state=_state(continuation, evaluation.critique, judged.revised_from),
            value=evaluation.value,
            prior=continuation.prior,
            is_terminal=continuation.is_finished,
            key=continuation_key(continuation, base.prefix),
            outcome=self._outcome(continuation.answer),
            rollouts=tuple(self._rollout(behind, rollout) for rollout in evaluation.rollouts),
        )

    def _rollout(self, behind: str, rollout: Rollout) -> Proposal[NodeState]:
        continuation = rollout.continuation
        return Proposal(
            state=_state(continuation),
            value=rollout.value,
            prior=continuation.prior,
            is_terminal=True,
            key=continuation_key(continuation, behind),
            outcome=self._outcome(continuation.answer),
        )

    def _outcome(self, answer: str | None) -> str | None:
        return None if answer is None else self._answers.key(answer)

    def _seed(self, role: str, trial_id: int, *sample_and_try: int) -> int:
        return derive_seed(self._config.run.seed, self._problem.problem_id, role, trial_id, *sample_and_try)


def _answers(judged: Iterable[Judged], continuations: Iterable[Continuation]) -> list[str]:
    """Return every answer among the continuations, revised ones and rollouts included."""
    ends = [*continuations]
    for each in judged:
        ends += [each.continuation, *(rollout.continuation for rollout in each.evaluation.rollouts)]
    return [end.answer for end in ends if end.answer is not None]


def _state(
    continuation: Continuation, critique: Critique | None = None, revised_from: tuple[RejectedSibling, ...] = ()
) -> NodeState:
    return NodeState(
        steps=continuation.steps,
        is_rewrite=continuation.is_rewrite,
        answer=continuation.answer,
        critique=critique,
        texts=continuation.texts,
        num_tokens=continuation.num_tokens,
        revised_from=revised_from,
    )


def _failures(trial_id: int, expansion: Expansion) -> tuple[Failure, ...]:
    reason = "no step or solution in the reasoner's text"
    # What its length cut counts as that alone.
    num_unreadable = expansion.num_unreadable - expansion.num_cut
    unreadable = (Failure(trial_id, "reasoner_unreadable", reason),) * num_unreadable
    cuts = tuple(Failure(trial_id, "reasoner_cut", reason) for reason in expansion.cut_reasons)
    return unreadable + cuts + _retries(trial_id, "reasoner", expansion.usage)


def _error(trial_id: int, who: str, error: GenerationError) -> tuple[Failure, ...]:
    return (*_retries(trial_id, who, error.usage), Failure(trial_id, f"{who}_error", str(error)))


def _retries(trial_id: int, who: str, usage: TokenUsage) -> tuple[Failure, ...]:
    reason = "a request failed and was retried"
    return (Failure(trial_id, f"{who}_retried", reason),) * usage.num_retries
