"""Sending each image once: requests travel without images, which a host fetches from the object store on demand."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from critic_engine.errors import GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image, Message

_Request = TypeVar("_Request", bound="GenerationRequest | tuple[Message, ...]")
_MAX_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Packed(Generic[_Request]):
    """A request without its images."""

    request: _Request
    digests: tuple[tuple[str, ...], ...] = ()
    """The digests of each message's images, in order; empty when no message has images."""


def pack(request: _Request) -> Packed[_Request]:
    """Return ``request`` without its images."""
    messages = _messages(request)
    if not any(message.images for message in messages):
        return Packed(request)
    digests = tuple(tuple(image.digest for image in message.images) for message in messages)
    return Packed(_with_messages(request, [() for _ in messages]), digests)


def images_of(request: GenerationRequest | tuple[Message, ...]) -> dict[str, Image]:
    """Return the images of a request by their digests."""
    return {image.digest: image for message in _messages(request) for image in message.images}


@dataclass(frozen=True, slots=True)
class MissingImages:
    """A host's answer to a request with images that the host lacks."""

    digests: tuple[str, ...]


class ImageSender:
    """Puts images into the object store, and remembers their references."""

    def __init__(self, put: Callable[[Image], Awaitable[Image]], *, max_bytes: int = _MAX_BYTES) -> None:
        """Store images with ``put``, and keep references to at most ``max_bytes`` of them."""
        self._put = put
        self._refs: ByteCache[Awaitable[Image]] = ByteCache(max_bytes)

    def ref(self, image: Image) -> Awaitable[Image]:
        """Return the reference of ``image``; stores the image if need be."""
        ref = self._refs.get(image.digest)
        if ref is None:
            ref = self._put(image)
            self._refs.put(image.digest, ref, len(image.data))
        return ref

    def forget(self, digest: str) -> None:
        """Drop the reference of an image, so that it is stored anew when it is needed again."""
        self._refs.remove(digest)


class ImageSupply:
    """Gives one host the images that it is missing; images asked for while it fetches others are given together."""

    def __init__(
        self, sender: ImageSender, keep: Callable[[Mapping[str, Awaitable[Image]]], Awaitable[Collection[str]]]
    ) -> None:
        """Take ``keep``, which has the host fetch images and returns the digests of those that it could not fetch."""
        self._sender = sender
        self._keep = keep
        self._due: dict[str, Image] = {}
        self._next: asyncio.Task[dict[str, str]] | None = None
        self._lock = asyncio.Lock()

    async def give(self, images: Collection[Image]) -> None:
        """Return when the host has ``images``.

        Raises:
            GenerationError: an image cannot be stored, or is gone from the store; retryable.
        """
        self._due |= {image.digest: image for image in images}
        if self._next is None:
            self._next = asyncio.create_task(self._give_due())
        # A caller that is cancelled must not cancel the transfer for others.
        lost = await asyncio.shield(self._next)
        for image in images:
            if image.digest in lost:
                raise GenerationError(lost[image.digest], is_retryable=True)

    async def _give_due(self) -> dict[str, str]:
        """Return the reasons of the images that did not arrive, by digest."""
        async with self._lock:
            self._next = None
            due, self._due = self._due, {}
            refs, lost = {}, {}
            for digest, image in due.items():
                try:
                    refs[digest] = self._sender.ref(image)
                except Exception as error:
                    lost[digest] = f"an image cannot be stored: {' '.join(str(error).split())[:300]}"
            for digest in await self._keep(refs) if refs else []:
                self._sender.forget(digest)
                lost[digest] = "an image could not be fetched from the object store"
            return lost


class ImageKeeper:
    """Holds a host's images, and puts images back into requests."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        """Keep at most ``max_bytes`` of images."""
        self._images: ByteCache[Image] = ByteCache(max_bytes)

    def add(self, image: Image) -> None:
        """Keep ``image`` until the cache drops it."""
        self._images.put(image.digest, image, len(image.data))

    def unpack(self, packed: Packed[_Request]) -> _Request | MissingImages:
        """Return the request with its images, or the digests of those that are missing."""
        if not packed.digests:
            return packed.request
        found = {digest: self._images.get(digest) for digests in packed.digests for digest in digests}
        images = {digest: image for digest, image in found.items() if image is not None}
        if len(images) < len(found):
            return MissingImages(tuple(digest for digest in found if digest not in images))
        return _with_messages(packed.request, [tuple(images[one] for one in digests) for digests in packed.digests])


def _messages(request: GenerationRequest | tuple[Message, ...]) -> tuple[Message, ...]:
    return request.messages if isinstance(request, GenerationRequest) else request


def _with_messages(request: _Request, images: Collection[tuple[Image, ...]]) -> _Request:
    messages = tuple(
        message if message.images == ones else dataclasses.replace(message, images=ones)
        for message, ones in zip(_messages(request), images, strict=True)
    )
    if isinstance(request, GenerationRequest):
        return dataclasses.replace(request, messages=messages)
    return cast(_Request, messages)
