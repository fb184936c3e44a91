import asyncio
from collections.abc import Awaitable

import pytest

from critic_engine.actors.images import ImageKeeper, ImageSender
from critic_engine.errors import GenerationError
from critic_engine.types import GenerationRequest, Image, Message


def image(number: int) -> Image:
    return Image(bytes([number]) * 100, "image/png", 1, 1)


def ask(*images: Image, text: str = "what is it ?") -> GenerationRequest:
    return GenerationRequest((Message("system", "look"), Message("user", text, images)))


class Store:
    """Keeps what is put away, and counts."""

    def __init__(self) -> None:
        self.num_puts = self.num_fetches = 0
        self.is_lost = False

    def put(self, image: Image) -> Awaitable[Image]:
        self.num_puts += 1
        return Stored(self, image)


class Stored:
    def __init__(self, store: Store, image: Image) -> None:
        self.store = store
        self.image = image

    def __await__(self):  # type: ignore[no-untyped-def]
        yield from asyncio.sleep(0).__await__()
        self.store.num_fetches += 1
        if self.store.is_lost:
            raise OSError("the node is gone")
        return self.image


def test_request_arrives_as_it_was_sent_and_each_image_travels_once() -> None:
    async def scenario() -> None:
        store = Store()
        sender, keeper = ImageSender(store.put), ImageKeeper()
        requests = [ask(image(number % 2), image(2), text=str(number)) for number in range(10)]
        packed = [sender.pack(request) for request in requests]
        assert not any(message.images for one in packed for message in one.request.messages)
        assert await asyncio.gather(*(keeper.unpack(one) for one in packed)) == requests
        assert store.num_puts == store.num_fetches == 3

    asyncio.run(scenario())


def test_conversation_for_a_scorer_is_packed_too() -> None:
    async def scenario() -> None:
        sender = ImageSender(Store().put)
        messages = ask(image(1)).messages
        packed = sender.pack(messages)
        assert packed.request == (Message("system", "look"), Message("user", "what is it ?"))
        assert await ImageKeeper().unpack(packed) == messages

    asyncio.run(scenario())


def test_request_without_images_is_sent_as_it_is() -> None:
    store = Store()
    packed = ImageSender(store.put).pack(ask())
    assert (packed.request, packed.digests, packed.refs) == (ask(), (), {})
    assert store.num_puts == 0


def test_least_recently_used_images_are_forgotten_on_both_sides() -> None:
    async def scenario() -> None:
        store = Store()
        sender, keeper = ImageSender(store.put, max_bytes=250), ImageKeeper(max_bytes=250)
        for number in (0, 1, 0, 2, 0, 1):
            await keeper.unpack(sender.pack(ask(image(number))))
        assert store.num_puts == store.num_fetches == 4

    asyncio.run(scenario())


def test_image_that_is_gone_fails_its_request_and_is_asked_for_again() -> None:
    async def scenario() -> None:
        store = Store()
        sender, keeper = ImageSender(store.put), ImageKeeper()
        store.is_lost = True
        with pytest.raises(GenerationError, match="the node is gone") as caught:
            await keeper.unpack(sender.pack(ask(image(1))))
        assert caught.value.is_retryable
        store.is_lost = False
        assert await keeper.unpack(sender.pack(ask(image(1)))) == ask(image(1))

    asyncio.run(scenario())
