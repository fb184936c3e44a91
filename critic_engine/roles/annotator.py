"""The annotator: finds the error in the wrong one of two branches, and writes a critique of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.collect import AnnotatorConfig
from critic_engine.errors import GenerationError, ParseError
from critic_engine.parsing.annotations import ReadAnnotation, names_paths, parse_annotation
from critic_engine.parsing.critiques import reason_of
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import GenerationRequest, Generator, Sample
from critic_engine.roles.ask_until_readable import ask_until_readable
from critic_engine.roles.critic import Critic
from critic_engine.seeds import derive_seed
from critic_engine.types import ChatOptions, Problem, SamplingOptions, TokenUsage, Trajectory

MAX_ANNOTATION_TOKENS = 512
"""Most tokens of one critique if ``max_tokens`` of the annotator does not say otherwise."""
Fault: TypeAlias = Literal[
    "error",
    "unreadable",
    "orders_disagree",
    "blames_right_path",
    "blames_shared_steps",
    "misses_error",
    "names_paths",
    "not_pocket",
]
"""Why an annotation is not used as a critique of the wrong branch.

``error``: the model failed. ``unreadable``: its text could not be read. ``orders_disagree``: it blames another branch
or step when the branches are shown in the other order. ``blames_right_path``: it blames the right branch.
``blames_shared_steps``: it blames a step of both paths. ``misses_error``: it calls the wrong path right.
``names_paths``: its words mention the two paths, of which a reader sees only one. ``not_pocket``: the rules do not know
the problem."""


@dataclass(frozen=True, slots=True)
class Parting:
    """A right and a wrong path of one problem, which diverge after the steps they share."""

    shared: tuple[str, ...]
    right: tuple[str, ...]
    """The other steps of the path with the right answer; at least one."""
    wrong: tuple[str, ...]
    """The other steps of the path with the wrong answer; at least one."""

    @property
    def wrong_path(self) -> Trajectory:
        """The whole wrong path."""
        return Trajectory(self.shared + self.wrong)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's critique of the wrong path, or the reason that there is none."""

    first_wrong_step: int | None
    """1-based, in the whole path; None if none is found."""
    reason: str
    """One line; empty if no error is found."""
    fault: Fault | None = None
    """Why it is not used as a critique; None if it is."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """The annotations of one pair, and their cost."""

    annotations: tuple[Annotation, ...]
    usage: TokenUsage = field(default_factory=TokenUsage)


class Annotator(Protocol):
    """Finds and describes the error in one of two branches."""

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    async def annotate(
        self, problem: Problem, parting: Parting, *, seed: int, extras: Mapping[str, object]
    ) -> Annotated:
        """Return its annotations, faulty ones included; a model's failure is a fault and never raises.

        Args:
            problem: The problem, without its reference answer.
            parting: The two branches.
            seed: Seed of the samples.
            extras: The other columns of the problem's row.

        Raises:
            ReplicaLostError: no replica is left that could answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelAnnotator:
    """Shows a model both branches and asks for the wrong one, its first wrong step and the reason.

    MMC, arXiv 2504.11009, stage 2. The model does not know the right branch. It is asked twice, with the branches in
    either order: an annotation stands only if both texts blame the same step of the wrong branch. The words of the
    first text are kept.
    """

    generator: Generator
    family: PromptFamily
    """It has the template ``annotate``."""
    options: AnnotatorConfig
    chat: ChatOptions = field(default_factory=ChatOptions)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.generator.name

    async def annotate(
        self, problem: Problem, parting: Parting, *, seed: int, extras: Mapping[str, object]
    ) -> Annotated:
        """Return one annotation for each of ``options.num_critiques``; the first is drawn at temperature 0."""
        numbers = range(self.options.num_critiques)
        found = await gather_or_cancel(
            self._annotate(problem, parting, number, derive_seed(seed, number)) for number in numbers
        )
        return _joined(found)

    async def _annotate(self, problem: Problem, parting: Parting, number: int, seed: int) -> Annotated:
        first, second = await gather_or_cancel(
            self._ask(problem, parting, number, derive_seed(seed, is_swapped), is_swapped=is_swapped)
            for is_swapped in (False, True)
        )
        usage = first[1] + second[1]
        if isinstance(first[0], Annotation):
            return Annotated((first[0],), usage)
        if isinstance(second[0], Annotation):
            return Annotated((second[0],), usage)
        return Annotated((_agreed(first[0], second[0], parting, has_choices=bool(problem.choices)),), usage)

    async def _ask(
        self, problem: Problem, parting: Parting, number: int, seed: int, *, is_swapped: bool
    ) -> tuple[ReadAnnotation | Annotation, TokenUsage]:
        """Return the annotation with its side as in the unswapped order, or the fault of the text."""
        branches = (parting.wrong, parting.right) if is_swapped else (parting.right, parting.wrong)
        message = self.family.annotate(problem, shared=parting.shared, first=branches[0], second=branches[1])
        sampling = SamplingOptions(
            temperature=self.options.temperature if number else 0.0,
            max_tokens=self.options.max_tokens or MAX_ANNOTATION_TOKENS,
        )
        request = GenerationRequest(
            self.chat.messages(message), sampling=sampling, seeds=(seed,), chat=self.chat, session=problem.problem_id
        )
        try:
            reading = await ask_until_readable(
                self.generator,
                request,
                lambda generation: _read(generation.samples[0]),
                max_attempts=self.options.max_attempts,
            )
        except GenerationError as error:
            return Annotation(None, "", "error"), error.usage
        read = reading.content
        if read is None:
            return Annotation(None, "", "unreadable"), reading.usage
        if is_swapped:
            read = replace(read, wrong_side="A" if read.wrong_side == "B" else "B")
        return read, reading.usage


