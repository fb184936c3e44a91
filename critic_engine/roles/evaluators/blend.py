"""The evaluator that averages the values of others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from critic_engine.concurrency import gather_or_cancel
from critic_engine.errors import GenerationError
from critic_engine.protocols import Evaluation, Evaluator
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class BlendEvaluator:
    """Gives the weighted mean of its parts' values, and the words of the first part that has any.

    A part with an unknown value is left out of the mean; so is a part that fails, but its error is kept. Rollouts that
    a part drew are kept as paths without a value.
    """

    parts: Sequence[tuple[float, Evaluator]]
    """Each with its positive weight."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the blend of the parts, evaluated concurrently; unknown if no part has a value.

        Raises:
            GenerationError: every part failed; it is the first part's error, with the usage of all.
        """
        outcomes = await gather_or_cancel(
            _outcome(part, problem, trajectory, seed=derive_seed(seed, "part", index))
            for index, (_, part) in enumerate(self.parts)
        )
        errors = [outcome for outcome in outcomes if isinstance(outcome, GenerationError)]
        if len(errors) == len(outcomes):
            raise errors[0].with_usage(_spent(errors)) from errors[0]
        known = [
            (weight, evaluation)
            for (weight, _), evaluation in zip(self.parts, outcomes, strict=True)
            if isinstance(evaluation, Evaluation)
        ]
        return _blend(known, errors)


async def _outcome(
    part: Evaluator, problem: Problem, trajectory: Trajectory, *, seed: int
) -> Evaluation | GenerationError:
    try:
        return await part.evaluate(problem, trajectory, seed=seed)
    except GenerationError as error:
        return error


def _blend(parts: Sequence[tuple[float, Evaluation]], errors: Sequence[GenerationError]) -> Evaluation:
    evaluations = [evaluation for _, evaluation in parts]
    critiques = (evaluation.critique for evaluation in evaluations if evaluation.critique is not None)
    return Evaluation(
        value=_mean([(weight, evaluation.value) for weight, evaluation in parts if evaluation.value is not None]),
        critique=next(critiques, None),
        usage=sum((evaluation.usage for evaluation in evaluations), _spent(errors)),
        num_unreadable=sum(evaluation.num_unreadable for evaluation in evaluations),
        # One part's value of a rollout is no blend, so it does not compare with the values of nodes.
        rollouts=tuple(replace(rollout, value=None) for evaluation in evaluations for rollout in evaluation.rollouts),
        errors=tuple(map(str, errors)),
        unreadable=tuple(reason for evaluation in evaluations for reason in evaluation.unreadable),
    )


def _spent(errors: Sequence[GenerationError]) -> TokenUsage:
    return sum((error.usage for error in errors), TokenUsage())


def _mean(values: Sequence[tuple[float, float]]) -> float | None:
    """Return ``sum(w * v) / sum(w)``, clipped to the range of the values against rounding; None without values."""
    if not values:
        return None
    mean = sum(weight * value for weight, value in values) / sum(weight for weight, _ in values)
    return min(max(mean, min(value for _, value in values)), max(value for _, value in values))
