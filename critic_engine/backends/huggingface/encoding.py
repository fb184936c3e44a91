"""Encoding a request as token ids and image tensors; each image is prepared once while a cache keeps it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from critic_engine.backends.huggingface.chat_writer import ChatWriter, TurnStart, WrittenChat
from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.control_tokens import encoding_errors
from critic_engine.backends.huggingface.token_text import is_byte_level
from critic_engine.errors import ContextOverflowError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image, Message, SamplingOptions

_DIGEST = "critic_engine_digest"
_NUM_CONTEXT_TOKENS = 8
# Beginnings of text, which some tokenizers encode otherwise behind an image than alone.
_PROBES = ("a", " a", "\na", "\n\na", "A", "1", ".")
# Divided texts whose tokens are compared with those of the whole text.
_NUM_CHECKED = 2
_MAX_ENCODED_BYTES = 64 * 2**20
# At most, of a text and of its tokens in a list.
_NUM_BYTES_A_CHARACTER = 16
# Tensors with a number a token, 0 for text.
_KINDS_OF_TOKENS = {"token_type_ids", "mm_token_type_ids"}


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One encoded request."""

    token_ids: list[int]
    """The whole chat, image tokens and prefix included."""
    context_ids: list[int]
    """The last tokens of the prefix, on which decoding the continuation depends; empty without a prefix."""
    token_tensors: Mapping[str, Any] = field(default_factory=dict)
    """Further tensors with one entry a token, shape (1, tokens)."""
    image_tensors: Mapping[str, Any] = field(default_factory=dict)
    """Tensors that are joined along their first axis when prompts are batched."""
    image_key: str = ""
    """Tells prompts with other images apart; empty without images."""
    start: TurnStart = field(default_factory=TurnStart)
    """The thought that samples begin in, if any."""

    @property
    def signature(self) -> tuple[Any, ...]:
        """Prompts of equal signatures can stand in one batch."""
        shapes = ((name, tuple(tensor.shape[1:]), str(tensor.dtype)) for name, tensor in self.image_tensors.items())
        return (tuple(sorted(self.token_tensors)), tuple(sorted(shapes)))


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One sample to be generated: a row of a batch."""

    prompt: Prompt
    sampling: SamplingOptions
    seed: int
    max_thought_tokens: int = 0
    """Most tokens of its thought."""
    room: int = sys.maxsize
    """Tokens that the context holds behind the prompt."""

    @property
    def num_expected(self) -> int:
        """The tokens that it may take, as far as can be told before it begins."""
        num_thought = self.max_thought_tokens if self.prompt.start.may_think else 0
        return min(self.room, self.sampling.max_tokens + num_thought)


class PromptEncoder:
    """Encodes requests for one checkpoint. Use it from one thread only."""

    def __init__(self, checkpoint: Checkpoint, *, encoded: ByteCache[Mapping[str, Any]] | None = None) -> None:
        """Take over the processor; ``encoded`` keeps what it gave, a cache of the usual size unless given."""
        self._checkpoint = checkpoint
        self._processor = checkpoint.processor
        self.writer = ChatWriter(checkpoint.processor, checkpoint.tokenizer, has_vision=checkpoint.has_vision)
        """Writes requests as text."""
        self._encoded = encoded or ByteCache[Mapping[str, Any]](_MAX_ENCODED_BYTES)
        self._border_ids = _border_ids(checkpoint.tokenizer)
        self._image_token = _dividing_token(checkpoint, self._border_ids) if checkpoint.has_vision else ""
        self._num_checked = 0
        self._prefixes = PrefixEncoder(checkpoint.tokenizer, self.writer.render([Message("user", "a")]))
        if checkpoint.has_vision:
            self._processor = copy.copy(checkpoint.processor)
            self._processor.image_processor = CachedImageProcessor(checkpoint.processor.image_processor, ByteCache())

    def encode(self, request: GenerationRequest) -> Prompt:
        """Return the encoded prompt.

        Raises:
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: its text holds a control token, the chat cannot be rendered, or an image cannot be read.
        """
        written = self.writer.write(request)
        with encoding_errors():
            prompt = self._encode(written, request)
        if self.room_behind(prompt) < 1:
            raise context_overflow(len(prompt.token_ids), self._checkpoint.max_context_tokens or 0)
        return prompt

    def room_behind(self, prompt: Prompt) -> int:
        """Return how many tokens the model's context holds behind ``prompt``; less than 1 if it does not fit."""
        limit = self._checkpoint.max_context_tokens
        return sys.maxsize if limit is None else limit - len(prompt.token_ids)

    def _encode(self, written: WrittenChat, request: GenerationRequest) -> Prompt:
        prefix_ids = self._prefixes.encode(written.prefix)
        if prefix_ids is not None:
            tensors = self._tensors(written.text, request)
            if _can_go_on(tensors):
                return self._prompt(_gone_on(tensors, prefix_ids), written, request)
        return self._prompt(self._tensors(written.text + written.prefix, request), written, request)

    def _prompt(self, tensors: Mapping[str, Any], written: WrittenChat, request: GenerationRequest) -> Prompt:
        token_ids = _token_ids(tensors)
        rest = {name: tensor for name, tensor in tensors.items() if name not in ("input_ids", "attention_mask")}
        token_tensors = {name: tensor for name, tensor in rest.items() if tuple(tensor.shape) == (1, len(token_ids))}
        return Prompt(
            token_ids=token_ids,
            context_ids=self._prefixes.context(token_ids, written.prefix),
            token_tensors=token_tensors,
            image_tensors={name: tensor for name, tensor in rest.items() if name not in token_tensors},
            image_key=" ".join(image.digest for message in request.messages for image in message.images),
            start=written.start,
        )

    def _tensors(self, text: str, request: GenerationRequest) -> Mapping[str, Any]:
        """Return the tensors of the whole text; up to the last image, the processor's are kept for other texts."""
        head, token, tail = text.rpartition(self._image_token) if self._image_token else ("", "", "")
        if not token or not tail or not self.writer.is_begun(text):
            return self._kept(text, request)
        tensors = self._kept(head + token, request)
        # Some processors write more behind an image than its tokens, or something at the end of a text.
        if _token_ids(tensors)[-1] not in self._border_ids or not _can_go_on(tensors):
            return self._kept(text, request)
        divided = _gone_on(tensors, _plain_ids(self._checkpoint.tokenizer, tail))
        return divided if self._num_checked >= _NUM_CHECKED else self._checked(divided, text, request)

    def _checked(self, divided: Mapping[str, Any], text: str, request: GenerationRequest) -> Mapping[str, Any]:
        """Return the tensors of the whole text; if the divided one has other tokens, no text is divided any more."""
        whole = self._processed(text, request)
        self._num_checked += 1
        if _token_ids(whole) != _token_ids(divided):
            self._image_token = ""
        return whole

    def _kept(self, text: str, request: GenerationRequest) -> Mapping[str, Any]:
        """Return the processor's tensors, which are not to be changed: they are kept for requests that begin alike."""
        key = repr((text, [[image.digest for image in message.images] for message in request.messages]))
        tensors = self._encoded.get(key)
        if tensors is None:
            tensors = self._processed(text, request)
            self._encoded.put(key, tensors, _NUM_BYTES_A_CHARACTER * len(key) + _num_bytes(tensors))
        return tensors

    def _processed(self, text: str, request: GenerationRequest) -> Mapping[str, Any]:
        add_special_tokens = not self.writer.is_begun(text)
        if not self._checkpoint.has_vision:
            encoded = self._checkpoint.tokenizer(text, add_special_tokens=add_special_tokens)
            return {"input_ids": [encoded["input_ids"]]}
        images = [_lazy_picture(image) for message in request.messages for image in message.images]
        tensors: Mapping[str, Any] = self._processor(
            text=[text], images=images or None, add_special_tokens=add_special_tokens, return_tensors="pt"
        )
        return tensors


