"""The reasoner: asks a model for steps and solutions, and reads its text as continuations."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.search import ExpanderConfig, ReasonerConfig
from critic_engine.errors import GenerationError
from critic_engine.parsing.answer_extraction import ending_answer, extract_answer
from critic_engine.parsing.steps import StepDraft, StepSplitter
from critic_engine.parsing.thoughts import find_thoughts, is_unfinished, marked_thought
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import (
    Continuation,
    Expansion,
    ExpansionContext,
    GenerationRequest,
    Generator,
    Sample,
    TokenLogprob,
)
from critic_engine.roles.ask_until_readable import Reading, ask_until_readable, varied
from critic_engine.types import Critique, Message, Problem, SamplingOptions, TokenUsage, Trajectory, default_text

_logger = logging.getLogger(__name__)
_THOUGHT_LENGTH = "reasoner.max_thought_tokens"
_Written = TypeVar("_Written", Sample, StepDraft)


@dataclass(frozen=True, slots=True)
class Reasoner:
    """Asks a model for solutions, next steps and rewrites.

    A greedy reasoner takes the likeliest text for the first seed of a request and samples for the others, and for all
    seeds of a request that was made before (``is_repeated``): the likeliest text is always the same.

    A sample without any text is unreadable: it is counted and not returned. Steps, answers and probabilities are read
    from texts alone; a step's exact text holds the thought before it, so that the next request continues both. Every
    method raises ``GenerationError``; a retryable one is raised after ``config.max_attempts`` attempts at the same
    request.
    """

    generator: Generator
    family: PromptFamily
    config: ReasonerConfig

    async def solve(
        self, problem: Problem, *, seeds: tuple[int, ...], options: ExpanderConfig, is_repeated: bool = False
    ) -> Expansion:
        """Return one whole solution for each seed; one cut at ``config.max_tokens`` is unfinished and has no answer."""
        return await self._solutions(problem, self.family.solve(problem), seeds, options, is_repeated=is_repeated)

    async def finish(
        self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...], options: ExpanderConfig
    ) -> Expansion:
        """Return the rest of the solution that ``trajectory`` begins, one continuation for each seed."""
        return await self._solutions(problem, self.family.solve(problem), seeds, options, prefix=trajectory.prefix)

    async def rewrite(
        self,
        problem: Problem,
        former: Trajectory,
        critique: Critique,
        *,
        base: Trajectory,
        seeds: tuple[int, ...],
        options: ExpanderConfig,
        is_repeated: bool = False,
    ) -> Expansion:
        """Return the rest of the solution that ``base`` begins, or whole ones, guided by the critique of ``former``."""
        message = self.family.rewrite(problem, steps=former.steps, critique=critique.words)
        return await self._solutions(problem, message, seeds, options, prefix=base.prefix, is_repeated=is_repeated)

    async def next_steps(
        self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...], options: ExpanderConfig
    ) -> Expansion:
        """Return one next step for each seed, written exactly from where the trajectory ends.

        A step finishes the trajectory if the model ends its turn with it, or if it states an answer. A step cut at
        ``options.max_step_tokens`` never finishes it: its answer could be cut too. A turn that ends with no more words
        finishes the trajectory without a further step.
        """
        behind, splitter = context.trajectory.prefix, StepSplitter(options)
        num_tokens = min(options.max_step_tokens, self.config.max_tokens)
        sampling = self._sampling(max_tokens=num_tokens, stop=splitter.stop_strings(behind))
        request = GenerationRequest(
            messages=self.config.chat.messages(self._step_message(problem, context, options)),
            prefix=behind,
            sampling=varied(sampling) if context.is_repeated and sampling.is_greedy else sampling,
            seeds=seeds,
            chat=self.config.chat,
            session=problem.problem_id,
        )
        drafts, usage = await self._write_steps(request, StepDraft(behind, num_tokens), splitter)
        return _read_all(
            drafts, usage, lambda draft: self._step_continuation(problem, draft, splitter), cut_by=_lost_by
        )

    async def _write_steps(
        self, request: GenerationRequest, draft: StepDraft, splitter: StepSplitter
    ) -> tuple[list[StepDraft], TokenUsage]:
        """Return one draft for each seed, continued after each stop that does not end a step."""
        first = await self._generate(request)
        drafts, usage = [draft.after(sample, splitter) for sample in first.content], first.usage
        while groups := _groups_to_go_on(drafts):
            readings = await gather_or_cancel(
                self._go_on(request, drafts[group[0]], splitter, group) for group in groups
            )
            for group, rest in zip(groups, readings, strict=True):
                usage += rest.usage
                for index, sample in zip(group, rest.content or [None] * len(group), strict=True):
                    former = drafts[index]
                    drafts[index] = replace(former, ending="cut") if sample is None else former.after(sample, splitter)
        return drafts, usage

    async def _go_on(
        self, request: GenerationRequest, draft: StepDraft, splitter: StepSplitter, group: Sequence[int]
    ) -> Reading[tuple[Sample, ...]]:
        """Return the text after ``draft`` for the seeds at the indices in ``group``; no samples on failure."""
        sampling = replace(request.sampling, max_tokens=draft.num_tokens_left, stop=splitter.stop_strings(draft.prefix))
        seeds = tuple(request.seeds[index] for index in group)
        try:
            return await self._generate(replace(request, prefix=draft.prefix, sampling=sampling, seeds=seeds))
        except GenerationError as error:
            # The text so far is paid for, so it is kept.
            _logger.warning("%s failed in the middle of a step: %s", self.generator.name, error)
            return Reading((), error.usage)

    def _step_message(self, problem: Problem, context: ExpansionContext, options: ExpanderConfig) -> Message:
        if not options.is_critic_guided:
            return self.family.solve(problem)
        critique = context.critique
        concern = critique.words if critique is not None and critique.verdict == "wrong" else None
        return self.family.step(problem, rejected=context.rejected, concern=concern)

    async def _solutions(
        self,
        problem: Problem,
        message: Message,
        seeds: tuple[int, ...],
        options: ExpanderConfig,
        *,
        prefix: str = "",
        is_repeated: bool = False,
    ) -> Expansion:
        """Return one continuation a seed: all that the model writes after ``prefix``."""
        sampling = self._sampling(max_tokens=self.config.max_tokens, stop=())
        sampling = varied(sampling) if is_repeated and sampling.is_greedy else sampling
        chat = self.config.chat
        request = GenerationRequest(chat.messages(message), prefix, sampling, seeds, chat, problem.problem_id)
        splitter = StepSplitter(options)
        written = await self._generate(request)
        return _read_all(
            written.content,
            written.usage,
            lambda sample: self._solution_continuation(problem, sample, splitter, behind=prefix),
            cut_by=_cut_by,
        )

    def _sampling(self, *, max_tokens: int, stop: tuple[str, ...]) -> SamplingOptions:
        return SamplingOptions(
            temperature=self.config.temperature,
            top_p=self.config.top_p,
            top_k=self.config.top_k,
            min_p=self.config.min_p,
            max_tokens=max_tokens,
            stop=stop,
            num_top_logprobs=0,
        )

    def _solution_continuation(
        self, problem: Problem, sample: Sample, splitter: StepSplitter, *, behind: str
    ) -> Continuation | None:
        text = marked_thought(sample.thought, behind) + sample.text
        steps, pieces = splitter.steps(text, behind), splitter.pieces(text, behind)
        is_finished = sample.finish_reason == "stop"
        if not steps and (not is_finished or is_unfinished(sample) or not _has_ended(behind + text)):
            return None
        answer = self._answer(problem, splitter.steps(behind + text)) if is_finished else None
        return Continuation(
            steps,
            is_rewrite=False,
            is_finished=is_finished,
            answer=answer,
            prior=_probability(sample.tokens),
            texts=_exact_texts(steps, pieces, is_finished=is_finished),
            num_tokens=sample.num_tokens,
        )

    def _step_continuation(self, problem: Problem, draft: StepDraft, splitter: StepSplitter) -> Continuation | None:
        has_ended_turn = draft.ending == "turn"
        step = splitter.shown(draft.text, draft.behind)
        if not step and not (has_ended_turn and _has_ended(draft.prefix)):
            return None
        answer = None
        if has_ended_turn:
            answer = self._answer(problem, splitter.steps(draft.prefix))
        elif draft.ending == "stop":
            # The step may have begun before the draft, if the token limit cut it.
            steps, words = splitter.steps(draft.prefix), self.family.form.answer_words
            answer = ending_answer(steps, problem.choices, further_words=words)
        return Continuation(
            (step,) if step else (),
            is_rewrite=False,
            is_finished=has_ended_turn or answer is not None,
            answer=answer,
            prior=_probability(draft.tokens),
            texts=_exact_texts((step,), (draft.text,), is_finished=False) if step else None,
            num_tokens=draft.num_tokens,
        )

    def _answer(self, problem: Problem, steps: tuple[str, ...]) -> str | None:
        return extract_answer(steps, problem.choices, further_words=self.family.form.answer_words)

    async def _generate(self, request: GenerationRequest) -> Reading[tuple[Sample, ...]]:
        if request.sampling.is_greedy and len(request.seeds) > 1:
            others = replace(request, sampling=varied(request.sampling), seeds=request.seeds[1:])
            first = replace(request, seeds=request.seeds[:1])
            found = await gather_or_cancel(self._generated_or_failed(each) for each in (first, others))
            usage = found[0].usage + found[1].usage
            readings = [each for each in found if isinstance(each, Reading)]
            for failure in found:
                if isinstance(failure, GenerationError):
                    raise failure.with_usage(usage) from failure
            return Reading(tuple(sample for reading in readings for sample in reading.content), usage)
        return await ask_until_readable(
            self.generator, request, lambda generation: generation.samples, max_attempts=self.config.max_attempts
        )

    async def _generated_or_failed(self, request: GenerationRequest) -> Reading[tuple[Sample, ...]] | GenerationError:
        try:
            return await self._generate(request)
        except GenerationError as error:
            return error


def _groups_to_go_on(drafts: Sequence[StepDraft]) -> list[list[int]]:
    """Return the indices of unfinished drafts, grouped by the request that they can share."""
    groups: dict[tuple[str, int], list[int]] = {}
    for index, draft in enumerate(drafts):
        if draft.ending is None:
            groups.setdefault((draft.text, draft.num_tokens_left), []).append(index)
    return list(groups.values())


def _cut_by(sample: Sample) -> str | None:
    """Return the option whose length cut a solution; None if none did. A thought that was cut leaves no text."""
    if sample.finish_reason != "length":
        return None
    return _THOUGHT_LENGTH if sample.thought and not sample.text else "reasoner.max_tokens"


def _lost_by(draft: StepDraft) -> str | None:
    """Return the option whose length lost a step; None if none did: a step that is cut goes on in the next one."""
    return _THOUGHT_LENGTH if draft.has_unfinished_thought and not draft.has_words else None


def _read_all(
    written: Sequence[_Written],
    usage: TokenUsage,
    read: Callable[[_Written], Continuation | None],
    *,
    cut_by: Callable[[_Written], str | None],
) -> Expansion:
    found = [(read(each), cut_by(each)) for each in written]
    left_out = [option for continuation, option in found if continuation is None]
    return Expansion(
        tuple(continuation for continuation, _ in found if continuation is not None),
        usage,
        num_unreadable=len(left_out),
        num_cut=sum(option is not None for option in left_out),
        cut_by=tuple(option for _, option in found if option is not None),
    )


def _has_ended(text: str) -> bool:
    """Return whether a turn may end with ``text``: it has words, and the last thought is closed."""
    thoughts = find_thoughts(text)
    return thoughts.closing is None and bool(thoughts.visible().strip())


def _exact_texts(steps: tuple[str, ...], pieces: tuple[str, ...], *, is_finished: bool) -> tuple[str, ...] | None:
    """Return ``pieces`` if they differ from the default texts of the steps; None otherwise."""
    plain = tuple(map(default_text, steps))
    is_plain = pieces == plain or (is_finished and pieces == (*plain[:-1], *steps[-1:]))
    return None if is_plain else pieces


def _probability(tokens: tuple[TokenLogprob, ...] | None) -> float | None:
    """Return the model's own probability of the sample, ``exp(sum of log-probabilities)``; None without these."""
    if tokens is None:
        return None
    total = math.fsum(token.logprob for token in tokens)
    return None if math.isnan(total) else min(1.0, math.exp(total))