@dataclass(frozen=True, slots=True)
class CriticAnnotator:
    """Shows a critic the wrong path alone, as a search does."""

    critics: Sequence[Critic]
    """One for each annotation of a pair, differing in temperature only."""
    name: str

    async def annotate(
        self, problem: Problem, parting: Parting, *, seed: int, extras: Mapping[str, object]
    ) -> Annotated:
        """Return one annotation for each critic."""
        numbered = enumerate(self.critics)
        return _joined(
            await gather_or_cancel(
                self._judge(critic, problem, parting, derive_seed(seed, number)) for number, critic in numbered
            )
        )

    async def _judge(self, critic: Critic, problem: Problem, parting: Parting, seed: int) -> Annotated:
        try:
            evaluation = await critic.evaluate(problem, parting.wrong_path, seed=seed)
        except GenerationError as error:
            return Annotated((Annotation(None, "", "error"),), error.usage)
        critique = evaluation.critique
        if critique is None:
            return Annotated((Annotation(None, "", "unreadable"),), evaluation.usage)
        if critique.verdict == "right":
            return Annotated((Annotation(None, "", "misses_error"),), evaluation.usage)
        step = critique.first_wrong_step
        fault: Fault | None = "unreadable" if step is None else _fault_of_step(step, parting)
        reason = reason_of(critique.words, critic.family.form.critique)
        return Annotated((Annotation(step, reason, fault),), evaluation.usage)


def _read(sample: Sample) -> ReadAnnotation | None:
    if sample.finish_reason == "length":
        return None
    try:
        return parse_annotation(sample.text)
    except ParseError:
        return None


def _agreed(first: ReadAnnotation, second: ReadAnnotation, parting: Parting, *, has_choices: bool) -> Annotation:
    """Return the annotation on which both orders agree, or its fault; the wrong branch is B."""
    annotation = Annotation(first.first_wrong_step, first.reason)
    if (first.wrong_side, first.first_wrong_step) != (second.wrong_side, second.first_wrong_step):
        return replace(annotation, fault="orders_disagree")
    if first.wrong_side == "A":
        return replace(annotation, fault="blames_right_path")
    fault = _fault_of_step(first.first_wrong_step, parting)
    return replace(
        annotation, fault=fault or ("names_paths" if names_paths(first.reason, has_choices=has_choices) else None)
    )


def _fault_of_step(step: int, parting: Parting) -> Fault | None:
    if not 1 <= step <= len(parting.shared) + len(parting.wrong):
        return "unreadable"
    return "blames_shared_steps" if step <= len(parting.shared) else None


def _joined(found: Sequence[Annotated]) -> Annotated:
    usage = sum((each.usage for each in found), TokenUsage())
    return Annotated(tuple(annotation for each in found for annotation in each.annotations), usage)
