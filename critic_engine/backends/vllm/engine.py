"""One engine of vLLM: starting it, sending requests, checking and stopping it, with its failures as our errors."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from critic_engine.backends.huggingface.checkpoint import CheckpointOptions, opening
from critic_engine.backends.vllm.arguments import Runner, check_engine_args, make_engine_args
from critic_engine.config.models import ModelConfig
from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.replicas.pool import PoolOptions, Replica, ReplicaPool

_logger = logging.getLogger(__name__)
_MAX_STOP_S = 10.0
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class VllmEngine:
    """vLLM's asynchronous engine, which works in processes of its own. All use is from one event loop."""

    runner: Runner = "generate"
    """Whether the model generates text or gives a number."""

    def __init__(self, config: ModelConfig, *, section: str, model: str | None = None) -> None:
        """Build without starting anything.

        Args:
            config: The model's configuration.
            section: The configuration's section, such as ``reasoner``.
            model: A local folder or a hub id that replaces the configuration's ``model``.

        Raises:
            ConfigError: an engine argument is refused.
            ModelLoadError: vLLM is not installed.
        """
        check_engine_args(config, section)
        self.model = model or config.model
        """The model's folder or hub id."""
        self._config = config
        self._starting: asyncio.Task[None] | None = None
        self._llm: Any = None
        self._has_started = False
        self._is_stopped = False
        self._numbers = itertools.count()
        self.can_seed = True
        """Whether samples may have seeds of their own."""

    @property
    def llm(self) -> Any:
        """The ``AsyncLLM`` of vLLM, which tests and benchmarks use too.

        Raises:
            ReplicaLostError: it is not started.
        """
        if self._llm is None:
            raise ReplicaLostError(f"the engine of {self.model} is not started")
        return self._llm

    async def start(self) -> None:
        """Return when the model is loaded and the engine works.

        Raises:
            ModelLoadError: vLLM cannot load the model, or refuses an argument.
            GenerationError: it cannot now, and could before.
        """
        self._is_stopped = False
        # vLLM waits for its processes in the calling thread.
        self._starting = asyncio.create_task(asyncio.to_thread(self._open))
        try:
            await asyncio.shield(self._starting)
        except ModelLoadError as error:
            if not self._has_started:
                raise
            # The memory of the engine that died may not be free yet.
            raise GenerationError(str(error), is_retryable=True) from error
        self._has_started = True
        # This waits for vLLM's warm-up of its image processor, which is not to be used from two threads.
        with engine_errors(self.model):
            await self.llm.reset_mm_cache()
        self.can_seed = _can_seed(self.llm.vllm_config)
        if not self.can_seed and self.runner == "generate":
            _logger.warning(
                "%s: draws do not repeat, because vLLM's CPU engine does not survive seeds where prompts are read in "
                "parts; leave enable_chunked_prefill and max_num_batched_tokens out of engine_args to have seeds",
                self.model,
            )

    async def ask(self, prompt: Any, params: Any) -> Any:
        """Return the finished output for a rendered prompt; cancelling the caller's task ends the work on it.

        Args:
            prompt: The output of vLLM's renderer.
            params: ``SamplingParams``, or ``PoolingParams`` of a model that gives a number.

        Raises:
            ReplicaLostError: the engine is dead.
            GenerationError: vLLM refuses the request, or fails at it.
        """
        llm = self.llm
        ask = llm.generate if self.runner == "generate" else llm.encode
        with engine_errors(self.model):
            # To the very end, though one output is all there is: vLLM takes leaving before that for an abort.
            (answer,) = [output async for output in ask(prompt, params, str(next(self._numbers)))]
            return answer

    async def check(self) -> None:
        """Raise ``ReplicaLostError`` when the engine is dead."""
        with engine_errors(self.model):
            await self.llm.check_health()

    async def stop(self) -> None:
        """End the engine and its processes; it may be dead, stopped or half started."""
        self._is_stopped = True
        if self._starting is not None:
            await asyncio.gather(asyncio.shield(self._starting), return_exceptions=True)
        # Its task that reads outputs would take the end of the engine for a death, and print that.
        reading = getattr(self._llm, "output_handler", None)
        if reading is not None and reading.get_loop() is asyncio.get_running_loop():
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await asyncio.to_thread(self._shut_down)

    def _open(self) -> None:
        options = CheckpointOptions(
            model=self.model,
            dtype=self._config.dtype,
            is_remote_code_trusted=self._config.is_remote_code_trusted,
            is_pickle_allowed=self._config.is_pickle_allowed,
        )
        with opening(options) as source:
            arguments = make_engine_args(
                self._config, model=source["pretrained_model_name_or_path"], runner=self.runner
            )
            from vllm.v1.engine.async_llm import AsyncLLM

            # Not returned: the thread that ran this keeps the result, and an engine that outlives the interpreter's
            # modules complains as it is deleted.
            with _turn_on_card(self._config.actor.num_gpus):
                self._llm = AsyncLLM.from_engine_args(arguments)
        if self._is_stopped:
            # The caller of ``stop`` may no longer wait.
            self._shut_down()

    def _shut_down(self) -> None:
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.shutdown(_MAX_STOP_S)


def engine_name(model: str) -> str:
    """Return the name that a model in an engine has in reports."""
    return f"vllm:{Path(model).name}"


def pool_of_one(
    replica: Replica[_Request, _Result], config: ModelConfig, *, name: str
) -> ReplicaPool[_Request, _Result]:
    """Return a pool that restarts the one engine of this process when it dies."""
    options = PoolOptions(max_in_flight=config.actor.max_in_flight, max_restarts=config.vllm.max_restarts)
    return ReplicaPool([replica], name=name, options=options)


@contextlib.contextmanager
def _turn_on_card(num_gpus: float | None) -> Iterator[None]:
    """Let the engines on this machine that share a card start one at a time.

    vLLM computes its need from the memory that is left on the card, which must not change meanwhile.
    """
    if num_gpus is None or not 0 < num_gpus < 1:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"critic-engine-{os.getuid()}.lock"
    with path.open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def engine_errors(model: str) -> Iterator[None]:
    """Turn errors that vLLM raises inside into our own types.

    Raises:
        ReplicaLostError: its engine is dead.
        GenerationError: anything else; retryable when memory ran out.
    """
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except CriticEngineError:
        raise
    except EngineDeadError as error:
        raise ReplicaLostError(f"the engine of {model} died; its log above says why") from error
    except VLLMClientError as error:
        raise GenerationError(f"vLLM refuses the request: {_one_line(error)}") from error
    except Exception as error:
        cause = error.__cause__ or error
        is_memory = isinstance(cause, MemoryError) or "out of memory" in str(cause).lower()
        raise GenerationError(f"vLLM failed: {_one_line(cause)}", is_retryable=is_memory) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _can_seed(vllm_config: Any) -> bool:
    """Return whether the engine survives samples that have seeds.

    Where it reads a prompt in parts it takes back what it drew behind a part, by the offset of the sample's generator,
    and a CPU's generators have none.
    """
    import torch

    if not vllm_config.scheduler_config.enable_chunked_prefill or vllm_config.device_config.device_type != "cpu":
        return True
    try:
        torch.Generator("cpu").get_offset()
    except RuntimeError:
        return False
    return True
