"""A method as a model of inspect_ai: ``inspect eval task.py --model critic_engine/guided -M reasoner=… -M critic=…``.

The name behind ``critic_engine/`` is a preset or a YAML file; ``-M`` gives what ``read_arguments`` takes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from critic_engine.errors import ConfigError, GenerationError, ProblemError
from critic_engine.evaluation.harnesses.completions import question_of
from critic_engine.evaluation.harnesses.method_arguments import read_arguments
from critic_engine.evaluation.harnesses.method_model import MethodModel
from critic_engine.images.loading import load_image
from critic_engine.types import Answer, Image, Problem

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, ModelUsage
    from inspect_ai.tool import ToolChoice, ToolInfo

# Options of inspect_ai that are fields of the configuration.
_FIELDS = {
    "temperature": "reasoner.temperature",
    "top_p": "reasoner.top_p",
    "top_k": "reasoner.top_k",
    "max_tokens": "reasoner.max_tokens",
    "reasoning_effort": "reasoner.reasoning_effort",
    "reasoning_tokens": "reasoner.max_thought_tokens",
    "seed": "run.seed",
}
# Options that inspect_ai heeds itself, or that have a meaning for tools and network requests only.
_OF_INSPECT = {
    *("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections"),
    *("system_message", "parallel_tool_calls", "internal_tools", "max_tool_output", "cache", "cache_prompt", "batch"),
    *("reasoning_history", "fail_on_refusal", "stop_seqs"),
}
_ADVICE = "to change it, give inspect eval the option itself (--temperature, …) or the field of the config by -M"


@dataclass(frozen=True, slots=True)
class ProviderArguments:
    """The arguments with which inspect_ai makes a model."""

    method: str
    base_url: str | None
    api_key: str | None
    options: Mapping[str, object]
    """The options of generation that the user gave; those that are not set are left out."""
    arguments: Mapping[str, object]


class SearchProvider:
    """Answers a chat by a search; the methods are those that inspect_ai calls."""

    def __init__(self, given: ProviderArguments) -> None:
        """Read the configuration; models are loaded at the first problem.

        Raises:
            ConfigError: an argument or an option of generation that a search does not have, or a wrong value.
        """
        if given.api_key is not None:
            raise ConfigError("api_key is given; a key is read from the environment only (openai_api.api_key_variable)")
        _check_options(given.options)
        named = [f"{_FIELDS[name]}={value}" for name, value in given.options.items() if name in _FIELDS]
        arguments = {"method": given.method, "base_url": given.base_url, **given.arguments}
        self._given = dict(given.options)
        self._method = given.method
        self._model = MethodModel(read_arguments(arguments, settings=named))

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Return the chosen path of a search as a completion, with the usage of all requests of the search.

        Raises:
            GenerationError: the search found no answer.
            ProblemError: the messages hold something that is no part of a problem, or an image that cannot be used.
            ConfigError: an option of generation that a search does not have.
        """
        if tools:
            raise ProblemError(f"the task gives the tool {tools[0].name!r}; a search calls no tools")
        options = _options(config)
        _check_options(options)
        without_effect = {
            name: value for name, value in options.items() if name in _FIELDS and self._given.get(name) != value
        }
        seed = without_effect.pop("seed", None)
        self._model.leave_out(without_effect, advice=_ADVICE)
        problem = problem_of(input, max_pixels=self._model.config.run.max_image_pixels)
        offset = 0 if seed is None else int(str(seed)) - self._model.config.run.seed
        answer = await self._model.answer(problem, draw=offset + _epoch() - 1)
        if answer.answer is None:
            raise GenerationError(
                f"the search found no answer: {answer.error or answer.stop_reason}; it took {answer.num_tokens} "
                f"generated and {answer.prompt_tokens} prompt tokens"
            )
        return self._output(answer, options)

    def max_connections(self) -> int:
        """Return how many problems are searched at a time unless the user says otherwise."""
        return self._model.config.run.problems_in_flight

    def connection_key(self) -> str:
        """Return the scope of that limit: this method."""
        return self._method

    async def aclose(self) -> None:
        """Release the models."""
        self._model.close()

    def _output(self, answer: Answer, options: Mapping[str, object]) -> ModelOutput:
        from inspect_ai.model import ModelOutput

        stop = options.get("stop_seqs", [])
        text = self._model.completion(answer, stop=[str(each) for each in stop] if isinstance(stop, list) else [])
        output = ModelOutput.from_content(self._method, text)
        output.usage = usage_of(answer)
        output.metadata = metadata_of(answer)
        return output


