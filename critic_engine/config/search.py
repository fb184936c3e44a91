"""The configuration sections of one search: roles, expander, evaluator, decision, budget and run.

The options of the strategies and of stopping are the dataclasses of the package ``search``, with their defaults.
"""

import math
import re
import string
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from critic_engine.config.base import Section
from critic_engine.config.critic_card import Measured
from critic_engine.config.models import ModelConfig
from critic_engine.types import TokenUsage
from search import Aggregation, Decision, DecisionRule, Tree, decide

S = TypeVar("S")


class SampledModelConfig(ModelConfig):
    """A model, and the tokens that it may draw."""

    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Probability mass of nucleus sampling, in (0, 1]."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Number of likeliest tokens to draw from; 0 sets no limit."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Tokens less likely than this share of the likeliest one's probability are not drawn; in [0, 1]."""


class ReasonerConfig(SampledModelConfig):
    """The reasoner's model and its sampling."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """Sampling temperature in [0, 5]; 0 is greedy, and MMC uses 0.7 (arXiv 2504.11009)."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 1024
    """Most tokens of one whole solution."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Most attempts at one request before its trial fails."""


class CriticConfig(SampledModelConfig):
    """The critic's model and its sampling."""

    max_tokens: Annotated[int, Field(ge=1, le=131072)] | None = None
    """Most tokens of one critique. None takes what the prompt family allows, ``critique_tokens`` in its
    ``family.yaml``: 256, and 2048 for ``reasoned``."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Sampling temperature in [0, 5]; 0 is greedy, as in MMC. After an unreadable critique it is at least 0.7."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Most attempts at one critique before its value is left unknown."""
    health: Path | None = None
    """File of the critic's card, which ``critic-engine evaluate-critic`` writes; None if the critic was not measured. A
    card of another critic, reasoner or family of prompts is refused. The configuration of a run has its ``auroc``
    instead."""
    min_auroc: Annotated[float, Field(ge=0, le=1)] = 0.65
    """AUROC, in [0, 1], that the critic must be shown to have for right and wrong answers: the low end of the interval
    in its card. Below it the critic does not steer; in the place of its search, whole solutions are sampled and the
    most common answer is given, or the other evaluators of a blend steer. 0 lets every critic steer."""
    auroc: Measured | None = None
    """AUROC for right and wrong answers with its 95 % interval, filled in from the card in ``health``."""

    @model_validator(mode="after")
    def _check_measured(self) -> "CriticConfig":
        if self.auroc is not None and not self.auroc.is_share:
            raise ValueError(f"auroc is {self.auroc.figures}, and each must lie in [0, 1]")
        is_measured = self.health is not None or self.auroc is not None
        self.check_unused("min_auroc", is_used=is_measured, way_in="set health to the file of the critic's card")
        return self


StepSplit: TypeAlias = Literal["delimiter", "tokens", "template", "sentence"]
_OF_STEPS = ("max_step_tokens", "max_steps", "is_critic_guided", "max_rejected", "reject_below", "revise_below")


