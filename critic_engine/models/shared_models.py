"""Models that several engines use one after another, each loaded once."""

from types import TracebackType
from typing import Self

from critic_engine.concurrency import LoopThread
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import RewardModelConfig
from critic_engine.models.registry import ModelMakers, ModelRole, close_all, model_key, scorer_key
from critic_engine.protocols import Generator, Scorer


class SharedModels:
    """Models that outlive the engines they are given to, and the event loop on which all of them run.

    Each engine meters its own requests. Use it as a context manager around its engines.
    """

    def __init__(self, makers: ModelMakers) -> None:
        """Have nothing yet; ``makers`` make the models."""
        self._makers = makers
        self._generators: dict[tuple[str, str], Generator] = {}
        self._scorers: dict[tuple[str, str], Scorer] = {}
        self.makers = ModelMakers(self._generator, self._scorer, are_kept=True)
        """Makers that return the same model for equal configurations."""
        self.loop = LoopThread()
        """The event loop of the engines."""

    def close(self) -> None:
        """Close the models and the loop; the engines must be closed before."""
        models = (*self._generators.values(), *self._scorers.values())
        self._generators.clear()
        self._scorers.clear()
        try:
            self.loop.call(close_all(models))
        finally:
            self.loop.close()

    def __enter__(self) -> Self:
        """Return the models themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the models."""
        self.close()

    def _generator(self, config: ModelConfig, role: ModelRole) -> Generator:
        key = model_key(config, role)
        if key not in self._generators:
            self._generators[key] = self._makers.generator(config, role)
        return self._generators[key]

    def _scorer(self, config: RewardModelConfig) -> Scorer:
        key = scorer_key(config)
        if key not in self._scorers:
            self._scorers[key] = self._makers.scorer(config)
        return self._scorers[key]
