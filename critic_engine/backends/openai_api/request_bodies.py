"""Writing a request for an endpoint: its messages, and substitutes for the capabilities that the endpoint lacks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from critic_engine.backends.openai_api.capabilities import THINKING_VARIABLES, EndpointCapabilities
from critic_engine.config.models import EndpointConfig
from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.parsing.thoughts import visible
from critic_engine.protocols import GenerationRequest
from critic_engine.types import ChatOptions, Image, Message, SamplingOptions

JsonObject: TypeAlias = dict[str, object]
"""A part of a request as it is sent."""

CONTINUATION_FLAGS: JsonObject = {"continue_final_message": True, "add_generation_prompt": False}
"""vLLM's own: the last message, the assistant's, stays open and is continued."""
_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
_COMMON_FIELDS = {
    *("messages", "temperature", "top_p", *_LIMIT_NAMES, "logprobs", "top_logprobs", "stop", "seed", "n"),
    *CONTINUATION_FLAGS,
}
_COMMON_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_ORIENTATION = 0x0112
_ASK_TO_CONTINUE = """

You have already written the beginning of your answer. It stands here between two marks:
[BEGINNING]
{prefix}
[END OF BEGINNING]
Go on exactly where it ends. Write only what comes next: do not repeat any of it, and say nothing about it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One request as it is sent to an endpoint, with the facts that reading its reply needs."""

    body: JsonObject
    """The body of the request, without the model, the seed and the number of samples."""
    sampling: SamplingOptions
    """The options of the original request."""
    sent_stops: tuple[str, ...] = ()
    """The stop strings the endpoint watches for; the others are cut here."""
    shown_prefix: str = ""
    """The text that the model was shown and asked to continue, and may repeat; empty where none was shown."""
    is_white_space_lost: bool = False
    """Whether the endpoint trims the end of the prefix, so that the model begins with white space of its own."""
    thinks: bool = False
    """Whether the model may write a thought first. The limit of tokens then allows for both, and no stop strings are
    sent, for an endpoint would look for them in the thought too."""
    without_thought: Draft | None = None
    """The same request without the thought in the text that is continued; None if it has none. A chat template may
    keep thoughts, and refuse one that is written otherwise than it writes them."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers beside those that the client sets."""

    def of_session(self, session: str, options: EndpointConfig) -> Draft:
        """Return the same request with a digest of the session where ``options`` wants it; empty is no session."""
        if not session:
            return self
        digest = hashlib.sha256(session.encode(errors="surrogatepass")).hexdigest()[:16]
        bare = self.without_thought
        return replace(
            self,
            body=self.body | ({} if options.session_field is None else {options.session_field: digest}),
            headers={} if options.session_header is None else {options.session_header: digest},
            without_thought=None if bare is None else bare.of_session(session, options),
        )

    def bodies(self, seeds: Sequence[int], capabilities: EndpointCapabilities) -> list[JsonObject]:
        """Return the bodies to send, which together bring one sample a seed."""
        if capabilities.has_seed:
            return [{**self.body, "seed": seed} for seed in seeds]
        # Greedy samples side by side make no sense to some servers, which refuse them.
        if len(seeds) > 1 and capabilities.has_n and not self.sampling.is_greedy:
            return [{**self.body, "n": len(seeds), "logprobs": True}]
        return [self.body for _ in seeds]


async def image_urls(messages: Sequence[Message], cache: ByteCache[str]) -> dict[str, str]:
    """Return the ``data:`` URL of each image by its digest; each is written once while ``cache`` keeps it."""
    urls: dict[str, str] = {}
    for image in (image for message in messages for image in message.images):
        url = cache.get(image.digest)
        if url is None:
            # Turning and packing a large image takes seconds.
            url = await asyncio.to_thread(image_url, image)
            cache.put(image.digest, url, len(url))
        urls[image.digest] = url
    return urls


def draft_request(request: GenerationRequest, capabilities: EndpointCapabilities, urls: Mapping[str, str]) -> Draft:
    """Return ``request`` as it is sent to an endpoint of these capabilities, with its images' ``urls`` by digest.

    Text is sent as it is: which texts are control tokens of the model, only the endpoint knows. The thought in a prefix
    is sent with it where chat templates keep it; the model does not think again behind it.
    """
    bare = visible(request.prefix)
    if bare == request.prefix:
        return _draft(request, bare, capabilities, urls)
    without_thought = _draft(request, bare.lstrip(), capabilities, urls)
    if not (bare.strip() and capabilities.is_thought_kept and capabilities.has_continuation):
        return without_thought
    draft = _draft(request, _with_opening(request.prefix), capabilities, urls)
    return replace(draft, without_thought=without_thought)


