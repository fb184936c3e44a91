"""The errors that cross a boundary, one a boundary.

    CriticEngineError
    ├── ConfigError            a config file, preset or option is wrong          (exit code 2)
    ├── RunError               a run directory cannot be used                    (exit code 2)
    ├── ProblemError           one row of a problems file cannot become a Problem
    │   └── ImageError         one of its images cannot be used
    ├── GenerationError        a generator could not answer one request
    │   ├── ContextOverflowError   the prompt and the tokens asked for do not fit the model
    │   └── ModelLoadError         a model could not be loaded at all            (exit code 2)
    ├── ExportError            an export cannot be written, or failed its verification
    ├── HubError               a hub refused an export
    ├── ReplicaLostError       the engine, process or node is gone; the request is not to blame
    └── ParseError             a model's text does not have the form asked for

Messages are one sentence that names the thing and says what to do. Facts travel as keyword-only attributes with
defaults, so that every error survives pickling.
"""

import copy
from typing import Self

from critic_engine.types import TokenUsage


class CriticEngineError(Exception):
    """The root of every error this package raises on purpose."""


class ConfigError(CriticEngineError):
    """A config file, preset or option is wrong.

    Attributes:
        field: Dotted path of the offending field, such as ``strategy.exploration``; empty when none can be named.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        """Keep the dotted ``field`` beside the message."""
        super().__init__(message)
        self.field = field


class RunError(CriticEngineError):
    """A run directory is missing, holds another run, or cannot be read."""


class ProblemError(CriticEngineError):
    """One row of a problems file cannot become a ``Problem``.

    Attributes:
        row: 1-based row number in its file; 0 when the problem did not come from a file.
    """

    def __init__(self, message: str, *, row: int = 0) -> None:
        """Keep the ``row`` beside the message."""
        super().__init__(message)
        self.row = row


class ImageError(ProblemError):
    """An image is missing, truncated, not an image, or too large to decode safely."""


class GenerationError(CriticEngineError):
    """A generator could not answer one request.

    Attributes:
        is_retryable: Whether the same request may succeed later.
        usage: Spent on the request before this failure, as far as it is known; its retries included.
    """

    def __init__(self, message: str, *, is_retryable: bool = False, usage: TokenUsage | None = None) -> None:
        """Keep ``is_retryable`` and ``usage`` beside the message."""
        super().__init__(message)
        self.is_retryable = is_retryable
        self.usage = usage if usage is not None else TokenUsage()

    def with_usage(self, usage: TokenUsage) -> Self:
        """Return a copy of the error with another usage; the same error may be raised to several callers."""
        other = copy.copy(self)
        other.usage = usage
        return other


class ContextOverflowError(GenerationError):
    """The prompt and the tokens asked for do not fit the model's context.

    Attributes:
        num_prompt_tokens: Tokens in the prompt.
        max_context_tokens: Tokens the model can attend to.
    """

    def __init__(
        self,
        message: str,
        *,
        num_prompt_tokens: int = 0,
        max_context_tokens: int = 0,
        usage: TokenUsage | None = None,
    ) -> None:
        """Keep both token counts and the ``usage`` beside the message."""
        super().__init__(message, is_retryable=False, usage=usage)
        self.num_prompt_tokens = num_prompt_tokens
        self.max_context_tokens = max_context_tokens


class ReplicaLostError(CriticEngineError):
    """The engine, process or node that worked on a request is gone, or all replicas are; another one may answer it.

    It is no ``GenerationError``, because the request is not to blame: a resume continues the search that it ended.
    """


class ExportError(CriticEngineError):
    """An export cannot be written, or failed its verification; no part of it is left."""


class HubError(CriticEngineError):
    """A hub refused an export; the local folder is complete."""


class ModelLoadError(GenerationError):
    """A model folder is missing, is not a model, or has no chat template or tokenizer."""


class ParseError(CriticEngineError):
    """A model's text does not have the form asked for.

    Attributes:
        text: The text, whole; the message quotes at most its first 200 characters.
        usage: Tokens spent on all texts that could not be read, and retried requests.
        num_unreadable: Texts that could not be read.
        reasons: Why each of several texts could not be read; empty for a single one, whose reason is the message.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        usage: TokenUsage | None = None,
        num_unreadable: int = 1,
        reasons: tuple[str, ...] = (),
    ) -> None:
        """Keep the whole ``text``, the ``usage``, ``num_unreadable`` and ``reasons`` beside the message."""
        super().__init__(message)
        self.text = text
        self.usage = usage if usage is not None else TokenUsage()
        self.num_unreadable = num_unreadable
        self.reasons = reasons

    @classmethod
    def quoting(cls, reason: str, text: str, *, usage: TokenUsage | None = None) -> "ParseError":
        """Return the error with the first 200 characters of ``text`` after the ``reason``."""
        return cls(f"{reason}: {text[:200]!r}", text=text, usage=usage)
