"""The facts that a checkpoint states about itself: its chat, its thoughts, its context and its makers' sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from critic_engine.backends.huggingface.chat_writer import ChatWriter, ContentForm
from critic_engine.backends.huggingface.checkpoint import (
    CheckpointOptions,
    open_processor,
    opening,
    require_chat_template,
)
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Message

_SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model, told from its files without its weights."""

    model: str
    has_vision: bool
    content_form: ContentForm
    merges_system: bool
    """Whether its template takes no system message, so that it begins the user's."""
    max_context_tokens: int | None
    """None when its configuration does not say."""
    thought: tuple[str, str] | None
    """Its markers before and behind a thought; None if it knows none."""
    opens_thought: bool
    """Whether its template opens a thought by itself."""
    always_thinks: bool
    """Whether it begins every turn with a thought."""
    switches: tuple[str, ...]
    """The template's variables that turn thoughts on and off."""
    has_effort: bool
    """Whether the template knows ``reasoning_effort``."""
    defaults: Mapping[str, float]
    """Its makers' sampling options, where they differ from no option at all."""


def read_card(options: CheckpointOptions) -> ModelCard:
    """Return the card of a checkpoint; this imports transformers.

    Raises:
        ModelLoadError: it is no chat model.
    """
    with opening(options) as source:
        processor, config, has_vision = open_processor(source)
        defaults = _sampling_defaults(str(source["pretrained_model_name_or_path"]))
    tokenizer = getattr(processor, "tokenizer", processor)
    require_chat_template(options.model, processor, tokenizer)
    writer = ChatWriter(processor, tokenizer, has_vision=has_vision)
    markers = writer.markers
    start = writer.write(GenerationRequest((Message("user", "How many?"),))).start
    return ModelCard(
        model=options.model,
        has_vision=has_vision,
        content_form=writer.content_form,
        merges_system=writer.merges_system,
        max_context_tokens=getattr(config.get_text_config(), "max_position_embeddings", None),
        thought=(markers.opening, markers.closing) if markers else None,
        opens_thought=start.is_open and not (markers is not None and markers.always_thinks),
        always_thinks=markers is not None and markers.always_thinks,
        switches=writer.switches,
        has_effort=writer.has_effort,
        defaults=defaults,
    )


def _sampling_defaults(source: str) -> dict[str, float]:
    """Return the sampling options in a checkpoint's generation configuration that change what is drawn."""
    from transformers import GenerationConfig

    try:
        stated = GenerationConfig.from_pretrained(source)
    except OSError:
        return {}
    given = {name: getattr(stated, name, None) for name in _SAMPLING}
    return {name: value for name, value in given.items() if value is not None and value != _SAMPLING[name]}