class ExpanderConfig(Section):
    """The form of a continuation: a step or a whole solution."""

    kind: Literal["step", "solution"] = "step"
    """``step``: the next step. ``solution``: a whole solution at the root, a critique-driven rewrite below it."""
    split: StepSplit = "delimiter"
    """The end of a step. ``delimiter``: the string ``delimiter``. ``tokens``: only ``max_step_tokens``, as in MMC.
    ``template``: the heading of the next step. ``sentence``: the end of a sentence or line. Whole solutions are split
    the same way, with ``tokens`` into lines."""
    delimiter: Annotated[str, Field(min_length=1)] = "\n"
    """The string that ends a step; for split ``delimiter`` only."""
    step_template: Annotated[str, Field(min_length=1)] = "Step $number:"
    """The heading that begins a step, for split ``template`` only; ``$number`` counts from 1, and ``$$`` is a dollar.
    The reasoner writes headings only if its prompts ask for them, as the family ``headed`` does."""
    max_step_tokens: Annotated[int, Field(ge=1, le=131072)] = 128
    """Most tokens of one step, for ``step`` only; a longer one is cut and continued by the next. MMC cuts at 30."""
    max_steps: Annotated[int, Field(ge=1, le=10000)] = 40
    """Most steps of a trajectory, for ``step`` only."""
    is_critic_guided: bool = True
    """Whether the reasoner sees the critiques of the trajectory and of rejected siblings, for ``step`` only."""
    max_rejected: Annotated[int, Field(ge=0, le=16)] = 2
    """Most rejected siblings shown to the reasoner, the latest ones; for ``step`` only."""
    reject_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A child with a value below this, in [0, 1], is rejected; so is a step that its revision replaced. For ``step``
    only."""
    max_revisions: Annotated[int, Field(ge=0, le=16)] = 0
    """Most rewrites of a weak step, guided by its critique, for ``step`` only. A rewrite is kept only if its value is
    higher (arXiv 2507.15512)."""
    revise_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A step with a critique and a value below this, in [0, 1], is weak. For ``step`` only."""

    @model_validator(mode="after")
    def _check_used(self) -> "ExpanderConfig":
        for name, split in (("delimiter", "delimiter"), ("step_template", "template")):
            self.check_unused(name, is_used=self.split == split, way_in=f"set split to {split!r}")
        heading = string.Template(self.step_template)
        if not heading.is_valid() or set(heading.get_identifiers()) - {"number"}:
            raise ValueError(f"step_template is {self.step_template!r}; it may hold $number, and $$ for a dollar")
        self.check_unused(*_OF_STEPS, is_used=self.kind == "step", way_in="set kind to 'step'")
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


class DirectEvaluatorConfig(Section):
    """An evaluator without options of its own."""

    kind: Literal["critic", "reward_model", "checker", "none"]
    """``critic``: the critic's value and words. ``reward_model``: the value of the model in section ``reward_model``,
    without words. ``checker``: 1 for a finished path with a right answer, 0 for one with another; in labelling mode
    only. ``none``: no trajectory has a value."""


class RolloutEvaluatorConfig(Section):
    """The share of completions with a right answer, or with the most common one."""

    kind: Literal["rollout"]
    against: Literal["reference", "agreement"] = "agreement"
    """``agreement``: the share of the most common answer. ``reference``: the share of right answers, by the reference
    answer; in labelling mode only."""
    num_rollouts: Annotated[int, Field(ge=1, le=1024)] = 4
    """Completions of one trajectory; ``agreement`` needs at least 2."""

    @model_validator(mode="after")
    def _check_agreement(self) -> "RolloutEvaluatorConfig":
        if self.against == "agreement" and self.num_rollouts < 2:
            raise ValueError("num_rollouts is 1, and one completion always agrees with itself; 2 or more are needed")
        return self


SingleEvaluatorConfig: TypeAlias = Annotated[
    DirectEvaluatorConfig | RolloutEvaluatorConfig, Field(discriminator="kind")
]


class BlendPart(Section):
    """One evaluator of a blend."""

    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Weight in the mean; the weights of parts with a value are normalised."""
    evaluator: SingleEvaluatorConfig
    """The evaluator of this part."""


class BlendEvaluatorConfig(Section):
    """The weighted mean of several evaluators' values; unknown values are left out."""

    kind: Literal["blend"]
    parts: Annotated[tuple[BlendPart, ...], Field(min_length=1, max_length=8)]
    """The evaluators and their weights; the critique is that of the first part that has one."""


EvaluatorConfig: TypeAlias = Annotated[
    DirectEvaluatorConfig | RolloutEvaluatorConfig | BlendEvaluatorConfig, Field(discriminator="kind")
]
"""The evaluator that values trajectories."""


class RewardModelConfig(ModelConfig):
    """The reward model, used by evaluator ``reward_model`` only."""

    head: Literal["verdict_token", "sequence_classification"] = "verdict_token"
    """``verdict_token``: a chat model with a critic's prompts writes only the verdict; the value is the probability of
    "right". ``sequence_classification``: a text model with one output, through a sigmoid."""


