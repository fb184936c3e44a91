"""From a model's configuration to the arguments of vLLM's engine."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import os
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from critic_engine.config.models import ModelConfig
from critic_engine.errors import ConfigError, ModelLoadError

Runner: TypeAlias = Literal["generate", "pooling"]

_NUM_LOGPROBS = 20
_GPU_SHARE = 0.9
_CPU_CACHE_BYTES = 2 * 2**30
_CPU_BLOCK_TOKENS = 32
# Only images are ever sent; what takes sound or film too would keep memory for them.
_NO_MEDIA = {"video": 0, "audio": 0}
_FIELDS = {
    "model": "model",
    "model_weights": "model",
    "dtype": "dtype",
    "trust_remote_code": "is_remote_code_trusted",
    "load_format": "is_pickle_allowed",
}
_DECIDED = (
    "convert",
    "disable_log_stats",
    "logprobs_mode",
    "runner",
    "skip_tokenizer_init",
    "tokenizer_mode",
    "tokens_only",
)


def prepare_environment() -> None:
    """Set defaults for the environment variables that vLLM reads when imported; variables that are set stay."""
    # Its own default logs hundreds of lines a start.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # It reports model and hardware to its makers unless told otherwise.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # A process forked from one that has threads may inherit a lock that no thread will release.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


def check_engine_args(config: ModelConfig, section: str) -> None:
    """Refuse engine arguments that other fields decide, or that vLLM does not have; this may import vLLM.

    Args:
        config: Of the model.
        section: Where it stands in the configuration, such as ``reasoner``.

    Raises:
        ConfigError: an argument is refused; its ``field`` is the argument's path.
        ModelLoadError: vLLM is not installed.
    """
    for name in config.vllm.engine_args:
        path = f"{section}.vllm.engine_args.{name}"
        if name in _FIELDS:
            raise ConfigError(f"{path} is decided by {section}.{_FIELDS[name]}; set that instead", field=path)
        if name == "hf_token":
            raise ConfigError(f"{path} would stand in the run's folder; set HF_TOKEN in the environment", field=path)
        if name in _DECIDED:
            raise ConfigError(f"{path} is decided by what the engine is used for; leave it out", field=path)
    num_logprobs = config.vllm.engine_args.get("max_logprobs", _NUM_LOGPROBS)
    if isinstance(num_logprobs, int) and 0 <= num_logprobs < _NUM_LOGPROBS:
        path = f"{section}.vllm.engine_args.max_logprobs"
        raise ConfigError(f"{path} is {num_logprobs}, and values need {_NUM_LOGPROBS}; leave it out", field=path)
    if importlib.util.find_spec("vllm") is None:
        # Told at once, and not by each replica that fails to start.
        raise _missing("there is no such package")
    if not config.vllm.engine_args:
        return
    known = {field.name for field in dataclasses.fields(_engine_args_class())}
    for name in config.vllm.engine_args:
        if name not in known or name.startswith("_"):
            path = f"{section}.vllm.engine_args.{name}"
            close = difflib.get_close_matches(name, known, n=3)
            advice = f"did you mean {' or '.join(close)}?" if close else "see vLLM's engine arguments"
            raise ConfigError(f"{path} is no argument of vLLM's engine; {advice}", field=path)


def make_engine_args(config: ModelConfig, *, model: str, runner: Runner) -> Any:
    """Return vLLM's ``AsyncEngineArgs``; they are as good as vLLM finds them when it makes its engine.

    Args:
        config: Of the model; its ``vllm.engine_args`` go before every default.
        model: A local folder or a hub id.
        runner: Whether the model writes or gives a number.
    """
    engine_args_class = _engine_args_class()
    from vllm.platforms import current_platform

    is_cpu = current_platform.is_cpu()
    decided = {
        "model": model,
        "runner": runner,
        "dtype": "float32" if config.dtype == "auto" and is_cpu else config.dtype,
        "trust_remote_code": config.is_remote_code_trusted,
        "load_format": "auto" if config.is_pickle_allowed else "safetensors",
        # Those of the model before temperature and nucleus, which is what a TokenLogprob is.
        "logprobs_mode": "raw_logprobs",
        # Chat templates and control tokens are read from the tokenizer of transformers.
        "tokenizer_mode": "hf",
        "disable_log_stats": True,
    }
    defaults = {**_defaults(config, runner), **(_cpu_defaults(config.vllm.engine_args) if is_cpu else {})}
    given = dict(config.vllm.engine_args)
    limits = given.get("limit_mm_per_prompt")
    if isinstance(limits, dict):
        given["limit_mm_per_prompt"] = {**_NO_MEDIA, **limits}
    return engine_args_class(**{**defaults, **given, **decided})


def _engine_args_class() -> Any:
    prepare_environment()
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
    except ImportError as error:
        raise _missing(str(error)) from error
    return AsyncEngineArgs


def _missing(reason: str) -> ModelLoadError:
    return ModelLoadError(
        f"backend vllm needs the package vllm, which cannot be imported ({reason}); "
        "pip install 'critic-engine[vllm]', or choose another backend"
    )


def _defaults(config: ModelConfig, runner: Runner) -> dict[str, object]:
    defaults: dict[str, object] = {
        "limit_mm_per_prompt": _NO_MEDIA,
        "use_tqdm_on_load": False,
        # All GPUs of an engine are on one node. In a Ray actor vLLM would ask Ray for further actors, and refuse the
        # room that the actor has.
        "distributed_executor_backend": "mp",
    }
    if runner == "generate":
        # A search asks for continuations of what was just read.
        defaults |= {"enable_prefix_caching": True, "max_logprobs": _NUM_LOGPROBS}
    if config.actor.num_gpus is not None and 0 < config.actor.num_gpus < 1:
        defaults["gpu_memory_utilization"] = _GPU_SHARE * config.actor.num_gpus
    return defaults


def _cpu_defaults(given: Mapping[str, object]) -> dict[str, object]:
    # Compiling took 10 to 25 s more at every start, and drew no more tokens a second.
    defaults: dict[str, object] = {"block_size": _CPU_BLOCK_TOKENS, "enforce_eager": True}
    if "max_num_batched_tokens" not in given:
        # A prompt read in several parts kills vLLM's CPU engine if its samples have seeds. vLLM then takes care that
        # the longest prompt fits one step.
        defaults["enable_chunked_prefill"] = False
    if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
        # vLLM would take half of the machine's memory.
        defaults["kv_cache_memory_bytes"] = _CPU_CACHE_BYTES
    return defaults
