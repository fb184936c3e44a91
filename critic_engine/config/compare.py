"""Compare configurations: decide whether two belong to one run, and find their first difference."""

import json
from collections.abc import Mapping

from critic_engine.config.engine import EngineConfig
from critic_engine.config.every_model import with_models
from critic_engine.config.models import ModelConfig, RayConfig
from critic_engine.config.search import RunConfig


def without_hosting_and_limits(config: EngineConfig) -> EngineConfig:
    """Return the configuration without hosting, concurrency and the limits of the run."""
    run = RunConfig(seed=config.run.seed, max_image_pixels=config.run.max_image_pixels)
    return with_models(config, lambda place, model: _which(model)).model_copy(update={"run": run, "ray": RayConfig()})


def first_difference(before: EngineConfig, now: EngineConfig) -> str | None:
    """Return the first field that differs, with both values; None if the configurations are equal."""
    return _difference(before.model_dump(mode="json"), now.model_dump(mode="json"), "")


def _difference(before: object, now: object, name: str) -> str | None:
    if before == now:
        return None
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = [*before, *(key for key in now if key not in before)]
        found = (_difference(before.get(key), now.get(key), f"{name}.{key}" if name else str(key)) for key in names)
        return next(difference for difference in found if difference is not None)
    return f"{name} was {json.dumps(before)} and is {json.dumps(now)}"


def _which(model: ModelConfig) -> ModelConfig:
    """Return the model without its hosting; transformers and vLLM count as one backend, for the same weights."""
    names = ("device", "dtype", "max_batch_size", "vllm", "openai_api", "actor")
    update = {name: ModelConfig.model_fields[name].default for name in names}
    return model.model_copy(update=update | ({"backend": "huggingface"} if model.backend == "vllm" else {}))
