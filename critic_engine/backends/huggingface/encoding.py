"""Encoding a request as token ids and image tensors; each image is prepared once while a cache keeps it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.errors import ContextOverflowError, GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.types import GenerationRequest, Image, Message, SamplingOptions

_DIGEST = "critic_engine_digest"
_NUM_CONTEXT_TOKENS = 8


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


class ChatWriter:
    """Writes requests as the text that a model reads, in which one token stands for each image."""

    def __init__(self, processor: Any, tokenizer: Any, *, has_vision: bool) -> None:
        """Write by the chat template of ``processor``, or of ``tokenizer`` where that has none."""
        self._processor = processor
        self._tokenizer = tokenizer
        self._has_vision = has_vision
        self._control_tokens = control_tokens(tokenizer)

    def write(self, request: GenerationRequest) -> str:
        """Return the whole chat, prefix included.

        Raises:
            GenerationError: it has images for a model that reads text only, its text holds a control token, or the chat
                cannot be rendered.
        """
        if not self._has_vision and any(message.images for message in request.messages):
            raise GenerationError("the request has images, but the model reads text only; choose one that sees")
        refuse_control_tokens(self._control_tokens, [*(message.text for message in request.messages), request.prefix])
        # The prefix goes behind the generation prompt, where the model itself would have written it. Rendering it as a
        # message to be continued loses its last newline in every template that trims, and what a template puts before
        # the assistant's words (such as an opened thought) may differ between the two.
        chat = [_chat_turn(message, self._has_vision) for message in request.messages]
        with encoding_errors():
            template = None if self._processor.chat_template else self._tokenizer.get_chat_template()
            text: str = self._processor.apply_chat_template(
                chat, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        return text + request.prefix

    def is_begun(self, text: str) -> bool:
        """Return whether a text holds the tokens that begin one, so that the tokenizer is not to add them."""
        bos = self._tokenizer.bos_token
        # Processors add them to what a template has not begun; a text model reads what its template wrote.
        return not self._has_vision or bool(bos and text.startswith(bos))


class PromptEncoder:
    """Encodes requests for one checkpoint. Use it from one thread only."""

    def __init__(self, checkpoint: Checkpoint, *, cache: ByteCache[Any] | None = None) -> None:
        """Take over the processor; ``cache`` keeps prepared images, a cache of the usual size unless given."""
        self._checkpoint = checkpoint
        self._processor = checkpoint.processor
        self._writer = ChatWriter(checkpoint.processor, checkpoint.tokenizer, has_vision=checkpoint.has_vision)
        if checkpoint.has_vision:
            self._processor = copy.copy(checkpoint.processor)
            self._processor.image_processor = CachedImageProcessor(
                checkpoint.processor.image_processor, cache or ByteCache()
            )

    def encode(self, request: GenerationRequest) -> Prompt:
        """Return the encoded prompt.

        Raises:
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: its text holds a control token, the chat cannot be rendered, or an image cannot be read.
        """
        text = self._writer.write(request)
        with encoding_errors():
            prompt = self._encode(text, request)
        if self._room_behind(prompt) < 1:
            raise context_overflow(len(prompt.token_ids), self._checkpoint.max_context_tokens or 0)
        return prompt

    def fit(self, sampling: SamplingOptions, prompt: Prompt) -> SamplingOptions:
        """Return ``sampling`` with ``max_tokens`` cut to the room that the context has behind ``prompt``."""
        return dataclasses.replace(sampling, max_tokens=min(sampling.max_tokens, self._room_behind(prompt)))

    def _room_behind(self, prompt: Prompt) -> int:
        limit = self._checkpoint.max_context_tokens
        return sys.maxsize if limit is None else limit - len(prompt.token_ids)

    def _encode(self, text: str, request: GenerationRequest) -> Prompt:
        add_special_tokens = not self._writer.is_begun(text)
        if not self._checkpoint.has_vision:
            encoded = self._checkpoint.tokenizer(text, add_special_tokens=add_special_tokens)
            tensors = {"input_ids": [encoded["input_ids"]]}
        else:
            images = [_lazy_picture(image) for message in request.messages for image in message.images]
            tensors = self._processor(
                text=[text], images=images or None, add_special_tokens=add_special_tokens, return_tensors="pt"
            )
        return _split_tensors(tensors, has_prefix=bool(request.prefix))


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
            num_bytes = sum(int(getattr(tensor, "nbytes", 0)) for tensor in prepared.values())
            self._prepared.put(key, prepared, num_bytes)
        return copy.copy(prepared)


def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Return the control tokens, which text must not hold; some checkpoints list them among the added tokens alone."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return tuple(sorted({*tokenizer.all_special_tokens, *added} - {""}))


def refuse_control_tokens(tokens: Iterable[str], texts: Sequence[str]) -> None:
    """Refuse text that would end a turn or stand for an image: questions may come from anyone.

    Raises:
        GenerationError: one of ``texts`` holds one of ``tokens``.
    """
    for token in tokens:
        if any(token in text for text in texts):
            raise GenerationError(f"the prompt's text holds {token}, a control token of the model; remove it")


@contextlib.contextmanager
def encoding_errors() -> Iterator[None]:
    """Turn any failure inside into one error.

    Raises:
        GenerationError: the code inside failed; the message gives the reason.
    """
    try:
        yield
    except Exception as error:
        raise GenerationError(f"the prompt cannot be encoded: {' '.join(str(error).split())}") from error


def context_overflow(num_prompt_tokens: int, max_context_tokens: int) -> ContextOverflowError:
    """Return the error of a prompt behind which the context holds no token."""
    return ContextOverflowError(
        f"the prompt has {num_prompt_tokens} tokens and leaves no room in the model's context of "
        f"{max_context_tokens}; shorten it",
        num_prompt_tokens=num_prompt_tokens,
        max_context_tokens=max_context_tokens,
    )


def context_behind(token_ids: Sequence[int], *, has_prefix: bool) -> list[int]:
    """Return the last tokens of a prompt's prefix, on which decoding the continuation depends; none without one."""
    return list(token_ids[-_NUM_CONTEXT_TOKENS:]) if has_prefix else []


def _chat_turn(message: Message, has_vision: bool) -> dict[str, Any]:
    if not has_vision:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, str]] = [{"type": "image"} for _ in message.images]
    return {"role": message.role, "content": [*parts, {"type": "text", "text": message.text}]}


def _lazy_picture(image: Image) -> Any:
    """Return the image unread, with its digest; it is decoded only when it has to be prepared."""
    picture = open_picture(image.data)
    picture.info[_DIGEST] = image.digest
    return picture


def _map_pictures(images: Any, change: Any) -> Any:
    return [_map_pictures(image, change) for image in images] if isinstance(images, list | tuple) else change(images)


def _split_tensors(tensors: Mapping[str, Any], *, has_prefix: bool) -> Prompt:
    token_ids = [int(token) for token in tensors["input_ids"][0]]
    rest = {name: tensor for name, tensor in tensors.items() if name not in ("input_ids", "attention_mask")}
    token_tensors = {name: tensor for name, tensor in rest.items() if tuple(tensor.shape) == (1, len(token_ids))}
    return Prompt(
        token_ids=token_ids,
        context_ids=context_behind(token_ids, has_prefix=has_prefix),
        token_tensors=token_tensors,
        image_tensors={name: tensor for name, tensor in rest.items() if name not in token_tensors},
    )
