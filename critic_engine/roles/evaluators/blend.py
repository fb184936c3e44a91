"""The evaluator that blends the values of others."""

from collections.abc import Sequence
from dataclasses import replace

from critic_engine.concurrency import gather_or_cancel
from critic_engine.errors import GenerationError
from critic_engine.protocols import Evaluation, Evaluator
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory


class BlendEvaluator:
    """Gives the weighted mean of its parts' values, and the words of the first part that has any.

    A part whose value is unknown is left out of the mean; so is one that fails, whose error is kept. Completions that a
    part drew take part as paths without a value.
    """

    def __init__(self, parts: Sequence[tuple[float, Evaluator]]) -> None:
        """Take each part with its weight, which is positive."""
        self._parts = tuple(parts)

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the blend of what the parts say, who work side by side; unknown when none has a value.

        Raises:
            GenerationError: every part failed; the first one's.
        """
        outcomes = await gather_or_cancel(
            _outcome(part, problem, trajectory, seed=derive_seed(seed, "part", index))
            for index, (_, part) in enumerate(self._parts)
        )
        errors = [outcome for outcome in outcomes if isinstance(outcome, GenerationError)]
        if len(errors) == len(outcomes):
            raise errors[0]
        weights = [weight for weight, _ in self._parts]
        known = [
            (weight, evaluation)
            for weight, evaluation in zip(weights, outcomes, strict=True)
            if isinstance(evaluation, Evaluation)
        ]
        return _blend(known, errors=tuple(str(error) for error in errors))


async def _outcome(
    part: Evaluator, problem: Problem, trajectory: Trajectory, *, seed: int
) -> Evaluation | GenerationError:
    try:
        return await part.evaluate(problem, trajectory, seed=seed)
    except GenerationError as error:
        return error


def _blend(parts: Sequence[tuple[float, Evaluation]], *, errors: tuple[str, ...]) -> Evaluation:
    evaluations = [evaluation for _, evaluation in parts]
    critiques = (evaluation.critique for evaluation in evaluations if evaluation.critique is not None)
    return Evaluation(
        value=_mean([(weight, evaluation.value) for weight, evaluation in parts if evaluation.value is not None]),
        critique=next(critiques, None),
        usage=sum((evaluation.usage for evaluation in evaluations), TokenUsage()),
        num_unreadable=sum(evaluation.num_unreadable for evaluation in evaluations),
        # What one part says of a completion is no blend, and does not compare with the values of places.
        rollouts=tuple(replace(rollout, value=None) for evaluation in evaluations for rollout in evaluation.rollouts),
        errors=errors,
    )


def _mean(values: Sequence[tuple[float, float]]) -> float | None:
    """Return ``sum(w * v) / sum(w)``, within the range of the values though rounding may leave it; None of none."""
    if not values:
        return None
    mean = sum(weight * value for weight, value in values) / sum(weight for weight, _ in values)
    return min(max(mean, min(value for _, value in values)), max(value for _, value in values))