def usage_of(answer: Answer) -> ModelUsage:
    """Return all tokens of a search, those of the critic included, as inspect_ai counts them."""
    from inspect_ai.model import ModelUsage

    return ModelUsage(
        input_tokens=answer.prompt_tokens - answer.cached_tokens,
        input_tokens_cache_read=answer.cached_tokens,
        output_tokens=answer.num_tokens,
        total_tokens=answer.prompt_tokens + answer.num_tokens,
    )


def metadata_of(answer: Answer) -> dict[str, Any]:
    """Return the answer, its value, the end of its search, and its cost beside the tokens that inspect_ai counts."""
    return {
        "problem_id": answer.problem_id,
        "answer": answer.answer,
        "value": answer.value,
        "stop_reason": answer.stop_reason,
        "num_simulations": answer.num_simulations,
        "num_requests": answer.num_requests,
        "critic_tokens": answer.critic_tokens,
        "critic_prompt_tokens": answer.critic_prompt_tokens,
        "failures": dict(answer.failures),
    }


def problem_of(messages: Sequence[ChatMessage], *, max_pixels: int) -> Problem:
    """Return the problem of a chat: its turns are the question, and the images of the last one its images.

    Raises:
        ProblemError: a tool's message, an image in an earlier turn, content other than texts and images, no question,
            or an image that cannot be used.
    """
    turns = [(message.role, _text(message)) for message in messages]
    for message in messages[:-1]:
        if _images(message, max_pixels):
            raise ProblemError("an earlier message holds an image; a search takes the images of the last message only")
    try:
        return Problem(question_of(turns), _images(messages[-1], max_pixels) if messages else ())
    except ValueError as error:
        raise ProblemError(str(error)) from error


def _text(message: ChatMessage) -> str:
    for content in () if isinstance(message.content, str) else message.content:
        if content.type not in ("text", "image", "reasoning"):
            raise ProblemError(f"a message holds {content.type}; a search reads texts and images")
    if getattr(message, "tool_calls", None):
        raise ProblemError("a message calls a tool; a search reads texts and images")
    return str(message.text)


def _images(message: ChatMessage, max_pixels: int) -> tuple[Image, ...]:
    contents = () if isinstance(message.content, str) else message.content
    images = [content.image for content in contents if content.type == "image"]
    for each in images:
        if not each.startswith("data:"):
            raise ProblemError("an image is no data URL; inspect_ai resolves files before it calls a model")
    return tuple(load_image(each, max_pixels=max_pixels) for each in images)


def _options(config: GenerateConfig) -> dict[str, object]:
    return dict(config.model_dump(exclude_none=True))


def _check_options(options: Mapping[str, object]) -> None:
    if options.get("num_choices", 1) != 1:
        raise ConfigError("num_choices is above 1; a search gives one answer: use --epochs, each has its own seed")
    unknown = sorted(set(options) - set(_FIELDS) - _OF_INSPECT - {"num_choices"})
    if unknown:
        raise ConfigError(f"{unknown[0]} is set, and a search does not have it; leave it out")


def _epoch() -> int:
    """Return the number of the epoch that the present sample belongs to, from 1."""
    from inspect_ai.log._samples import sample_active

    sample = sample_active()
    return 1 if sample is None else sample.epoch


@functools.cache
def _provider() -> type[ModelAPI]:
    """Return the registered class; it is made on first use, because its base is imported lazily."""
    from inspect_ai.model import GenerateConfig, ModelAPI, modelapi

    class CriticEngineAPI(SearchProvider, ModelAPI):  # type: ignore[misc]
        def __init__(
            self,
            model_name: str,
            base_url: str | None = None,
            api_key: str | None = None,
            config: GenerateConfig | None = None,
            **arguments: object,
        ) -> None:
            config = config or GenerateConfig()
            ModelAPI.__init__(self, model_name, base_url, api_key, [], config)
            SearchProvider.__init__(self, ProviderArguments(model_name, base_url, api_key, _options(config), arguments))

    provider: type[ModelAPI] = modelapi(name="critic_engine")(CriticEngineAPI)
    return provider


def __getattr__(name: str) -> type[ModelAPI]:
    if name == "CriticEngineAPI":
        return _provider()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
