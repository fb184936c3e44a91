"""The vocabulary of the pocket models, and text to word ids without a tokenizer library."""

from __future__ import annotations

import re
from collections.abc import Mapping

from critic_engine.pocket.board import CELLS, COLOURS, MOVES, NOTHING, SHAPES

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
IMAGE, USER, ASSISTANT = "<image>", "<|user|>", "<|assistant|>"
SPECIALS = (PAD, BOS, EOS, UNKNOWN, IMAGE, USER, ASSISTANT)
PUNCTUATION = ":?+-=.,"

_SENTENCES = """
how many plus more than other shapes have has the colour shape of from only go wrapping around what which is there
row answer solution critique rejected right wrong step sum count not clear name cells
"""
_LARGEST_NUMBER = 20
WORDS = (
    *SPECIALS,
    "\n",
    *PUNCTUATION,
    *map(str, range(_LARGEST_NUMBER + 1)),
    *CELLS,
    *COLOURS,
    *SHAPES,
    *(f"{shape}s" for shape in SHAPES),
    NOTHING,
    *MOVES,
    *(word for word in dict.fromkeys(_SENTENCES.split()) if word not in MOVES),
)
"""Words by word id."""

NUM_IMAGE_TOKENS = len(CELLS)
_PIECE = re.compile(r"\n|[" + re.escape(PUNCTUATION) + r"]|[^\s" + re.escape(PUNCTUATION) + r"]+")
WORD_IDS = {word: number for number, word in enumerate(WORDS)}


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` as the models read them, known or not."""
    return _PIECE.findall(text.lower())


def encode(text: str, word_ids: Mapping[str, int] = WORD_IDS) -> list[int]:
    """Return the word ids of ``text``; the tokenizer of the dialect with these ids gives the same."""
    unknown = word_ids[UNKNOWN]
    return [word_ids.get(word, unknown) for word in words_of(text)]


def turn_ids(user: str, word_ids: Mapping[str, int] = WORD_IDS) -> list[int]:
    """Return the ids of one user turn with its image, up to and including the assistant's mark."""
    image = [word_ids[IMAGE]] * NUM_IMAGE_TOKENS
    return [word_ids[BOS], word_ids[USER], *image, *encode(user, word_ids), word_ids[ASSISTANT]]
