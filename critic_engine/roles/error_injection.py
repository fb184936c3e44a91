"""Models that put errors into solutions, find them, and grade what was found."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from critic_engine.errors import ConfigError, GenerationError, ParseError
from critic_engine.parsing.critiques import CritiqueForm, reason_of
from critic_engine.parsing.injections import (
    InjectedError,
    check_unicode,
    one_line,
    parse_detection,
    parse_grade,
    parse_injection,
    written_errors,
)
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generator
from critic_engine.roles.critic import Critic
from critic_engine.roles.injection import Detection, Grading, Injected
from critic_engine.seeds import derive_seed
from critic_engine.types import (
    Critique,
    GenerationRequest,
    Message,
    Problem,
    Sample,
    SamplingOptions,
    TokenUsage,
    Trajectory,
)

_logger = logging.getLogger(__name__)
_RETRY_TEMPERATURE = 0.7
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Writer:
    """A model that is asked for a text in a certain form until it writes one."""

    generator: Generator
    sampling: SamplingOptions
    max_attempts: int
    """How often one text is asked for; at least 1. After one that cannot be read, with another seed and at a
    temperature of at least 0.7."""

    def __post_init__(self) -> None:
        """Refuse to ask for nothing."""
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}; it must be at least 1")

    async def write(self, message: Message, read: Callable[[str], _Read], *, seed: int) -> tuple[_Read, TokenUsage]:
        """Return what ``read`` makes of the model's text, and the cost of all texts.

        Raises:
            ParseError: no text could be read, with what they cost; the last one's reason.
            GenerationError: the generator failed for good before it wrote anything.
        """
        usage = TokenUsage()
        refused: list[ParseError] = []
        for attempt in range(1, self.max_attempts + 1):
            is_last = attempt == self.max_attempts
            try:
                generation = await self.generator.generate(self._request(message, seed, len(refused)))
                usage += generation.usage
                return read(_whole_text(generation.samples[0])), usage
            except ParseError as error:
                refused.append(error)
                _logger.info("%s: attempt %d: %s", self.generator.name, attempt, error)
            except GenerationError as error:
                if not refused and (is_last or not error.is_retryable):
                    raise
                _logger.warning("%s: attempt %d failed: %s", self.generator.name, attempt, error)
                if is_last or not error.is_retryable:
                    break
                usage += TokenUsage(num_retries=1)
        last = refused[-1]
        raise ParseError(f"{self.generator.name}: {last}", text=last.text, usage=usage) from last

    def _request(self, message: Message, seed: int, num_unreadable: int) -> GenerationRequest:
        if not num_unreadable:
            return GenerationRequest(messages=(message,), sampling=self.sampling, seeds=(seed,))
        sampling = replace(self.sampling, temperature=max(_RETRY_TEMPERATURE, self.sampling.temperature))
        return GenerationRequest(messages=(message,), sampling=sampling, seeds=(derive_seed(seed, num_unreadable),))


class ModelInjector:
    """A model that puts errors into solutions."""

    def __init__(self, writer: Writer, family: PromptFamily) -> None:
        """Take the model and how it is prompted.

        Raises:
            ConfigError: the family has no prompt for it.
        """
        _check_prompt(family, "inject")
        self._writer = writer
        self._family = family

    async def inject(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, extras: Mapping[str, object]
    ) -> Injected:
        """Return the solution that the model makes of ``trajectory``; it is shown nothing of ``extras``.

        Raises:
            ParseError: no text of the model is such a solution.
            GenerationError: the generator failed for good.
        """
        message = self._family.inject(problem, steps=trajectory.steps)
        read, usage = await self._writer.write(message, lambda text: parse_injection(text, trajectory.steps), seed=seed)
        return Injected(read.steps, read.errors, usage)


class ModelDetector:
    """A model that lists all errors of a solution."""

    def __init__(self, writer: Writer, family: PromptFamily, *, critic_family: PromptFamily | None = None) -> None:
        """Take the model, how it is prompted, and the family of the critic that its words are to be like.

        Without ``critic_family`` they are like those of a critic of its own family.

        Raises:
            ConfigError: the family has no prompt for it.
        """
        _check_prompt(family, "detect")
        self._writer = writer
        self._family = family
        self._critic_family = critic_family or family

    @property
    def name(self) -> str:
        """The model's name."""
        return self._writer.generator.name

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the errors that the model lists, in the words of a critic.

        Raises:
            ParseError: no text of the model is a list of errors.
            GenerationError: the generator failed for good.
        """
        message = self._family.detect(problem, steps=trajectory.steps)
        errors, usage = await self._writer.write(
            message, lambda text: parse_detection(text, num_steps=len(trajectory.steps)), seed=seed
        )
        return Detection(self._critique(errors), errors, usage)

    def _critique(self, errors: tuple[InjectedError, ...]) -> str:
        """Return a critique that names the first wrong step, and behind its reason the other errors."""
        if not errors:
            return self._critic_family.written_critique(step=None)
        first, *others = sorted(errors, key=lambda error: error.step or 0)
        reasons = [first.description, *(f"step {other.step}: {other.description}" for other in others)]
        return self._critic_family.written_critique(step=first.step, reason="; ".join(reasons))


class CriticDetector:
    """A critic: it finds one error, its first wrong step, or none."""

    def __init__(
        self, critic: Critic, name: str, *, form: CritiqueForm | None = None, restated_in: PromptFamily | None = None
    ) -> None:
        """Take the critic, its model's name and how it writes; without ``form`` an error's description is all it wrote.

        A grader that compares descriptions with facts needs the ``form``, and so does a critic whose words are to be
        restated as another family's critics write: whoever learns from them should not learn two ways of writing.
        """
        self._critic = critic
        self._name = name
        self._form = form
        self._restated_in = restated_in

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the critic's own words, restated where that was asked for, and the step that they name.

        Raises:
            ParseError: no critique could be read, or one that is to be restated names no step.
            GenerationError: the generator failed for good.
        """
        evaluation = await self._critic.judge(problem, trajectory, seed=seed)
        critique = evaluation.critique
        if critique is None:
            message = f"{self._name} wrote no critique that could be read in {evaluation.num_unreadable} texts"
            raise ParseError(message, usage=evaluation.usage)
        try:
            check_unicode(critique.words, "the critique")
        except ParseError as error:
            raise ParseError(str(error), text=error.text, usage=evaluation.usage) from error
        found = InjectedError(critique.first_wrong_step, self._reason(critique.words) or one_line(critique.words))
        words = self._restated(critique, evaluation.usage)
        return Detection(words, () if critique.verdict == "right" else (found,), evaluation.usage)

    def _restated(self, critique: Critique, usage: TokenUsage) -> str:
        if self._restated_in is None:
            return critique.words
        if critique.verdict == "wrong" and critique.first_wrong_step is None:
            message = f"{self._name} names no wrong step: {critique.words[:200]!r}"
            raise ParseError(message, text=critique.words, usage=usage)
        return self._restated_in.written_critique(step=critique.first_wrong_step, reason=self._reason(critique.words))

    def _reason(self, words: str) -> str:
        """Return the reason that ``words`` give, in one line; empty where they give none."""
        return "" if self._form is None else reason_of(words, self._form)


