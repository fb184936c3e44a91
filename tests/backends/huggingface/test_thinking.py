"""Models that think: what they write for themselves is set apart, and their prompts go on exactly."""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from critic_engine.backends.huggingface.chat_writer import ChatWriter
from critic_engine.backends.huggingface.checkpoint import Checkpoint, CheckpointOptions, load_checkpoint
from critic_engine.backends.huggingface.encoding import PromptEncoder, Row
from critic_engine.backends.huggingface.generator import BatchGenerator, HuggingFaceGenerator
from critic_engine.backends.huggingface.sample_reader import SampleReader, SampleRules
from critic_engine.errors import GenerationError
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import ChatOptions, Message
from tests.backends.families import DEFAULT, FAMILIES, LLAMA_2, THINKING, save_chain, save_script
from tests.backends.thinking import TEXT, WORDS, request, writing

Load = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """From a family, and what it writes, to a loaded model."""
    loaded: dict[tuple[str, str], Checkpoint] = {}

    def load(family: str, text: str, chat: ChatOptions = DEFAULT) -> Checkpoint:
        key = (family, text + repr(chat))
        if key not in loaded:
            folder: Path = tmp_path_factory.mktemp("scripts") / family
            save_script(folder, FAMILIES[family], text, chat=chat)
            loaded[key] = load_checkpoint(CheckpointOptions(str(folder), device="cpu"))
        return loaded[key]

    return load


def generate(checkpoint: Checkpoint, *requests: GenerationRequest) -> list[Generation]:
    async def run() -> list[Generation]:
        generator = HuggingFaceGenerator(lambda: BatchGenerator(checkpoint), name="tiny", max_batch_size=64)
        try:
            return await asyncio.gather(*map(generator.generate, requests))
        finally:
            await generator.aclose()

    return asyncio.run(run())


