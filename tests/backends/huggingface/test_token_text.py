import random
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import normalizers

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.encoding import PrefixEncoder
from critic_engine.backends.huggingface.token_text import TokenDecoder
from tests.backends.tokenizers import byte_fallback, byte_level, random_text

NUM_TEXTS = 2000
KINDS: dict[str, Callable[[], Any]] = {
    "byte_level": byte_level,
    "byte_fallback": byte_fallback,
    "byte_fallback_with_space": lambda: byte_fallback(prepends_space=True),
}


def test_text_after_a_context_reads_on_from_it(text_checkpoint: Checkpoint) -> None:
    tokenizer = text_checkpoint.tokenizer
    decoder = TokenDecoder(tokenizer)
    first, second = tokenizer.convert_tokens_to_ids(["Ã", "©"])
    assert decoder.after([], [first, second]) == "é"
    assert decoder.after(tokenizer.encode("a b"), tokenizer.encode(" c")) == " c"
    assert decoder.after([1, 5], tokenizer.encode("\nc")) == "\nc"


@pytest.mark.parametrize("kind", KINDS)
def test_text_cut_at_any_token_is_what_was_written_up_to_its_last_whole_character(kind: str) -> None:
    tokenizer = KINDS[kind]()
    decoder, source = TokenDecoder(tokenizer), random.Random(3)
    num_held_back = 0
    for _ in range(NUM_TEXTS):
        text = random_text(source)
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert decoder.after([], ids) == text
        cut = source.randrange(len(ids) + 1)
        found, num_kept = decoder.whole_after([], ids[:cut])
        num_held_back += found != decoder.after([], ids[:cut])
        # What is held back is at most three bytes, the beginning of the next character.
        assert text.startswith(found)
        assert decoder.after([], ids[:num_kept]).removesuffix("\N{REPLACEMENT CHARACTER}") in (found, found[:-1])
        assert cut - num_kept <= 3
        assert found.count("\N{REPLACEMENT CHARACTER}") <= text.count("\N{REPLACEMENT CHARACTER}")
        assert decoder.whole_after([], ids) == (text, len(ids))
    assert num_held_back > NUM_TEXTS / 20


@pytest.mark.parametrize("kind", KINDS)
def test_spaces_at_the_border_of_tokens_are_kept(kind: str) -> None:
    tokenizer = KINDS[kind]()
    decoder = TokenDecoder(tokenizer)
    ids = tokenizer.encode("the answer is the step , 2", add_special_tokens=False)
    for cut in range(1, len(ids)):
        begun = decoder.after([], ids[:cut])
        assert begun + decoder.after(ids[max(0, cut - 8) : cut], ids[cut:]) == "the answer is the step , 2"


def test_replacement_character_that_the_model_wrote_stays() -> None:
    for tokenizer in (byte_level(), byte_fallback()):
        ids = tokenizer.encode("a\N{REPLACEMENT CHARACTER}", add_special_tokens=False)
        assert TokenDecoder(tokenizer).whole_after([], ids)[0] == "a\N{REPLACEMENT CHARACTER}"


def test_only_the_special_tokens_that_are_to_be_shown_become_text() -> None:
    tokenizer = byte_level(["<end>", "<think>", "</think>"])
    ids = tokenizer.encode("<think>a</think>b<end>", add_special_tokens=False)
    assert TokenDecoder(tokenizer).after([], ids) == "ab"
    assert TokenDecoder(tokenizer, ["<think>", "</think>"]).after([], ids) == "<think>a</think>b"


@pytest.mark.parametrize("kind", KINDS)
def test_text_goes_on_from_a_context_that_begins_inside_a_character(kind: str) -> None:
    tokenizer = KINDS[kind]()
    decoder = TokenDecoder(tokenizer)
    first, rest = "👨\N{ZERO WIDTH JOINER}👩", "\N{ZERO WIDTH JOINER}👧。"
    begun, more = (tokenizer.encode(text, add_special_tokens=False) for text in (first, f"a{rest}"))
    # Encoded alone, some would begin with a space.
    more = more[[name.strip("▁") for name in tokenizer.convert_ids_to_tokens(more)].index("a") + 1 :]
    for num_context in range(len(begun)):
        assert decoder.after(begun[num_context:], more) == rest


def test_prefix_keeps_the_tokens_that_were_written_though_the_tokenizer_composes_characters() -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    written = "e\N{COMBINING ACUTE ACCENT}t\N{COMBINING TILDE} 好👩\N{ZERO WIDTH JOINER}🚀"
    ids = PrefixEncoder(tokenizer, "").encode(written)
    assert ids is not None
    assert TokenDecoder(tokenizer).after([], ids) == written
    assert TokenDecoder(tokenizer).after([], tokenizer.encode(written)) != written


def test_prefix_of_random_texts_reads_as_it_was_written() -> None:
    tokenizer, source = byte_level(["<think>", "</think>"]), random.Random(11)
    encoder, decoder = PrefixEncoder(tokenizer, "a"), TokenDecoder(tokenizer, ["<think>", "</think>"])
    num_same = 0
    for _ in range(NUM_TEXTS):
        text = f"<think>{random_text(source)}</think>{random_text(source)}"
        ids = tokenizer.encode(text, add_special_tokens=False)
        found, num_kept = decoder.whole_after([], ids[: source.randrange(len(ids) + 1)])
        again = encoder.encode(found)
        assert again is not None
        assert decoder.after([], again) == found
        num_same += again[: num_kept - 1] == ids[: num_kept - 1]
    # Elsewhere the word that was cut is another word without its rest.
    assert num_same > 0.95 * NUM_TEXTS
