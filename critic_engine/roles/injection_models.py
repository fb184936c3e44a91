"""Models that inject errors into solutions, detect them, and grade detections."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from critic_engine.errors import ParseError
from critic_engine.parsing.critiques import reason_of
from critic_engine.parsing.injections import (
    Injected,
    InjectedError,
    ReadGrade,
    check_unicode,
    one_line,
    parse_detection,
    parse_grade,
    parse_injection,
    written_errors,
)
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import GenerationRequest, Generator, Sample
from critic_engine.roles.ask_until_readable import Reading, ask_until_readable
from critic_engine.roles.critic import Critic
from critic_engine.roles.injection_protocols import Detection
from critic_engine.types import ChatOptions, Critique, Message, Problem, SamplingOptions, TokenUsage, Trajectory

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class SampledModel:
    """A model, how it is sampled, and how often it is asked for one readable text."""

    generator: Generator
    sampling: SamplingOptions
    max_attempts: int
    """Most requests for one text; at least 1."""
    chat: ChatOptions = field(default_factory=ChatOptions)

    async def ask(
        self, message: Message, read: Callable[[str], _Read], *, seed: int, session: str = ""
    ) -> Reading[_Read]:
        """Return the model's text as ``read`` parses it; ``session`` is as in ``GenerationRequest``.

        Raises:
            ParseError: no text could be read; with the usage of all.
            GenerationError: the generator failed for good before it wrote anything.
        """
        messages = self.chat.messages(message)
        return await ask_until_readable(
            self.generator,
            GenerationRequest(messages, sampling=self.sampling, seeds=(seed,), chat=self.chat, session=session),
            lambda generation: read(_whole_text(generation.samples[0])),
            max_attempts=self.max_attempts,
        )


@dataclass(frozen=True, slots=True)
class ModelInjector:
    """A model that injects errors into solutions."""

    model: SampledModel
    family: PromptFamily
    """It has the template ``inject``."""

    async def inject(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, extras: Mapping[str, object]
    ) -> Reading[Injected]:
        """Return ``trajectory`` with errors that the model injected; the model does not see ``extras``.

        Raises:
            ParseError: no text of the model can be read as such a solution.
            GenerationError: the generator failed for good.
        """
        message = self.family.inject(problem, steps=trajectory.steps)
        return await self.model.ask(
            message, lambda text: parse_injection(text, trajectory.steps), seed=seed, session=problem.problem_id
        )


@dataclass(frozen=True, slots=True)
class ModelDetector:
    """A model that lists all errors of a solution."""

    model: SampledModel
    family: PromptFamily
    """It has the template ``detect``."""
    critic_family: PromptFamily
    """The family of the critics that it imitates."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.generator.name

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the errors that the model lists, written as a critic would.

        Raises:
            ParseError: no text of the model can be read as a list of errors.
            GenerationError: the generator failed for good.
        """
        message = self.family.detect(problem, steps=trajectory.steps)
        reading = await self.model.ask(
            message,
            lambda text: parse_detection(text, num_steps=len(trajectory.steps)),
            seed=seed,
            session=problem.problem_id,
        )
        return Detection(self._critique(reading.content), reading.content, reading.usage)

    def _critique(self, errors: tuple[InjectedError, ...]) -> str:
        """Return a critique that names the first wrong step and its error, then the other errors."""
        if not errors:
            return self.critic_family.written_critique(step=None)
        first, *others = sorted(errors, key=lambda error: error.step or 0)
        reasons = [first.description, *(f"step {other.step}: {other.description}" for other in others)]
        return self.critic_family.written_critique(step=first.step, reason="; ".join(reasons))


@dataclass(frozen=True, slots=True)
class CriticDetector:
    """A critic as a detector: it finds at most one error, in the first wrong step."""

    critic: Critic
    name: str
    restated_in: PromptFamily | None = None
    """The family that restates its critiques, to keep training data in one form; None keeps its words."""

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the critic's words, restated if ``restated_in`` was given, and the step that they name.

        Raises:
            ParseError: no critique could be read, or a critique to restate names no step.
            GenerationError: the generator failed for good.
        """
        evaluation = await self.critic.evaluate(problem, trajectory, seed=seed)
        critique = evaluation.critique
        if critique is None:
            message = f"{self.name} wrote no critique that could be read in {evaluation.num_unreadable} texts"
            message += f"; of the last: {evaluation.unreadable[-1]}" if evaluation.unreadable else ""
            raise ParseError(message, usage=evaluation.usage)
        try:
            check_unicode(critique.whole, "the critique")
        except ParseError as error:
            raise ParseError(str(error), text=error.text, usage=evaluation.usage) from error
        found = InjectedError(critique.first_wrong_step, self._reason(critique.words) or one_line(critique.words))
        words = self._restated(critique, evaluation.usage)
        return Detection(words, () if critique.verdict == "right" else (found,), evaluation.usage)

    def _restated(self, critique: Critique, usage: TokenUsage) -> str:
        if self.restated_in is None:
            return critique.whole
        if critique.verdict == "wrong" and critique.first_wrong_step is None:
            raise ParseError.quoting(f"{self.name} names no wrong step", critique.words, usage=usage)
        return self.restated_in.written_critique(step=critique.first_wrong_step, reason=self._reason(critique.words))

    def _reason(self, words: str) -> str:
        """Return the reason in ``words``, in one line; empty if there is none."""
        return reason_of(words, self.critic.family.form.critique)


@dataclass(frozen=True, slots=True)
class ModelGrader:
    """A model that counts the errors found and grades their description."""

    model: SampledModel
    family: PromptFamily
    """It has the template ``grade``."""

    async def grade(
        self,
        problem: Problem,
        trajectory: Trajectory,
        *,
        errors: tuple[InjectedError, ...],
        found: tuple[InjectedError, ...],
        seed: int,
    ) -> Reading[ReadGrade]:
        """Return the number of ``errors`` found, and the grade of ``found``.

        Raises:
            ParseError: no text of the model holds both numbers.
            GenerationError: the generator failed for good.
        """
        message = self.family.grade(
            problem, steps=trajectory.steps, errors=written_errors(errors), found=written_errors(found)
        )
        return await self.model.ask(
            message,
            lambda text: parse_grade(text, num_errors=len(errors), num_found=len(found)),
            seed=seed,
            session=problem.problem_id,
        )


def _whole_text(sample: Sample) -> str:
    if sample.finish_reason == "stop":
        return sample.text
    raise ParseError.quoting(f"the text was cut at {sample.num_tokens} tokens; raise max_tokens", sample.text)
