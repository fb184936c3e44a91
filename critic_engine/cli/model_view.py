"""A local model as ``doctor`` shows it: how it thinks, which methods suit it, and how its makers sample."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from critic_engine.cli.text import labelled

if TYPE_CHECKING:
    from critic_engine.backends.huggingface.model_card import ModelCard
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig


def find_cards(config: "EngineConfig") -> "list[ModelCard]":
    """Return the card of each local model that the config's searches ask; one that cannot be read has none."""
    from critic_engine.backends.huggingface.checkpoint import CheckpointOptions
    from critic_engine.backends.huggingface.model_card import read_card
    from critic_engine.config.models import is_shipped_name
    from critic_engine.errors import ModelLoadError

    models: list[ModelConfig] = [config.reasoner, *([config.critic] if config.needs_critic else [])]
    cards: dict[str, ModelCard] = {}
    for model in models:
        if model.backend not in ("huggingface", "vllm") or is_shipped_name(model.model) or model.model in cards:
            continue
        options = CheckpointOptions(
            model=model.model,
            is_remote_code_trusted=model.is_remote_code_trusted,
            is_pickle_allowed=model.is_pickle_allowed,
        )
        try:
            cards[model.model] = read_card(options)
        except ModelLoadError:
            continue  # The trial below says why.
    return list(cards.values())


def card_fields(card: "ModelCard") -> dict[str, Any]:
    """Return the fields of the JSON output."""
    return dataclasses.asdict(card)


def card_lines(card: "ModelCard", config: "EngineConfig") -> Iterator[str]:
    """Yield lines for a person."""
    sees = "reads text and images" if card.has_vision else "reads text only: no problem with an image suits it"
    context = "an unstated context" if card.max_context_tokens is None else f"{card.max_context_tokens} tokens"
    yield labelled("model", card.model)
    yield labelled("", f"{sees}; context: {context}")
    system = "joined to the user's" if card.merges_system else "as they are"
    yield labelled("", f"chat template: content as {card.content_form}; system messages {system}")
    yield labelled("thoughts", _thoughts(card))
    yield labelled("methods", _methods(card))
    yield labelled("sampling", _sampling(card, config))


def _thoughts(card: "ModelCard") -> str:
    if card.thought is None:
        return "none that its tokenizer or chat template knows"
    opening, closing = card.thought
    marked = f"between {opening} and {closing}"
    if card.always_thinks:
        begun = "every turn begins with one"
    elif card.opens_thought:
        begun = "the template opens one in each turn"
    else:
        begun = "the model may begin with one"
    switch = (
        f"switch: {', '.join(card.switches)}" if card.switches else "no switch: thinking=off closes it in the prompt"
    )
    effort = "; knows reasoning_effort" if card.has_effort else ""
    return f"{marked}; {begun}; {switch}{effort}"


def _methods(card: "ModelCard") -> str:
    suited = "all: a prefix is continued token by token, so steps work as well as whole solutions"
    if card.thought is None:
        return suited
    return f"{suited}; it thinks before its first step, within max_thought_tokens; thinking=off saves that"


def _sampling(card: "ModelCard", config: "EngineConfig") -> str:
    """Return the makers' options that the config does not sample with."""
    reasoner = config.reasoner
    ours = {name: float(getattr(reasoner, name)) for name in ("temperature", "top_p", "top_k", "min_p")}
    differing = [
        f"{name} {value:g} (here {f'{ours[name]:g}' if name in ours else 'none'})"
        for name, value in card.defaults.items()
        if ours.get(name) != value
    ]
    if not differing:
        return "as the checkpoint's generation_config says, or it says nothing"
    return (
        f"the checkpoint's generation_config is not used, and says {', '.join(differing)}; set reasoner.* to follow it"
    )
