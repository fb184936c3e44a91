"""The reasoner's role: problems into requests, and what a model writes into candidates."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from critic_engine.config import ExpanderConfig, ReasonerConfig
from critic_engine.errors import GenerationError
from critic_engine.parsing.answers import extract_answer, stated_answer
from critic_engine.parsing.steps import split_steps
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Candidate, Expansion, Generator, Place
from critic_engine.types import (
    Critique,
    Generation,
    GenerationRequest,
    Message,
    Problem,
    Sample,
    SamplingOptions,
    TokenLogprob,
    Trajectory,
)

_logger = logging.getLogger(__name__)


class Reasoner:
    """Asks a model for solutions, next steps and rewrites.

    A sample without any text is unreadable: it is counted and not returned. Every method lets a ``GenerationError``
    through, one that is retryable after ``config.max_attempts`` attempts at the same request.
    """

    def __init__(self, generator: Generator, family: PromptFamily, config: ReasonerConfig) -> None:
        """Take the model, how it is prompted, and how it is sampled."""
        self._generator = generator
        self._family = family
        self._config = config

    @classmethod
    def from_config(cls, generator: Generator, config: ReasonerConfig) -> "Reasoner":
        """Return a reasoner with the prompts that ``config`` names.

        Raises:
            ConfigError: the prompts cannot be loaded.
        """
        return cls(generator, PromptFamily.for_model(config), config)

    async def solve(self, problem: Problem, *, seeds: tuple[int, ...], options: ExpanderConfig) -> Expansion:
        """Return a whole solution a seed; one cut by ``config.max_tokens`` is unfinished and has no answer."""
        return await self._solutions(self._family.solve(problem), seeds=seeds, options=options)

    async def finish(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, options: ExpanderConfig
    ) -> Expansion:
        """Return the rest of the solution that ``trajectory`` begins, in one piece."""
        steps = trajectory.steps
        request = GenerationRequest(
            messages=(self._family.solve(problem),),
            prefix="".join(f"{step}{options.delimiter}" for step in steps),
            sampling=self._sampling(max_tokens=self._config.max_tokens, stop=()),
            seeds=(seed,),
        )
        generation = await self._generate(request)
        return _read_all(generation, lambda sample: _solution_candidate(sample, options.delimiter, steps))

    async def rewrite(
        self,
        problem: Problem,
        trajectory: Trajectory,
        critique: Critique,
        *,
        seeds: tuple[int, ...],
        options: ExpanderConfig,
    ) -> Expansion:
        """Return whole solutions, as ``solve`` does, to replace ``trajectory`` in the light of the critic's words."""
        message = self._family.rewrite(problem, steps=trajectory.steps, critique=critique.words)
        expansion = await self._solutions(message, seeds=seeds, options=options)
        return replace(expansion, candidates=tuple(replace(each, is_rewrite=True) for each in expansion.candidates))

    async def next_steps(
        self, problem: Problem, place: Place, *, seeds: tuple[int, ...], options: ExpanderConfig
    ) -> Expansion:
        """Return one next step a seed; blank lines before it are skipped, three at most.

        A step finishes the trajectory when the model ended its turn with it or when it states an answer. One cut at
        ``options.max_step_tokens`` is a step, but never a finishing one: its answer could be cut too.
        """
        steps = place.trajectory.steps
        request = GenerationRequest(
            messages=(self._step_message(problem, place, options),),
            prefix="".join(f"{step}{options.delimiter}" for step in steps),
            sampling=self._sampling(
                max_tokens=min(options.max_step_tokens, self._config.max_tokens), stop=(options.delimiter,)
            ),
            seeds=seeds,
        )
        generation = await self._generate_behind_blanks(request)
        return _read_all(generation, lambda sample: _step_candidate(sample, steps))

    async def _generate_behind_blanks(self, request: GenerationRequest, num_left: int = 3) -> Generation:
        """Answer ``request``, asking again behind the delimiter for samples that hold nothing else."""
        generation = await self._generate(request)
        blank = [index for index, sample in enumerate(generation.samples) if sample.stop and not sample.text.strip()]
        if not blank or not num_left:
            return generation
        seeds = tuple(request.seeds[index] for index in blank)
        request = replace(request, prefix=request.prefix + request.sampling.stop[0], seeds=seeds)
        try:
            rest = await self._generate_behind_blanks(request, num_left - 1)
        except GenerationError as error:
            # What was written is paid for: it stays, blank, and counts as unreadable.
            _logger.warning("%s failed behind a blank line: %s", self._generator.name, error)
            return generation
        samples = list(generation.samples)
        for index, sample in zip(blank, rest.samples, strict=True):
            samples[index] = sample
        return Generation(tuple(samples), generation.usage + rest.usage)

    def _step_message(self, problem: Problem, place: Place, options: ExpanderConfig) -> Message:
        if not options.is_critic_guided:
            return self._family.solve(problem)
        critique = place.critique
        concern = critique.words if critique is not None and critique.verdict == "wrong" else None
        return self._family.step(problem, rejected=place.rejected, concern=concern)

    async def _solutions(self, message: Message, *, seeds: tuple[int, ...], options: ExpanderConfig) -> Expansion:
        sampling = self._sampling(max_tokens=self._config.max_tokens, stop=())
        request = GenerationRequest(messages=(message,), sampling=sampling, seeds=seeds)
        generation = await self._generate(request)
        return _read_all(generation, lambda sample: _solution_candidate(sample, options.delimiter))

    def _sampling(self, *, max_tokens: int, stop: tuple[str, ...]) -> SamplingOptions:
        return SamplingOptions(
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            max_tokens=max_tokens,
            stop=stop,
            num_top_logprobs=0,
        )

    async def _generate(self, request: GenerationRequest) -> Generation:
        for attempt in range(1, self._config.max_attempts):
            try:
                return await self._generator.generate(request)
            except GenerationError as error:
                if not error.is_retryable:
                    raise
                _logger.warning("%s: attempt %d failed, trying again: %s", self._generator.name, attempt, error)
        return await self._generator.generate(request)