class PrefixEncoder:
    """Encodes the beginning of a turn by itself, so that the prompt before it keeps the tokens that the model read.

    Encoded together, a line break at the border would join the template's.
    """

    def __init__(self, tokenizer: Any, turn: str) -> None:
        """Encode with ``tokenizer``; ``turn`` is a prompt up to where the model begins to write."""
        self._start_context = _start_context(tokenizer, turn)
        self._tokenizer: Any = None
        # Others put a space before each text.
        if is_byte_level(tokenizer) and tokenizer.decode(_plain_ids(tokenizer, "a")) == "a":
            self._tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if self._tokenizer is not None and backend is not None and backend.normalizer is not None:
            # What the model wrote stays as it wrote it: a normal form has other tokens for composed characters.
            self._tokenizer = copy.deepcopy(tokenizer)
            self._tokenizer.backend_tokenizer.normalizer = None

    def encode(self, prefix: str) -> list[int] | None:
        """Return the tokens of a prefix, or None if it has to be encoded together with the prompt."""
        if not prefix:
            return []
        return None if self._tokenizer is None else _plain_ids(self._tokenizer, prefix)

    def context(self, token_ids: Sequence[int], prefix: str) -> list[int]:
        """Return the tokens before a continuation of ``prefix`` on which decoding it depends.

        Args:
            token_ids: The whole prompt, the prefix included.
            prefix: The beginning of the model's turn.
        """
        return list(token_ids[-_NUM_CONTEXT_TOKENS:]) if prefix else self._start_context


