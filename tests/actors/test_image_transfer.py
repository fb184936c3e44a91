import asyncio
from collections.abc import Awaitable, Mapping

from critic_engine.actors.image_transfer import ImageKeeper, ImageSender, ImageSupply, MissingImages, pack
from critic_engine.errors import GenerationError
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image, Message


def image(number: int) -> Image:
    return Image(bytes([number]) * 100, "image/png", 1, 1)


def ask(*images: Image, text: str = "what is it ?") -> GenerationRequest:
    return GenerationRequest((Message("system", "look"), Message("user", text, images)))


class Store:
    """Keeps the images put into it, and counts."""

    def __init__(self) -> None:
        self.num_puts = self.num_fetches = 0
        self.lost: set[str] = set()

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
        if self.image.digest in self.store.lost:
            raise OSError("the node is gone")
        return self.image


async def keep(keeper: ImageKeeper, refs: Mapping[str, Awaitable[Image]]) -> list[str]:
    """Fetch images as a host does."""
    lost = []
    for digest, ref in refs.items():
        try:
            keeper.add(await ref)
        except OSError:
            lost.append(digest)
    return lost


def test_request_arrives_as_it_was_sent_once_its_images_are_there() -> None:
    request = ask(image(0), image(2), image(0))
    packed = pack(request)
    keeper = ImageKeeper()
    assert not any(message.images for message in packed.request.messages)
    assert keeper.unpack(packed) == MissingImages((image(0).digest, image(2).digest))
    keeper.add(image(2))
    assert keeper.unpack(packed) == MissingImages((image(0).digest,))
    keeper.add(image(0))
    assert keeper.unpack(packed) == request


def test_conversation_for_a_scorer_is_packed_too() -> None:
    messages = ask(image(1)).messages
    packed = pack(messages)
    assert packed.request == (Message("system", "look"), Message("user", "what is it ?"))
    keeper = ImageKeeper()
    keeper.add(image(1))
    assert keeper.unpack(packed) == messages


def test_request_without_images_is_sent_as_it_is() -> None:
    packed = pack(ask())
    assert (packed.request, packed.digests) == (ask(), ())
    assert ImageKeeper().unpack(packed) == ask()


def test_least_recently_used_images_are_forgotten_on_both_sides() -> None:
    store = Store()
    sender, keeper = ImageSender(store.put, max_bytes=250), ImageKeeper(max_bytes=250)
    for number in (0, 1, 0, 2, 0, 1):
        sender.ref(image(number))
    assert store.num_puts == 4
    for number in (0, 1, 2):
        keeper.unpack(pack(ask(image(0))))
        keeper.add(image(number))
    assert keeper.unpack(pack(ask(image(0), image(1)))) == MissingImages((image(1).digest,))


def test_images_asked_for_meanwhile_are_given_together_and_each_once() -> None:
    async def scenario() -> None:
        store, keeper = Store(), ImageKeeper()
        calls: list[int] = []

        async def kept(refs: Mapping[str, Awaitable[Image]]) -> list[str]:
            calls.append(len(refs))
            await asyncio.sleep(0.01)
            return await keep(keeper, refs)

        supply = ImageSupply(ImageSender(store.put), kept)
        first = asyncio.create_task(supply.give([image(0)]))
        await asyncio.sleep(0.001)
        await asyncio.gather(first, *(supply.give([image(1 + number % 3)]) for number in range(9)))
        assert calls == [1, 3]
        assert store.num_puts == 4

    asyncio.run(scenario())


def test_giver_that_is_cancelled_leaves_the_others_to_theirs() -> None:
    async def scenario() -> None:
        keeper = ImageKeeper()
        supply = ImageSupply(ImageSender(Store().put), lambda refs: keep(keeper, refs))
        givers = [asyncio.create_task(supply.give([image(0)])) for _ in range(2)]
        await asyncio.sleep(0)
        givers[0].cancel()
        await givers[1]
        assert keeper.unpack(pack(ask(image(0)))) == ask(image(0))

    asyncio.run(scenario())


def test_image_that_is_gone_fails_its_request_alone_and_is_put_away_anew() -> None:
    async def scenario() -> None:
        store, keeper = Store(), ImageKeeper()
        supply = ImageSupply(ImageSender(store.put), lambda refs: keep(keeper, refs))
        store.lost = {image(1).digest}
        gone, found = await asyncio.gather(supply.give([image(1)]), supply.give([image(2)]), return_exceptions=True)
        assert isinstance(gone, GenerationError)
        assert gone.is_retryable
        assert "could not be fetched" in str(gone)
        assert found is None
        store.lost = set()
        await supply.give([image(1)])
        assert store.num_puts == 3

    asyncio.run(scenario())


def test_image_that_cannot_be_put_away_says_why_and_holds_up_no_other() -> None:
    store = Store()

    def put(stored: Image) -> Awaitable[Image]:
        if stored == image(1):
            raise MemoryError("the object store is full")
        return store.put(stored)

    async def scenario() -> None:
        supply = ImageSupply(ImageSender(put), lambda refs: keep(ImageKeeper(), refs))
        failed, found = await asyncio.gather(supply.give([image(1)]), supply.give([image(2)]), return_exceptions=True)
        assert isinstance(failed, GenerationError)
        assert failed.is_retryable
        assert "the object store is full" in str(failed)
        assert found is None

    asyncio.run(scenario())
