"""A generator with no model: each answer is a pure function of messages, prefix, sampling options and seed."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.errors import GenerationError
from critic_engine.protocols import Generation, GenerationRequest, Sample, TokenLogprob
from critic_engine.types import SamplingOptions, TokenUsage

_TOKEN = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")
_END = "<end>"


@dataclass(frozen=True, slots=True)
class ScriptedText:
    """A text, and the probabilities of its possible first tokens."""

    text: str
    first_token_odds: Mapping[str, float] = field(default_factory=dict)
    """Probability of each token that could have come first, the text's own included; empty invents one."""


Script: TypeAlias = Callable[[GenerationRequest, int], "str | ScriptedText | Sample"]
"""From a request and a seed to a model's whole text after the prefix, before stop strings and the token limit cut it.

A ``Sample`` is passed on as it is. A script may raise ``GenerationError``.
"""


class ScriptedGenerator:
    """Answers from a script: for tests, documentation, and runs without a model.

    A token is a word with the spaces before it, or a newline; the end of the text counts as one more token.
    """

    def __init__(
        self,
        script: Script | Sequence[str] | Mapping[str, str],
        *,
        name: str = "scripted",
        latency_s: float = 0.0,
        faults: Mapping[int, GenerationError] | None = None,
        is_recording: bool = False,
    ) -> None:
        """Answer by ``script``.

        Args:
            script: A function; or texts, of which seed ``s`` draws number ``s`` modulo their count; or texts by a part
                of the last message, of which the first whose part occurs is drawn.
            name: The generator's name in reports.
            latency_s: How long each call takes.
            faults: The error that a call raises instead of answering, by the call's number from 0, in order of arrival.
            is_recording: Whether ``requests`` keeps every request.
        """
        self._script = _as_script(script)
        self.name = name
        """The name it was given."""
        self._latency_s = latency_s
        self._faults = dict(faults or {})
        self._is_recording = is_recording
        self._call_numbers = itertools.count()
        self.requests: list[GenerationRequest] = []
        """Every request so far, in order of arrival, when recording."""

    async def load(self) -> None:
        """Do nothing: there is nothing to load."""

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed, cut by the request's stop strings and ``max_tokens``.

        Raises:
            GenerationError: raised by the script, or listed in ``faults``.
        """
        number = next(self._call_numbers)
        if self._is_recording:
            self.requests.append(request)
        await asyncio.sleep(self._latency_s)
        if number in self._faults:
            raise self._faults[number]
        samples = tuple(_as_sample(self._script(request, seed), request.sampling) for seed in request.seeds)
        prompt_tokens = len(_tokens("\n".join([*(message.text for message in request.messages), request.prefix])))
        return Generation(samples, TokenUsage(prompt_tokens, sum(sample.num_tokens for sample in samples)))

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""


def unit_hash(*parts: object) -> float:
    """Return a number in (0, 1) that depends on the text of ``parts`` alone."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def _as_script(script: Script | Sequence[str] | Mapping[str, str]) -> Script:
    if callable(script):
        return script
    if not script:
        raise ValueError(f"script is {script!r}; it needs at least one text")
    if isinstance(script, Mapping):
        return lambda request, _: _matching_text(script, request)
    return lambda _, seed: script[seed % len(script)]


def _matching_text(texts: Mapping[str, str], request: GenerationRequest) -> str:
    message = request.messages[-1].text
    for part, text in texts.items():
        if part in message:
            return text
    raise GenerationError(f"the script has no answer to {message[:200]!r}")


def _as_sample(output: str | ScriptedText | Sample, sampling: SamplingOptions) -> Sample:
    if isinstance(output, Sample):
        return output
    if isinstance(output, str):
        output = ScriptedText(output)
    text, stop = cut_at_stop(output.text, sampling.stop)
    tokens = _tokens(text + stop) if stop else [*_tokens(text), _END]
    sample = Sample(text, num_tokens=len(tokens), finish_reason="stop", stop=stop)
    if len(tokens) > sampling.max_tokens:
        tokens = tokens[: sampling.max_tokens]
        sample = Sample("".join(tokens), num_tokens=len(tokens), finish_reason="length")
    if sampling.num_top_logprobs is None:
        return sample
    return dataclasses.replace(sample, tokens=_logprobs(tokens, output.first_token_odds, sampling.num_top_logprobs))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _logprobs(tokens: Sequence[str], odds: Mapping[str, float], num_top: int) -> tuple[TokenLogprob, ...]:
    rows = []
    for place, token in enumerate(tokens):
        known = odds if place == 0 and token in odds else {token: 0.5 + 0.5 * unit_hash(tuple(tokens[: place + 1]))}
        ranked = sorted(((text, math.log(share)) for text, share in known.items()), key=lambda pair: -pair[1])
        rows.append(TokenLogprob(token, math.log(known[token]), tuple(ranked[:num_top])))
    return tuple(rows)
