"""The algorithms of ``its_hub`` (1.2.0) over our models, behind its own interfaces.

Its budget is a number of samples or paths. Best-of-N and self-consistency draw through an orchestrator, the place that
its documentation gives to limits: samples come one by one until the tokens are spent. Beam search and particle
filtering run with a given number of paths, and start again while tokens are left; the step that crosses the budget ends
them. Then the best of their finished paths answers or, if none is finished, the best beginning is completed, as our
searches do. Their reward models need no words, so the critic generates its verdict alone, one token.
"""

import math
from collections.abc import Sequence
from typing import Any

from its_hub import BestOfN, SelfConsistency
from its_hub.api import (
    AbstractLanguageModel,
    AbstractOrchestrator,
    AbstractOutcomeRewardModel,
    AbstractProcessRewardModel,
    AbstractScalingAlgorithm,
    ChatMessage,
)
from its_hub.core.algorithms.beam_search import BeamSearch
from its_hub.core.algorithms.particle_gibbs import ParticleFiltering
from its_hub.core.lms.step_generation import StepGeneration

from bench.peer_methods.sessions import MAX_REQUESTS, Session, Solution, as_trajectory
from critic_engine.concurrency import gather_or_cancel
from critic_engine.errors import GenerationError
from critic_engine.parsing.answer_extraction import ending_answer, extract_answer
from critic_engine.parsing.answers import AnswerClasses
from critic_engine.parsing.steps import StepSplitter
from critic_engine.protocols import Continuation, GenerationRequest
from critic_engine.types import SamplingOptions, Trajectory

END = "<end of turn>"
"""The stop token of a path: marks where the model ended its turn or stated its answer."""


class SpentError(Exception):
    """The budget was spent when another step was asked for."""


class UnreadableError(Exception):
    """The critic's value of a beginning is unknown, which their reward models cannot say."""


class NoReplyError(Exception):
    """No sample could be drawn, without which neither best-of-N nor self-consistency has an answer."""


class SolutionModel(AbstractLanguageModel):  # type: ignore[misc]
    """Writes whole solutions."""

    def __init__(self, session: Session) -> None:
        """Write for one problem."""
        self._session = session
        self.written: dict[str, Continuation] = {}
        """Each text that was written, as it was read."""

    async def agenerate_single(self, messages: list[ChatMessage], stop: str | None = None, **options: Any) -> Any:
        """Return a solution as an assistant's message."""
        written = await self._session.write()
        if written is None:
            raise GenerationError("no solution could be read")
        text = "\n".join(written.steps)
        self.written[text] = written
        return {"role": "assistant", "content": text}

    async def agenerate(self, messages: Any, stop: str | None = None, **options: Any) -> Any:
        """Do nothing: whole solutions are drawn by the orchestrator, one at a time."""
        raise NotImplementedError("ask for single solutions")


class SolutionReward(AbstractOutcomeRewardModel):  # type: ignore[misc]
    """The critic's value of whole solutions."""

    def __init__(self, session: Session, model: SolutionModel) -> None:
        """Judge what ``model`` writes."""
        self._session = session
        self._model = model

    async def value(self, text: str) -> float | None:
        """Return the value of a solution that the model wrote; None if it is unknown."""
        return await self._session.score(as_trajectory(self._model.written[text]))

    async def ascore(self, messages: Any, orchestrator: Any = None, **options: Any) -> list[float]:
        """Return the values of conversations that end with a solution."""
        values = [await self.value(conversation[-1].content) for conversation in messages]
        if None in values:
            raise UnreadableError
        return [value for value in values if value is not None]

    def score(self, messages: Any, **options: Any) -> list[float]:
        """Do nothing: they score in an event loop."""
        raise NotImplementedError("use ascore")


