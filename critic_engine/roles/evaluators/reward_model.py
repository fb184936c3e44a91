"""Evaluators that ask a reward model, which gives a value and no words."""

import logging
from dataclasses import dataclass, field, replace

from critic_engine.errors import GenerationError
from critic_engine.parsing.thoughts import visible
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Evaluation, GenerationRequest, Generator, Scorer
from critic_engine.roles.critic import NUM_TOP_LOGPROBS, begins_verdict, right_share
from critic_engine.types import ChatOptions, Message, Problem, SamplingOptions, Trajectory

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
            session=problem.problem_id,
        )
        try:
            generation = await self.generator.generate(request)
        except GenerationError as error:
            raise error.with_usage(error.usage.by_critic()) from error
        usage = generation.usage.by_critic()
        sample, form = generation.samples[0], self.family.form.critique
        if not sample.tokens:
            fault = "the model gives no log-probabilities"
        elif not begins_verdict(sample.tokens[0], form):
            fault = f"no verdict begins with {(sample.text or sample.thought)[:200]!r}"
        elif (value := right_share(sample.tokens[0], form)) is None:
            fault = f"the likeliest tokens do not tell one verdict from the other at {sample.text[:200]!r}"
        else:
            return Evaluation(value, None, usage)
        _logger.info("%s: %s", self.generator.name, fault)
        return Evaluation(None, None, usage, num_unreadable=1, unreadable=(fault,))


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
        question, solution = self.family.question(problem), visible(trajectory.prefix).strip()
        messages = (*self.chat.messages(Message("user", question)), Message("assistant", solution))
        try:
            score = await self.scorer.score(messages)
        except GenerationError as error:
            raise error.with_usage(error.usage.by_critic()) from error
        return Evaluation(score.value, None, score.usage.by_critic())