def _read_all(generation: Generation, read: Callable[[Sample], Candidate | None]) -> Expansion:
    found = [read(sample) for sample in generation.samples]
    candidates = tuple(candidate for candidate in found if candidate is not None)
    return Expansion(candidates, generation.usage, num_unreadable=len(found) - len(candidates))


def _solution_candidate(sample: Sample, delimiter: str, steps_before: Sequence[str] = ()) -> Candidate | None:
    steps = split_steps(sample.text, delimiter)
    if not steps:
        return None
    is_finished = sample.finish_reason == "stop"
    answer = extract_answer((*steps_before, *steps)) if is_finished else None
    return Candidate(steps, is_rewrite=False, is_finished=is_finished, answer=answer, prior=_probability(sample.tokens))


def _step_candidate(sample: Sample, steps_before: Sequence[str]) -> Candidate | None:
    step = sample.text.strip()
    if not step:
        return None
    has_ended_turn = sample.finish_reason == "stop" and sample.stop is None
    answer = None
    if has_ended_turn:
        answer = extract_answer((*steps_before, step))
    elif sample.finish_reason == "stop":
        answer = stated_answer(step)
    is_finished = has_ended_turn or answer is not None
    return Candidate(
        (step,), is_rewrite=False, is_finished=is_finished, answer=answer, prior=_probability(sample.tokens)
    )


def _probability(tokens: tuple[TokenLogprob, ...] | None) -> float | None:
    """Return the model's own probability of the sample, ``exp(sum of log-probabilities)``; None when it has none."""
    if tokens is None:
        return None
    total = math.fsum(token.logprob for token in tokens)
    return None if math.isnan(total) else min(1.0, math.exp(total))
