"""The control tokens of a model, which the text of a prompt must not hold, and the error of what cannot be encoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from critic_engine.errors import GenerationError


def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Return the control tokens, which text must not hold; some checkpoints list them among the added tokens alone."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return tuple(sorted({*tokenizer.all_special_tokens, *added} - {""}))


def refuse_control_tokens(tokens: Iterable[str], texts: Sequence[str]) -> None:
    """Refuse text that would end a turn or stand for an image: questions may come from anyone.

    Raises:
        GenerationError: one of ``texts`` holds one of ``tokens``.
    """
    for token in tokens:
        if any(token in text for text in texts):
            raise GenerationError(f"the prompt's text holds {token}, a control token of the model; remove it")


@contextlib.contextmanager
def encoding_errors() -> Iterator[None]:
    """Turn any failure inside into one error.

    Raises:
        GenerationError: the code inside failed; the message gives the reason.
    """
    try:
        yield
    except Exception as error:
        raise GenerationError(f"the prompt cannot be encoded: {' '.join(str(error).split())}") from error
