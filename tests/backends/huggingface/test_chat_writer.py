"""The form of a chat template is found out by trial, and what it does not take is refused at load."""

from typing import Any

import pytest

from critic_engine.backends.huggingface.chat_writer import ChatWriter
from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.thought_markers import find_markers
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.protocols import GenerationRequest
from critic_engine.types import ChatOptions, Image, Message
from tests.backends.families import FAMILIES
from tests.backends.tokenizers import byte_level

USER = "{%- for message in messages %}{{ '<user>' + message.content + '\\n' }}{%- endfor %}"
HEADER = "{%- if add_generation_prompt %}{{ '<assistant>' }}{%- endif %}"
ASKED = GenerationRequest((Message("system", "Be brief."), Message("user", "how many?")))


def writer(template: str, *, specials: tuple[str, ...] = ()) -> ChatWriter:
    tokenizer = byte_level(specials)
    tokenizer.chat_template = template
    return ChatWriter(tokenizer, tokenizer, has_vision=False)


def seeing(checkpoint: Checkpoint, template: str) -> ChatWriter:
    import copy

    processor = copy.copy(checkpoint.processor)
    processor.chat_template = template
    return ChatWriter(processor, checkpoint.tokenizer, has_vision=True)


def test_system_message_that_a_template_does_not_take_begins_the_users() -> None:
    refusing = writer("{%- if messages[0].role == 'system' %}{{ raise_exception('no') }}{%- endif %}" + USER + HEADER)
    dropping = writer(
        "{%- for message in messages if message.role == 'user' %}{{ message.content }}{%- endfor %}" + HEADER
    )
    taking = writer(USER + HEADER)
    assert refusing.write(ASKED).text == "<user>Be brief.\n\nhow many?\n<assistant>"
    assert dropping.write(ASKED).text == "Be brief.\n\nhow many?<assistant>"
    assert taking.write(ASKED).text == "<user>Be brief.\n<user>how many?\n<assistant>"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 'Hello.' }}" + HEADER, "does not write the words of text"),
        ("{%- for message in messages %}{{ message.words }}{%- endfor %}" + HEADER, "does not write the words"),
        ("{{ raise_exception('only for tools') }}", "only for tools"),
        (
            "{%- for message in messages %}{{ '<' + message.role + '>' + message.content }}{%- endfor %}",
            "ignores add_generation_prompt, and would leave out '<assistant>'",
        ),
    ],
)
def test_template_that_cannot_be_used_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=reason) as caught:
        writer(template)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{%- for message in messages %}{%- if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}"
        "{%- else %}{{ ' ' + message.content + '</s>' }}{%- endif %}{%- endfor %}",
        USER + "{{ '<assistant>' }}",
    ],
)
def test_template_that_always_ends_where_the_model_begins_is_fine(template: str) -> None:
    assert writer(template).write(ASKED).text


def test_template_for_strings_is_not_given_lists(vision_checkpoint: Checkpoint) -> None:
    image = Image(b"", "image/png", 1, 1)
    asked = GenerationRequest((Message("user", "how many?", (image, image)),))
    strings = seeing(vision_checkpoint, USER + HEADER)
    assert strings.content_form == "text with image tokens"
    assert strings.write(asked).text == "<user><image>\n<image>\nhow many?\n<assistant>"
    parts = seeing(vision_checkpoint, vision_checkpoint.processor.chat_template)
    assert parts.write(asked).text == "<bos><user><image><image>how many?<assistant>"


def test_template_without_a_place_for_images_is_refused(vision_checkpoint: Checkpoint) -> None:
    words = "{%- for message in messages %}{%- for part in message.content if part.type == 'text' %}{{ part.text }}"
    with pytest.raises(ModelLoadError, match="writes nothing for an image"):
        seeing(vision_checkpoint, words + "{%- endfor %}{%- endfor %}" + HEADER)


