"""Evaluators by rollouts: they complete a trajectory several times and value it by the answers."""

from collections import Counter
from dataclasses import dataclass, replace

from critic_engine.parsing.answers import AnswerClasses
from critic_engine.protocols import UNKNOWN, Continuation, Evaluation, Expander, Expansion, Rollout
from critic_engine.roles.checker import Checker
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class ReferenceEvaluator:
    """Values a trajectory by the share of its completions with a right answer: MMC, arXiv 2504.11009, figure 2.

    A completion without an answer is wrong, and counts as unreadable too. A completion that cannot be checked has no
    value and is left out of the share. A finished trajectory is 1 or 0 by its own answer.
    """

    expander: Expander
    checker: Checker
    num_rollouts: int

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the share; unknown if the problem, or every answer of the completions, cannot be checked.

        Raises:
            GenerationError: the completions could not be drawn.
        """
        if self.checker.objection(problem) is not None:
            return UNKNOWN
        if trajectory.is_finished:
            await self.checker.settle(problem, [trajectory.answer])
            return Evaluation(self._value(problem, trajectory.answer), None, TokenUsage())
        expansion = await _complete(self.expander, problem, trajectory, num_rollouts=self.num_rollouts, seed=seed)
        await self.checker.settle(problem, (continuation.answer for continuation in expansion.continuations))
        rollouts = tuple(
            Rollout(continuation, self._value(problem, continuation.answer)) for continuation in expansion.continuations
        )
        known = [rollout.value for rollout in rollouts if rollout.value is not None]
        value = sum(known) / (len(known) + expansion.num_unreadable) if known else None
        return _evaluation(value, expansion, rollouts)

    def _value(self, problem: Problem, answer: str | None) -> float | None:
        is_right = self.checker.is_right(problem, answer)
        return None if is_right is None else float(is_right)


@dataclass(frozen=True, slots=True)
class AgreementEvaluator:
    """Values a trajectory by the share of its completions that agree on the commonest answer.

    The value of a finished trajectory is the share of its own answer among completions from before its last step: the
    reward of rStar (arXiv 2408.06195), read at the last node where the path could have ended otherwise. Answers that
    mean the same are one. A completion without an answer agrees with none, and counts as unreadable too.
    """

    expander: Expander
    num_rollouts: int
    """At least 2."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the share; unknown if fewer than 2 completions answer, or a finished trajectory has no answer.

        Raises:
            GenerationError: the completions could not be drawn.
        """
        if trajectory.is_finished and trajectory.answer is None:
            return UNKNOWN
        base = trajectory.before_last_step if trajectory.is_finished else trajectory
        expansion = await _complete(self.expander, problem, base, num_rollouts=self.num_rollouts, seed=seed)
        answers = [*(each.answer for each in expansion.continuations), trajectory.answer]
        classes = AnswerClasses(problem.question, problem.choices)
        await classes.settle([answer for answer in answers if answer is not None])
        shares = _shares(expansion, classes)
        rollouts = tuple(Rollout(each, _share_of(each, shares, classes)) for each in expansion.continuations)
        if trajectory.answer is None:
            return _evaluation(max(shares.values(), default=None), expansion, rollouts)
        value = shares.get(classes.key(trajectory.answer), 0.0) if shares else None
        # These completions begin before the end of the path, so they are not rollouts of it.
        return replace(_evaluation(value, expansion, rollouts), rollouts=())


async def _complete(
    expander: Expander, problem: Problem, trajectory: Trajectory, *, num_rollouts: int, seed: int
) -> Expansion:
    seeds = tuple(derive_seed(seed, "rollout", number) for number in range(num_rollouts))
    return await expander.finish(problem, trajectory, seeds=seeds)


def _shares(expansion: Expansion, classes: AnswerClasses) -> dict[str, float]:
    """Return the share of each class of answers among all completions drawn; empty with fewer than 2 answers."""
    answers = [continuation.answer for continuation in expansion.continuations if continuation.answer is not None]
    counts = Counter(map(classes.key, answers))
    num_drawn = len(expansion.continuations) + expansion.num_unreadable
    return {key: count / num_drawn for key, count in counts.items()} if len(answers) >= 2 else {}


def _share_of(continuation: Continuation, shares: dict[str, float], classes: AnswerClasses) -> float | None:
    return None if continuation.answer is None else shares.get(classes.key(continuation.answer))


def _evaluation(value: float | None, expansion: Expansion, rollouts: tuple[Rollout, ...]) -> Evaluation:
    num_unanswered = sum(rollout.continuation.answer is None for rollout in rollouts)
    num_unreadable = expansion.num_unreadable + num_unanswered
    others = ("a completion states no answer",) * (num_unreadable - len(expansion.cut_by))
    return Evaluation(
        value,
        None,
        expansion.usage,
        num_unreadable=num_unreadable,
        rollouts=rollouts,
        unreadable=expansion.cut_reasons + others,
    )
