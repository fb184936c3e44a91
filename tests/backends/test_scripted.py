import asyncio
import math
import re
from typing import Any

import pytest

from critic_engine.backends.scripted import Script, ScriptedGenerator, ScriptedText
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.errors import GenerationError
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import Image, Message, SamplingOptions

QUESTION = "how many red circles ?"


def ask(text: str = QUESTION, *, prefix: str = "", seeds: tuple[int, ...] = (0,), **sampling: Any) -> GenerationRequest:
    return GenerationRequest((Message("user", text),), prefix=prefix, sampling=SamplingOptions(**sampling), seeds=seeds)


def answer(script: Any, request: GenerationRequest) -> Generation:
    return asyncio.run(ScriptedGenerator(script).generate(request))


def text(script: Script, request: GenerationRequest) -> str:
    return answer(script, request).samples[0].text


def test_texts_are_drawn_by_seed() -> None:
    generation = answer(["a", "b", "c"], ask(seeds=(0, 4, 2)))
    assert [sample.text for sample in generation.samples] == ["a", "b", "c"]


def test_texts_are_drawn_by_what_the_prompt_holds() -> None:
    script = {"circles": "round", "red": "colour"}
    assert answer(script, ask()).samples[0].text == "round"
    with pytest.raises(GenerationError, match="no answer"):
        answer(script, ask("why ?"))


def test_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="script"):
        ScriptedGenerator([])


def test_stop_string_ends_a_sample_and_is_no_part_of_it() -> None:
    sample = answer(["one two\nthree"], ask(stop=("three", "\n"))).samples[0]
    assert sample == Sample("one two", num_tokens=3, finish_reason="stop", stop="\n")


def test_end_of_the_text_counts_as_a_token() -> None:
    assert answer(["one two"], ask()).samples[0] == Sample("one two", num_tokens=3, finish_reason="stop")
    assert answer(["one two"], ask(max_tokens=2)).samples[0] == Sample("one two", num_tokens=2, finish_reason="length")


def test_token_limit_cuts_before_a_later_stop() -> None:
    sample = answer(["one two three\n"], ask(max_tokens=2, stop=("\n",))).samples[0]
    assert sample == Sample("one two", num_tokens=2, finish_reason="length")


def test_sample_of_a_script_is_passed_on() -> None:
    sample = Sample("whatever", num_tokens=99, finish_reason="length")
    assert answer(lambda request, seed: sample, ask(max_tokens=1)).samples == (sample,)


def test_usage_is_the_sum_over_samples() -> None:
    usage = answer(["one", "one two"], ask(seeds=(0, 1))).usage
    assert (usage.prompt_tokens, usage.generated_tokens) == (6, 5)


def test_logprobs_come_only_when_asked_for_and_spell_the_text() -> None:
    assert answer(["one two\n"], ask()).samples[0].tokens is None
    tokens = answer(["one two\n"], ask(num_top_logprobs=0)).samples[0].tokens
    assert tokens is not None
    assert [token.text for token in tokens] == ["one", " two", "\n", "<end>"]
    assert all(token.logprob <= 0 and token.top == () for token in tokens)


def test_first_tokens_odds_are_its_logprobs() -> None:
    said = ScriptedText("right", {"right": 0.3, "wrong": 0.7})
    tokens = answer(lambda request, seed: said, ask(num_top_logprobs=5)).samples[0].tokens
    assert tokens is not None
    assert tokens[0].logprob == math.log(0.3)
    assert tokens[0].top == (("wrong", math.log(0.7)), ("right", math.log(0.3)))


def test_faults_strike_the_calls_they_name() -> None:
    async def run() -> list[Any]:
        fault = GenerationError("out of order", is_retryable=True)
        generator = ScriptedGenerator(["fine"], faults={1: fault})
        return await asyncio.gather(*(generator.generate(ask()) for _ in range(3)), return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert isinstance(second, GenerationError)
    assert first == third


def test_requests_are_kept_only_when_recording() -> None:
    silent, recording = ScriptedGenerator(["x"]), ScriptedGenerator(["x"], is_recording=True)
    for generator in (silent, recording):
        asyncio.run(generator.generate(ask()))
    assert silent.requests == []
    assert recording.requests == [ask()]


def test_latency_is_waited_for_without_blocking() -> None:
    async def run() -> None:
        generator = ScriptedGenerator(["x"], latency_s=3600)
        calls = [asyncio.create_task(generator.generate(ask())) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert not any(call.done() for call in calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(run())


def test_reasoner_ends_with_an_answer_after_a_few_steps() -> None:
    for number in range(20):
        *steps, last = text(scripted_reasoner(), ask(f"{QUESTION} {number}")).split("\n")
        assert 3 <= len(steps) <= 5
        assert re.fullmatch(r"answer : \d+", last)


def test_reasoner_goes_on_from_any_step_as_if_it_had_never_stopped() -> None:
    script = scripted_reasoner()
    for seed in range(5):
        whole = text(script, ask(seeds=(seed,)))
        steps = whole.split("\n")
        for place in range(len(steps)):
            prefix = "".join(f"{step}\n" for step in steps[:place])
            assert prefix + text(script, ask(prefix=prefix, seeds=(seed,))) == whole
        assert text(script, ask(prefix=f"{whole}\n")) == ""


def test_reasoner_ends_a_half_written_step() -> None:
    continued = text(scripted_reasoner(), ask(prefix="step 1 : fi"))
    assert continued.startswith("\nstep 2")


def test_reasoners_seeds_disagree_but_mostly_on_the_way() -> None:
    texts = {text(scripted_reasoner(), ask(seeds=(seed,))) for seed in range(40)}
    assert len(texts) > 30
    answers = [line.rsplit("\n", 1)[1] for line in texts]
    assert 1 < len(set(answers)) <= 6
    assert max(map(answers.count, answers)) > len(answers) / 3


def test_images_are_part_of_the_question() -> None:
    def with_image(data: bytes) -> GenerationRequest:
        return GenerationRequest((Message("user", QUESTION, (Image(data, "image/png", 1, 1),)),))

    texts = {text(scripted_reasoner(), with_image(bytes([number]))) for number in range(9)}
    assert len(texts) > 1


def test_critics_words_agree_with_its_odds() -> None:
    verdicts = set()
    for number in range(30):
        prompt = f"{QUESTION}\nsolution :\nstep one\nstep {number}"
        sample = answer(scripted_critic(), ask(prompt, num_top_logprobs=2)).samples[0]
        assert sample.tokens is not None
        shares = {token: math.exp(logprob) for token, logprob in sample.tokens[0].top}
        assert shares["right"] + shares["wrong"] == pytest.approx(1)
        assert 0 < shares["right"] < 1
        assert re.fullmatch(r"right|wrong step [12] : .+", sample.text)
        assert sample.text.startswith(max(shares, key=lambda token: shares[token]))
        verdicts.add(sample.text[:5])
    assert verdicts == {"right", "wrong"}


def test_sampled_critic_may_change_its_verdict() -> None:
    generation = answer(scripted_critic(), ask(temperature=1.0, seeds=tuple(range(60))))
    assert {sample.text[:5] for sample in generation.samples} == {"right", "wrong"}
