"""All models of a configuration, each with the dotted place of its section."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, TypeVar

from critic_engine.config.collect import AnnotatorConfig, CollectConfig, DetectorConfig, InjectionConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig, is_endpoint_name

Change: TypeAlias = Callable[[str, ModelConfig], ModelConfig]
_Role = TypeVar("_Role", AnnotatorConfig, DetectorConfig, InjectionConfig)


def with_models(config: EngineConfig, change: Change) -> EngineConfig:
    """Return the configuration with each model replaced by ``change(place, model)``.

    A place is the dotted name of the model's section, such as ``critic`` or ``collect.annotators.0.model``.
    """
    changed: dict[str, object] = {
        role: change(role, getattr(config, role)) for role in ("reasoner", "critic", "reward_model")
    }
    changed["other_reasoners"] = tuple(
        change(f"other_reasoners.{number}", each) for number, each in enumerate(config.other_reasoners)
    )
    if config.collect is not None:
        changed["collect"] = _with_models_of_collect(config.collect, change)
    return config.model_copy(update=changed)


def every_model(config: EngineConfig) -> dict[str, ModelConfig]:
    """Return the models by place, whether the configuration's searches use them or not."""
    found: dict[str, ModelConfig] = {}
    with_models(config, lambda place, model: found.setdefault(place, model))
    return found


def endpoint_places(document: object, place: str = "") -> Iterator[str]:
    """Yield the places of the models that a document, not validated yet, names ``openai:NAME``."""
    if isinstance(document, Mapping):
        if is_endpoint_name(document.get("model")):
            yield place
        parts = list(document.items())
    else:
        parts = list(enumerate(document)) if isinstance(document, list) else []
    for name, part in parts:
        yield from endpoint_places(part, f"{place}.{name}" if place else str(name))


def _with_models_of_collect(collect: CollectConfig, change: Change) -> CollectConfig:
    place = "collect.annotators"
    annotators = [_with_model(each, f"{place}.{number}", change) for number, each in enumerate(collect.annotators)]
    changed: dict[str, object] = {"annotators": tuple(annotators)}
    if collect.injection is not None:
        changed["injection"] = _with_models_of_injection(collect.injection, "collect.injection", change)
    return collect.model_copy(update=changed)


def _with_models_of_injection(injection: InjectionConfig, place: str, change: Change) -> InjectionConfig:
    detectors = [
        _with_model(each, f"{place}.detectors.{number}", change) for number, each in enumerate(injection.detectors)
    ]
    grader = injection.grader if injection.grader is None else change(f"{place}.grader", injection.grader)
    changed = injection.model_copy(update={"detectors": tuple(detectors), "grader": grader})
    return _with_model(changed, place, change)


def _with_model(role: _Role, place: str, change: Change) -> _Role:
    return role if role.model is None else role.model_copy(update={"model": change(f"{place}.model", role.model)})