class CachedImageProcessor:
    """An image processor that prepares each set of images once while its cache keeps it."""

    def __init__(self, image_processor: Any, cache: ByteCache[Any]) -> None:
        """Stand in for ``image_processor``; its attributes remain readable here."""
        self._image_processor = image_processor
        self._prepared = cache

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the image processor."""
        if name.startswith("__") or name == "_image_processor":
            raise AttributeError(name)
        return getattr(self._image_processor, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        """Return the image processor's tensors for ``images``, pictures in lists nested as the processor likes."""
        digests = _map_pictures(images, lambda picture: picture.info[_DIGEST])
        key = repr((digests, sorted(options.items(), key=str)))
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._image_processor(_map_pictures(images, upright_rgb), **options)
            self._prepared.put(key, prepared, _num_bytes(prepared))
        return copy.copy(prepared)


def context_overflow(num_prompt_tokens: int, max_context_tokens: int) -> ContextOverflowError:
    """Return the error of a prompt behind which the context holds no token."""
    return ContextOverflowError(
        f"the prompt has {num_prompt_tokens} tokens and leaves no room in the model's context of "
        f"{max_context_tokens}; shorten it",
        num_prompt_tokens=num_prompt_tokens,
        max_context_tokens=max_context_tokens,
    )


def _lazy_picture(image: Image) -> Any:
    """Return the image unread, with its digest; it is decoded only when it has to be prepared."""
    picture = open_picture(image.data)
    picture.info[_DIGEST] = image.digest
    return picture


def _num_bytes(tensors: Mapping[str, Any]) -> int:
    return sum(int(getattr(tensor, "nbytes", 0)) for tensor in tensors.values())


def _map_pictures(images: Any, change: Any) -> Any:
    return [_map_pictures(image, change) for image in images] if isinstance(images, list | tuple) else change(images)


def _start_context(tokenizer: Any, turn: str) -> list[int]:
    """Return a token behind which the first token of a turn keeps its space; none where it has no space to lose.

    Some decoders drop the space before a text. The model wrote it if a word with a space behind its prompt is the token
    of a word inside a text.
    """
    spaced = tokenizer.convert_tokens_to_ids("▁a")
    is_word = isinstance(spaced, int) and tokenizer.convert_ids_to_tokens(spaced) == "▁a"
    if not is_word or tokenizer.decode([spaced]) != "a":
        return []
    return [spaced] if _plain_ids(tokenizer, f"{turn} a") == [*_plain_ids(tokenizer, turn), spaced] else []


def _border_ids(tokenizer: Any) -> frozenset[int]:
    """Return the special tokens that take in nothing of the text around them."""
    added = tokenizer.added_tokens_decoder.items()
    return frozenset(
        token for token, about in added if about.special and not (about.rstrip or about.single_word or about.normalized)
    )


def _dividing_token(checkpoint: Checkpoint, border_ids: frozenset[int]) -> str:
    """Return the token of an image if the text behind it has the tokens that it has alone, else an empty string."""
    tokenizer, token = checkpoint.tokenizer, getattr(checkpoint.processor, "image_token", None)
    token_ids = _plain_ids(tokenizer, token) if isinstance(token, str) and token else []
    if len(token_ids) != 1 or token_ids[0] not in border_ids:
        return ""
    pairs = ((_plain_ids(tokenizer, f"{token}{text}"), _plain_ids(tokenizer, text)) for text in _PROBES)
    return str(token) if all(whole == token_ids + tail for whole, tail in pairs) else ""


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _token_ids(tensors: Mapping[str, Any]) -> list[int]:
    ids = tensors["input_ids"][0]
    return list(ids) if isinstance(ids, list) else ids.tolist()


def _can_go_on(tensors: Mapping[str, Any]) -> bool:
    """Return whether tokens can be put behind: all other tensors with an entry a token mark the kind of token."""
    width = len(tensors["input_ids"][0])
    rest = {name: tensor for name, tensor in tensors.items() if name not in ("input_ids", "attention_mask")}
    is_by_token = {name for name, tensor in rest.items() if len(tensor.shape) > 1 and tensor.shape[1] == width}
    return is_by_token <= _KINDS_OF_TOKENS


def _gone_on(tensors: Mapping[str, Any], token_ids: list[int]) -> dict[str, Any]:
    """Return the tensors of a prompt with further tokens of text behind it."""
    longer = dict(tensors)
    longer["input_ids"] = [[*_token_ids(tensors), *token_ids]]
    for name in _KINDS_OF_TOKENS & set(tensors):
        # 0 is text.
        longer[name] = tensors[name].new_zeros(1, len(longer["input_ids"][0]))
        longer[name][:, : tensors[name].shape[1]] = tensors[name]
    return longer
