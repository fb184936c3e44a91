"""Compare how a model's text splits into steps when one question is solved in one piece and step by step."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from critic_engine.cli.text import labelled, one_line
from critic_engine.config.engine import EngineConfig
from critic_engine.config.search import ExpanderConfig
from critic_engine.episode.node_state import extend
from critic_engine.parsing.steps import StepSplitter
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import ExpansionContext, Generation, GenerationRequest, Generator, Sample
from critic_engine.roles.expanders import StepExpander
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import Problem, Trajectory


@dataclass(frozen=True, slots=True)
class TriedStep:
    """One step of a solution."""

    text: str
    num_tokens: int | None
    """Generated tokens: approximate in one piece, and None when the backend gives no tokens."""
    is_cut: bool = False
    """Whether the token limit ended it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One solution of the question, in one piece or step by step."""

    steps: tuple[TriedStep, ...]
    num_tokens: int
    """All generated tokens, those of no step included."""
    answer: str | None
    is_finished: bool
    """Whether the model ended the solution itself."""
    text: str
    """The exact text."""


@dataclass(frozen=True, slots=True)
class StepTrial:
    """Both solutions of one question and the comparison of their steps."""

    question: str
    split: str
    in_one_piece: Way
    step_by_step: Way
    is_same_text: bool
    """Whether both solutions have the same text."""
    has_steps: bool
    """Whether something other than the token limit ended a step before the last one; for ``tokens``, any step."""
    is_cut_alike: bool | None
    """Whether the text written step by step is cut into the same steps when it is whole; None for ``tokens``, which
    cuts a whole text into lines."""
    warnings: tuple[str, ...]


def trial_lines(trial: StepTrial) -> Iterator[str]:
    """Yield lines for a person: both solutions, their comparison, and warnings."""
    yield labelled("question", trial.question)
    for name, way in (("in one piece", trial.in_one_piece), ("step by step", trial.step_by_step)):
        answer = "no answer" if way.answer is None else f"answer {way.answer!r}"
        yield labelled(name, f"{len(way.steps)} steps, {way.num_tokens} tokens, {answer}")
        for number, step in enumerate(way.steps, 1):
            num_tokens = "?" if step.num_tokens is None else step.num_tokens
            mark = " [cut]" if step.is_cut and trial.split != "tokens" else ""
            yield f"{number:>4} {num_tokens:>5}  {one_line(step.text)}{mark}"
    yield labelled("cut", _comparison(trial))
    yield from (labelled("warning", warning) for warning in trial.warnings)


def _comparison(trial: StepTrial) -> str:
    if trial.is_cut_alike is None:
        return "whole, the text falls into lines; step by step, at the token limit"
    alike = "alike" if trial.is_cut_alike else "differently"
    if trial.is_same_text:
        return f"both ways {alike}"
    return f"the model wrote two texts; what it wrote step by step is cut {alike} when it is whole"


async def try_steps(problem: Problem, generator: Generator, config: EngineConfig) -> StepTrial:
    """Return how ``generator`` solves ``problem`` in one piece and, as the search asks it, step by step; close it.

    Raises:
        GenerationError: the model cannot be loaded, or failed.
        ReplicaLostError: the replica is lost.
    """
    recorder = _Recorder(generator)
    try:
        await generator.load()
        reasoner = Reasoner(recorder, PromptFamily.for_model(config.reasoner), config.reasoner)
        whole = await _solve_in_one_piece(problem, reasoner, recorder, config)
        stepwise = await _solve_step_by_step(problem, reasoner, recorder, config)
    finally:
        await generator.aclose()
    splitter, steps = StepSplitter(config.expander), stepwise.steps
    is_alike = splitter.steps(stepwise.text) == tuple(step.text for step in steps)
    is_by_tokens = config.expander.split == "tokens"
    return StepTrial(
        question=problem.question,
        split=config.expander.split,
        in_one_piece=whole,
        step_by_step=stepwise,
        is_same_text=whole.text.strip() == stepwise.text.strip(),
        has_steps=bool(steps) if is_by_tokens else any(not step.is_cut for step in steps[:-1]),
        is_cut_alike=None if is_by_tokens else is_alike,
        warnings=tuple(_warnings(whole, stepwise, config)),
    )


class _Recorder:
    """A generator that passes requests to another one and records the samples."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.samples: list[Sample] = []

    @property
    def name(self) -> str:
        return self._generator.name

    async def load(self) -> None:
        await self._generator.load()

    async def generate(self, request: GenerationRequest) -> Generation:
        generation = await self._generator.generate(request)
        self.samples += generation.samples
        return generation

    async def aclose(self) -> None:
        await self._generator.aclose()


