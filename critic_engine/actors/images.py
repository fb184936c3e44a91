"""Sending each image once: requests travel without their images, which are fetched from the object store by need."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from critic_engine.errors import GenerationError
from critic_engine.types import GenerationRequest, Image, Message

_Request = TypeVar("_Request", bound="GenerationRequest | tuple[Message, ...]")
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Packed(Generic[_Request]):
    """A request without its images."""

    request: _Request
    digests: tuple[tuple[str, ...], ...] = ()
    """Of the images of each message, in order; empty when no message has any."""
    refs: Mapping[str, Awaitable[Image]] = dataclasses.field(default_factory=dict)
    """By digest, where each of them lies."""


class ImageSender:
    """Packs requests, and remembers where the images lie that it has put away."""

    def __init__(self, put: Callable[[Image], Awaitable[Image]], *, max_bytes: int = 2**30) -> None:
        """Put images away with ``put``, and keep at most ``max_bytes`` of them there."""
        self._put = put
        self._refs: _Recent[Awaitable[Image]] = _Recent(max_bytes)

    def pack(self, request: _Request) -> Packed[_Request]:
        """Return ``request`` without its images; those that were not sent before are put away."""
        messages = _messages(request)
        if not any(message.images for message in messages):
            return Packed(request)
        images = [image for message in messages for image in message.images]
        refs = {image.digest: self._ref(image) for image in images}
        digests = tuple(tuple(image.digest for image in message.images) for message in messages)
        bare = tuple(dataclasses.replace(message, images=()) for message in messages)
        return Packed(_with_messages(request, bare), digests, refs)

    def _ref(self, image: Image) -> Awaitable[Image]:
        ref = self._refs.get(image.digest)
        if ref is None:
            ref = self._put(image)
            self._refs.add(image.digest, ref, len(image.data))
        return ref


class ImageKeeper:
    """Unpacks requests, and remembers the images it has fetched."""

    def __init__(self, *, max_bytes: int = 2**30) -> None:
        """Keep at most ``max_bytes`` of images."""
        self._images: _Recent[asyncio.Task[Image]] = _Recent(max_bytes)

    async def unpack(self, packed: Packed[_Request]) -> _Request:
        """Return the request with its images; one that several requests wait for is fetched once.

        Raises:
            GenerationError: an image is gone from where it lay.
        """
        if not packed.digests:
            return packed.request
        messages = []
        for message, digests in zip(_messages(packed.request), packed.digests, strict=True):
            images = [await self._image(digest, packed.refs[digest]) for digest in digests]
            messages.append(dataclasses.replace(message, images=tuple(images)))
        return _with_messages(packed.request, tuple(messages))

    async def _image(self, digest: str, ref: Awaitable[Image]) -> Image:
        fetching = self._images.get(digest)
        if fetching is None:
            fetching = asyncio.ensure_future(_fetch(ref))
            self._images.add(digest, fetching, 0)
        try:
            image = await asyncio.shield(fetching)
        except Exception as error:
            self._images.remove(digest)
            raise GenerationError(
                f"an image could not be fetched from the object store: {' '.join(str(error).split())[:300]}",
                is_retryable=True,
            ) from error
        self._images.add(digest, fetching, len(image.data))
        return image


class _Recent(Generic[_Item]):
    """Things by digest, of which the least recently used are forgotten where they become too many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._items: OrderedDict[str, tuple[_Item, int]] = OrderedDict()

    def get(self, digest: str) -> _Item | None:
        if digest not in self._items:
            return None
        self._items.move_to_end(digest)
        return self._items[digest][0]

    def add(self, digest: str, item: _Item, num_bytes: int) -> None:
        self.remove(digest)
        self._items[digest] = (item, num_bytes)
        self._num_bytes += num_bytes
        while self._num_bytes > self._max_bytes:
            self.remove(next(iter(self._items)))

    def remove(self, digest: str) -> None:
        _, num_bytes = self._items.pop(digest, (None, 0))
        self._num_bytes -= num_bytes


async def _fetch(ref: Awaitable[Image]) -> Image:
    return await ref


def _messages(request: GenerationRequest | tuple[Message, ...]) -> tuple[Message, ...]:
    return request.messages if isinstance(request, GenerationRequest) else request


def _with_messages(request: _Request, messages: tuple[Message, ...]) -> _Request:
    if isinstance(request, GenerationRequest):
        return dataclasses.replace(request, messages=messages)
    return cast(_Request, messages)