def test_exception_of_a_template_is_one_clear_line() -> None:
    odd = writer(
        "{%- if messages | length > 1 %}{{ raise_exception('Roles must\nalternate') }}{%- endif %}" + USER + HEADER
    )
    asked = GenerationRequest((Message("user", "a"), Message("assistant", "b"), Message("user", "c")))
    with pytest.raises(GenerationError, match="Roles must alternate"):
        odd.write(asked)


@pytest.mark.parametrize(
    ("template", "switches", "has_effort"),
    [
        (USER + "{%- if enable_thinking %}{%- endif %}", ("enable_thinking",), False),
        (USER + "{%- if not thinking is defined %}{%- set thinking = false %}{%- endif %}", ("thinking",), False),
        (USER + "{{ messages[0].thinking }}{{ '<thinking> thinking reasoning_effort' }}", (), False),
        (USER + "{{ reasoning_effort or 'medium' }}", (), True),
    ],
)
def test_switches_are_the_variables_of_the_template(template: str, switches: tuple[str, ...], has_effort: bool) -> None:
    found = writer(template + HEADER)
    assert (found.switches, found.has_effort) == (switches, has_effort)


@pytest.mark.parametrize(
    ("tokens", "template", "opening", "closing"),
    [
        (("<think>", "</think>"), "", "<think>", "</think>"),
        ((), "{% if '</think>' in content %}", "<think>", "</think>"),
        ((), "use <thinking> and </thinking>", "<thinking>", "</thinking>"),
        (("<seed:think>", "</seed:think>"), "", "<seed:think>", "</seed:think>"),
        (("◁think▷", "◁/think▷"), "", "◁think▷", "◁/think▷"),
        (("<|START_THINKING|>", "<|END_THINKING|>"), "", "<|START_THINKING|>", "<|END_THINKING|>"),
        (("[THINK]", "[/THINK]"), "", "[THINK]", "[/THINK]"),
        (("<|channel>", "<channel|>"), "", "<|channel>thought", "<channel|>"),
        (("<tool_call>", "</tool_call>"), "<tool_call></tool_call>", None, None),
        (("<|im_start|>",), USER, None, None),
    ],
)
def test_markers_are_found_in_tokens_and_template(
    tokens: tuple[str, ...], template: str, opening: str | None, closing: str | None
) -> None:
    found: Any = find_markers(byte_level(tokens), template)
    assert (found and found.opening, found and found.closing) == (opening, closing)


@pytest.mark.parametrize("tag", ["reasoning", "solution"])
def test_tags_that_texts_are_read_in_are_no_markers_of_thoughts(tag: str) -> None:
    """A model that is taught to answer in such tags would lose its words from every prefix."""
    template = f"Write <{tag}>…</{tag}><answer>…</answer>. {{{{ messages[0]['content'] }}}}"
    assert find_markers(byte_level([]), template) is None


def test_plain_families_have_no_markers() -> None:
    for name in ("gemma", "llama"):
        tokenizer = FAMILIES[name].tokenizer()
        assert ChatWriter(tokenizer, tokenizer, has_vision=False).markers is None


def test_reasoning_effort_that_the_template_does_not_know_is_refused() -> None:
    asked = GenerationRequest((Message("user", "a"),), chat=ChatOptions(reasoning_effort="low"))
    with pytest.raises(GenerationError, match="knows no reasoning_effort"):
        writer(USER + HEADER).write(asked)


def test_variables_reach_the_template_of_a_processor(vision_checkpoint: Checkpoint) -> None:
    closing = "{%- if enable_thinking is defined and not enable_thinking %}<think></think>{%- endif %}"
    template = vision_checkpoint.processor.chat_template + closing + "{{ reasoning_effort }}"
    chat = ChatOptions(thinking="off", reasoning_effort="low")
    asked = GenerationRequest((Message("user", "how many?"),), chat=chat)
    assert seeing(vision_checkpoint, template).write(asked).text.endswith("<assistant><think></think>low")
