"""Options for the placement of models and searches."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import combined

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig

_ROLES = ("reasoner", "critic", "reward_model")
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

    def apply(self, config: "EngineConfig", settings: Iterable[str] = ()) -> "EngineConfig":
        """Return the config with this placement for all models, except fields that the overrides ``settings`` name.

        Raises:
            ConfigError: the resulting config is contradictory.
        """
        from critic_engine.config.engine import parse_config

        names = {setting.partition("=")[0] for setting in settings}
        changes: dict[str, object] = {role: self._placed(getattr(config, role), names, role) for role in _ROLES}
        changes["other_reasoners"] = tuple(
            self._placed(each, names, "other_reasoners") for each in config.other_reasoners
        )
        num_workers = 0 if self.ray == "off" and self.search_workers is None else self.search_workers
        ray = {"address": self.ray, "num_search_workers": num_workers}
        own = {name for name in ray if f"ray.{name}" in names or "ray" in names}
        changes["ray"] = config.ray.model_copy(update=_given(ray, own))
        placed = config.model_copy(update=changes)
        models = (placed.reasoner, placed.critic, placed.reward_model, *placed.other_reasoners)
        if self.base_url is not None and not any(_is_endpoint(model) for model in models):
            raise click.UsageError("--base-url is given, but no model is behind an endpoint; name one as openai:NAME.")
        return config if placed == config else parse_config(placed.model_dump(mode="json"), origin="the options")

    def _placed(self, model: "ModelConfig", names: set[str], role: str) -> "ModelConfig":
        given = {"device": self.device, "dtype": self.dtype, "backend": self.backend}
        own = {
            name for name in given if f"{role}.{name}" in names or (role in names and name in model.model_fields_set)
        }
        update = _given(given, own)
        if update.get("backend", model.backend) != model.backend:
            # Settings of the old backend have no meaning for the new one.
            others = {"vllm", "openai_api", "device", "max_batch_size"} - {update["backend"], *update}
            update |= {name: type(model).model_fields[name].default for name in others}
        placed = model.model_copy(update=update)
        if self.base_url is None or not _is_endpoint(placed) or f"{role}.openai_api.base_url" in names:
            return placed
        endpoint = placed.openai_api.model_copy(update={"base_url": self.base_url})
        return placed.model_copy(update={"openai_api": endpoint})


def _given(values: dict[str, Any], own: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and name not in own}


def _is_endpoint(model: "ModelConfig") -> bool:
    return model.backend == "openai_api"