class DecisionConfig(Section):
    """How the answer is chosen among the finished paths."""

    rule: DecisionRule = "weighted_majority"
    """The rule that chooses among the finished paths, rollouts included."""
    aggregation: Aggregation = "last"
    """The path's value as a function of the values along it."""
    prior_exponent: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Exponent of the reasoner's probability of a path, which multiplies its value; 0 leaves it out."""

    def decide(self, tree: Tree[S]) -> Decision[S] | None:
        """Return the finished path of ``tree`` to answer with; None when none is finished."""
        return decide(tree, self.rule, aggregation=self.aggregation, prior_exponent=self.prior_exponent)


POCKET_SOLUTION_TOKENS = 25
"""Tokens that count as one solution of the pocket pair in a budget: its figures are measured with 16 of them, 400."""
_SOLUTIONS = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) solutions?")


def _token_limit(given: object) -> object:
    """Return a number of tokens, a number of solutions as text, or None."""
    if given is None or (isinstance(given, str) and (found := _SOLUTIONS.fullmatch(given)) and float(found[1]) > 0):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 1 and given == int(given):
        return int(given)
    raise ValueError(
        "it must be a whole number of tokens greater than or equal to 1, or a multiple of the tokens of one solution, "
        "such as '16 solutions'"
    )


class BudgetConfig(Section):
    """Limits of one search, independent of its findings."""

    max_simulations: Annotated[int, Field(ge=1)] | None = None
    """Most trials told in one tree; abandoned ones do not count. None sets no limit."""
    max_wall_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds after which a search is cut, with its trials in flight; finished paths so far give the answer."""
    max_tokens: Annotated[int | str | None, BeforeValidator(_token_limit)] = None
    """Generated tokens of all roles for one problem after which no trial is begun; or a multiple of what one solution
    takes, such as ``16 solutions``: so many times the mean of the reasoner's tokens, thoughts included, of the paths
    that this search has finished, at least 64. Until a path is finished, the longest one counts as half of a solution,
    which is no longer than ``reasoner.max_tokens`` or that path; a text that was lost, such as a thought that was cut,
    counts as a path. A solution of the pocket pair counts as 25 tokens.

    Trials in flight are still told, and a search without a finished path completes its best one in addition.
    """
    prompt_weight: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 0.0
    """Weight of a prompt token that no cache held in ``max_tokens``, beside 1 for a generated one. With 1 the budget is
    of computation, for reading and writing a token take 2 N FLOPs each; with 0 reading is free. ``max_tokens`` must be
    a number then."""

    def cost(self, usage: TokenUsage) -> int:
        """Return what a trial takes from ``max_tokens``: ``generated + ceil(prompt_weight * uncached prompt)``."""
        return usage.generated_tokens + math.ceil(self.prompt_weight * (usage.prompt_tokens - usage.cached_tokens))

    @model_validator(mode="after")
    def _check_weight(self) -> "BudgetConfig":
        if self.prompt_weight and not isinstance(self.max_tokens, int):
            raise ValueError(
                f"prompt_weight is {self.prompt_weight:g}, and max_tokens is {self.max_tokens!r}, which does not count "
                "prompts; set max_tokens to a number, or leave prompt_weight out"
            )
        return self

    @property
    def num_solutions(self) -> float | None:
        """The limit on tokens as a multiple of one solution's; None if it is no such multiple."""
        return float(self.max_tokens.split()[0]) if isinstance(self.max_tokens, str) else None


class RunConfig(Section):
    """Seed, concurrency, and the limits of the whole run and of its problems."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random choice."""
    problems_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Most problems searched concurrently. Reasoner and critic take turns: two batches of rows fill both."""
    trials_in_flight: Annotated[int, Field(ge=1, le=1024)] = 1
    """Most concurrent trials of one tree."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Generated tokens of the whole run after which all searches are cut and no other is begun."""
    max_wall_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds of one session of the run after which all searches are cut and no other is begun."""
    max_image_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    """Most pixels of an image; a larger one is refused before it is decoded."""
    max_images: Annotated[int, Field(ge=0)] = 16
    """Most images of a problem; a problem with more is refused."""
    max_characters: Annotated[int, Field(ge=1)] = 100_000
    """Most characters of a problem's question and choices together; a longer problem is refused."""
