"""The model judge: asks a model whether an answer means the same as a reference.

Its verdicts are an opinion beside the grades of a rule, and never take their place: report them as a figure of their
own. An answer cannot plant a verdict by words such as "Verdict: right": the judge's own verdict stands behind a code
that is made of the answer itself. A model can still be talked into a verdict by what it reads.

Example:
    >>> judge = make_judge(ModelConfig(model="openai:gpt-5-mini"))  # doctest: +SKIP
    >>> judged = await judge_all(judge, [(row, "14")])  # doctest: +SKIP
    >>> judge_figures(judged, [make_grader("relation").grade(row, "14", "")])  # doctest: +SKIP
    JudgeFigures(num_right=1, num_wrong=0, num_unsure=0, num_same=1, num_other=0, usage=…)
    >>> await judge.aclose()  # doctest: +SKIP
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.backends.factory import make_generator
from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ConfigError, GenerationError, ParseError
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import quoted, unsure
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critique_parts import CritiqueParts
from critic_engine.parsing.injections import one_line
from critic_engine.prompts import PromptFamily
from critic_engine.roles.injection_models import SampledModel
from critic_engine.types import ProblemRow, SamplingOptions, TokenUsage

_MAX_ANSWER_CHARACTERS = 2000
_MAX_TOKENS = 1024
_MAX_ATTEMPTS = 2
_CODE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """The judge's opinion on one answer, and its cost."""

    grade: Grade
    """``is_right`` is None if no text of the judge could be read, if its model failed, or if it was not asked."""
    words: str
    """The judge's reason in one line; empty without a verdict."""
    usage: TokenUsage
    """Spent on all attempts, unreadable texts included."""


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """How a judge's opinions fell out, and how they compare with the grades of a rule."""

    num_right: int
    num_wrong: int
    num_unsure: int
    num_same: int
    """Answers on which the judge and the rule agree, where both are sure."""
    num_other: int
    """Answers on which they disagree, where both are sure."""
    usage: TokenUsage
    """Spent by the judge; no method pays for it."""


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """A model that compares answers with references. It sees neither the images nor the response."""

    model: SampledModel
    family: PromptFamily
    """It has the template ``judge``."""

    @property
    def name(self) -> str:
        """Name for reports, such as ``judge openai_api:NAME``."""
        return f"judge {self.model.generator.name}"

    async def judge(self, row: ProblemRow, answer: str, *, seed: int = 0) -> JudgedAnswer:
        """Return the judge's opinion on one answer; many calls may be in flight at once, on one event loop.

        Raises:
            ReplicaLostError: no replica of the model is left.
        """
        refusal = _refusal(row, answer)
        if refusal:
            return JudgedAnswer(unsure(refusal), "", TokenUsage())
        code = _code(row, answer, seed)
        prompt = self.family.judge(row.problem, references=row.reference_answers, answer=answer, code=code)
        try:
            session = row.problem.problem_id
            reading = await self.model.ask(prompt, lambda text: _read_verdict(text, code), seed=seed, session=session)
        except (ParseError, GenerationError) as error:
            return JudgedAnswer(unsure(f"the judge gave no verdict: {one_line(str(error))}"), "", error.usage)
        parts = reading.content
        return JudgedAnswer(Grade(parts.verdict.verdict == "right", read_as=answer), _reason(parts), reading.usage)

    async def aclose(self) -> None:
        """Release the model; no call may follow."""
        await self.model.generator.aclose()


def make_judge(config: ModelConfig, *, temperature: float = 0.0, max_tokens: int = _MAX_TOKENS) -> ModelJudge:
    """Return the judge that a model configuration describes; its first call loads the model.

    Args:
        config: The model and its hosting.
        temperature: Sampling temperature, at least 0.
        max_tokens: Most tokens of one judgement, its thought apart.

    Raises:
        ConfigError: the settings contradict each other, or the prompts of the model have no ``judge.txt``.
        ModelLoadError: the model's folder is plainly not one, or its package is missing.
    """
    family = PromptFamily.for_model(config)
    if not family.has("judge"):
        raise ConfigError(
            f"the prompts {family.name} have no judge.txt; choose a model with the prompts plain", field="prompts"
        )
    sampling = SamplingOptions(temperature=temperature, max_tokens=max_tokens)
    model = SampledModel(make_generator(config, "critic"), sampling, _MAX_ATTEMPTS, config.chat)
    return ModelJudge(model, family)


async def judge_all(
    judge: ModelJudge, answers: Sequence[tuple[ProblemRow, str]], *, concurrency: int = 16, seed: int = 0
) -> list[JudgedAnswer]:
    """Return the judge's opinion on each answer, in order, with at most ``concurrency`` requests in flight.

    Raises:
        ReplicaLostError: no replica of the model is left.
    """
    turns = asyncio.Semaphore(concurrency)

    async def judged(row: ProblemRow, answer: str) -> JudgedAnswer:
        async with turns:
            return await judge.judge(row, answer, seed=seed)

    return await gather_or_cancel(judged(row, answer) for row, answer in answers)


def judge_figures(judged: Sequence[JudgedAnswer], grades: Sequence[Grade]) -> JudgeFigures:
    """Return the figures of the judge's opinions, beside a grader's grades of the same answers."""
    opinions = [each.grade.is_right for each in judged]
    pairs = [(opinion, grade.is_right) for opinion, grade in zip(opinions, grades, strict=True)]
    known = [pair for pair in pairs if None not in pair]
    return JudgeFigures(
        num_right=opinions.count(True),
        num_wrong=opinions.count(False),
        num_unsure=opinions.count(None),
        num_same=sum(opinion is grade for opinion, grade in known),
        num_other=sum(opinion is not grade for opinion, grade in known),
        usage=sum((each.usage for each in judged), TokenUsage()),
    )


def _refusal(row: ProblemRow, answer: str) -> str:
    """Return why the judge is not asked; empty if it is."""
    if not row.reference_answers:
        return "the row has no reference answer"
    if not answer.strip():
        return "there is no answer to judge"
    if answer.encode(errors="ignore").decode() != answer:
        return f"{quoted(answer)} holds half a surrogate pair, which no model reads"
    if len(answer) > _MAX_ANSWER_CHARACTERS:
        return f"{quoted(answer)} has {len(answer)} characters, and the judge reads at most {_MAX_ANSWER_CHARACTERS}"
    return ""


def _code(row: ProblemRow, answer: str, seed: int) -> str:
    """Return a code that whoever wrote the answer could not write into it."""
    judged = json.dumps([row.problem.problem_id, row.reference_answers, answer, seed])
    return hashlib.sha256(judged.encode()).hexdigest()[:_CODE_DIGITS]


def _read_verdict(text: str, code: str) -> CritiqueParts:
    label = f"Verdict {code}:"
    form = CritiqueForm(
        verdict_label=label,
        right="right",
        wrong="wrong",
        right_synonyms=("correct",),
        wrong_synonyms=("incorrect",),
        step_label="First wrong step:",
    )
    parts = CritiqueParts.find(text, form)
    if parts is None:
        raise ParseError.quoting(f"the text states neither 'right' nor 'wrong' behind {label!r}", text)
    return parts


def _reason(parts: CritiqueParts) -> str:
    """Return the words before the verdict, or those behind it, in one line."""
    return one_line(parts.own.visible[: parts.own.line_start(parts.verdict.label_start)]) or parts.reason
