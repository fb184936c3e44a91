"""The configuration sections of models and their hosting."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, field_validator, model_validator

from critic_engine.config.base import Section
from critic_engine.types import ChatOptions, Thinking

Backend: TypeAlias = Literal["huggingface", "vllm", "openai_api", "scripted"]
_ENDPOINT = "openai:"
_CLIENT_HEADERS = {
    *("accept", "accept-encoding", "authorization", "connection", "cookie", "expect", "host", "te", "trailer"),
    *("proxy-authorization", "transfer-encoding", "upgrade", "user-agent", "openai-organization", "openai-project"),
}
_POCKET = "pocket"
SHIPPED_MODELS = (_POCKET, "pocket:prose")
"""Names that stand for a reasoner and a critic each; the second pair words its steps freely."""


class VllmConfig(Section):
    """Options of the vLLM engine."""

    engine_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Engine arguments by vLLM's names, such as ``{tensor_parallel_size: 2, max_model_len: 8192}``; arguments that
    other fields of the model set are refused."""
    max_restarts: Annotated[int, Field(ge=0, le=100)] = 5
    """Most restarts of a dead engine in a row, without an answer or an idle time in good health in between; in a Ray
    actor ``actor.max_restarts`` holds instead."""


def _without_password(url: str | None) -> str | None:
    if url is not None and "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("base_url holds a name or password; leave it out, the key is read from the environment")
    return url


def _off_is_none(text: object) -> object:
    # YAML reads the word off as false.
    return None if text in ("off", False) else text


# Fields of a request to an endpoint that the engine sets, each by an option of its own or by what a search asks.
_OWN_FIELDS = {
    *("model", "messages", "n", "seed", "stop", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
    *("temperature", "top_p", "top_k", "min_p", "logprobs", "top_logprobs", "reasoning_effort"),
    *("chat_template_kwargs", "continue_final_message", "add_generation_prompt"),
}


def _without_own_fields(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if own := sorted(_OWN_FIELDS & set(body)):
        raise ValueError(f"extra_body holds {', '.join(own)}, which the engine sets itself; leave it to other options")
    return body


def _without_own_field(name: str | None) -> str | None:
    if name in _OWN_FIELDS:
        raise ValueError(f"session_field is {name!r}, which the engine sets itself; name another field, or off")
    return name


def _not_set_by_client(header: str | None) -> str | None:
    if header is not None and (
        header.lower() in _CLIENT_HEADERS or header.lower().startswith(("content-", "x-stainless-"))
    ):
        raise ValueError(f"session_header is {header!r}, which the client sets itself; name another header, or off")
    return header


class EndpointConfig(Section):
    """Options of an endpoint with OpenAI's API. Its key is read from the environment only."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: Annotated[str | None, AfterValidator(_without_password)] = None
    """URL such as ``http://localhost:8000/v1``; None is the environment's ``OPENAI_BASE_URL``, or OpenAI's own."""
    api_key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "OPENAI_API_KEY"
    """Environment variable with the key, also read in each search worker; it may be unset if ``base_url`` is given."""
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """Most seconds of one attempt."""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 5
    """Most retries of a request after 408, 409, 429, 5xx, a lost connection, a timeout or a broken answer."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Most concurrent requests to the endpoint from each process; each search worker is a process."""
    session_header: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")] | None,
        BeforeValidator(_off_is_none),
        AfterValidator(_not_set_by_client),
    ] = "x-session-id"
    """Header with a digest of the problem, by which a router in front of several servers can send the requests of one
    problem to the server that has its prefix cached; ``off`` sends none."""
    session_field: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")] | None,
        BeforeValidator(_off_is_none),
        AfterValidator(_without_own_field),
    ] = None
    """Field of the request with the same digest, such as ``prompt_cache_key`` for OpenAI's own API; ``off`` sends none,
    because many endpoints refuse fields that they do not know."""
    usd_per_million_prompt_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Price of prompt tokens, in US dollars per million."""
    usd_per_million_cached_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Price of the prompt tokens that the endpoint reports as cached; None is that of all prompt tokens."""
    usd_per_million_generated_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Price of generated tokens, in US dollars per million."""

    @property
    def prices(self) -> tuple[float, float, float]:
        """The prices of uncached prompt tokens, cached ones and generated ones, in US dollars per million."""
        of_prompt, of_cached = self.usd_per_million_prompt_tokens, self.usd_per_million_cached_tokens
        return of_prompt, of_prompt if of_cached is None else of_cached, self.usd_per_million_generated_tokens

    def usd(self, *, uncached_tokens: int, cached_tokens: int, generated_tokens: int) -> float:
        """Return the price of so many tokens, in US dollars."""
        numbers = (uncached_tokens, cached_tokens, generated_tokens)
        return sum(number * price for number, price in zip(numbers, self.prices, strict=True)) / 1e6


class ActorConfig(Section):
    """Hosting of the model by Ray, if ``ray.address`` is set.

    ``max_in_flight`` and a fractional ``num_gpus`` apply to vLLM engines without Ray too.
    """

    num_replicas: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Number of actors that hold the model; those that do not fit yet join when the cluster has room."""
    num_gpus: Annotated[float, Field(ge=0)] | None = None
    """GPUs of one replica, or a fraction of one: with 0.5, a reasoner and a critic share a GPU. None takes as many GPUs
    as the engine uses, and none in a cluster without GPUs."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    """CPU cores that one replica reserves."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Most concurrent requests to one replica from each process; further ones wait."""
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = 10
    """Most restarts of a replica after losing its process or node; also the most in a row of a dead engine in it,
    without an answer or an idle time in good health in between."""

    @model_validator(mode="after")
    def _check_gpus(self) -> "ActorConfig":
        if self.num_gpus is not None and self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise ValueError(f"num_gpus is {self.num_gpus:g}; it must be a whole number or at most 1")
        return self