class SpendingOrchestrator(AbstractOrchestrator):  # type: ignore[misc]
    """Draws samples until the budget is spent, and has each valued as it comes, if there is a reward model.

    As their best-of-N does, it asks for no value while all samples are equal. A sample whose value is unknown is left
    out.
    """

    def __init__(self, session: Session, reward: SolutionReward | None = None) -> None:
        """Spend the session's budget."""
        self._session = session
        self._reward = reward

    async def agenerate(
        self, lm: SolutionModel, messages_lst: list[list[ChatMessage]], stop: str | None = None, **options: Any
    ) -> list[dict[str, str]]:
        """Return the samples drawn.

        Raises:
            NoReplyError: there are none.
        """
        replies: list[dict[str, str]] = []
        for messages in messages_lst:
            if self._session.is_over:
                break
            try:
                replies.append(await lm.agenerate_single(messages))
            except GenerationError:
                continue
            texts = {reply["content"] for reply in replies}
            if self._reward is not None and len(texts) > 1:
                unknown = {text for text in texts if await self._reward.value(text) is None}
                replies = [reply for reply in replies if reply["content"] not in unknown]
        if not replies:
            raise NoReplyError
        return replies


async def best_of_n(session: Session) -> str | None:
    """Return the answer of the sample with the highest value."""
    model = SolutionModel(session)
    reward = SolutionReward(session, model)
    return await _sampled(session, model, BestOfN(reward, SpendingOrchestrator(session, reward)), reward)


async def self_consistency(session: Session) -> str | None:
    """Return the most common answer."""
    classes = AnswerClasses(session.problem.question, session.problem.choices)
    words = session.reasoner.family.form.answer_words

    def answer_class(text: str) -> str | None:
        answer = extract_answer(text, session.problem.choices, further_words=words)
        return None if answer is None else classes.key(answer)

    algorithm = SelfConsistency(answer_class, orchestrator=SpendingOrchestrator(session))
    return await _sampled(session, SolutionModel(session), algorithm, None)


async def _sampled(
    session: Session, model: SolutionModel, algorithm: AbstractScalingAlgorithm, reward: SolutionReward | None
) -> str | None:
    try:
        result = await algorithm.ainfer(model, session.problem.question, MAX_REQUESTS, return_response_only=False)
    except NoReplyError:
        return None
    num_distinct = len({reply["content"] for reply in result.responses})
    for reply in result.responses:
        is_valued = reward is not None and num_distinct > 1
        value = await reward.value(reply["content"]) if reward is not None and is_valued else None
        session.keep(model.written[reply["content"]], value)
    return model.written[result.the_one["content"]].answer


class StepModel(AbstractLanguageModel):  # type: ignore[misc]
    """Writes one step after each beginning that it is given."""

    def __init__(self, session: Session) -> None:
        """Write for one problem."""
        self._session = session
        self._splitter = StepSplitter(session.config.expander)
        self.log_priors: dict[str, float] = {"": 0.0}
        """Logarithm of the reasoner's probability of each text; missing if unknown."""
        self.ended: set[str] = set()
        """Texts with which the reasoner ended its turn or stated its answer."""

    async def agenerate(self, messages: Any, stop: str | None = None, **options: Any) -> Any:
        """Return one step for each conversation.

        Raises:
            SpentError: the budget is spent.
            GenerationError: a step could not be written.
        """
        if self._session.is_over:
            raise SpentError
        if not isinstance(messages[0], list):
            return await self._step(messages, stop, **options)
        return await gather_or_cancel(self._step(conversation, stop, **options) for conversation in messages)

    async def _step(
        self, messages: Sequence[ChatMessage], stop: str | None, temperature: float = 0.8, **options: Any
    ) -> dict[str, str]:
        session, config = self._session, self._session.config
        behind = messages[-1].content if messages[-1].role == "assistant" else ""
        request = GenerationRequest(
            messages=config.reasoner.chat.messages(session.reasoner.family.solve(session.problem)),
            prefix=behind,
            sampling=SamplingOptions(
                temperature=temperature,
                top_p=config.reasoner.top_p,
                top_k=config.reasoner.top_k,
                min_p=config.reasoner.min_p,
                max_tokens=config.expander.max_step_tokens,
                stop=() if stop is None else (stop,),
                num_top_logprobs=0,
            ),
            seeds=(session.next_seed("reasoner"),),
            chat=config.reasoner.chat,
        )
        sample = (await session.reasoner.generator.generate(request)).samples[0]
        text = sample.text + (sample.stop or "")
        whole = behind + text
        if sample.tokens is not None and behind in self.log_priors:
            self.log_priors[whole] = self.log_priors[behind] + math.fsum(token.logprob for token in sample.tokens)
        has_ended_turn = sample.finish_reason == "stop" and sample.stop is None
        if has_ended_turn or ending_answer(self.steps(whole), session.problem.choices) is not None:
            self.ended.add(whole)
            text += END
        return {"role": "assistant", "content": text}

    def steps(self, text: str) -> tuple[str, ...]:
        """Return the steps of a text."""
        return self._splitter.steps(text)


