"""The card of a critic: what was measured of it, for one reasoner and one task."""

import json
from pathlib import Path
from typing import Literal

import pydantic

from critic_engine.config.base import Section
from critic_engine.errors import ConfigError


class Measured(Section):
    """A figure with its 95 % confidence interval; None where it cannot be told."""

    estimate: float | None
    low: float | None = None
    high: float | None = None


class CardModel(Section):
    """A model that a card is about."""

    name: str
    """As the config names it: a hub id, the name of a folder, ``pocket``, or ``openai:NAME``."""
    prompts: str
    """The resolved prompt family."""
    fingerprint: str = ""
    """Hexadecimal digest of its weights; empty if they are not at hand, as behind an endpoint."""


class CriticCard(Section):
    """The measured figures of a (critic, reasoner, task)."""

    format: Literal["1"] = "1"
    critic: CardModel
    reasoner: CardModel
    task: str
    """The problems file's name and the digest of its problems."""
    num_problems: int
    num_solutions: int
    answer_auroc: Measured
    """Probability that a solution with a right answer has a higher value than one with a wrong answer."""
    steps_auroc: Measured | None = None
    """The same for "every step is right"; None without labelled steps."""

    @classmethod
    def read(cls, path: Path) -> "CriticCard":
        """Return the card in a JSON file.

        Raises:
            ConfigError: there is none, or it is no card of this version.
        """
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, pydantic.ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"critic.health: {path} is no critic's card: {reason}; write one with `critic-engine evaluate-critic`",
                field="critic.health",
            ) from error
