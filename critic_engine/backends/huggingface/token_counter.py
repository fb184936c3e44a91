"""Counting the tokens of whole dialogues as the model under training reads them."""

from __future__ import annotations

from typing import Any

from critic_engine.backends.huggingface.chat_writer import ChatWriter
from critic_engine.backends.huggingface.checkpoint import (
    Checkpoint,
    CheckpointOptions,
    open_processor,
    opening,
    pocket_folder,
    require_chat_template,
)
from critic_engine.backends.huggingface.control_tokens import control_tokens, encoding_errors, refuse_control_tokens
from critic_engine.backends.huggingface.encoding import PromptEncoder
from critic_engine.config.models import is_shipped_name
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Message


class TokenCounter:
    """Counts with the processor and chat template of one model; the model itself is not loaded."""

    def __init__(self, model: str, *, is_remote_code_trusted: bool = False) -> None:
        """Open a model's processor.

        Args:
            model: A folder, a hub id, or the name of a shipped model.
            is_remote_code_trusted: Whether Python code that comes with the model may run.

        Raises:
            ModelLoadError: it is no chat model.
        """
        folder = str(pocket_folder("reasoner", model)) if is_shipped_name(model) else model
        options = CheckpointOptions(model=folder, is_remote_code_trusted=is_remote_code_trusted)
        with opening(options) as source:
            processor, _, _ = open_processor(source)
        tokenizer = getattr(processor, "tokenizer", processor)
        require_chat_template(model, processor, tokenizer)
        checkpoint = Checkpoint(None, processor, tokenizer, frozenset(), pad_token_id=0, max_context_tokens=None)
        self._tokenizer = tokenizer
        self._encoder = PromptEncoder(checkpoint)
        self._num_closing = _num_closing_tokens(tokenizer, self._encoder.writer)

    def count(self, messages: tuple[Message, ...]) -> int:
        """Return the tokens of a dialogue that ends with the assistant's turn, images and the turn's end included.

        Raises:
            GenerationError: a text holds a control token of the model, an image cannot be read, or the dialogue cannot
                be written by the model's template.
        """
        *before, last = messages
        request = GenerationRequest(messages=tuple(before), prefix=last.text)
        return len(self._encoder.encode(request).token_ids) + self._num_closing

    def count_plain(self, texts: tuple[str, ...]) -> int:
        """Return the tokens of texts one behind the other, each encoded on its own, without a chat template.

        The token that begins a text counts where the model has one.

        Raises:
            GenerationError: a text holds a control token of the model, or cannot be encoded.
        """
        refuse_control_tokens(control_tokens(self._tokenizer), texts)
        with encoding_errors():
            lengths = [len(self._tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        return sum(lengths) + (self._tokenizer.bos_token_id is not None)


def _num_closing_tokens(tokenizer: Any, writer: ChatWriter) -> int:
    """Return how many tokens the template writes behind the assistant's words."""
    question, answer = Message("user", "a"), Message("assistant", "a")
    with encoding_errors():
        whole = writer.render([question, answer], begins_turn=False)
        begun = writer.render([question]) + "a"
        lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (whole, begun)]
    return max(0, lengths[0] - lengths[1])
