"""The critic: asks a model for a critique of a trajectory, and reads its verdict and value."""

import math
import re
from dataclasses import dataclass

from critic_engine.config.search import CriticConfig
from critic_engine.errors import ParseError
from critic_engine.parsing.critiques import CritiqueForm, FoundVerdict, find_verdict, parse_critique
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Evaluation, Generator
from critic_engine.roles.ask_until_readable import ask_until_readable
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
"""Number of likeliest tokens requested at each position to read a verdict."""
_MAX_VALUE_ERROR = 0.05
_AROUND_WORDS = " \t\r\n*_`#\"'.,:;!()[]"


@dataclass(frozen=True, slots=True)
class Critic:
    """Asks a model for a critique of a trajectory. It is an evaluator.

    The value is the model's probability of the verdict "right" over that of either verdict, read from the
    log-probabilities at the first token of the verdict word; without those, the score in the text; without that,
    unknown.
    """

    generator: Generator
    family: PromptFamily
    config: CriticConfig

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the critique and value of ``trajectory``; the usage includes unreadable texts.

        After ``config.max_attempts`` unreadable texts or failures there is neither critique nor value. A trajectory
        without steps is not judged.

        Raises:
            GenerationError: the generator failed for good before it wrote anything.
        """
        if not trajectory.steps:
            return UNKNOWN
        request = GenerationRequest(
            messages=self.config.chat.messages(self.family.critique(problem, steps=trajectory.steps)),
            sampling=SamplingOptions(
                temperature=self.config.temperature,
                top_p=self.config.top_p,
                top_k=self.config.top_k,
                min_p=self.config.min_p,
                max_tokens=self.config.max_tokens,
                num_top_logprobs=NUM_TOP_LOGPROBS,
            ),
            seeds=(seed,),
            chat=self.config.chat,
        )
        try:
            reading = await ask_until_readable(
                self.generator,
                request,
                lambda generation: self._read(generation.samples[0], num_steps=len(trajectory.steps)),
                max_attempts=self.config.max_attempts,
            )
        except ParseError as error:
            return Evaluation(None, None, error.usage, error.num_unreadable)
        return Evaluation(reading.content.value, reading.content, reading.usage, reading.num_unreadable)

    def _read(self, sample: Sample, *, num_steps: int) -> Critique:
        form = self.family.form.critique
        read = parse_critique(sample.text, form, num_steps=num_steps)
        value = None if sample.tokens is None else verdict_probability(sample.text, sample.tokens, form)
        return Critique(
            words=sample.text.strip(),
            verdict=read.verdict,
            value=read.score if value is None else value,
            first_wrong_step=read.first_wrong_step,
        )


def verdict_probability(text: str, tokens: tuple[TokenLogprob, ...], form: CritiqueForm) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` at the first token of the verdict word.

    The value is None without a verdict, and if ``right_share`` is.
    """
    found = find_verdict(text, form)
    token = None if found is None else _token_at(tokens, text, found)
    return None if token is None else right_share(token, form)


def right_share(token: TokenLogprob, form: CritiqueForm) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` among the likeliest tokens at the position of ``token``.

    A token counts for a verdict word if it is the word, or a prefix of that word only, ignoring case, spaces and
    markup. A word that is not among the likeliest tokens counts as 0. The value is None if the missing probability
    could move it by more than 0.05, and if no likeliest tokens are known.
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
    """Return whether ``token`` is one of the verdict words, or a prefix of one of them only."""
    return _begins(token.text, form.right, form.wrong) or _begins(token.text, form.wrong, form.right)


def _token_at(tokens: tuple[TokenLogprob, ...], text: str, found: FoundVerdict) -> TokenLogprob | None:
    """Return the token that begins the verdict word found in ``text``; None if no token surely does.

    The tokens' texts do not simply join to ``text``: some tokenizers add spaces only on joining, the bytes of one
    character decode to one sign each, and special tokens are not in ``text``. So the word is searched in both, without
    spaces, and its first, second or later occurrence in one is the same occurrence in the other.
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
