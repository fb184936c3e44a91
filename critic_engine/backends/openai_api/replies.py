"""The replies of an endpoint, checked field by field: no part of a reply is trusted before it has passed here."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from critic_engine.types import TokenUsage

# Rounding may lift a certainty a little above 0.
_Logprob = Annotated[float, Field(allow_inf_nan=False, le=1e-3), AfterValidator(lambda logprob: min(logprob, 0.0))]
_Count = Annotated[int, Field(ge=0, le=10**12)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)


_PartT = TypeVar("_PartT", bound=_Part)


class TopToken(_Part):
    """A token that was likely at one position."""

    token: str
    logprob: _Logprob
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    """The token's bytes; ``token`` may show only a sign that they are no character."""


class ChosenToken(TopToken):
    """A token that was generated."""

    top_logprobs: list[TopToken] | None = None
    """The likeliest tokens at its position, in no reliable order."""


_Thought = Annotated[str, BeforeValidator(lambda shown: _joined(shown))]


class ChoiceMessage(_Part):
    """The text of one choice, and its thought where the server splits it off.

    vLLM, SGLang, llama.cpp, DeepSeek and LM Studio name the thought ``reasoning_content`` or ``reasoning``, OpenRouter
    and Ollama ``reasoning``; Mistral puts it among the parts of ``content``.
    """

    content: Annotated[str | None, BeforeValidator(lambda shown: _visible_parts(shown))] = None
    reasoning_content: _Thought = ""
    reasoning: _Thought = ""
    reasoning_details: _Thought = ""
    thinking_parts: _Thought = ""
    """The thought among the parts of ``content``."""
    refusal: str | None = None
    """The reason for which the model refuses to answer; OpenAI's own."""

    @model_validator(mode="before")
    @classmethod
    def _keep_thinking_parts(cls, shown: object) -> object:
        if isinstance(shown, dict) and isinstance(shown.get("content"), list):
            parts = [part for part in shown["content"] if isinstance(part, dict) and "thinking" in part]
            return {**shown, "thinking_parts": parts}
        return shown

    @property
    def thought(self) -> str:
        """The thought, without its markers; empty where the server sent none apart."""
        return self.reasoning_content or self.reasoning or self.thinking_parts or self.reasoning_details


class Choice(_Part):
    """One sample."""

    index: int = 0
    message: ChoiceMessage
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    """The stop string, or the id of the token, that ended it; vLLM reports it, OpenAI does not."""
    tokens: Annotated[list[ChosenToken], BeforeValidator(lambda tokens: [] if tokens is None else tokens)] = Field(
        default=[], validation_alias=AliasPath("logprobs", "content")
    )
    """The tokens with their log-probabilities; none where the endpoint sent none."""


class ReplyUsage(_Part):
    """The tokens that the endpoint bills."""

    prompt_tokens: _Count
    completion_tokens: _Count
    """Tokens written; some endpoints leave those of the thought out."""
    total_tokens: _Count = 0
    cached_tokens: _Count | None = Field(
        None,
        validation_alias=AliasChoices(AliasPath("prompt_tokens_details", "cached_tokens"), "prompt_cache_hit_tokens"),
    )
    reasoning_tokens: _Count | None = Field(
        None, validation_alias=AliasPath("completion_tokens_details", "reasoning_tokens")
    )

    @property
    def num_generated(self) -> int:
        """Tokens written, those of the thought included."""
        return max(self.completion_tokens, self.total_tokens - self.prompt_tokens)

    @property
    def token_usage(self) -> TokenUsage:
        """The tokens as a ``TokenUsage``; no more are cached than were read, whatever the endpoint says."""
        return TokenUsage(self.prompt_tokens, self.num_generated, min(self.cached_tokens or 0, self.prompt_tokens))


class ChatReply(_Part):
    """A chat completion."""

    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: ReplyUsage | None = None

    @property
    def reported(self) -> ReplyUsage:
        """The usage.

        Raises:
            ValueError: the reply reports none.
        """
        if self.usage is None or not self.usage.prompt_tokens:
            raise ValueError("it reports no usage")
        is_written = any(choice.message.content or choice.message.thought for choice in self.choices)
        if is_written and not self.usage.num_generated:
            raise ValueError("it bills no token for the text it holds")
        return self.usage


class _Bill(_Part):
    usage: ReplyUsage


class ListedModel(_Part):
    """One entry of an endpoint's list of models."""

    id: str
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Tokens of its context, which vLLM reports."""


class ModelList(_Part):
    """The models an endpoint serves."""

    data: list[ListedModel]


def read_reply(body: bytes, kind: type[_PartT]) -> _PartT:
    """Return the chat completion, or list of models, in ``body``.

    Raises:
        ValueError: it holds none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{place}: {fault['msg']}" if place else str(fault["msg"])) from None


def read_bill(body: bytes) -> TokenUsage:
    """Return the tokens that a reply of any kind bills; none where it does not say so."""
    try:
        return read_reply(body, _Bill).usage.token_usage
    except ValueError:
        return TokenUsage()


def _visible_parts(content: object) -> object:
    """Return the text of a content that comes in parts, without its thoughts; any other content as it is."""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return content
    return "".join(_joined(part.get("text")) for part in content if "thinking" not in part)


def _joined(shown: object) -> str:
    """Return the text of a thought: a text, or parts of it in one of the shapes in use; empty for any other."""
    if isinstance(shown, str):
        return shown
    if isinstance(shown, list):
        return "".join(map(_joined, shown))
    if isinstance(shown, dict):
        return next(
            (_joined(shown[name]) for name in ("text", "thinking", "summary", "content") if shown.get(name)), ""
        )
    return ""
