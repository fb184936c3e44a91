"""The card of a critic: what was measured of it, for one reasoner and one task."""

import json
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import Field

from critic_engine.config.base import Section
from critic_engine.errors import ConfigError


class Measured(Section):
    """A figure with its 95 % confidence interval; None where it cannot be told."""

    estimate: float | None
    low: float | None = None
    high: float | None = None

    @property
    def figures(self) -> tuple[float | None, float | None, float | None]:
        """The estimate, and the ends of its interval."""
        return (self.estimate, self.low, self.high)

    @property
    def is_share(self) -> bool:
        """Whether each figure that is known lies in [0, 1]."""
        return all(figure is None or 0 <= figure <= 1 for figure in self.figures)


class CardModel(Section):
    """A model that a card is about."""

    name: str
    """As the config names it: a hub id, the name of a folder, ``pocket``, ``openai:NAME``, or ``scripted:NAME`` for a
    script in its place; the generator's own name if a program handed it in."""
    prompts: str
    """The resolved prompt family."""
    fingerprint: str = ""
    """Hexadecimal digest of its weights; empty if they are not at hand, as behind an endpoint."""


class CardBin(Section):
    """The solutions whose values lie in one bin of a reliability diagram; bins hold about as many each."""

    num: int
    low: float
    """The smallest value."""
    high: float
    """The largest value."""
    mean_value: float
    share_right: Measured


class CardBeta(Section):
    """Beta calibration, ``sigmoid(a * log(v) - b * log(1 - v) + c)``; with ``a = b`` it is Platt scaling."""

    a: float
    """Not negative."""
    b: float
    """Not negative."""
    c: float
    error_after: Measured
    """Expected calibration error of the calibrated values on the held half."""


class CardScaling(Section):
    """Platt scaling, ``sigmoid(slope * log(v / (1 - v)) + intercept)``, fitted on half of the problems."""

    slope: float
    """Below 0 if larger values mean less often right."""
    intercept: float
    num_fitted: int
    """Solutions that it was fitted to."""
    num_held: int
    """Solutions of the other half of the problems, on which the errors are measured."""
    error_before: Measured
    """Expected calibration error of the values on the held half."""
    error_after: Measured
    """The same of the scaled values."""
    num_held_bins: int
    """Bins of these errors; an error is above 0 by chance, more so with few values a bin."""
    beta: CardBeta
    """Beta calibration, fitted to the same half and checked on the other."""


class CardOutcome(Section):
    """The value and the verdict against one outcome: the answer is right, or every step is right."""

    num: int
    """Solutions with a value."""
    base_rate: Measured
    """Share right of the solutions with a readable judgement."""
    calibration_error: Measured
    """Expected calibration error of the value, over bins that hold about as many solutions each."""
    bins: tuple[CardBin, ...]
    """From the smallest values to the largest; empty without values."""
    scaling: CardScaling | None
    """Its scalings; None if there are too few problems, or one of the halves has no right or no wrong solution."""
    mean_value_if_right: Measured
    mean_value_if_wrong: Measured
    yes_if_right: Measured
    """Share of right solutions with the verdict "right"."""
    yes_if_wrong: Measured
    """Share of wrong solutions with the verdict "right": the bias to say yes."""
    yes_share: Measured
    """Share of all solutions with the verdict "right", to compare with ``base_rate``."""


class CardFlips(Section):
    """How often the verdict changed between two judgements of the same solution."""

    kind: str
    """``again``: another seed. ``greedy``: twice at temperature 0. Or a rewording: ``spaces`` between words doubled,
    ``numbers`` put before the steps or left out, another ``ending`` of the last step."""
    temperature: float | None
    """The critic's; None for a reward model."""
    num: int
    """Pairs of judgements that both have a verdict."""
    num_unreadable: int
    """Pairs left out because one of the judgements failed or could not be read."""
    flip_share: Measured
    mean_change: float | None
    """Mean of the absolute change of the value; None without values."""


class CardFirstStep(Section):
    """The first wrong step that the critic names, on solutions with a labelled one."""

    num: int
    """Solutions with a labelled wrong step and a readable critique."""
    exact: Measured
    """Share of them of which it names that step."""
    within_one: Measured
    """Share of them of which it names that step or a neighbour of it."""


class CardLift(Section):
    """Share right of rewrites with the critique, less that of fresh solutions with the same seeds."""

    num: int
    """Solutions whose critiques were used."""
    rewritten: Measured
    """Share right of the rewrites."""
    fresh: Measured
    """Share right of the fresh solutions."""
    lift: Measured
    """Paired by solution."""
    lift_if_wrong: Measured
    """Of the solutions with a wrong answer."""
    lift_if_right: Measured
    """Of the solutions with a right answer; here it is no merit to rewrite nothing."""


class CardRollouts(Section):
    """The critic's value of intermediate steps against the share of right completions from there."""

    num: int
    """Intermediate steps with both."""
    num_rollouts: int
    """Completions of each."""
    rank_correlation: Measured
    """Spearman's, in [-1, 1]."""
    auroc: Measured
    """Probability that a step from which at least half of the completions are right has a higher value than another."""


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
    kind: Literal["critic", "reward_model"] = "critic"
    """The role that was measured."""
    is_of_search: bool = False
    """Whether the solutions are paths of a search, which prefers some of them, and not independent samples."""
    temperature: float | None = None
    """The critic's; None for a reward model."""
    seed: int = 0
    num_judged: int = 0
    """Distinct solutions that were judged; one that was drawn twice counts twice in all figures."""
    num_failed: int = 0
    """Solutions of which the model failed to judge; they are in no other figure."""
    unreadable_share: Measured = Measured(estimate=None)
    """Share of solutions whose judgement could not be read; they have no value and no verdict."""
    num_without_value: int = 0
    """Solutions with a readable verdict and no value, as of a model without log-probabilities that states no score."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows without labelled solutions by the fault; and of the other rows ``unsure_solution``, whose answer the checker
    cannot tell, and ``unfinished_solution``, which the reasoner did not finish."""
    answer: CardOutcome | None = None
    """The value and the verdict against "the answer is right"; None if no judgement could be read."""
    steps: CardOutcome | None = None
    """The same against "every step is right"; None without labelled steps too."""
    first_wrong_step: CardFirstStep | None = None
    """None for a reward model, and without labelled wrong steps."""
    flips: tuple[CardFlips, ...] = ()
    """Empty if nothing was judged twice."""
    lift: CardLift | None = None
    """None if no critique was used for rewrites."""
    rollouts: CardRollouts | None = None
    """None if no rollouts were drawn."""
    critic_prompt_tokens: int = 0
    """Tokens that the critic read for this card."""
    critic_tokens: int = 0
    """Tokens that it generated."""
    reasoner_tokens: int = 0
    """Tokens that the reasoner generated for rewrites and rollouts, the judged solutions not counted."""
    version: str = ""
    """The version of the program that measured it."""

    @classmethod
    def read(cls, path: Path) -> "CriticCard":
        """Return the card in a JSON file.

        Raises:
            ConfigError: there is none, or it is no card of this version.
        """
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise _unusable(f"{path} cannot be read: {error.strerror}") from error
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise _unusable(f"{path} is no critic's card: {field + ': ' if field else ''}{first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise _unusable(f"{path} is no critic's card: {error}") from error


def _unusable(reason: str) -> ConfigError:
    return ConfigError(
        f"critic.health: {reason}; name the critic_card.json that `critic-engine evaluate-critic` writes",
        field="critic.health",
    )
