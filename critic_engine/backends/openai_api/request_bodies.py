"""Writing a request for an endpoint: its messages, and substitutes for the capabilities that the endpoint lacks."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.types import GenerationRequest, Image, Message, SamplingOptions

JsonObject: TypeAlias = dict[str, object]
"""A part of a request as it is sent."""

CONTINUATION_FLAGS: JsonObject = {"continue_final_message": True, "add_generation_prompt": False}
"""vLLM's own: the last message, the assistant's, stays open and is continued."""
_COMMON_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_ORIENTATION = 0x0112
_ASK_TO_CONTINUE = """

You have already written the beginning of your answer. It stands here between two marks:
[BEGINNING]
{prefix}
[END OF BEGINNING]
Go on exactly where it ends. Write only what comes next: do not repeat any of it, and say nothing about it."""


@dataclass(frozen=True, slots=True)
class EndpointCapabilities:
    """The capabilities of an endpoint for one model, as it showed them."""

    has_images: bool
    """Whether images are read: they are accepted, and count as tokens of the prompt."""
    has_logprobs: bool
    """Whether generated tokens come with their log-probabilities."""
    max_top_logprobs: int
    """The largest number of likeliest tokens a position; at most 20 are tried."""
    has_n: bool
    """Whether one request brings several samples whose tokens can be counted one by one."""
    has_seed: bool
    """Whether seeds up to 2**63 - 1 are accepted."""
    max_stop_strings: int
    """The largest number of stop strings a request; at most 16 are tried."""
    has_stop_reason: bool
    """Whether the endpoint says which stop string ended a text."""
    has_continuation: bool
    """Whether the endpoint can continue an assistant's message that is not finished."""
    is_white_space_kept: bool
    """Whether white space at the end of such a message reaches the model."""
    max_context_tokens: int | None
    """Tokens of the model's context; None when the endpoint does not say."""
    has_max_tokens: bool
    """Whether the limit of tokens is called ``max_tokens``; else it is ``max_completion_tokens``."""

    def rows(self) -> tuple[tuple[str, bool, str], ...]:
        """Return each capability: its name, whether it is there, and the substitute where it is not."""
        return (
            ("images", self.has_images, "requests with images are refused"),
            ("log-probabilities", self.has_logprobs, "priors, and values read from them, are unknown"),
            ("20 likeliest tokens", self.max_top_logprobs >= 20, f"{self.max_top_logprobs} are asked for"),
            ("several samples a request", self.has_n, "one request is sent a sample"),
            ("seeds", self.has_seed, "samples cannot be drawn again"),
            ("16 stop strings", self.max_stop_strings >= 16, f"{self.max_stop_strings} are sent, others cut here"),
            ("which stop string ended a text", self.has_stop_reason, "the first that was sent is taken"),
            ("continuing a text", self.has_continuation, "the model is shown its text and asked to go on"),
            (
                "white space at the end of that text",
                self.is_white_space_kept,
                "the model writes it again, which is cut here and costs tokens",
            ),
            ("length of the context", self.max_context_tokens is not None, "the endpoint refuses what is too long"),
        )


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

    Text is sent as it is: which texts are control tokens of the model, only the endpoint knows.
    """
    prefix, stops = request.prefix, request.sampling.stop
    messages = [chat_message(message, urls) for message in request.messages]
    is_continued = bool(prefix) and capabilities.has_continuation
    is_shown = bool(prefix) and not is_continued
    is_white_space_lost = is_continued and not capabilities.is_white_space_kept and prefix[-1].isspace()
    if is_continued:
        messages.append({"role": "assistant", "content": prefix})
    elif is_shown:
        messages = [chat_message(message, urls) for message in _asking_to_continue(request.messages, prefix)]
    # A stop string in the text that the model may repeat would end it there.
    again = prefix if is_shown else prefix[len(prefix.rstrip()) :] if is_white_space_lost else ""
    sent_stops = tuple(stop for stop in stops if stop not in again)[: capabilities.max_stop_strings]
    body = {"messages": messages, **_sampling_fields(request.sampling, capabilities)}
    if sent_stops:
        body["stop"] = list(sent_stops)
    if is_continued:
        body |= CONTINUATION_FLAGS
    return Draft(body, request.sampling, sent_stops, prefix if is_shown else "", is_white_space_lost)


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


def _sampling_fields(sampling: SamplingOptions, capabilities: EndpointCapabilities) -> JsonObject:
    fields: JsonObject = {
        # Some models take no other temperature than 1, and not even that one by name.
        **({} if sampling.temperature == 1 else {"temperature": 0.0 if sampling.is_greedy else sampling.temperature}),
        **({"top_p": sampling.top_p} if sampling.top_p < 1 else {}),
        "max_tokens" if capabilities.has_max_tokens else "max_completion_tokens": sampling.max_tokens,
    }
    if sampling.num_top_logprobs is not None and capabilities.has_logprobs:
        fields["logprobs"] = True
        num_top = min(sampling.num_top_logprobs, capabilities.max_top_logprobs)
        if num_top:
            fields["top_logprobs"] = num_top
    return fields