def _draft(
    request: GenerationRequest, prefix: str, capabilities: EndpointCapabilities, urls: Mapping[str, str]
) -> Draft:
    messages = [chat_message(message, urls) for message in request.messages]
    is_continued = bool(prefix) and capabilities.has_continuation
    is_shown = bool(prefix) and not is_continued
    is_white_space_lost = is_continued and not capabilities.is_white_space_kept and prefix[-1].isspace()
    if is_continued:
        messages.append({"role": "assistant", "content": prefix})
    elif is_shown:
        messages = [chat_message(message, urls) for message in _asking_to_continue(request.messages, prefix)]
    thinks = not is_continued and capabilities.thinks(request.chat)
    # A stop string in the text that the model may repeat would end it there.
    again = prefix if is_shown else prefix[len(prefix.rstrip()) :] if is_white_space_lost else ""
    stops = () if thinks else tuple(stop for stop in request.sampling.stop if stop not in again)
    sent_stops = stops[: capabilities.max_stop_strings]
    num_thought_tokens = _thought_allowance(request.chat, capabilities) if thinks else 0
    body = {
        **request.chat.extra_body,
        "messages": messages,
        **_sampling_fields(request.sampling, capabilities, num_thought_tokens),
        **_chat_fields(request.chat),
        **({"stop": list(sent_stops)} if sent_stops else {}),
        **(CONTINUATION_FLAGS if is_continued else {}),
    }
    return Draft(body, request.sampling, sent_stops, prefix if is_shown else "", is_white_space_lost, thinks)


def with_less_thought(draft: Draft, body: JsonObject) -> JsonObject | None:
    """Return ``body`` with half the tokens for a thought, for a context that is too short; None without any."""
    (name,) = (name for name in _LIMIT_NAMES if name in body)
    limit = body[name]
    assert isinstance(limit, int)
    num_thought_tokens = limit - draft.sampling.max_tokens
    return {**body, name: draft.sampling.max_tokens + num_thought_tokens // 2} if num_thought_tokens else None


def optional_fields(body: JsonObject) -> list[str]:
    """Return the fields of ``body`` that not every endpoint takes."""
    return [name for name in body if name not in _COMMON_FIELDS]


def _thought_allowance(chat: ChatOptions, capabilities: EndpointCapabilities) -> int:
    """Return the tokens allowed for a thought: as configured, but no more than half of the context."""
    most = chat.max_thought_tokens
    return most if capabilities.max_context_tokens is None else min(most, capabilities.max_context_tokens // 2)


def _with_opening(prefix: str) -> str:
    """Return ``prefix`` with the opening of its thought that the chat template wrote when the model began to think."""
    is_opened_unseen = prefix.find("</think>") >= 0 > prefix.find("<think>")
    return f"<think>\n{prefix}" if is_opened_unseen else prefix


def chat_message(message: Message, urls: Mapping[str, str]) -> JsonObject:
    """Return a message as it is sent, its images before its text."""
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[JsonObject] = [
        {"type": "image_url", "image_url": {"url": urls[image.digest]}} for image in message.images
    ]
    return {"role": message.role, "content": [*parts, {"type": "text", "text": message.text}]}


def image_url(image: Image) -> str:
    """Return the image as a ``data:`` URL.

    The file goes as it is, unless servers would show it to the model otherwise than a person sees it, or not at all.
    """
    data, media_type = image.data, image.media_type
    picture = open_picture(data)
    is_turned = picture.getexif().get(_ORIENTATION, 1) != 1
    is_deep_grey = picture.mode.startswith("I")
    if media_type not in _COMMON_TYPES or is_turned or is_deep_grey or picture.has_transparency_data:
        file = io.BytesIO()
        upright_rgb(picture).save(file, "PNG")
        data, media_type = file.getvalue(), "image/png"
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _asking_to_continue(messages: Sequence[Message], prefix: str) -> list[Message]:
    """Return the messages with the words behind the last one, the user's, that show ``prefix`` and ask to go on."""
    words = _ASK_TO_CONTINUE.format(prefix=prefix)
    if messages and messages[-1].role == "user":
        return [*messages[:-1], Message("user", messages[-1].text + words, messages[-1].images)]
    return [*messages, Message("user", words.strip())]


def _sampling_fields(
    sampling: SamplingOptions, capabilities: EndpointCapabilities, num_thought_tokens: int
) -> JsonObject:
    fields: JsonObject = {}
    if capabilities.has_temperature:
        # Left out, it would be the server's default for the model, which need not be 1.
        fields["temperature"] = 0.0 if sampling.is_greedy else sampling.temperature
        fields |= {"top_p": sampling.top_p} if sampling.top_p < 1 else {}
    fields |= {
        **({"top_k": sampling.top_k} if sampling.top_k else {}),
        **({"min_p": sampling.min_p} if sampling.min_p else {}),
        _LIMIT_NAMES[not capabilities.has_max_tokens]: sampling.max_tokens + num_thought_tokens,
    }
    if sampling.num_top_logprobs is not None and capabilities.has_logprobs:
        fields["logprobs"] = True
        num_top = min(sampling.num_top_logprobs, capabilities.max_top_logprobs)
        if num_top:
            fields["top_logprobs"] = num_top
    return fields


def _chat_fields(chat: ChatOptions) -> JsonObject:
    variables: JsonObject = {}
    if chat.thinking != "auto":
        variables |= dict.fromkeys(THINKING_VARIABLES, chat.thinking == "on")
    variables |= chat.template_kwargs
    return {
        **({"chat_template_kwargs": variables} if variables else {}),
        **({"reasoning_effort": chat.reasoning_effort} if chat.reasoning_effort is not None else {}),
    }
