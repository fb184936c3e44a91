"""vLLM's sampling parameters of a request, and the samples in vLLM's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.huggingface.checkpoint import end_token_ids
from critic_engine.backends.huggingface.token_text import TokenDecoder
from critic_engine.backends.vllm.prompts import VllmPrompt
from critic_engine.types import Sample, SamplingOptions, TokenLogprob


class VllmSamples:
    """Writes sampling parameters and reads samples for one model."""

    def __init__(self, tokenizer: Any, model_config: Any) -> None:
        """Read samples with ``tokenizer``; ``model_config`` is vLLM's."""
        self._decoder = TokenDecoder(tokenizer)
        # All three places that a checkpoint names them in.
        self._end_token_ids = end_token_ids(
            model_config.try_get_generation_config().get("eos_token_id"),
            getattr(model_config.hf_text_config, "eos_token_id", None),
            tokenizer.eos_token_id,
        )

    def params(self, sampling: SamplingOptions, prompt: VllmPrompt, seed: int | None) -> Any:
        """Return vLLM's ``SamplingParams`` of one sample, cut where the context ends."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        is_greedy = sampling.is_greedy
        return SamplingParams(
            temperature=0.0 if is_greedy else sampling.temperature,
            top_p=1.0 if is_greedy else sampling.top_p,
            top_k=0 if is_greedy else sampling.top_k,
            min_p=0.0 if is_greedy else sampling.min_p,
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
        text, num_kept = self._decoder.whole_after(prompt.context_ids, ids[:-1] if is_ended else ids)
        text, stop = cut_at_stop(text, sampling.stop)
        places = [*range(num_kept), *[len(ids) - 1] * is_ended]
        logprobs = completion.logprobs
        return Sample(
            text=text,
            num_tokens=len(ids),
            finish_reason="stop" if is_ended or stop is not None else "length",
            stop=stop,
            tokens=None if logprobs is None else self._read_logprobs(ids, logprobs, sampling, places),
        )

    def _read_logprobs(
        self, ids: list[int], logprobs: Sequence[Mapping[int, Any]], sampling: SamplingOptions, places: Sequence[int]
    ) -> tuple[TokenLogprob, ...]:
        rows = []
        for place in places:
            token, found = ids[place], logprobs[place]
            # The drawn token is among them, likely or not.
            likeliest = sorted(found.items(), key=lambda item: -item[1].logprob)[: sampling.num_top_logprobs or 0]
            top = tuple((self._decoder.token_text(other), logprob.logprob) for other, logprob in likeliest)
            rows.append(TokenLogprob(self._decoder.token_text(token), found[token].logprob, top))
        return tuple(rows)
