"""The sections of the configuration that say which models there are and where they run."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from critic_engine.config.base import Section

Backend: TypeAlias = Literal["huggingface", "vllm", "openai_api", "scripted"]


class VllmConfig(Section):
    """What only vLLM's engine is told."""

    engine_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the engine by vLLM's own names, such as ``{tensor_parallel_size: 2, max_model_len: 8192}``; those
    that other fields of the model decide are refused."""
    max_restarts: Annotated[int, Field(ge=0, le=100)] = 5
    """Restarts of an engine that dies, at most, in a row without an answer in between; in a Ray actor
    ``actor.max_restarts`` holds instead."""


def _without_password(url: str | None) -> str | None:
    if url is not None and "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("base_url holds a name or password; leave it out, the key is read from the environment")
    return url


class EndpointConfig(Section):
    """What only an endpoint of OpenAI's API is told. Its key comes from the environment alone."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: Annotated[str | None, AfterValidator(_without_password)] = None
    """Such as ``http://localhost:8000/v1``; without one the environment's ``OPENAI_BASE_URL``, or OpenAI's own."""
    api_key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "OPENAI_API_KEY"
    """The environment variable that holds the key, in the environment of every search worker too; where ``base_url``
    is given, there may be none."""
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """Seconds that one attempt may take."""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 5
    """How often a request is sent again after 408, 409, 429, 5xx, a lost connection, a timeout or a broken answer."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Requests at the endpoint at the same time, from each process: each search worker is one."""
    usd_per_million_prompt_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Its price of reading."""
    usd_per_million_generated_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Its price of writing."""


class ActorConfig(Section):
    """How Ray hosts the model, where ``ray.address`` is set.

    The limit in flight, and a share of a GPU, hold for vLLM's engines without Ray too.
    """

    num_replicas: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Actors that hold the model. Those that find no room yet join when the cluster has it."""
    num_gpus: Annotated[float, Field(ge=0)] | None = None
    """GPUs of one replica, also a share of one: 0.5 lets a reasoner and a critic have a card together. None takes what
    the engine spreads over where the cluster has GPUs, and none where it has none."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    """CPU cores that one replica reserves."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Requests at one replica at the same time, from each process; more wait."""
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = 10
    """How often a replica whose process or node is lost is started again."""

    @model_validator(mode="after")
    def _check_gpus(self) -> "ActorConfig":
        if self.num_gpus is not None and self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise ValueError(f"num_gpus is {self.num_gpus:g}; it must be a whole number or at most 1")
        return self


# Fields that mean something to some backends only.
_ONLY_OF = {
    "vllm": ("vllm",),
    "openai_api": ("openai_api",),
    "device": ("huggingface", "scripted"),
    "max_batch_size": ("huggingface", "scripted"),
    "dtype": ("huggingface", "vllm", "scripted"),
    "is_remote_code_trusted": ("huggingface", "vllm"),
    "is_pickle_allowed": ("huggingface", "vllm"),
}


class ModelConfig(Section):
    """Which model answers, and where it runs."""

    model: str = "pocket"
    """``pocket`` for the shipped model of the role, a local folder, a hub id, or an endpoint's name for it."""
    backend: Backend = "huggingface"
    """What runs it."""
    prompts: str = "auto"
    """A family of templates: ``pocket``, ``plain``, ``headed``, a folder of templates, or ``auto``: ``pocket`` for the
    shipped models, ``plain`` for all others."""
    device: str = "auto"
    """``auto`` takes CUDA, then MPS, then the CPU; or a torch device such as ``cuda:1``. Of ``huggingface`` only."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto`` is float32 on a CPU, else what the checkpoint says."""
    max_batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """At most this many samples are drawn side by side; of ``huggingface`` only."""
    is_remote_code_trusted: bool = False
    """Whether Python code that comes with the model may run. It can do anything on this machine."""
    is_pickle_allowed: bool = False
    """Whether weights that are not safetensors may be loaded. Unpickling can run code."""
    vllm: VllmConfig = VllmConfig()
    """Of ``vllm`` only."""
    openai_api: EndpointConfig = EndpointConfig()
    """Of ``openai_api`` only."""
    actor: ActorConfig = ActorConfig()
    """How Ray hosts it."""

    @property
    def hosting(self) -> str:
        """Which model it is and where it runs, as JSON: roles for which this is the same can share one engine."""
        return self.model_dump_json(include=set(ModelConfig.model_fields) - {"prompts"})

    @model_validator(mode="after")
    def _check_backend(self) -> "ModelConfig":
        for name, backends in _ONLY_OF.items():
            if self.backend not in backends and getattr(self, name) != ModelConfig.model_fields[name].default:
                names = " or ".join(map(repr, backends))
                raise ValueError(
                    f"{name} is set and has no effect where backend is {self.backend!r}; leave {name} out, or set "
                    f"backend to {names}"
                )
        return self


def _off_is_none(address: object) -> object:
    # YAML reads the word off as false.
    return None if address in ("off", False) else address


class RayConfig(Section):
    """Whether Ray hosts the models, and the searches too."""

    address: Annotated[Annotated[str, Field(min_length=1)] | None, BeforeValidator(_off_is_none)] = None
    """``off``: no Ray. ``local``: a Ray of its own on this machine, gone at the end. ``auto``: the cluster this machine
    belongs to. Else a cluster's address, such as ``10.0.0.1:6379`` or ``ray://10.0.0.1:10001``. Requests go straight to
    the machines of the actors, which this process must reach in any case."""
    num_search_workers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Actors that share the problems of a run; 0 searches in this process, which one driver can do for many GPUs."""
    num_cpus_per_worker: Annotated[float, Field(ge=0)] = 1.0
    """CPU cores that one of them reserves."""

    @model_validator(mode="after")
    def _check_workers(self) -> "RayConfig":
        if self.num_search_workers and self.address is None:
            raise ValueError(f"num_search_workers is {self.num_search_workers} and address is off; set an address")
        return self
