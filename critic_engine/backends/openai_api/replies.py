"""The replies of an endpoint, checked field by field: no part of a reply is trusted before it has passed here."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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


class ChoiceMessage(_Part):
    """The text of one choice."""

    content: str | None = None


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
    cached_tokens: _Count | None = Field(None, validation_alias=AliasPath("prompt_tokens_details", "cached_tokens"))


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
        is_written = any(choice.message.content for choice in self.choices)
        if is_written and not self.usage.completion_tokens:
            raise ValueError("it bills no token for the text it holds")
        return self.usage

    @property
    def token_usage(self) -> TokenUsage:
        """The usage as a ``TokenUsage``.

        Raises:
            ValueError: the reply reports none.
        """
        reported = self.reported
        return TokenUsage(reported.prompt_tokens, reported.completion_tokens, reported.cached_tokens or 0)


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