# Fields with an effect on some backends only.
_ONLY_OF = {
    "vllm": ("vllm",),
    "openai_api": ("openai_api",),
    "device": ("huggingface", "scripted"),
    "max_batch_size": ("huggingface", "scripted"),
    "dtype": ("huggingface", "vllm", "scripted"),
    "is_remote_code_trusted": ("huggingface", "vllm"),
    "is_pickle_allowed": ("huggingface", "vllm"),
    "extra_body": ("openai_api",),
}
# Fields of single requests: roles that differ in them alone share one engine.
_OF_REQUESTS = {
    "prompts",
    "system_prompt",
    "thinking",
    "max_thought_tokens",
    "reasoning_effort",
    "chat_template_kwargs",
    "extra_body",
}


def _read_switch(switch: object) -> object:
    # YAML reads the words on and off as true and false.
    return {True: "on", False: "off"}[switch] if isinstance(switch, bool) else switch


class ModelConfig(Section):
    """A model and its hosting."""

    model: str = "pocket"
    """``pocket`` or ``pocket:prose`` for the shipped model of the role, a local folder, a hub id, or ``openai:NAME``
    for the model that an endpoint serves under that name, which is backend ``openai_api``."""
    backend: Backend = "huggingface"
    """Backend that runs the model."""
    prompts: str = "auto"
    """Family of prompt templates: ``pocket``, ``plain``, ``headed``, ``reasoned``, a folder of templates, or ``auto``:
    ``pocket`` for the shipped models, ``plain`` for all others. A critic with the family ``reasoned`` examines the
    steps in words before it gives its verdict."""
    system_prompt: str = ""
    """Text of a system message before each prompt; empty for none."""
    thinking: Annotated[Thinking, BeforeValidator(_read_switch)] = "auto"
    """Whether the model thinks before it writes: ``on``, ``off``, or ``auto`` as its chat template or endpoint does by
    itself. Nothing is read from a thought; its tokens count."""
    max_thought_tokens: Annotated[int, Field(ge=1, le=1_048_576)] = 8192
    """Most tokens of one thought, beside ``max_tokens``."""
    reasoning_effort: str | None = None
    """Effort of a thought, such as ``low``, for models and endpoints that know it."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Variables of the model's chat template, such as ``{enable_thinking: false}``."""
    extra_body: Annotated[dict[str, JsonValue], AfterValidator(_without_own_fields)] = Field(default_factory=dict)
    """Further fields of each request, by the endpoint's names; those that the engine sets are refused. For
    ``openai_api`` only."""
    device: str = "auto"
    """``auto`` for CUDA, else MPS, else the CPU; or a torch device such as ``cuda:1``. For ``huggingface`` only."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of the weights; ``auto`` is float32 on a CPU, else the checkpoint's type."""
    max_batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """Most samples in one batch; for ``huggingface`` only."""
    is_remote_code_trusted: bool = False
    """Whether Python code shipped with the model may run. It can do anything on this machine."""
    is_pickle_allowed: bool = False
    """Whether weights that are not safetensors may be loaded. Unpickling can run code."""
    vllm: VllmConfig = VllmConfig()
    """Options of backend ``vllm`` only."""
    openai_api: EndpointConfig = EndpointConfig()
    """Options of backend ``openai_api`` only."""
    actor: ActorConfig = ActorConfig()
    """Hosting of the model by Ray."""

    @property
    def is_pocket(self) -> bool:
        """Whether it is the terse shipped model or a script in its place, and is asked by the pocket prompts."""
        return self.model == _POCKET and self.prompts in ("auto", "pocket")

    @property
    def hosting(self) -> str:
        """The model and its hosting as JSON; roles with equal hosting share one engine."""
        return self.model_dump_json(include=set(ModelConfig.model_fields) - _OF_REQUESTS)

    @property
    def chat(self) -> ChatOptions:
        """The options of each request that are not sampling options."""
        return ChatOptions(
            system_prompt=self.system_prompt,
            thinking=self.thinking,
            max_thought_tokens=self.max_thought_tokens,
            reasoning_effort=self.reasoning_effort,
            template_kwargs=self.chat_template_kwargs,
            extra_body=self.extra_body,
        )

    @classmethod
    def defaults_without_effect(cls, backend: str) -> dict[str, object]:
        """Return the defaults of the fields that have no effect on a backend."""
        names = [name for name, backends in _ONLY_OF.items() if backend not in backends]
        return {name: cls.model_fields[name].get_default(call_default_factory=True) for name in names}

    @model_validator(mode="before")
    @classmethod
    def _read_endpoint(cls, section: object) -> object:
        if not isinstance(section, Mapping) or not is_endpoint_name(section.get("model")):
            return section
        name = str(section["model"]).removeprefix(_ENDPOINT)
        if not name.strip() or is_endpoint_name(name):
            raise ValueError(f"model is {section['model']!r}; write openai:NAME with the endpoint's name of the model")
        return {**section, "model": name, "backend": "openai_api"}

    @field_validator("model")
    @classmethod
    def _check_shipped(cls, model: str) -> str:
        if model.startswith(f"{_POCKET}:") and not is_shipped_name(model):
            raise ValueError(f"model is {model!r}; the shipped models are {' and '.join(SHIPPED_MODELS)}")
        return model

    @model_validator(mode="after")
    def _check_backend(self) -> "ModelConfig":
        for name, default in self.defaults_without_effect(self.backend).items():
            if getattr(self, name) != default:
                names = " or ".join(map(repr, _ONLY_OF[name]))
                raise ValueError(
                    f"{name} is set and has no effect where backend is {self.backend!r}; leave {name} out, or set "
                    f"backend to {names}"
                )
        session_field = self.openai_api.session_field
        if session_field is not None and session_field in self.extra_body:
            raise ValueError(f"extra_body holds {session_field}, which session_field sets; leave one of them out")
        return self


