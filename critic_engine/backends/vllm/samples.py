"""vLLM's sampling parameters of a request, and the samples in vLLM's output."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.huggingface.checkpoint import end_token_ids
from critic_engine.backends.huggingface.stop_strings import decode_after
from critic_engine.backends.vllm.prompts import VllmPrompt
from critic_engine.types import Sample, SamplingOptions, TokenLogprob


class VllmSamples:
    """Writes sampling parameters and reads samples for one model."""

    def __init__(self, tokenizer: Any, model_config: Any) -> None:
        """Read samples with ``tokenizer``; ``model_config`` is vLLM's."""
        self._tokenizer = tokenizer
        # All three places that a checkpoint names them in.
        self._end_token_ids = end_token_ids(
            model_config.try_get_generation_config().get("eos_token_id"),
            getattr(model_config.hf_text_config, "eos_token_id", None),
            tokenizer.eos_token_id,
        )
        self._token_text = functools.cache(lambda token: str(tokenizer.decode([token])))

    def params(self, sampling: SamplingOptions, prompt: VllmPrompt, seed: int | None) -> Any:
        """Return vLLM's ``SamplingParams`` of one sample, cut where the context ends."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        is_greedy = sampling.is_greedy
        return SamplingParams(
            temperature=0.0 if is_greedy else sampling.temperature,
            top_p=1.0 if is_greedy else sampling.top_p,
            seed=None if is_greedy else seed,
            max_tokens=min(sampling.max_tokens, prompt.max_tokens),
            stop=list(sampling.stop),
            stop_token_ids=sorted(self._end_token_ids),
            logprobs=sampling.num_top_logprobs,
            # Texts are decoded below, as those of the transformers backend are; vLLM's serve to find stop strings.
            detokenize=bool(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def read(self, output: Any, sampling: SamplingOptions, prompt: VllmPrompt) -> Sample:
        """Return the sample in a finished ``RequestOutput``."""
        (completion,) = output.outputs
        ids = list(completion.token_ids)
        is_ended = bool(ids) and ids[-1] in self._end_token_ids
        text = decode_after(self._tokenizer, prompt.context_ids, ids[:-1] if is_ended else ids)
        text, stop = cut_at_stop(text, sampling.stop)
        return Sample(
            text=text,
            num_tokens=len(ids),
            finish_reason="stop" if is_ended or stop is not None else "length",
            stop=stop,
            tokens=None if completion.logprobs is None else self._read_logprobs(ids, completion.logprobs, sampling),
        )

    def _read_logprobs(
        self, ids: list[int], places: Sequence[Mapping[int, Any]], sampling: SamplingOptions
    ) -> tuple[TokenLogprob, ...]:
        rows = []
        for token, place in zip(ids, places, strict=True):
            # The drawn token is among them, likely or not.
            likeliest = sorted(place.items(), key=lambda item: -item[1].logprob)[: sampling.num_top_logprobs or 0]
            top = tuple((self._token_text(other), logprob.logprob) for other, logprob in likeliest)
            rows.append(TokenLogprob(self._token_text(token), place[token].logprob, top))
        return tuple(rows)
