"""The sections of the configuration, frozen models with their defaults.

The options of the strategies and of stopping are those of ``search``, used as they are, and their defaults stand there.
"""

import string
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from critic_engine.config.base import Section
from critic_engine.config.models import ModelConfig
from search import Aggregation, DecisionRule


class ReasonerConfig(ModelConfig):
    """The reasoner and how it is sampled."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """0 is greedy; MMC samples at 0.7 (arXiv 2504.11009)."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass that is drawn from."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 1024
    """Most tokens of one whole solution."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often one request is tried before its trial is given up."""


class CriticConfig(ModelConfig):
    """The critic and how it is sampled."""

    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 256
    """Most tokens of one critique."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    """0 is greedy, as in MMC; a retry after an unreadable critique draws at 0.7 or this, whichever is higher."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often one critique is tried before the value is left unknown."""


StepSplit: TypeAlias = Literal["delimiter", "tokens", "template", "sentence"]


_OF_STEPS = ("max_step_tokens", "max_steps", "is_critic_guided", "max_rejected", "reject_below", "revise_below")


class ExpanderConfig(Section):
    """What one continuation is."""

    kind: Literal["step", "solution"] = "step"
    """``step``: the next step. ``solution``: a whole solution at the root, a critique-driven rewrite below it."""
    split: StepSplit = "delimiter"
    """What ends a step: ``delimiter``, the string below; ``tokens``, nothing but ``max_step_tokens``, as in MMC;
    ``template``, the next step's heading; ``sentence``, the end of a sentence or line. Whole solutions are split
    likewise, by ``tokens`` into lines."""
    delimiter: Annotated[str, Field(min_length=1)] = "\n"
    """The string that ends a step where steps are split by it."""
    step_template: Annotated[str, Field(min_length=1)] = "Step $number:"
    """The heading that begins a step where steps are split by it; ``$number`` counts from 1, and ``$$`` is a dollar.
    The reasoner writes headings only if its prompts ask for them, as those of the family ``headed`` do."""
    max_step_tokens: Annotated[int, Field(ge=1, le=131072)] = 128
    """Steps only: a step is cut at this many tokens, and the next one goes on right there; MMC cuts at 30."""
    max_steps: Annotated[int, Field(ge=1, le=10000)] = 40
    """Steps only: a trajectory of this many steps is not continued."""
    is_critic_guided: bool = True
    """Steps only: whether the reasoner is shown the critic's words on the place and on rejected siblings."""
    max_rejected: Annotated[int, Field(ge=0, le=16)] = 2
    """Steps only: at most this many rejected siblings are shown, the latest ones."""
    reject_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Steps only: a child of a lower value is rejected, and so is a step that its revision replaced."""
    max_revisions: Annotated[int, Field(ge=0, le=16)] = 0
    """Steps only: how often a weak step is rewritten in the light of its critique, until it is weak no longer; each
    rewrite stands only if its value is higher (arXiv 2507.15512)."""
    revise_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Steps only: a step of a lower value that has a critique is weak."""

    @model_validator(mode="after")
    def _check_split(self) -> "ExpanderConfig":
        for name, split in (("delimiter", "delimiter"), ("step_template", "template")):
            value = getattr(self, name)
            if self.split != split and value != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} is {value!r} and split is {self.split!r}; set split to {split!r} or leave {name} out"
                )
        heading = string.Template(self.step_template)
        if not heading.is_valid() or set(heading.get_identifiers()) - {"number"}:
            raise ValueError(f"step_template is {self.step_template!r}; it may hold $number, and $$ for a dollar")
        return self

    @model_validator(mode="after")
    def _check_solutions(self) -> "ExpanderConfig":
        self.check_unused(*_OF_STEPS, is_used=self.kind == "step", way_in="set kind to 'step'")
        return self

    @model_validator(mode="after")
    def _check_revisions(self) -> "ExpanderConfig":
        if self.max_revisions and self.kind == "solution":
            raise ValueError(f"max_revisions is {self.max_revisions}, and only steps are revised; leave it out")
        if self.max_revisions and not self.is_critic_guided:
            raise ValueError(
                f"max_revisions is {self.max_revisions}, and a revision shows the reasoner the critique; "
                "set is_critic_guided to true or leave it out"
            )
        self.check_unused("revise_below", is_used=self.max_revisions > 0, way_in="set max_revisions")
        unguided = ("max_rejected", "reject_below")
        self.check_unused(*unguided, is_used=self.is_critic_guided, way_in="set is_critic_guided to true")
        return self


