"""Error injection for critique data, as in Critic-V's VEST (arXiv 2411.18203).

Errors are put into a right solution, so what is wrong with it is known. Several detectors say what they find; each is
scored by what is there, and of two with unequal scores the better one's words are to be preferred.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from critic_engine.concurrency import gather_or_cancel
from critic_engine.data.harvest.injection_scores import (
    DetectionScore,
    RankedPair,
    ScoredDetection,
    num_equal_steps,
    num_unranked,
    ranked_pairs,
)
from critic_engine.errors import GenerationError, ParseError, ProblemError
from critic_engine.parsing.answers import extract_answer
from critic_engine.parsing.injections import InjectedError, one_line
from critic_engine.roles.injection import Detection, Detector, Grader, Injector
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class InjectionRoles:
    """Who puts errors in, who looks for them, and who grades."""

    injector: Injector
    detectors: tuple[Detector, ...]
    grader: Grader | None = None
    """None matches errors by their steps and leaves the grade out of the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What came of one right solution. One into which no errors could be put has a reason, and nothing else."""

    steps: tuple[str, ...] = ()
    """With the errors in them."""
    errors: tuple[InjectedError, ...] = ()
    detections: tuple[ScoredDetection, ...] = ()
    """One for each detector, in their order."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Of all that was asked, what failed included."""
    failure: str | None = None
    """Why there are no errors, in one line."""

    @property
    def pairs(self) -> tuple[RankedPair, ...]:
        """The preferences that it makes."""
        return ranked_pairs(self.detections)

    @property
    def num_unranked(self) -> Mapping[str, int]:
        """The pairs of its detections that make none, by reason."""
        return num_unranked(self.detections)

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Injection":
        """Return the injection that ``to_dict`` made ``fields`` of, through JSON or not."""
        return cls(
            steps=tuple(fields["steps"]),
            errors=tuple(InjectedError(**error) for error in fields["errors"]),
            detections=tuple(ScoredDetection.from_dict(each) for each in fields["detections"]),
            usage=TokenUsage(**fields["usage"]),
            failure=fields["failure"],
        )


async def inject_and_detect(
    problem: Problem, trajectory: Trajectory, *, roles: InjectionRoles, seed: int, extras: Mapping[str, object]
) -> Injection:
    """Put errors into one right solution, ask all detectors for them side by side, and score what they say.

    Only the injector is given ``extras``. What a model wrote badly, or could not be asked, is a reason in the result.

    Raises:
        ReplicaLostError: nothing is left that could answer.
    """
    try:
        seed_of_errors = derive_seed(seed, "inject")
        injected = await roles.injector.inject(problem, trajectory, seed=seed_of_errors, extras=extras)
    except (ParseError, GenerationError, ProblemError) as error:
        return Injection(failure=one_line(str(error)), usage=_usage(error))
    shown = Trajectory(injected.steps, trajectory.is_finished, extract_answer(injected.steps))
    task = _Task(problem, shown, injected.errors, roles.grader, seed)
    found = await gather_or_cancel(task.detect(number, detector) for number, detector in enumerate(roles.detectors))
    return Injection(
        steps=injected.steps,
        errors=injected.errors,
        detections=tuple(detection for detection, _ in found),
        usage=sum((usage for _, usage in found), injected.usage),
    )


@dataclass(frozen=True, slots=True)
class _Task:
    """One solution with errors, as all its detectors are given it."""

    problem: Problem
    trajectory: Trajectory
    errors: tuple[InjectedError, ...]
    grader: Grader | None
    seed: int

    async def detect(self, number: int, detector: Detector) -> tuple[ScoredDetection, TokenUsage]:
        """Return what the detector of that number says, scored, and what both cost."""
        seed = derive_seed(self.seed, "detect", number)
        try:
            detection = await detector.detect(self.problem, self.trajectory, seed=seed)
        except (ParseError, GenerationError) as error:
            return ScoredDetection(detector=detector.name, failure=one_line(str(error))), _usage(error)
        score: DetectionScore | None
        try:
            score, usage = await self._score(detection)
            failure = None
        except (ParseError, GenerationError) as error:
            score, usage, failure = None, _usage(error), one_line(str(error))
        scored = ScoredDetection(
            detector=detector.name, words=detection.words, errors=detection.errors, score=score, failure=failure
        )
        return scored, detection.usage + usage

    async def _score(self, detection: Detection) -> tuple[DetectionScore, TokenUsage]:
        """Return the score; the grader has the same seed for all, so that equal detections are graded alike."""
        num_matched, grade, usage = num_equal_steps(self.errors, detection.errors), None, TokenUsage()
        if self.grader is not None:
            seed = derive_seed(self.seed, "grade")
            grading = await self.grader.grade(
                self.problem, self.trajectory, errors=self.errors, found=detection.errors, seed=seed
            )
            num_matched, grade, usage = grading.read.num_matched, grading.read.grade, grading.usage
        score = DetectionScore(
            num_errors=len(self.errors), num_found=len(detection.errors), num_matched=num_matched, grade=grade
        )
        return score, usage


def _usage(error: Exception) -> TokenUsage:
    return error.usage if isinstance(error, ParseError) else TokenUsage()