async def _solve_in_one_piece(problem: Problem, reasoner: Reasoner, recorder: _Recorder, config: EngineConfig) -> Way:
    expansion = await reasoner.solve(problem, seeds=(config.run.seed,), options=config.expander)
    sample = recorder.samples[-1]
    splitter = StepSplitter(config.expander)
    counts = _token_counts(sample, splitter.pieces(sample.text))
    steps = tuple(map(TriedStep, splitter.steps(sample.text), counts))
    answer = expansion.continuations[0].answer if expansion.continuations else None
    is_finished = sample.finish_reason == "stop"
    return Way(steps, expansion.usage.generated_tokens, answer, is_finished, sample.text)


async def _solve_step_by_step(problem: Problem, reasoner: Reasoner, recorder: _Recorder, config: EngineConfig) -> Way:
    expander = StepExpander(reasoner, config.expander)
    trajectory, steps, num_tokens = Trajectory(), list[TriedStep](), 0
    while not trajectory.is_finished:
        expansion = await expander.expand(problem, ExpansionContext(trajectory), seeds=(config.run.seed,))
        num_tokens += expansion.usage.generated_tokens
        if not expansion.continuations:
            break
        trajectory = extend(trajectory, expansion.continuations[0])
        is_cut = recorder.samples[-1].finish_reason == "length"
        num_new = expansion.usage.generated_tokens
        steps += [TriedStep(text, num_new, is_cut) for text in expansion.continuations[0].steps]
    return Way(tuple(steps), num_tokens, trajectory.answer, trajectory.is_finished, trajectory.prefix)


def _token_counts(sample: Sample, pieces: Sequence[str]) -> list[int | None]:
    """Return how many of the sample's tokens begin in each piece, by counting characters that are not white space."""
    if sample.tokens is None:
        return [None] * len(pieces)
    ends = list(itertools.accumulate(_num_written(piece) for piece in pieces))
    counts = [0] * len(pieces)
    index = num_written = 0
    for token in sample.tokens:
        while index + 1 < len(pieces) and num_written >= ends[index] and token.text.strip():
            index += 1
        if pieces:
            counts[index] += 1
        num_written += _num_written(token.text)
    return list(counts)


def _num_written(text: str) -> int:
    return len("".join(text.split()))


def _warnings(whole: Way, stepwise: Way, config: EngineConfig) -> list[str]:
    """Return a warning for each problem with the steps, with the remedy."""
    expander, warnings = config.expander, []
    num_steps = len(stepwise.steps)
    if not num_steps:
        warnings.append("step by step the model wrote no word; check reasoner.prompts and the model's chat template")
    elif num_steps == 1:
        warnings.append("only one step was found: a search would have whole solutions to choose between, not steps")
    if missing := _missing_separator(whole.text + stepwise.text, expander):
        warnings.append(missing)
    num_cut = sum(step.is_cut for step in stepwise.steps)
    if num_cut and expander.split != "tokens":
        warnings.append(
            f"{num_cut} of {num_steps} steps were cut at {expander.max_step_tokens} tokens; raise "
            "expander.max_step_tokens or split otherwise"
        )
    if not whole.is_finished:
        warnings.append(
            f"in one piece the solution was cut at {config.reasoner.max_tokens} tokens of reasoner.max_tokens"
        )
    if num_steps >= expander.max_steps and not stepwise.is_finished:
        warnings.append(f"step by step there was no end within the {expander.max_steps} steps of expander.max_steps")
    for name, way in (("in one piece", whole), ("step by step", stepwise)):
        if way.answer is None:
            warnings.append(
                f"{name} no answer was found: a solution must end with a line such as 'answer: X', or with \\boxed{{X}}"
            )
    return warnings


def _missing_separator(text: str, expander: ExpanderConfig) -> str | None:
    splitter = StepSplitter(expander)
    if expander.split == "delimiter" and expander.delimiter not in text:
        return f"the delimiter {expander.delimiter!r} never occurs; choose one that the model writes between its steps"
    if expander.split == "template" and (heading := splitter.stop_strings("")[0].strip()) not in text:
        return f"the heading {heading!r} never occurs; ask for headings in the prompts that reasoner.prompts names"
    return None
