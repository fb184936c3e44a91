"""The critic's role: a trajectory into a request, and what a model writes into a critique and a value."""

import math
import re

from critic_engine.config.search import CriticConfig
from critic_engine.errors import ParseError
from critic_engine.parsing.critiques import CritiqueForm, FoundVerdict, find_verdict, parse_critique
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Evaluation, Generator
from critic_engine.roles.readable import ask_until_readable
from critic_engine.types import (
    Critique,
    GenerationRequest,
    Problem,
    Sample,
    SamplingOptions,
    TokenLogprob,
    Trajectory,
)

NUM_TOP_LOGPROBS = 10
"""So many of the likeliest tokens are asked for where a verdict is read."""
_MAX_VALUE_ERROR = 0.05
_AROUND_WORDS = " \t\r\n*_`#\"'.,:;!()[]"


class Critic:
    """Asks a model what is wrong with a trajectory.

    The value is the model's probability of saying "right" over that of saying either verdict, read from the
    log-probabilities where the verdict word begins; without those, the score in the text; without that, unknown.
    """

    def __init__(self, generator: Generator, family: PromptFamily, config: CriticConfig) -> None:
        """Take the model, how it is prompted, and how it is sampled."""
        self._generator = generator
        self._family = family
        self._config = config

    @classmethod
    def from_config(cls, generator: Generator, config: CriticConfig) -> "Critic":
        """Return a critic with the prompts that ``config`` names.

        Raises:
            ConfigError: the prompts cannot be loaded.
        """
        return cls(generator, PromptFamily.for_model(config), config)

    async def judge(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the critique of ``trajectory``, whose usage includes unreadable texts.

        After ``config.max_attempts`` unreadable texts or failures there is neither critique nor value. A trajectory
        without steps is not judged.

        Raises:
            GenerationError: the generator failed for good before it wrote anything.
        """
        if not trajectory.steps:
            return UNKNOWN
        request = GenerationRequest(
            messages=(self._family.critique(problem, steps=trajectory.steps),),
            sampling=SamplingOptions(
                temperature=self._config.temperature,
                max_tokens=self._config.max_tokens,
                num_top_logprobs=NUM_TOP_LOGPROBS,
            ),
            seeds=(seed,),
        )
        try:
            reading = await ask_until_readable(
                self._generator,
                request,
                lambda generation: self._read(generation.samples[0], num_steps=len(trajectory.steps)),
                max_attempts=self._config.max_attempts,
            )
        except ParseError as error:
            return Evaluation(None, None, error.usage, error.num_unreadable)
        return Evaluation(reading.content.value, reading.content, reading.usage, reading.num_unreadable)

    def _read(self, sample: Sample, *, num_steps: int) -> Critique:
        form = self._family.form.critique
        read = parse_critique(sample.text, form, num_steps=num_steps)
        value = None if sample.tokens is None else verdict_probability(sample.text, sample.tokens, form)
        return Critique(
            words=sample.text.strip(),
            verdict=read.verdict,
            value=read.score if value is None else value,
            first_wrong_step=read.first_wrong_step,
        )


def verdict_probability(text: str, tokens: tuple[TokenLogprob, ...], form: CritiqueForm) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` at the token where the verdict word begins.

    The value is None without a verdict, and where ``right_share`` is.
    """
    found = find_verdict(text, form)
    token = None if found is None else _token_at(tokens, text, found)
    return None if token is None else right_share(token, form)


def right_share(token: TokenLogprob, form: CritiqueForm) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` among the tokens that were likely in the place of ``token``.

    A token counts for a word when it is the word or begins that word alone, whatever its case and the space or markup
    around it. A word that is not among the likeliest tokens counts as 0; when it could still be likely enough to move
    the value by more than 0.05, the value is None, as it is without alternatives to the token.
    """
    if not token.top:
        return None
    drawn = (token.text, token.logprob)
    listed = token.top if drawn[0] in dict(token.top) else (*token.top, drawn)
    masses = [(text, math.exp(logprob)) for text, logprob in listed]
    right = math.fsum(mass for text, mass in masses if _begins(text, form.right, form.wrong))
    wrong = math.fsum(mass for text, mass in masses if _begins(text, form.wrong, form.right))
    if not right + wrong > 0:
        return None
    remaining = max(0.0, 1 - math.fsum(mass for _, mass in masses))
    unlisted = 0.0 if right and wrong else min(remaining, *(mass for _, mass in masses))
    return None if unlisted / (right + wrong + unlisted) > _MAX_VALUE_ERROR else right / (right + wrong)


def begins_verdict(token: TokenLogprob, form: CritiqueForm) -> bool:
    """Return whether ``token`` is one of the verdict words, or begins one of them alone."""
    return _begins(token.text, form.right, form.wrong) or _begins(token.text, form.wrong, form.right)


def _token_at(tokens: tuple[TokenLogprob, ...], text: str, found: FoundVerdict) -> TokenLogprob | None:
    """Return the token that begins the verdict word found in ``text``; None when none surely does.

    The tokens' texts are not ``text`` in pieces: those of whole words put in spaces only when they are joined, the
    bytes of one character decode to a sign each, and special tokens are not in ``text``. So the word is looked for
    among both, without spaces, and it is the one of the same rank.
    """
    word = _written(text[found.start : found.end])
    places = _places(word, _written(text))
    joined = _places(word, _written("".join(token.text for token in tokens)))
    start = len(_written(text[: found.start]))
    if start not in places or len(joined) < len(places):
        return None
    start = joined[places.index(start)]
    for token in tokens:
        written = _written(token.text)
        if start < len(written):
            begun = written.strip(_AROUND_WORDS)
            return token if begun and word.casefold().startswith(begun.casefold()) else None
        start -= len(written)
    return None


def _places(word: str, text: str) -> list[int]:
    return [match.start() for match in re.finditer(f"(?={re.escape(word)})", text, re.IGNORECASE)]


def _written(text: str) -> str:
    return "".join(text.split())


def _begins(text: str, word: str, other: str) -> bool:
    token, word, other = text.strip(_AROUND_WORDS).casefold(), word.casefold(), other.casefold()
    return token == word or (token != "" and word.startswith(token) and not other.startswith(token))
