"""The critic: asks a model for a critique of a trajectory, and reads its verdict and value."""

import math
import re
from dataclasses import dataclass

from critic_engine.config.search import CriticConfig
from critic_engine.errors import GenerationError, ParseError
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critique_parts import CritiqueParts, FoundVerdict
from critic_engine.parsing.critiques import lack_of_verdict, read_parts
from critic_engine.parsing.thoughts import find_thoughts
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Evaluation, GenerationRequest, Generator, Sample, TokenLogprob
from critic_engine.roles.ask_until_readable import ask_until_readable
from critic_engine.types import Critique, Problem, SamplingOptions, Trajectory

NUM_TOP_LOGPROBS = 10
"""Number of likeliest tokens requested at each position to read a verdict."""
_MAX_VALUE_ERROR = 0.05
_MAX_QUOTED_CHARACTERS = 200
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

        After ``config.max_attempts`` unreadable texts or failures there is neither critique nor value. A critique whose
        score contradicts its verdict is kept, and counted as unreadable where the score would be its value. A
        trajectory without steps is not judged.

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
                max_tokens=self.max_tokens,
                num_top_logprobs=NUM_TOP_LOGPROBS,
            ),
            seeds=(seed,),
            chat=self.config.chat,
            session=problem.problem_id,
        )
        try:
            reading = await ask_until_readable(
                self.generator,
                request,
                lambda generation: self._read(generation.samples[0], num_steps=len(trajectory.steps)),
                max_attempts=self.config.max_attempts,
            )
        except ParseError as error:
            return Evaluation(None, None, error.usage.by_critic(), error.num_unreadable, unreadable=error.reasons)
        except GenerationError as error:
            raise error.with_usage(error.usage.by_critic()) from error
        critique, doubt = reading.content
        reasons = reading.reasons + (() if doubt is None else (doubt,))
        return Evaluation(critique.value, critique, reading.usage.by_critic(), len(reasons), unreadable=reasons)

    @property
    def max_tokens(self) -> int:
        """Most tokens of one critique."""
        return self.config.max_tokens or self.family.form.critique_tokens

    def _read(self, sample: Sample, *, num_steps: int) -> tuple[Critique, str | None]:
        """Return the critique, and why it has no value though it states a score."""
        parts = self._parts(sample)
        read = read_parts(parts, num_steps=num_steps)
        tokens = () if sample.tokens is None else sample.tokens
        value = verdict_probability(parts, sample.text, tokens, self.family.form.critique)
        thoughts = find_thoughts(sample.text)
        critique = Critique(
            words=thoughts.visible(parts.useful_start).strip(),
            verdict=read.verdict,
            value=read.score if value is None else value,
            first_wrong_step=read.first_wrong_step,
            examination=thoughts.visible(0, parts.useful_start).strip(),
        )
        stated = None if parts.score is None else parts.score.number
        if critique.value is not None or stated is None:
            return critique, None
        reason = f"the score {stated:g} contradicts the verdict {read.verdict!r}, so the critique has no value"
        return critique, str(_quoting(reason, sample))

    def _parts(self, sample: Sample) -> CritiqueParts:
        """Return the parts of the critique.

        Raises:
            ParseError: there is no verdict, or its text was cut and may go on to another one.
        """
        form, is_cut = self.family.form.critique, sample.finish_reason == "length"
        parts = CritiqueParts.find(sample.text, form)
        if parts is None or (is_cut and not parts.is_concluded):
            raise _quoting(self._cut(sample) if is_cut else lack_of_verdict(form), sample)
        return parts

    def _cut(self, sample: Sample) -> str:
        if sample.thought and not sample.text.strip():
            return (
                f"the critic's thought was cut at {sample.num_tokens} tokens; raise critic.max_thought_tokens, which "
                f"is {self.config.max_thought_tokens}, or set critic.thinking to off"
            )
        return (
            f"the critique was cut at {sample.num_tokens} tokens before its verdict; raise critic.max_tokens, which is "
            f"{self.max_tokens}"
        )


def _quoting(reason: str, sample: Sample) -> ParseError:
    """Return an error that quotes the beginning of a sample and, if it is long, its end."""
    text = sample.text if sample.text.strip() else sample.thought
    error = ParseError.quoting(reason, text)
    if len(text) <= _MAX_QUOTED_CHARACTERS:
        return error
    return ParseError(f"{error}, and at its end {text[-_MAX_QUOTED_CHARACTERS:]!r}", text=text)


def verdict_probability(
    parts: CritiqueParts, text: str, tokens: tuple[TokenLogprob, ...], form: CritiqueForm
) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` at the first token of the verdict word.

    Args:
        parts: Where the verdict stands in ``text``.
        text: The critique.
        tokens: Those of ``text``; none without log-probabilities.
        form: The words of the verdicts.

    Returns:
        The share in [0, 1]; None if the word's token is not found, and if ``right_share`` is None.
    """
    token = _token_at(tokens, text, parts.verdict)
    return None if token is None else right_share(token, form)


def right_share(token: TokenLogprob, form: CritiqueForm) -> float | None:
    """Return ``P(right) / (P(right) + P(wrong))`` among the likeliest tokens at the position of ``token``.

    A token counts for a verdict if it is one of its words, or begins words of that verdict only, ignoring case, spaces
    and markup. A word that is not among the likeliest tokens counts as 0. The value is None if the missing probability
    could move it by more than 0.05, and if no likeliest tokens are known.
    """
    if not token.top:
        return None
    drawn = (token.text, token.logprob)
    listed = token.top if drawn[0] in dict(token.top) else (*token.top, drawn)
    masses = [(text, math.exp(logprob)) for text, logprob in listed]
    right = math.fsum(mass for text, mass in masses if _begins(text, form.right_words, form.wrong_words))
    wrong = math.fsum(mass for text, mass in masses if _begins(text, form.wrong_words, form.right_words))
    if not right + wrong > 0:
        return None
    remaining = max(0.0, 1 - math.fsum(mass for _, mass in masses))
    unlisted = 0.0 if right and wrong else min(remaining, *(mass for _, mass in masses))
    return None if unlisted / (right + wrong + unlisted) > _MAX_VALUE_ERROR else right / (right + wrong)


def begins_verdict(token: TokenLogprob, form: CritiqueForm) -> bool:
    """Return whether ``token`` is one of the verdict words, or begins words of one verdict only."""
    right, wrong = form.right_words, form.wrong_words
    return _begins(token.text, right, wrong) or _begins(token.text, wrong, right)


def _token_at(tokens: tuple[TokenLogprob, ...], text: str, found: FoundVerdict) -> TokenLogprob | None:
    """Return the token that begins the verdict word found in ``text``; None if no token surely does.

    The tokens' texts do not simply join to ``text``: some tokenizers add spaces only on joining, the bytes of one
    character decode to one sign each, and special tokens are not in ``text``. So the word is searched in both, without
    spaces, and its last, last but one or earlier occurrence in one is the same occurrence in the other.
    """
    word = _written(text[found.start : found.end])
    places = _places(word, _written(text))
    joined = _places(word, _written("".join(token.text for token in tokens)))
    start = len(_written(text[: found.start]))
    if start not in places or len(joined) < len(places):
        return None
    start = joined[places.index(start) - len(places)]
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


def _begins(text: str, words: tuple[str, ...], others: tuple[str, ...]) -> bool:
    token = text.strip(_AROUND_WORDS).casefold()
    begins_word, begins_other = (any(word.casefold().startswith(token) for word in each) for each in (words, others))
    return any(token == word.casefold() for word in words) or (token != "" and begins_word and not begins_other)
