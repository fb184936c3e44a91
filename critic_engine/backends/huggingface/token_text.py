"""Turning tokens into exactly the text that a model wrote, whole characters only."""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
# One character has at most 4 bytes; before it, a few more tell where a character begins.
_NUM_TAIL_BYTES = 8


class TokenDecoder:
    """Decodes the tokens of one model. Use it from one thread only."""

    def __init__(self, tokenizer: Any, shown_tokens: Iterable[str] = ()) -> None:
        """Decode with ``tokenizer``; of its special tokens, only ``shown_tokens`` become text."""
        self._tokenizer = tokenizer
        shown = {tokenizer.convert_tokens_to_ids(token) for token in shown_tokens}
        added = {token for token, about in tokenizer.added_tokens_decoder.items() if about.special}
        self._hidden = frozenset(added.union(tokenizer.all_special_ids) - shown)
        self._added = frozenset(tokenizer.added_tokens_decoder)
        self._bytes_of_character = _bytes_of_characters() if is_byte_level(tokenizer) else None
        self.token_text = functools.cache(self._token_text)
        """From a token to its text alone."""

    def after(self, context_ids: Sequence[int], token_ids: Sequence[int]) -> str:
        """Return the text of ``token_ids`` as it reads behind ``context_ids``."""
        context_ids = self._from_whole_character(context_ids)
        context = self._decode(context_ids)
        text = self._decode([*context_ids, *token_ids])
        return text[len(context) :] if text.startswith(context) else self._decode(token_ids)

    def whole_after(self, context_ids: Sequence[int], token_ids: Sequence[int]) -> tuple[str, int]:
        """Return the text of ``token_ids`` without the bytes of an unfinished character at its end.

        The second value is how many of the tokens have a part in that text: the rest hold such bytes alone.
        """
        num_bytes, num_tokens = self._num_unfinished_bytes(token_ids), len(token_ids)
        while num_bytes and num_tokens:
            num_of_token = len(self._bytes_of(token_ids[num_tokens - 1]))
            if num_of_token > num_bytes:
                break
            num_bytes, num_tokens = num_bytes - num_of_token, num_tokens - 1
        text = self.after(context_ids, token_ids[:num_tokens])
        # The last token also ends a character before, so that its text shows what it begins.
        return text.removesuffix(_UNREADABLE) if num_bytes else text, num_tokens

    def tail(self, token_ids: Sequence[int]) -> str:
        """Return the text of the last tokens of a longer text, from the first whole character in it."""
        return self._decode(self._from_whole_character(token_ids))

    def _from_whole_character(self, token_ids: Sequence[int]) -> Sequence[int]:
        """Return the tokens without single bytes at the beginning that go on with a character.

        Some decoders find all bytes behind such a byte unreadable, though they are whole characters.
        """
        start = 0
        while start < len(token_ids) and self._goes_on(token_ids[start]):
            start += 1
        return token_ids[start:]

    def _goes_on(self, token: int) -> bool:
        data = self._bytes_of(token)
        return len(data) == 1 and 0x80 <= data[0] < 0xC0

    def _decode(self, token_ids: Sequence[int]) -> str:
        kept = [token for token in token_ids if token not in self._hidden]
        # Some tokenizers would tidy spaces before punctuation, which the model wrote.
        return str(self._tokenizer.decode(kept, clean_up_tokenization_spaces=False)) if kept else ""

    def hides(self, token: int) -> bool:
        """Return whether a token is a special one that has no text."""
        return token in self._hidden

    def _token_text(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    def _num_unfinished_bytes(self, token_ids: Sequence[int]) -> int:
        """Return the number of bytes at the end that begin a character without finishing it."""
        tail = b""
        for token in reversed(token_ids):
            tail = self._bytes_of(token) + tail
            if len(tail) >= _NUM_TAIL_BYTES:
                break
        reader = codecs.getincrementaldecoder("utf-8")("replace")
        reader.decode(tail)
        return len(reader.getstate()[0])

    def _bytes_of(self, token: int) -> bytes:
        """Return the bytes that a token writes; a marker for a space may stand for the space itself."""
        if token in self._hidden:
            return b""
        name: object = self._tokenizer.convert_ids_to_tokens(token)
        if isinstance(name, bytes):
            return name
        if not isinstance(name, str):
            return b""
        if found := _BYTE_TOKEN.fullmatch(name):
            return bytes([int(found[1], 16)])
        letters = self._bytes_of_character
        if letters is None or token in self._added or not all(letter in letters for letter in name):
            return name.encode()
        return bytes(letters[letter] for letter in name)


def is_byte_level(tokenizer: Any) -> bool:
    """Return whether the names of tokens are bytes, written one character a byte."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.decoder is None:
        return hasattr(tokenizer, "byte_decoder")
    return b"ByteLevel" in backend.decoder.__getstate__()


@functools.cache
def _bytes_of_characters() -> dict[str, int]:
    """Return the byte that each character of a byte-level token's name stands for.

    GPT-2 (Radford et al., 2019) writes a byte that prints as its Latin-1 character, and the others, in order, as the
    characters from U+0100 on.
    """
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(0x100) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + place): byte for place, byte in enumerate(others)}
