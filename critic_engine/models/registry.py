"""The models of one engine: each made once, shared by the roles that ask for the same, metered, and closed together."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.config.models import EndpointConfig, ModelConfig, is_shipped_name
from critic_engine.config.search import RewardModelConfig
from critic_engine.models.metering import Meter, MeteredGenerator, MeteredScorer, ModelFigures
from critic_engine.protocols import Generator, Model, Scorer

ModelRole: TypeAlias = Literal["reasoner", "critic"]
"""A model's role decides which model ``pocket`` and ``scripted`` stand for; a reward model takes the critic's."""


@dataclass(frozen=True, slots=True)
class ModelMakers:
    """Makers of generators and scorers, which do not load them yet."""

    generator: Callable[[ModelConfig, ModelRole], Generator]
    scorer: Callable[[RewardModelConfig], Scorer]
    are_kept: bool = False
    """Whether somebody else closes the models that they return."""


class Models:
    """Makes models as roles ask for them."""

    def __init__(self, makers: ModelMakers) -> None:
        """Have nothing yet."""
        self._makers = makers
        self._owned: dict[tuple[str, str], MeteredGenerator | MeteredScorer] = {}
        self._adopted: list[MeteredGenerator] = []
        self._meters: dict[str, Meter] = {}

    def generator(self, config: ModelConfig, role: ModelRole) -> Generator:
        """Return the generator of a role; roles with equal configurations share one.

        Raises:
            ModelLoadError: a model's folder is plainly not one.
            ConfigError: the settings of the model contradict each other.
        """
        key = model_key(config, role)
        found = self._owned.get(key)
        if isinstance(found, MeteredGenerator):
            return found
        generator = self._makers.generator(config, role)
        made = self._owned[key] = MeteredGenerator(generator, self._meter(generator.name, config.openai_api))
        return made

    def scorer(self, config: RewardModelConfig) -> Scorer:
        """Return the scorer of a reward model.

        Raises:
            ModelLoadError: the model's folder is plainly not one.
            ConfigError: the model has no such head.
        """
        scorer = self._makers.scorer(config)
        made = MeteredScorer(scorer, self._meter(scorer.name, config.openai_api))
        self._owned[scorer_key(config)] = made
        return made

    def adopt(self, generator: Generator) -> MeteredGenerator:
        """Return the caller's own generator, metered once; the caller loads and closes it."""
        for known in self._adopted:
            if known.model is generator:
                return known
        self._adopted.append(MeteredGenerator(generator, self._meter(generator.name, EndpointConfig())))
        return self._adopted[-1]

    async def load(self) -> None:
        """Load all models that were made, one after another: two that measure one card's memory disturb each other.

        Raises:
            ModelLoadError: one cannot be loaded.
        """
        for model in self._owned.values():
            await model.load()

    async def aclose(self) -> None:
        """Close all models that were made, unless they are kept; each is closed though another fails to."""
        owned = () if self._makers.are_kept else tuple(self._owned.values())
        self._owned.clear()
        await close_all(owned)

    def figures(self) -> dict[str, ModelFigures]:
        """Return the counts of each model so far, by its name."""
        return {name: meter.figures() for name, meter in self._meters.items()}

    def _meter(self, name: str, prices: EndpointConfig) -> Meter:
        number = 2
        unique = name
        while unique in self._meters:
            unique, number = f"{name} ({number})", number + 1
        self._meters[unique] = meter = Meter(prices)
        return meter


async def close_all(models: Iterable[Model]) -> None:
    """Close all models; each is closed though another fails to, and then the first failure is raised."""
    outcomes = await asyncio.gather(*(model.aclose() for model in models), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def scorer_key(config: RewardModelConfig) -> tuple[str, str]:
    """Return a key that is equal for scorers that can be shared."""
    return ("scorer", config.hosting)


def model_key(config: ModelConfig, role: ModelRole) -> tuple[str, str]:
    """Return a key that is equal for roles that can share one engine."""
    is_by_role = is_shipped_name(config.model) or config.backend == "scripted"
    return (role if is_by_role else "", config.hosting)
