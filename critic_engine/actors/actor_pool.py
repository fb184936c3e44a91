"""Pools of Ray actors that hold one model, for the process that owns the actors and for others that use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from critic_engine.actors.channel import Channel, first_line
from critic_engine.actors.cluster import Cluster
from critic_engine.actors.connection import Address, connect
from critic_engine.actors.image_transfer import ImageSender, ImageSupply, MissingImages, images_of, pack
from critic_engine.actors.placement import PATIENCE_S, PlacedActor, Vacancy
from critic_engine.config.models import ActorConfig
from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest, Score
from critic_engine.replicas.pool import PoolOptions, Replica, ReplicaPool
from critic_engine.types import Image, Message

_POLL_S = 1.0
_MAX_SENDS = 3
_KEEP_S = 60.0
_Request = TypeVar("_Request", bound="GenerationRequest | tuple[Message, ...]")
_Result = TypeVar("_Result", bound="Generation | Score")


class ActorReplica(Generic[_Request, _Result]):
    """An actor as a replica of a pool.

    Starting it connects to the actor, which starts its model again where that was lost. Its process is Ray's to restart
    alone: after it ended, or when it does not answer and this asks for it.
    """

    def __init__(
        self, handle: Any, *, images: ImageSender, placement: PlacedActor | None = None, vacancy: Vacancy | None = None
    ) -> None:
        """Take an actor's handle; with its ``placement`` and the pool's ``vacancy``, the actor too."""
        self._handle = handle
        self._images = ImageSupply(images, self._keep)
        self._placement = placement
        self._vacancy = vacancy
        self._channel: Channel | None = None
        self._is_hung = False

    async def start(self) -> None:
        """Return when the actor has its model; waits for room in the cluster, and for Ray to restart it.

        Raises:
            ModelLoadError: the model cannot be loaded, Ray has given the actor up, or there is no room at all.
            GenerationError: the actor is ready, and cannot be reached.
        """
        opening = asyncio.create_task(self._open())
        try:
            while not opening.done():
                await asyncio.wait({opening}, timeout=_POLL_S)
                if self._vacancy is not None and not opening.done():
                    self._vacancy.check()
            self._channel = await _connected(opening.result())
        except ModelLoadError:
            if self._placement is not None:
                self._placement.is_ending = True
            raise
        finally:
            opening.cancel()

    async def call(self, request: _Request) -> _Result:
        """Return the model's answer; images are sent once, before the first request that has them is sent again."""
        channel, packed = self._channel, pack(request)
        if channel is None:
            raise ReplicaLostError("the actor is not ready")
        for _ in range(_MAX_SENDS):
            try:
                answer = await channel.call(packed)
            except ReplicaLostError:
                # Whoever tells of a loss does not hang; the check under way now is given up for that loss.
                self._is_hung = False
                raise
            if not isinstance(answer, MissingImages):
                return cast(_Result, answer)
            images = images_of(request)
            await self._images.give([images[digest] for digest in answer.digests])
        raise GenerationError("the actor has no room for the images of so many requests", is_retryable=True)

    async def check(self) -> None:
        """Raise when the actor does not answer, or has no model any more."""
        if self._channel is not None and self._channel.loss is not None:
            raise ReplicaLostError(str(self._channel.loss))
        # A check that is given up leaves it so.
        self._is_hung = True
        try:
            failure: CriticEngineError | None = await self._handle.check.remote()
        except Exception as error:
            self._is_hung = False
            raise ReplicaLostError(first_line(error)) from error
        self._is_hung = False
        if failure is not None:
            raise ReplicaLostError(str(failure))

    async def stop(self) -> None:
        """Cancel this pool's requests; the actor's owner also ends it at last, or has Ray restart one that hangs."""
        channel, self._channel = self._channel, None
        is_lost = channel is not None and channel.loss is not None
        if channel is not None:
            await channel.close()
        if self._placement is None:
            return
        if self._placement.is_ending:
            await self._placement.close()
        elif self._is_hung and not is_lost:
            self._placement.restart()
        self._is_hung = False

    async def _keep(self, refs: Mapping[str, Awaitable[Image]]) -> Collection[str]:
        try:
            async with asyncio.timeout(_KEEP_S):
                lost: list[str] = await self._handle.keep.remote(refs)
        except TimeoutError:
            return list(refs)
        except Exception as error:
            raise ReplicaLostError(first_line(error)) from error
        return lost

    async def _open(self) -> Address:
        from ray.exceptions import ActorUnavailableError, RayError

        while True:
            try:
                opened = await self._handle.open.remote()
                break
            except ActorUnavailableError:
                await asyncio.sleep(_POLL_S)
            except RayError as error:
                raise ModelLoadError(f"the actor is dead for good: {first_line(error)}") from error
        if isinstance(opened, CriticEngineError):
            # What is wrong with the configuration is as wrong the next time.
            raise opened if isinstance(opened, GenerationError | ReplicaLostError) else ModelLoadError(str(opened))
        return cast(Address, opened)


