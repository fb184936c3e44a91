"""Judging of labelled solutions. The critic is given no reference answer; rewrites and rollouts are checked by one."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.critique_lift import DrawCounts
from critic_engine.errors import GenerationError
from critic_engine.evaluation.critic_card.card_options import CardOptions, split_as
from critic_engine.evaluation.critic_card.judgement_log import (
    CriticJudgement,
    JudgedPlace,
    JudgedSolution,
    RepeatedJudgement,
    RewriteOutcomes,
    plain_text,
    plain_texts,
)
from critic_engine.evaluation.critic_card.labelled_solutions import LabelledSolution, SolvedProblem
from critic_engine.evaluation.critic_card.rewordings import rewordings_of
from critic_engine.protocols import Evaluation, Evaluator, Expansion
from critic_engine.roles.checker import Checker
from critic_engine.roles.evaluators.rollouts import ReferenceEvaluator
from critic_engine.roles.expanders import StepExpander
from critic_engine.roles.reasoner import Reasoner
from critic_engine.seeds import derive_seed
from critic_engine.types import Critique, Problem, TokenUsage, Trajectory

_NUM_PLACES = 3


@dataclass(slots=True)
class _Spent:
    """What the judging of one solution has cost, and the failures on the way."""

    critic: TokenUsage = field(default_factory=TokenUsage)
    reasoner: TokenUsage = field(default_factory=TokenUsage)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionJudge:
    """Judges solutions. It holds reference answers for rewrites and rollouts; the evaluators hold none."""

    evaluator: Evaluator
    """The critic or the reward model."""
    greedy: Evaluator | None
    """The critic at temperature 0; None if its own temperature is 0, or for a reward model."""
    family: str
    """The name of its prompt family."""
    reasoner: Reasoner | None
    """Rewrites and completes solutions; None if it is not asked."""
    expander: ExpanderConfig
    """How the solutions are split into steps."""
    checker: Checker
    options: CardOptions
    seed: int

    async def judge(self, solved: SolvedProblem, number: int, *, is_checked: bool) -> JudgedSolution:
        """Return the judgements of the problem's solution of this number; a model's failure is recorded in them.

        Raises:
            ReplicaLostError: a model is lost for good.
        """
        solution, spent = solved.solutions[number], _Spent()
        asked = _Asked(solved.problem, solution, self.seed, spent)
        evaluation, judgement = await asked.by(self.evaluator, "first")
        repeats: tuple[RepeatedJudgement, ...] = ()
        places: tuple[JudgedPlace, ...] = ()
        rewrites = None
        if is_checked:
            repeats = await self._repeats(asked)
            critique = None if evaluation is None else evaluation.critique
            if critique is not None and self.options.num_rewrites:
                rewrites = await self._rewrites(asked, critique)
            places = await self._places(asked) if self.options.num_rollouts else ()
        truth = solution.step_truth
        return JudgedSolution(
            position=solved.position,
            solution=number,
            id=plain_text(solved.problem.name),
            problem_id=solved.problem.problem_id,
            num_drawn=solution.num_drawn,
            steps=plain_texts(solution.trajectory.steps),
            answer=None if solution.trajectory.answer is None else plain_text(solution.trajectory.answer),
            is_answer_right=solution.is_answer_right,
            are_steps_right=None if truth is None else truth.first_wrong_step is None,
            labelled_first_wrong_step=None if truth is None else truth.first_wrong_step,
            judgement=judgement,
            is_checked=is_checked,
            repeats=repeats,
            rewrites=rewrites,
            places=places,
            failures=plain_texts(spent.failures),
            critic_prompt_tokens=spent.critic.prompt_tokens,
            critic_tokens=spent.critic.generated_tokens,
            reasoner_tokens=spent.reasoner.generated_tokens,
        )

    async def _repeats(self, asked: "_Asked") -> tuple[RepeatedJudgement, ...]:
        trajectory = asked.solution.trajectory
        plan = [("again", self.evaluator, trajectory)]
        if self.greedy is not None:
            plan += [("greedy", self.greedy, trajectory), ("greedy again", self.greedy, trajectory)]
        for name, steps in rewordings_of(trajectory.steps, self.family).items():
            plan.append((name, self.evaluator, Trajectory(steps, True, trajectory.answer)))
        # Rewordings keep the seed of the first judgement, so that nothing but the words differs.
        seeds = {name: "first" for name, _, other in plan if other is not trajectory}
        found = await gather_or_cancel(
            asked.by(evaluator, seeds.get(name, name), shown=shown) for name, evaluator, shown in plan
        )
        return tuple(RepeatedJudgement(name, judged) for (name, _, _), (_, judged) in zip(plan, found, strict=True))

    async def _rewrites(self, asked: "_Asked", critique: Critique) -> RewriteOutcomes | None:
        """Return the outcomes of rewrites with a critique and of fresh solutions, or None if either failed."""
        reasoner, problem = self._reasoner(), asked.problem
        seeds = tuple(asked.seed_of("rewrite", number) for number in range(self.options.num_rewrites))
        options = split_as(self.expander, "solution")
        try:
            rewritten, fresh = await gather_or_cancel(
                [
                    reasoner.rewrite(
                        problem, asked.solution.trajectory, critique, base=Trajectory(), seeds=seeds, options=options
                    ),
                    reasoner.solve(problem, seeds=seeds, options=options),
                ]
            )
        except GenerationError as error:
            asked.spent.reasoner += error.usage
            asked.spent.failures.append(f"rewrite: {error}")
            return None
        asked.spent.reasoner += rewritten.usage + fresh.usage
        return RewriteOutcomes(await self._counts(problem, rewritten), await self._counts(problem, fresh))

    async def _counts(self, problem: Problem, expansion: Expansion) -> DrawCounts:
        answers = [each.answer for each in expansion.continuations]
        await self.checker.settle(problem, answers)
        verdicts = [self.checker.is_right(problem, answer) for answer in answers]
        return DrawCounts(
            num_right=verdicts.count(True),
            num_wrong=verdicts.count(False) + expansion.num_unreadable,
            num_unsure=verdicts.count(None),
        )

    async def _places(self, asked: "_Asked") -> tuple[JudgedPlace, ...]:
        completing = StepExpander(self._reasoner(), split_as(self.expander, "step"))
        rollouts = ReferenceEvaluator(completing, self.checker, self.options.num_rollouts)
        return tuple(await gather_or_cancel(self._place(asked, rollouts, num) for num in _places(asked.solution)))

    async def _place(self, asked: "_Asked", rollouts: ReferenceEvaluator, num_steps: int) -> JudgedPlace:
        whole = asked.solution.trajectory
        begun = Trajectory(whole.steps[:num_steps], texts=whole.exact_texts[:num_steps])
        _, judged = await asked.by(self.evaluator, f"place {num_steps}", shown=begun)
        share = None
        try:
            seed = asked.seed_of("rollouts", num_steps)
            found = await rollouts.evaluate(asked.problem, begun, seed=seed)
            share, asked.spent.reasoner = found.value, asked.spent.reasoner + found.usage
        except GenerationError as error:
            asked.spent.reasoner += error.usage
            asked.spent.failures.append(f"rollouts after step {num_steps}: {error}")
        return JudgedPlace(num_steps, judged.value, share)

    def _reasoner(self) -> Reasoner:
        if self.reasoner is None:
            raise ValueError("reasoner is None; rewrites and rollouts need one")
        return self.reasoner


@dataclass(frozen=True, slots=True)
class _Asked:
    """One solution and the costs of all that is asked about it."""

    problem: Problem
    solution: LabelledSolution
    seed: int
    spent: _Spent

    def seed_of(self, *purpose: int | str) -> int:
        """Return the seed of one request about this solution."""
        return derive_seed(self.seed, self.problem.problem_id, *self.solution.trajectory.steps, *purpose)

    async def by(
        self, evaluator: Evaluator, purpose: str, *, shown: Trajectory | None = None
    ) -> tuple[Evaluation | None, CriticJudgement]:
        """Return the evaluation of the solution, or of ``shown`` in its place; None if the model failed."""
        trajectory = self.solution.trajectory if shown is None else shown
        try:
            evaluation = await evaluator.evaluate(self.problem, trajectory, seed=self.seed_of("judge", purpose))
        except GenerationError as error:
            self.spent.critic += error.usage
            return None, CriticJudgement(failure=plain_text(str(error)))
        self.spent.critic += evaluation.usage
        return evaluation, _judgement(evaluation)


def checked_positions(num_rows: int, options: CardOptions, *, seed: int) -> frozenset[int]:
    """Return the rows of which one solution is checked, chosen at random by the seed."""
    num = min(num_rows, options.num_checked)
    return frozenset(random.Random(derive_seed(seed, "checked")).sample(range(num_rows), num))


def _judgement(evaluation: Evaluation) -> CriticJudgement:
    critique, value = evaluation.critique, evaluation.value
    if critique is not None:
        words = plain_text(critique.whole)
        return CriticJudgement(value, critique.verdict, critique.first_wrong_step, words)
    if value is not None:
        return CriticJudgement(value, "right" if value >= 0.5 else "wrong")
    reasons = evaluation.unreadable or evaluation.errors or ("the text could not be read",)
    return CriticJudgement(failure=plain_text(reasons[-1]), is_unreadable=not evaluation.errors)


def _places(solution: LabelledSolution) -> Sequence[int]:
    """Return up to three numbers of first steps, spread evenly over a solution without its end."""
    num_inner = len(solution.trajectory.steps) - 1
    return sorted(set(_spread(num_inner)))


def _spread(num_inner: int) -> Iterator[int]:
    for place in range(1, _NUM_PLACES + 1):
        num_steps = round(place * num_inner / (_NUM_PLACES + 1) + 0.5)
        if 1 <= num_steps <= num_inner:
            yield num_steps