class StepReward(AbstractProcessRewardModel):  # type: ignore[misc]
    """The critic's value of beginnings and of whole solutions."""

    def __init__(self, session: Session, model: StepModel) -> None:
        """Judge what ``model`` writes."""
        self._session = session
        self._model = model
        self.values: dict[str, float] = {}
        """The value of each text that was judged."""
        self.solutions: dict[str, Solution] = {}
        """The finished ones of them."""

    async def ascore(self, prompt_or_messages: Any, steps: list[str]) -> list[float]:
        """Return the value of each text, in [0, 1].

        Raises:
            UnreadableError: one is unknown.
        """
        return list(await gather_or_cancel(self._value(text) for text in steps))

    async def _value(self, text: str) -> float:
        steps = self._model.steps(text)
        value = await self._session.score(Trajectory(steps))
        if text in self._model.ended:
            words = self._session.reasoner.family.form.answer_words
            answer = extract_answer(steps, self._session.problem.choices, further_words=words)
            solution = Solution(steps, answer, value, self._model.log_priors.get(text))
            self.solutions[text] = solution
            self._session.solutions.append(solution)
        if value is None:
            raise UnreadableError
        self.values[text] = value
        return value

    def score(self, prompt_or_messages: Any, steps: list[str]) -> list[float]:
        """Do nothing: they score in an event loop."""
        raise NotImplementedError("use ascore")


def beam_search(stepping: StepGeneration, reward: StepReward, beam_width: int) -> AbstractScalingAlgorithm:
    """Return beam search."""
    return BeamSearch(stepping, reward, beam_width)


def particle_filtering(stepping: StepGeneration, reward: StepReward) -> AbstractScalingAlgorithm:
    """Return particle filtering with its own defaults: multinomial resampling, the heaviest particle answers."""
    return ParticleFiltering(stepping, reward)


async def search_paths(
    session: Session, *, num_paths: int, beam_width: int | None = None, temperature: float | None = None
) -> str | None:
    """Return the answer of beam search, or without a ``beam_width`` of particle filtering, with ``num_paths`` paths."""
    model = StepModel(session)
    reward = StepReward(session, model)
    stepping = StepGeneration(
        max_steps=session.config.expander.max_steps,
        step_token=session.config.expander.delimiter,
        stop_token=END,
        temperature=session.config.reasoner.temperature if temperature is None else temperature,
        include_stop_str_in_output=True,
    )
    algorithm = (
        particle_filtering(stepping, reward) if beam_width is None else beam_search(stepping, reward, beam_width)
    )
    chosen: list[Solution] = []
    while not session.is_over:
        try:
            result = await algorithm.ainfer(model, session.problem.question, num_paths, return_response_only=False)
        except (SpentError, UnreadableError, GenerationError):
            continue
        chosen += filter(None, [reward.solutions.get(result.the_one["content"])])
    finished = [each for each in chosen or session.solutions if each.answer is not None]
    if finished:
        return max(finished, key=lambda each: -1.0 if each.value is None else each.value).answer
    beginning = max(reward.values, key=lambda text: (reward.values[text], len(text)), default="")
    steps = model.steps(beginning)
    completed = await session.complete(Trajectory(steps))
    return None if completed is None else completed.answer