def sample(checkpoint: Checkpoint, asked: GenerationRequest) -> Sample:
    return generate(checkpoint, asked)[0].samples[0]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_thought_and_text_are_set_apart(load: Load, family: str) -> None:
    script = writing(family)
    checkpoint = load(family, script.whole)
    found = sample(checkpoint, request(num_top_logprobs=0))
    assert (found.thought, found.text, found.finish_reason) == (script.thought, TEXT, "stop")
    num_thought, num_text = (
        len(checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (script.thought, TEXT)
    )
    assert found.num_tokens == num_thought + num_text + 1
    assert found.tokens is not None
    assert len(found.tokens) == num_text + 1
    assert found.tokens[-1].text == FAMILIES[family].end


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("stops", [("\n",), (". ", ".", "\n\n"), ("answer:",)])
def test_stop_strings_act_in_the_text_alone(load: Load, family: str, stops: tuple[str, ...]) -> None:
    script = writing(family)
    found = sample(load(family, script.whole), request(stop=stops))
    place, stop = min((TEXT.index(stop), stop) for stop in stops if stop in TEXT)
    assert (found.thought, found.text, found.stop) == (script.thought, TEXT[:place], stop)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("options", [{"stop": ("\n",)}, {"max_tokens": 3}, {"max_tokens": 1}])
def test_steps_go_on_exactly_from_the_tokens_that_were_written(
    load: Load, family: str, options: dict[str, object]
) -> None:
    script = writing(family)
    checkpoint = load(family, script.whole)
    encoder = PromptEncoder(checkpoint)
    prompt = encoder.encode(request()).token_ids
    written = checkpoint.tokenizer(script.whole, add_special_tokens=False)["input_ids"]
    prefix, found = "", None
    for _ in range(100):
        found = sample(checkpoint, request(prefix=prefix, **options))
        prefix += found.thought + found.text + (found.stop or "")
        ids = encoder.encode(request(prefix=prefix)).token_ids
        assert ids == prompt + written[: len(ids) - len(prompt)]
        if found.finish_reason == "stop" and found.stop is None:
            break
        if not found.text:
            # One token is not enough for a character of three.
            assert options == {"max_tokens": 1}
            return
    assert prefix == script.whole


@pytest.mark.parametrize("family", THINKING)
def test_text_and_thought_have_limits_of_their_own(load: Load, family: str) -> None:
    script = writing(family)
    checkpoint = load(family, script.whole)
    cut = sample(checkpoint, request(max_tokens=2, num_top_logprobs=0))
    assert (cut.thought, cut.finish_reason) == (script.thought, "length")
    assert cut.text
    assert TEXT.startswith(cut.text)
    assert cut.tokens is not None
    assert len(cut.tokens) == 2
    short = sample(checkpoint, request(chat=ChatOptions(max_thought_tokens=9), num_top_logprobs=0))
    assert (short.text, short.tokens, short.num_tokens, short.finish_reason) == ("", (), 9, "length")
    assert script.thought.startswith(short.thought)


@pytest.mark.parametrize("family", THINKING)
def test_thought_that_never_closes_leaves_no_text(load: Load, family: str) -> None:
    script = FAMILIES[family].opening + WORDS
    found = sample(load(family, script), request(stop=("\n",), num_top_logprobs=0))
    assert (found.thought, found.text, found.stop, found.finish_reason) == (script, "", None, "stop")


def test_token_that_ends_a_channel_does_not_end_the_sample(load: Load) -> None:
    script = writing("gpt_oss")
    checkpoint = load("gpt_oss", script.whole)
    ends = checkpoint.end_token_ids | {checkpoint.tokenizer.convert_tokens_to_ids("<|end|>")}
    found = sample(dataclasses.replace(checkpoint, end_token_ids=ends), request())
    assert (found.thought, found.text) == (script.thought, TEXT)
    ended = load("gpt_oss", script.whole + "<|end|>more")
    assert sample(ended, request()).text == TEXT


def test_thought_in_the_middle_of_a_text_stays_there_and_no_stop_string_acts_in_it(load: Load) -> None:
    text = "one. <think>two\nthree</think> four\nfive"
    for family in ("qwen3", "special_tags"):
        found = sample(load(family, text), request(stop=("\n",)))
        assert (found.thought, found.text, found.stop) == ("", "one. <think>two\nthree</think> four", "\n")


def test_thought_behind_another_ends_at_its_own_closing(load: Load) -> None:
    for family in ("plain_tags", "qwen3"):
        start = FAMILIES[family].opening
        text = f"{start}a</think>b<think>c > d</think>e\nf"
        found = sample(load(family, text), request(stop=("\n",)))
        assert (found.thought, found.text) == (f"{start}a</think>", "b<think>c > d</think>e")


def test_text_in_the_last_token_of_a_thought_is_text(tmp_path: Path) -> None:
    save_chain(tmp_path, FAMILIES["plain_tags"], ("hm ", "</thi", "nk>\nSo", " it is 4\n", "more"))
    checkpoint = load_checkpoint(CheckpointOptions(str(tmp_path), device="cpu"))
    found = sample(checkpoint, request(stop=("\n",), num_top_logprobs=0))
    assert (found.thought, found.text, found.stop) == ("hm </think>\n", "So it is 4", "\n")


def test_sample_ends_though_tokens_without_text_leave_its_opening_half_written(load: Load) -> None:
    checkpoint = load("qwen3", writing("qwen3").whole)
    encoder = PromptEncoder(checkpoint)
    rules = SampleRules(checkpoint.tokenizer, encoder.writer.markers, end_token_ids=checkpoint.end_token_ids)
    asked = request(max_tokens=3)
    reader = SampleReader(Row(encoder.encode(asked), asked.sampling, seed=0), rules)
    (half,) = checkpoint.tokenizer("<", add_special_tokens=False)["input_ids"]
    hidden = next(token for token in range(9) if rules.decoder.hides(token) and token not in rules.end_token_ids)
    num_read = next(number for number, token in enumerate([half, *[hidden] * 99], 1) if reader.push(token))
    assert num_read <= 3 + len("<think>")


def test_thought_whose_opening_the_model_left_out_is_one(load: Load) -> None:
    found = sample(load("qwen3", "hm, 3\n</think>\n\nanswer: 4"), request())
    assert (found.thought, found.text) == ("hm, 3\n</think>\n\n", "answer: 4")


def test_space_before_the_first_word_is_kept_where_a_decoder_drops_it(tmp_path: Path) -> None:
    for number, text in enumerate((" the 好 is\nanswer: 7", "the 好 is\nanswer: 7")):
        save_script(tmp_path / str(number), LLAMA_2, text)
        checkpoint = load_checkpoint(CheckpointOptions(str(tmp_path / str(number)), device="cpu"))
        assert sample(checkpoint, request()).text == text
        prefix = ""
        for _ in range(30):
            found = sample(checkpoint, request(prefix=prefix, max_tokens=3))
            prefix += found.text
        assert prefix == text


CLOSED = {
    "qwen3": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "r1": "<｜Assistant｜><think>\n\n</think>\n\n",
    "special_tags": "<|im_start|>assistant\n",
    "plain_tags": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "mistral": "[/INST][THINK][/THINK]",
    "gpt_oss": "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>",
    "gemma": "<start_of_turn>model\n",
    "llama": "<|start_header_id|>assistant<|end_header_id|>\n\n",
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_thoughts_that_are_off_are_closed_in_the_prompt(load: Load, family: str) -> None:
    chat = ChatOptions(thinking="off")
    checkpoint = load(family, TEXT, chat)
    tokenizer = checkpoint.tokenizer
    written = ChatWriter(tokenizer, tokenizer, has_vision=False).write(request(prefix="Verdict:", chat=chat))
    assert written.text.endswith(CLOSED[family])
    assert not written.start.is_open
    assert sample(checkpoint, request(chat=chat, max_tokens=200)).thought == ""
    assert sample(checkpoint, request(chat=chat)).text == TEXT


def test_thoughts_that_are_on_are_opened_where_the_template_can(load: Load) -> None:
    chat = ChatOptions(thinking="on")
    for family, end in (
        ("special_tags", "assistant\n<think>"),
        ("mistral", "[/INST][THINK]"),
        ("qwen3", "assistant\n"),
    ):
        tokenizer = FAMILIES[family].tokenizer()
        assert ChatWriter(tokenizer, tokenizer, has_vision=False).write(request(chat=chat)).text.endswith(end)
    tokenizer = FAMILIES["llama"].tokenizer()
    with pytest.raises(GenerationError, match="knows no thoughts"):
        ChatWriter(tokenizer, tokenizer, has_vision=False).write(request(chat=chat))


def test_variables_reach_the_template() -> None:
    tokenizer = FAMILIES["gpt_oss"].tokenizer()
    writer = ChatWriter(tokenizer, tokenizer, has_vision=False)
    assert "Reasoning: low<|end|>" in writer.write(request(chat=ChatOptions(reasoning_effort="low"))).text
    given = ChatOptions(template_kwargs={"reasoning_effort": "high"})
    assert "Reasoning: high<|end|>" in writer.write(request(chat=given)).text
    tokenizer = FAMILIES["qwen3"].tokenizer()
    writer = ChatWriter(tokenizer, tokenizer, has_vision=False)
    off = ChatOptions(template_kwargs={"enable_thinking": False})
    assert writer.write(request(chat=off)).text.endswith("</think>\n\n")
    with pytest.raises(GenerationError, match="knows no reasoning_effort"):
        writer.write(request(chat=ChatOptions(reasoning_effort="low")))


def test_requests_of_one_batch_may_differ_in_their_chat(load: Load) -> None:
    script = writing("qwen3")
    checkpoint = load("qwen3", script.whole)
    short, whole = ChatOptions(max_thought_tokens=5), ChatOptions()
    found = generate(checkpoint, request(chat=short), request(chat=whole), request(stop=("\n",), chat=whole))
    assert [one.samples[0].text for one in found] == ["", TEXT, TEXT.partition("\n")[0]]
    assert found[1].usage.generated_tokens == found[1].samples[0].num_tokens


def test_markers_are_allowed_in_a_prefix_and_not_in_a_message() -> None:
    tokenizer = FAMILIES["special_tags"].tokenizer()
    writer = ChatWriter(tokenizer, tokenizer, has_vision=False)
    assert writer.write(request(prefix="<think>a</think>b")).prefix == "<think>a</think>b"
    with pytest.raises(GenerationError, match="holds <think>, a control token"):
        writer.write(GenerationRequest((Message("user", "what is <think>?"),)))
    with pytest.raises(GenerationError, match=r"holds <\|im_end\|>"):
        writer.write(request(prefix="a<|im_end|>"))


def test_question_that_speaks_of_markers_opens_no_thought() -> None:
    tokenizer = FAMILIES["qwen3"].tokenizer()
    writer = ChatWriter(tokenizer, tokenizer, has_vision=False)
    asked = GenerationRequest((Message("user", "What does <think> mean? Think of <think>"),))
    assert not writer.write(asked).start.is_open


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_prompt_is_the_templates_own(family: str) -> None:
    tokenizer = FAMILIES[family].tokenizer()
    writer = ChatWriter(tokenizer, tokenizer, has_vision=False)
    content = [{"type": "text", "text": "how many?"}] if family == "llama" else "how many?"
    chat = [{"role": "user", "content": content}]
    assert writer.write(request()).text == tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=True
    )
    assert writer.content_form == ("parts" if family == "llama" else "text")


def test_numbers_of_thoughts_and_texts_do_not_depend_on_companions(load: Load) -> None:
    script = writing("mistral")
    checkpoint = load("mistral", script.whole)
    asked = [request(stop=stop, max_tokens=limit) for stop, limit in itertools.product([(), ("\n",)], [1, 5, 60])]
    assert generate(checkpoint, *asked) == [generate(checkpoint, one)[0] for one in asked]