def is_endpoint_name(model: object) -> bool:
    """Return whether ``model`` is a name ``openai:NAME``, which selects backend ``openai_api``."""
    return isinstance(model, str) and model.startswith(_ENDPOINT)


def is_shipped_name(model: str) -> bool:
    """Return whether ``model`` names a shipped model, whose role decides which checkpoint it is."""
    return model in SHIPPED_MODELS


class RayConfig(Section):
    """Hosting of models and searches by Ray."""

    address: Annotated[Annotated[str, Field(min_length=1)] | None, BeforeValidator(_off_is_none)] = None
    """``off``: no Ray. ``local``: a temporary Ray on this machine. ``auto``: the cluster of this machine. Otherwise the
    address of a cluster, such as ``10.0.0.1:6379`` or ``ray://10.0.0.1:10001``. Requests go directly to the machines of
    the actors, which this process must be able to reach."""
    num_search_workers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Actors that share the problems of a run; 0 searches in this process, which suffices for many GPUs."""
    num_cpus_per_worker: Annotated[float, Field(ge=0)] = 1.0
    """CPU cores that one search worker reserves."""

    @model_validator(mode="after")
    def _check_workers(self) -> "RayConfig":
        if self.num_search_workers and self.address is None:
            raise ValueError(f"num_search_workers is {self.num_search_workers} and address is off; set an address")
        return self
