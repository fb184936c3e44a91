"""vLLM's sampling parameters of a sample, and its tokens read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from critic_engine.backends.huggingface.checkpoint import end_token_ids
from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.sample_reader import SampleReader, SampleRules
from critic_engine.backends.huggingface.thought_markers import ThoughtMarkers
from critic_engine.protocols import Sample, TokenLogprob
from critic_engine.seeds import derive_seed


class VllmSamples:
    """Follows the samples of one model."""

    def __init__(self, tokenizer: Any, model_config: Any, markers: ThoughtMarkers | None) -> None:
        """Read samples with ``tokenizer``; ``model_config`` is vLLM's."""
        # All three places that a checkpoint names them in.
        ends = end_token_ids(
            model_config.try_get_generation_config().get("eos_token_id"),
            getattr(model_config.hf_text_config, "eos_token_id", None),
            tokenizer.eos_token_id,
        )
        self._rules = SampleRules(tokenizer, markers, end_token_ids=ends)

    def begin(self, row: Row, *, has_seed: bool) -> StagedSample:
        """Return the sample of ``row``, of which nothing is written; ``has_seed`` is whether its draws may repeat."""
        return StagedSample(row, self._rules, has_seed=has_seed)


class StagedSample:
    """One sample, drawn in stages: vLLM's stop strings act everywhere, so a thought and its text are asked for apart.

    A model without thoughts takes one stage. Later stages continue the tokens of the earlier ones, which vLLM finds in
    its cache, with seeds of their own.
    """

    def __init__(self, row: Row, rules: SampleRules, *, has_seed: bool) -> None:
        """Begin the sample of ``row``."""
        self.reader = SampleReader(row, rules)
        """What was written so far."""
        self._row = row
        self._rules = rules
        self._has_seed = has_seed
        self._num_stages = 0
        self._logprobs: list[Mapping[int, Any]] = []

    def params(self) -> Any:
        """Return vLLM's ``SamplingParams`` of the next stage."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling, reader = self._row.sampling, self.reader
        is_inside = reader.phase in ("thought", "later thought")
        stops, stop_ids = self._stops(is_inside=is_inside)
        is_greedy = sampling.is_greedy
        return SamplingParams(
            temperature=0.0 if is_greedy else sampling.temperature,
            top_p=1.0 if is_greedy else sampling.top_p,
            top_k=0 if is_greedy else sampling.top_k,
            min_p=0.0 if is_greedy else sampling.min_p,
            seed=self._seed() if self._has_seed and not is_greedy else None,
            max_tokens=reader.num_thought_left if is_inside else reader.num_text_left,
            stop=stops,
            stop_token_ids=sorted(stop_ids),
            # Not all of the checkpoint's end tokens end a thought.
            ignore_eos=True,
            logprobs=sampling.num_top_logprobs,
            # Texts are decoded below, as those of the transformers backend are; vLLM's serve to find stop strings.
            detokenize=bool(stops),
            skip_special_tokens=self._rules.markers is None,
            spaces_between_special_tokens=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def take(self, completion: Any) -> bool:
        """Take the output of a stage and return whether the sample has ended."""
        self._num_stages += 1
        for place, token in enumerate(completion.token_ids):
            if completion.logprobs is not None:
                self._logprobs.append(completion.logprobs[place])
            if self.reader.push(token):
                return True
        # vLLM's text of the same tokens may hold a stop string that ours lacks, by a space.
        is_text = self.reader.phase == "text" and completion.stop_reason in self._row.sampling.stop
        if is_text or not completion.token_ids:
            self.reader.end()
        return self.reader.has_ended

    def read(self) -> Sample:
        """Return the sample."""
        is_asked = self._row.sampling.num_top_logprobs is not None
        return self.reader.read(self._token_logprob if is_asked else None)

    def _stops(self, *, is_inside: bool) -> tuple[list[str], frozenset[int]]:
        """Return the strings and the tokens that end the next stage: also markers, where another one begins."""
        rules, reader = self._rules, self.reader
        ends = rules.end_token_ids - (rules.inner_end_ids if is_inside else frozenset())
        strings = [] if is_inside else list(self._row.sampling.stop)
        wanted = []
        if rules.markers is not None:
            wanted += [(rules.markers.opening, rules.opening_id)] if reader.looks_for_opening else []
            wanted += [(rules.markers.closing, rules.closing_id)] if reader.looks_for_closing else []
        strings += [marker for marker, token in wanted if token is None]
        return strings, ends.union(token for _, token in wanted if token is not None)

    def _seed(self) -> int:
        seed = self._row.seed
        return derive_seed("stage", seed, self._num_stages) if self._num_stages else seed

    def _token_logprob(self, place: int) -> TokenLogprob:
        token, found = self.reader.ids[place], self._logprobs[place]
        token_text = self._rules.decoder.token_text
        # The drawn token is among them, likely or not.
        likeliest = sorted(found.items(), key=lambda item: -item[1].logprob)[: self._row.sampling.num_top_logprobs or 0]
        top = tuple((token_text(other), logprob.logprob) for other, logprob in likeliest)
        return TokenLogprob(token_text(token), found[token].logprob, top)