class ModelGrader:
    """A model that counts matches and grades."""

    def __init__(self, writer: Writer, family: PromptFamily) -> None:
        """Take the model and how it is prompted.

        Raises:
            ConfigError: the family has no prompt for it.
        """
        _check_prompt(family, "grade")
        self._writer = writer
        self._family = family

    async def grade(
        self,
        problem: Problem,
        trajectory: Trajectory,
        *,
        errors: tuple[InjectedError, ...],
        found: tuple[InjectedError, ...],
        seed: int,
    ) -> Grading:
        """Return what the model makes of ``found``.

        Raises:
            ParseError: no text of the model gives both numbers.
            GenerationError: the generator failed for good.
        """
        message = self._family.grade(
            problem, steps=trajectory.steps, errors=written_errors(errors), found=written_errors(found)
        )
        read, usage = await self._writer.write(
            message, lambda text: parse_grade(text, num_errors=len(errors), num_found=len(found)), seed=seed
        )
        return Grading(read, usage)


def _check_prompt(family: PromptFamily, name: str) -> None:
    if not family.has(name):
        message = f"prompts {family.name} has no {name}.txt; add the file or use a family that has it, such as plain"
        raise ConfigError(message, field="prompts")


def _whole_text(sample: Sample) -> str:
    if sample.finish_reason == "stop":
        return sample.text
    text = sample.text
    raise ParseError(f"the text was cut at {sample.num_tokens} tokens; raise max_tokens: {text[:200]!r}", text=text)
