"""Evaluators that ask a reward model, which gives a value and no words."""

import logging
from dataclasses import dataclass, field, replace

from critic_engine.errors import GenerationError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Evaluation, Generator, Scorer
from critic_engine.roles.critic import NUM_TOP_LOGPROBS, begins_verdict, right_share
from critic_engine.types import (
    ChatOptions,
    GenerationRequest,
    Message,
    Problem,
    Sample,
    SamplingOptions,
    TokenUsage,
    Trajectory,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerdictTokenEvaluator:
    """Asks a chat model for the verdict token of a critique, and reads the value from its log-probabilities.

    The request's prefix is the critique up to the verdict. A trajectory without steps is not judged. If the token drawn
    begins no verdict word, the value is unknown and the token counts as unreadable.
    """

    generator: Generator
    family: PromptFamily
    chat: ChatOptions = field(default_factory=ChatOptions)
    """Its ``thinking`` is off: the first token is the verdict's."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the probability of the verdict "right" over that of either verdict.

        Raises:
            GenerationError: the model failed.
        """
        if not trajectory.steps:
            return UNKNOWN
        message = self.family.critique(problem, steps=trajectory.steps)
        request = GenerationRequest(
            messages=self.chat.messages(message),
            prefix=self.family.form.critique.verdict_label,
            sampling=SamplingOptions(max_tokens=1, num_top_logprobs=NUM_TOP_LOGPROBS),
            seeds=(seed,),
            chat=replace(self.chat, thinking="off"),
        )
        generation = await self.generator.generate(request)
        value = self._value(generation.samples[0])
        return Evaluation(value, None, generation.usage, num_unreadable=int(value is None))

    def _value(self, sample: Sample) -> float | None:
        form = self.family.form.critique
        if sample.tokens and begins_verdict(sample.tokens[0], form):
            return right_share(sample.tokens[0], form)
        _logger.info("%s: no verdict begins with %r", self.generator.name, sample.text)
        return None


@dataclass(frozen=True, slots=True)
class ScorerEvaluator:
    """Asks a scorer to score the solution as an answer to the question. It reads text only."""

    scorer: Scorer
    family: PromptFamily
    """It writes a question with its choices."""
    chat: ChatOptions = field(default_factory=ChatOptions)
    """Only its system message counts."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the scorer's value; a trajectory without steps is not judged.

        Raises:
            GenerationError: the problem has images, or the scorer failed.
        """
        if not trajectory.steps:
            return UNKNOWN
        if problem.images:
            raise GenerationError(
                f"the problem has images, and {self.scorer.name} reads text only; judge it by reward_model.head "
                "verdict_token or by the critic"
            )
        question, solution = self.family.question(problem), trajectory.prefix.strip()
        messages = (*self.chat.messages(Message("user", question)), Message("assistant", solution))
        score = await self.scorer.score(messages)
        return Evaluation(
            score.value, None, TokenUsage(prompt_tokens=score.num_prompt_tokens, num_retries=score.num_retries)
        )
