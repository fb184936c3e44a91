"""Tokenizers of the kinds that published models have, made from a few texts, and random texts of many languages."""

import copy
import functools
import random
from collections.abc import Sequence
from typing import Any

ALPHABETS = (
    "the quick brown fox, 12 jumps. ",
    "你好世界红色方块答案是",
    "مرحبا بالعالم كم عدد",
    "한국어 문장 정답은",
    "été naïve e\N{COMBINING ACUTE ACCENT} n\N{COMBINING TILDE}\N{COMBINING DIAERESIS}",
    "Ответ: да, красный",
    "नमस्ते दुनिया",
    "\n\n  \t",
)
EMOJI = (
    "👩\N{ZERO WIDTH JOINER}🚀",
    "👨\N{ZERO WIDTH JOINER}👩\N{ZERO WIDTH JOINER}👧",
    "🏳\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}🌈",
    "👍🏽",
    "𝔸",
    "\N{REPLACEMENT CHARACTER}",
)


def random_text(source: random.Random) -> str:
    """Return up to forty characters of many languages, with joined emoji and the replacement character itself."""
    parts = []
    for _ in range(source.randrange(1, 9)):
        letters: Sequence[str] = EMOJI if source.random() < 0.3 else source.choice(ALPHABETS)
        parts += source.choices(letters, k=source.randrange(1, 5))
    return "".join(parts)


def byte_level(specials: Sequence[str] = (), added: Sequence[str] = (), *, vocabulary: int = 340) -> Any:
    """Return a tokenizer as Qwen, Llama 3 and gpt-oss have: byte-pair encoding over bytes."""
    return copy.deepcopy(_trained(tuple(specials), tuple(added), vocabulary))


@functools.cache
def _trained(specials: tuple[str, ...], added: tuple[str, ...], vocabulary: int) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    words = r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return _wrapped(tokenizer, specials, added)


def byte_fallback(specials: Sequence[str] = (), added: Sequence[str] = (), *, prepends_space: bool = False) -> Any:
    """Return a tokenizer as Gemma, Llama 2 and Mistral have: pieces of text, and bytes for rare characters.

    ``prepends_space`` writes a space before each text, as Llama 2 does.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers

    pieces = ["▁", *(chr(code) for code in range(0x21, 0x7F)), "\n", "你", "好", "é"]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "a"), ("i", "s"), ("\n", "\n"), ("▁", "▁"), ("你", "好")]
    names = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *("".join(pair) for pair in merges)]
    vocabulary = {name: place for place, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token=None, fuse_unk=True))
    spaces: list[Any] = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), *spaces] if prepends_space else spaces)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prepends_space else []),
        ]
    )
    return _wrapped(tokenizer, specials, added)


def _corpus() -> list[str]:
    source = random.Random(7)
    return [*ALPHABETS * 4, *(random_text(source) for _ in range(200)), "step 1: the answer is", "Verdict: right"]


def _wrapped(tokenizer: Any, specials: Sequence[str], added: Sequence[str]) -> Any:
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_tokens(list(added))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=list(specials), clean_up_tokenization_spaces=False
    )
