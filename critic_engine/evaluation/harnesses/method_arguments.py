"""The arguments of a model, as the command lines of other programs hand them in, read into a configuration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.config.files import nearest
from critic_engine.config.models import is_endpoint_name
from critic_engine.errors import ConfigError

CompletionForm: TypeAlias = Literal["solution", "answer"]
"""``solution``: the steps of the chosen path and a last line ``ANSWER: …``. ``answer``: the answer alone."""

OF_BATCHES = frozenset(("batch_size", "max_batch_size", "device"))
"""Arguments that lm-eval and lmms-eval add for models that run on one device in batches. An engine has no use for them:
it keeps ``run.problems_in_flight`` searches in flight, and its models have a device each."""

_ROLES = ("reasoner", "critic", "reward_model")
_NAMES = ("method", "config", *_ROLES, "base_url", "overrides", "completion")


@dataclass(frozen=True, slots=True)
class MethodSetting:
    """A method with its models, and the form of its completions."""

    config: EngineConfig
    form: CompletionForm


def read_arguments(arguments: Mapping[str, object], *, settings: Sequence[str] = ()) -> MethodSetting:
    """Return the setting that the arguments name.

    Args:
        arguments: ``method``, a preset or a YAML file; ``config``, further ones, such as a hosting preset; the models
            ``reasoner``, ``critic`` and ``reward_model``; ``base_url`` of those named ``openai:NAME``; ``overrides``,
            one ``section.field=value`` or a list; ``completion``. Any other name with a dot is an override itself, such
            as ``budget.max_tokens``. None counts as not given.
        settings: Overrides that those of the arguments have precedence over.

    Raises:
        ConfigError: an unknown name, or a wrong value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    fields = [f"{name}={_yaml(given.pop(name))}" for name in list(given) if "." in name]
    unknown = sorted(set(given) - set(_NAMES))
    if unknown:
        raise ConfigError(
            f"{unknown[0]} is no argument of this model; the arguments are {', '.join(_NAMES)}, and fields of the "
            f"config by their dotted names{nearest(unknown[0], _NAMES)}"
        )
    form = given.get("completion", "solution")
    if form not in get_args(CompletionForm):
        raise ConfigError(f"completion is {form!r}; it must be one of {', '.join(get_args(CompletionForm))}")
    sources = [*_texts(given, "method"), *_texts(given, "config")] or ["guided"]
    overrides = [*settings, *_models(given), *fields, *_texts(given, "overrides")]
    return MethodSetting(load_config(sources, overrides), "answer" if form == "answer" else "solution")


def _models(given: Mapping[str, object]) -> list[str]:
    named = {role: given[role] for role in _ROLES if role in given}
    overrides = [f"{role}.model={_yaml(str(name))}" for role, name in named.items()]
    if "base_url" in given:
        endpoints = [role for role, name in named.items() if is_endpoint_name(name)]
        if not endpoints:
            raise ConfigError("base_url is given, and no model is named openai:NAME; name one, or leave base_url out")
        overrides += [f"{role}.openai_api.base_url={_yaml(given['base_url'])}" for role in endpoints]
    return overrides


def _texts(given: Mapping[str, object], name: str) -> list[str]:
    value = given.get(name, [])
    values = value if isinstance(value, list | tuple) else [value]
    for each in values:
        if not isinstance(each, str):
            raise ConfigError(f"{name} holds {each!r}; give a text, or a list of texts")
    return list(values)


def _yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