class CriticEvaluatorConfig(Section):
    """The critic's value and words."""

    kind: Literal["critic"] = "critic"


class RewardModelEvaluatorConfig(Section):
    """The value of the model in section ``reward_model``, without words."""

    kind: Literal["reward_model"]


class RolloutEvaluatorConfig(Section):
    """The share of completions that are right, or that agree."""

    kind: Literal["rollout"]
    against: Literal["reference", "agreement"] = "agreement"
    """``agreement``: the share of the commonest answer. ``reference``: the share that is right by the reference answer;
    in labelling mode only."""
    num_rollouts: Annotated[int, Field(ge=1, le=1024)] = 4
    """Completions a trajectory; ``agreement`` needs 2."""

    @model_validator(mode="after")
    def _check_agreement(self) -> "RolloutEvaluatorConfig":
        if self.against == "agreement" and self.num_rollouts < 2:
            raise ValueError("num_rollouts is 1, and one completion always agrees with itself; 2 or more are needed")
        return self


class CheckerEvaluatorConfig(Section):
    """1 for a finished path whose answer is right, else 0; in labelling mode only."""

    kind: Literal["checker"]


class NoEvaluatorConfig(Section):
    """Nothing has a value."""

    kind: Literal["none"]


SingleEvaluatorConfig: TypeAlias = Annotated[
    CriticEvaluatorConfig
    | RewardModelEvaluatorConfig
    | RolloutEvaluatorConfig
    | CheckerEvaluatorConfig
    | NoEvaluatorConfig,
    Field(discriminator="kind"),
]


class BlendPart(Section):
    """One evaluator of a blend."""

    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Its share is this over the sum of the weights of those that gave a value."""
    evaluator: SingleEvaluatorConfig
    """Who."""


class BlendEvaluatorConfig(Section):
    """The weighted mean of several evaluators' values; one that gives none is left out of it."""

    kind: Literal["blend"]
    parts: Annotated[tuple[BlendPart, ...], Field(min_length=1, max_length=8)]
    """Who, and how much each counts; the words are those of the first that has any."""


EvaluatorConfig: TypeAlias = Annotated[
    CriticEvaluatorConfig
    | RewardModelEvaluatorConfig
    | RolloutEvaluatorConfig
    | CheckerEvaluatorConfig
    | NoEvaluatorConfig
    | BlendEvaluatorConfig,
    Field(discriminator="kind"),
]
"""Who says how good a trajectory is."""


class RewardModelConfig(ModelConfig):
    """The reward model, of which only the evaluator ``reward_model`` makes use."""

    head: Literal["verdict_token", "sequence_classification"] = "verdict_token"
    """``verdict_token``: a chat model whose prompts are a critic's; its value is the probability of the word for right,
    which is all it writes. ``sequence_classification``: a text model with one output, through a sigmoid."""


class DecisionConfig(Section):
    """Which finished path's answer is given."""

    rule: DecisionRule = "weighted_majority"
    """How finished paths, rollouts included, are chosen between."""
    aggregation: Aggregation = "last"
    """How the values along a path make the path's value."""
    prior_exponent: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Values weigh in by the reasoner's probability of their path to this power; 0 leaves it out."""


class BudgetConfig(Section):
    """Where a search stops, whatever it has found."""

    max_simulations: Annotated[int, Field(ge=1)] | None = None
    """Trials told in one tree; abandoned ones do not count."""
    max_wall_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds after which a problem's search is cut, with what is in flight; the best path found by then answers."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Generated tokens, the reasoner's and the critic's, at which nothing more is asked for one problem.

    The trial that crosses it still counts, and so do those in flight beside it; a search that ends without a finished
    path writes its best one to the end on top.
    """


class RunConfig(Section):
    """How many problems at once, from which seed, and the limits of the whole run and of its images."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random choice derives from it."""
    problems_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Problems searched at the same time."""
    trials_in_flight: Annotated[int, Field(ge=1, le=1024)] = 1
    """Trials of one tree at the same time."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Generated tokens of the whole run, at which every search still going on is cut and no other is begun."""
    max_wall_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The same in seconds, of one session of the run."""
    max_image_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    """An image with more pixels is refused before it is decoded."""
    max_images: Annotated[int, Field(ge=0)] = 16
    """A problem with more images is refused."""
    max_characters: Annotated[int, Field(ge=1)] = 100_000
    """A problem whose question and choices have more characters together is refused."""
