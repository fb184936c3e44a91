"""Options for the placement of models and searches."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import combined

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig

placement_options = combined(
    click.option(
        "--backend",
        type=click.Choice(["huggingface", "vllm", "openai_api", "scripted"]),
        help="Library or service that runs the models; huggingface is transformers.",
    ),
    click.option(
        "--device",
        metavar="NAME",
        help="Device of the models, such as cpu or cuda:1; by default the best one available.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        help="The precision of the models' weights.",
    ),
    click.option("--base-url", metavar="URL", help="URL of the endpoint that serves the models named openai:NAME."),
    click.option(
        "--ray",
        metavar="local|auto|ADDRESS|off",
        help="Host the models in Ray: a new local Ray, the cluster this machine belongs to, or one at ADDRESS.",
    ),
    click.option(
        "--search-workers",
        type=click.IntRange(min=0),
        metavar="N",
        help="Number of Ray actors that share the problems of a run; 0 searches in this process.",
    ),
)
"""Adds ``--backend``, ``--device``, ``--dtype``, ``--base-url``, ``--ray`` and ``--search-workers``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Placement of models and searches from the command's options; None keeps the config's value."""

    device: str | None = None
    dtype: str | None = None
    backend: str | None = None
    base_url: str | None = None
    ray: str | None = None
    search_workers: int | None = None

    def apply(
        self, config: "EngineConfig", settings: Iterable[str] = (), *, endpoints: Collection[str] = ()
    ) -> "EngineConfig":
        """Return the config with this placement for all models, except fields that the overrides ``settings`` name.

        Args:
            config: The config.
            settings: Overrides that the config was read with.
            endpoints: Places of the models that files name ``openai:NAME``; these stay behind their endpoint.

        Raises:
            ConfigError: the resulting config is contradictory.
        """
        from critic_engine.config.engine import parse_config
        from critic_engine.config.every_model import every_model, with_models

        names = _own_names(settings, endpoints)
        num_workers = 0 if self.ray == "off" and self.search_workers is None else self.search_workers
        ray = {"address": self.ray, "num_search_workers": num_workers}
        own = {name for name in ray if f"ray.{name}" in names or "ray" in names}
        placed = with_models(config, lambda place, model: self._placed(model, names, place))
        placed = placed.model_copy(update={"ray": config.ray.model_copy(update=_given(ray, own))})
        if self.base_url is not None and not any(map(_is_endpoint, every_model(placed).values())):
            raise click.UsageError("--base-url is given, but no model is behind an endpoint; name one as openai:NAME.")
        if (self.device or self.dtype) and all(map(_is_endpoint, _used(placed))):
            raise click.UsageError("--device and --dtype are of models that run here, and each is behind an endpoint.")
        if placed == config:
            return config
        # What nobody has set stays unset: a model that is only a default is refused beside others.
        return parse_config(placed.model_dump(mode="json", exclude_unset=True), origin="the options")

    def _placed(self, model: "ModelConfig", names: set[str], place: str) -> "ModelConfig":
        given = {"device": self.device, "dtype": self.dtype, "backend": self.backend}
        is_set_whole = any(place == name or place.startswith(f"{name}.") for name in names)
        own = {
            name for name in given if f"{place}.{name}" in names or (is_set_whole and name in model.model_fields_set)
        }
        update = _given(given, own)
        backend = update.get("backend", model.backend)
        unused = model.defaults_without_effect(backend)
        if backend == "openai_api" and self.backend != backend:
            # Its device is not this machine's, whatever that of the other models is.
            update = {name: value for name, value in update.items() if name not in unused}
        if backend != model.backend:
            # Settings of the old backend have no meaning for the new one.
            update |= {name: value for name, value in unused.items() if name not in update}
        placed = model.model_copy(update=update)
        if self.base_url is None or not _is_endpoint(placed) or f"{place}.openai_api.base_url" in names:
            return placed
        endpoint = placed.openai_api.model_copy(update={"base_url": self.base_url})
        return placed.model_copy(update={"openai_api": endpoint})


def _used(config: "EngineConfig") -> "list[ModelConfig]":
    used: list[ModelConfig] = [config.reasoner, *config.other_reasoners]
    used += [config.critic] if config.asks_critic else []
    return used + ([config.reward_model] if config.needs_reward_model else [])


def _own_names(settings: Iterable[str], endpoints: Collection[str]) -> set[str]:
    """Return the dotted names that placement leaves alone: those of the settings, and the backends of endpoints."""
    from critic_engine.config.models import is_endpoint_name

    pairs = [setting.partition("=")[::2] for setting in settings]
    names = {name for name, _ in pairs}
    models = {name.removesuffix(".model") for name, value in pairs if is_endpoint_name(value.strip("\"'"))}
    return names | {f"{place}.backend" for place in (*models, *endpoints)}


def _given(values: dict[str, Any], own: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and name not in own}


def _is_endpoint(model: "ModelConfig") -> bool:
    return model.backend == "openai_api"
