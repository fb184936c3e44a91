"""The capabilities of an endpoint for one model, and the substitutes for those that it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.types import ChatOptions

ThoughtStyle: TypeAlias = Literal["none", "apart", "in_text", "opened", "hidden"]
"""Where a model's thought comes back. ``none``: it writes none. ``apart``: the server splits it from the text.
``in_text``: before the text, between markers. ``opened``: the same without its opening, which the chat template wrote.
``hidden``: it is billed and not shown."""
THINKING_VARIABLES = ("enable_thinking", "thinking")
"""Variables by which chat templates turn the thought on and off: Qwen, GLM, and others; DeepSeek, Granite."""


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
    has_temperature: bool = True
    """Whether a temperature and ``top_p`` are accepted; OpenAI's reasoning models have their own."""
    thoughts: ThoughtStyle = "none"
    """Where the thought that the model writes by itself comes back."""
    is_thinking_optional: bool = False
    """Whether variables of the chat template turn that thought off."""
    is_thought_kept: bool = False
    """Whether the thought at the beginning of a message that is continued reaches the model."""
    is_text_taken_for_thought: bool = False
    """Whether the text of a model that does not think comes back as a thought, as some parsers of thoughts have it."""

    def thinks(self, chat: ChatOptions) -> bool:
        """Return whether the model may write a thought at the beginning of a turn."""
        asked = chat.thinking
        for name in THINKING_VARIABLES:
            if isinstance(chat.template_kwargs.get(name), bool):
                asked = "on" if chat.template_kwargs[name] else "off"
        if self.thoughts == "none":
            return asked == "on"
        return asked != "off" or not self.is_thinking_optional

    def rows(self) -> tuple[tuple[str, bool, str], ...]:
        """Return each capability: its name, whether it is there, and the substitute where it is not."""
        return (
            ("images", self.has_images, "requests with images are refused"),
            ("log-probabilities", self.has_logprobs, "priors, and values read from them, are unknown"),
            ("20 likeliest tokens", self.max_top_logprobs >= 20, f"{self.max_top_logprobs} are asked for"),
            ("several samples a request", self.has_n, "one request is sent a sample"),
            ("temperatures", self.has_temperature, "the model samples at a temperature of its own"),
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
            ("thoughts", self.thoughts != "none", "no tokens are allowed for them unless thinking is on"),
            *(self._rows_of_thoughts() if self.thoughts != "none" else ()),
        )

    def _rows_of_thoughts(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            (
                "turning thoughts off",
                self.is_thinking_optional,
                "thinking off is asked for, and its cost is allowed for all the same",
            ),
            (
                "thoughts that are shown",
                self.thoughts != "hidden",
                "the log has none, and none stands before a text that is continued",
            ),
            (
                "thoughts before a text that is continued",
                self.is_thought_kept,
                "a text is continued without the thought before it",
            ),
        )
