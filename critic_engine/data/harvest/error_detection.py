"""Error injection for critique data, as in Critic-V's VEST (arXiv 2411.18203).

Errors are put into a right solution, so its errors are known. Several detectors list the errors that they find and are
scored against those. Of two detections with unequal scores the words of the better one are preferred.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from critic_engine.concurrency import gather_or_cancel
from critic_engine.data.harvest.injection_scores import (
    DetectionScore,
    RankedPair,
    ScoredDetection,
    num_equal_steps,
    ranked_pairs,
)
from critic_engine.errors import GenerationError, ParseError, ProblemError
from critic_engine.parsing.answer_extraction import extract_answer
from critic_engine.parsing.injections import InjectedError, one_line
from critic_engine.roles.injection_protocols import Detection, Detector, Grader, Injector
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class InjectionRoles:
    """The roles of error injection: an injector, detectors and a grader."""

    injector: Injector
    detectors: tuple[Detector, ...]
    grader: Grader | None = None
    """None matches errors by their steps and leaves the grade out of the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionResult:
    """One right solution with injected errors and their detections. If nothing could be injected, only a failure."""

    steps: tuple[str, ...] = ()
    """The steps of the solution, errors included."""
    errors: tuple[InjectedError, ...] = ()
    detections: tuple[ScoredDetection, ...] = ()
    """One for each detector, in their order."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Tokens of all requests, failed ones included."""
    failure: str | None = None
    """Why no errors could be injected, in one line."""

    @property
    def pairs(self) -> tuple[RankedPair, ...]:
        """The preferences between its detections."""
        return ranked_pairs(self.detections)


async def inject_and_detect(
    problem: Problem, trajectory: Trajectory, *, roles: InjectionRoles, seed: int, extras: Mapping[str, object]
) -> InjectionResult:
    """Inject errors into one right solution, run all detectors side by side, and score their detections.

    Only the injector is given ``extras``. Unreadable texts and failed requests are failures in the result.

    Raises:
        ReplicaLostError: a model is lost for good.
    """
    try:
        seed_of_errors = derive_seed(seed, "inject")
        reading = await roles.injector.inject(problem, trajectory, seed=seed_of_errors, extras=extras)
    except (ParseError, GenerationError, ProblemError) as error:
        return InjectionResult(failure=one_line(str(error)), usage=_usage(error))
    injected = reading.content
    shown = Trajectory(injected.steps, trajectory.is_finished, extract_answer(injected.steps, problem.choices))
    solution = _InjectedSolution(problem, shown, injected.errors, roles.grader, seed)
    found = await gather_or_cancel(solution.detect(number, detector) for number, detector in enumerate(roles.detectors))
    return InjectionResult(
        steps=injected.steps,
        errors=injected.errors,
        detections=tuple(detection for detection, _ in found),
        usage=sum((usage for _, usage in found), reading.usage),
    )


@dataclass(frozen=True, slots=True)
class _InjectedSolution:
    """One solution with injected errors, as all its detectors see it."""

    problem: Problem
    trajectory: Trajectory
    errors: tuple[InjectedError, ...]
    grader: Grader | None
    seed: int

    async def detect(self, number: int, detector: Detector) -> tuple[ScoredDetection, TokenUsage]:
        """Return the scored detection by the detector of that number, and the tokens of both."""
        seed = derive_seed(self.seed, "detect", number)
        try:
            detection = await detector.detect(self.problem, self.trajectory, seed=seed)
        except (ParseError, GenerationError) as error:
            return ScoredDetection(detector=detector.name, failure=one_line(str(error))), _usage(error)
        scored = ScoredDetection(detector=detector.name, words=detection.words, errors=detection.errors)
        try:
            score, usage = await self._score(detection)
        except (ParseError, GenerationError) as error:
            return replace(scored, failure=one_line(str(error))), detection.usage + _usage(error)
        return replace(scored, score=score), detection.usage + usage

    async def _score(self, detection: Detection) -> tuple[DetectionScore, TokenUsage]:
        """Return the score and its tokens. All gradings share one seed, so that equal detections get equal grades."""
        num_matched, grade, usage = num_equal_steps(self.errors, detection.errors), None, TokenUsage()
        if self.grader is not None:
            seed = derive_seed(self.seed, "grade")
            grading = await self.grader.grade(
                self.problem, self.trajectory, errors=self.errors, found=detection.errors, seed=seed
            )
            num_matched, grade, usage = grading.content.num_matched, grading.content.grade, grading.usage
        score = DetectionScore(
            num_errors=len(self.errors), num_found=len(detection.errors), num_matched=num_matched, grade=grade
        )
        return score, usage


def _usage(error: Exception) -> TokenUsage:
    return error.usage if isinstance(error, GenerationError | ParseError) else TokenUsage()