@dataclass(frozen=True, slots=True)
class HostedModel:
    """One model in actors, for any process that sends it requests."""

    name: str
    handles: tuple[Any, ...]
    config: ActorConfig

    def pool(self, images: ImageSender) -> ReplicaPool[Any, Any]:
        """Return a pool over the actors, which run on when it is closed; ``config.max_in_flight`` holds for each pool.

        The pools of all processes send the requests of one session to the same actor; ``images`` sends images there.
        """
        replicas = [ActorReplica[Any, Any](handle, images=images) for handle in self.handles]
        return ReplicaPool(replicas, name=self.name, options=_options(self.config))


class ActorPool(ReplicaPool[_Request, _Result]):
    """A pool that owns its actors."""

    def __init__(
        self,
        make: Callable[[], Replica[_Request, _Result]],
        config: ActorConfig,
        *,
        num_gpus: float,
        name: str,
        cluster: Cluster,
        images: ImageSender,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Ask for actors that each hold the replica that ``make`` returns, and wait for none of them.

        Args:
            make: Called in each actor's process; it must survive pickling.
            config: How many, and what each is given.
            num_gpus: GPUs of each; a share of one, or a whole number.
            name: The name of the model in messages.
            cluster: Where they run.
            images: Sends images to them.
            patience_s: When no actor has had room for so long, loading fails; one that waits beside others waits on.
        """
        self._placements = [PlacedActor(make, config, num_gpus=num_gpus) for _ in range(config.num_replicas)]
        self.hosted = HostedModel(name, tuple(placement.handle for placement in self._placements), config)
        """The actors, for other processes; they end with this pool."""
        vacancy = Vacancy(self._placements, name, cluster.resources, patience_s)
        replicas = [
            ActorReplica[_Request, _Result](placement.handle, images=images, placement=placement, vacancy=vacancy)
            for placement in self._placements
        ]
        super().__init__(replicas, name=name, options=_options(config))

    async def aclose(self) -> None:
        """Refuse further calls, drain the calls in flight, end all actors and give their room back."""
        for placement in self._placements:
            placement.is_ending = True
        await super().aclose()
        self.release()

    def release(self) -> None:
        """End all actors at once and give their room back. A second time it does nothing."""
        for placement in self._placements:
            placement.remove()


async def _connected(address: Address) -> Channel:
    try:
        return Channel(await connect(address))
    except OSError as error:
        raise GenerationError(
            f"the actor at {address.host}:{address.port} cannot be reached: {first_line(error)}; the nodes of the "
            "cluster and this process must reach each other's ports",
            is_retryable=True,
        ) from error


def image_sender() -> ImageSender:
    """Return a sender of images by the object store; the pools of one process share one."""
    import ray

    return ImageSender(ray.put)


def _options(config: ActorConfig) -> PoolOptions:
    return PoolOptions(max_in_flight=config.max_in_flight, max_restarts=config.max_restarts)
