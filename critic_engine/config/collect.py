"""The section ``collect``: how training data is made from labelled trees."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from critic_engine.config.base import Section
from critic_engine.config.models import ModelConfig

PairKind: TypeAlias = Literal["divergent", "sibling", "first_error", "best_worst"]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class PairsConfig(Section):
    """How right and wrong paths are paired."""

    kinds: Annotated[tuple[PairKind, ...], Field(min_length=1)] = ("divergent", "sibling", "first_error")
    """Kinds of pairs. ``divergent``: each wrong path and the reference path (MMC); only these are annotated.
    ``sibling``: two children of one node, by their values (MCTS-DPO, arXiv 2405.00451). ``first_error``: each wrong
    path and the right path that diverges from it last, if no check rejects it (Step-DPO, arXiv 2406.18629).
    ``best_worst``: the worst wrong path and the reference path, which is one divergent pair a problem."""
    max_pairs: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Most pairs of each kind for one problem; pairs that diverge last are kept first."""
    max_annotated: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Most annotated errors of one problem, for ``divergent`` only; the most frequent are kept. Pairs that diverge at
    one node by the same wrong step are one error."""
    min_margin: _Share = 0.25
    """Least difference between the values of the two steps, in [0, 1]; for ``sibling`` only."""
    check: Literal["auto", "critic", "none"] = "auto"
    """Whether the critic checks right paths, to choose the reference path, and the two steps at which a pair diverges.
    Wrong steps may still lead to right answers, and then a pair may diverge where neither step is wrong. ``auto``: the
    critic if it matches the reasoner (same model and backend), else none. For all kinds but ``sibling``."""
    max_references: Annotated[int, Field(ge=1, le=1024)] = 8
    """Most right paths of one tree that the critic checks, in the order of ``search.reference_order``; for ``check``
    only. The reference path is the one with the highest value times the reasoner's mean probability of its steps."""
    min_support: Annotated[int, Field(ge=0, le=1024)] = 2
    """Least number of right completions that begin with the first step of the chosen side, because an error that ends
    right by chance is rarely drawn twice. Applied with any ``check``, but not if no two draws are equal, as in free
    text."""
    min_share: _Share = 0.7
    """Least share of those among all right completions at the node, in [0, 1]; applied like ``min_support``."""
    min_reference_value: _Share = 0.5
    """Least value of the whole reference path by the critic, in [0, 1]; for ``check`` only."""
    min_chosen_value: _Share = 0.7
    """Least value of the chosen side up to its first own step by the critic, in [0, 1]; for ``check`` only."""
    max_rejected_value: _Share = 0.5
    """Highest value of the rejected side up to its first own step by the critic, in [0, 1]; for ``check`` only."""

    @model_validator(mode="after")
    def _check_used(self) -> "PairsConfig":
        self.check_unused("min_margin", is_used="sibling" in self.kinds, way_in="name sibling among the kinds")
        way_in = "name divergent among the kinds"
        self.check_unused("max_annotated", is_used="divergent" in self.kinds, way_in=way_in)
        is_parting = any(kind != "sibling" for kind in self.kinds)
        support = ("min_support", "min_share")
        self.check_unused(*support, is_used=is_parting, way_in="name another kind than sibling")
        values = ("max_references", "min_reference_value", "min_chosen_value", "max_rejected_value")
        self.check_unused(*values, is_used=self.check != "none", way_in="set check to 'critic'")
        return self


class _RoleConfig(Section):
    """A role by ``kind``, which may have a model of its own."""

    kind: str
    """Kind of the role."""
    model: ModelConfig | None = None
    """The model; required for kind ``model``, refused for all others."""

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if (self.kind == "model") != (self.model is not None):
            raise ValueError(f"kind is {self.kind!r}; kind 'model' needs a model, and no other kind has one")
        return self


class AnnotatorConfig(_RoleConfig):
    """An annotator, which finds and describes the error of a wrong path."""

    kind: Literal["auto", "self", "model", "critic", "pocket_rules"] = "auto"
    """``self``: the reasoner's model (MMC's self-annotation). ``model``: the model in ``model``. Both see the two
    branches side by side, in both orders. ``critic``: the critic, which sees the wrong path alone, as in a search.
    ``pocket_rules``: the pocket world's oracle. ``auto``: the rules and two critiques of the critic for the shipped
    models, ``self`` for any other reasoner."""
    num_critiques: Annotated[int, Field(ge=1, le=64)] = 1
    """Critiques of one pair; the first is drawn at temperature 0, the others at ``temperature``."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """Sampling temperature of all critiques but the first, in [0, 5]."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] | None = None
    """Most tokens of one critique. None is 512, and for a critic what its prompts allow if that is more."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Most attempts at one request that fails and may succeed later; for the kinds that show both branches."""

    @model_validator(mode="after")
    def _check_used(self) -> "AnnotatorConfig":
        sampled = ("num_critiques", "temperature", "max_tokens")
        self.check_unused(*sampled, is_used=self.kind != "pocket_rules", way_in="let a model annotate")
        shows_both = self.kind in ("auto", "self", "model")
        self.check_unused("max_attempts", is_used=shows_both, way_in="set kind to 'self' or 'model'")
        return self


class LiftConfig(Section):
    """How the lift of a critique is measured: right refinements with it against those without it."""

    num_refinements: Annotated[int, Field(ge=0, le=1024)] = 10
    """Refinements drawn with each critique, and as many without; MMC's filter takes 10. 0 measures nothing."""
    num_fresh: Annotated[int, Field(ge=0, le=1024)] = 10
    """Further refinements with each critique, and as many without, which no filter uses. Reported and exported lifts
    use these alone, because the refinements that selected a critique overstate its lift. Preferences between critiques
    must be confirmed by them, so their margins are slightly high. With 0, reported lifts are too high."""
    refine_from: Literal["node", "start"] = "node"
    """Where refinements begin. ``node``: where the two paths diverge. ``start``: at the beginning, as in MMC."""

    @model_validator(mode="after")
    def _check_used(self) -> "LiftConfig":
        self.check_unused("num_fresh", "refine_from", is_used=self.num_refinements > 0, way_in="set num_refinements")
        return self


class LabelsConfig(Section):
    """How steps are labelled, for process reward models."""

    kind: Literal["none", "tree", "binary_search"] = "tree"
    """``none``: no labels. ``tree``: labels by the completions in the tree. ``binary_search``: additionally, further
    completions find the first wrong step of wrong paths (OmegaPRM, arXiv 2406.06592)."""
    min_completions: Annotated[int, Field(ge=1, le=1024)] = 4
    """Least completions in the tree for the label of a step."""
    max_paths: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Most labelled paths of one tree; those with the most labels are kept, right and wrong ones in turn."""
    num_rollouts: Annotated[int, Field(ge=1, le=1024)] = 4
    """Completions drawn at each step examined; for ``binary_search`` only."""
    max_searched: Annotated[int, Field(ge=1, le=1024)] = 1
    """Most wrong paths searched for one problem; for ``binary_search`` only."""

    @model_validator(mode="after")
    def _check_used(self) -> "LabelsConfig":
        self.check_unused("min_completions", "max_paths", is_used=self.kind != "none", way_in="set kind to 'tree'")
        searched = ("num_rollouts", "max_searched")
        self.check_unused(*searched, is_used=self.kind == "binary_search", way_in="set kind to 'binary_search'")
        return self


class DetectorConfig(_RoleConfig):
    """A detector of injected errors."""

    kind: Literal["auto", "self", "model", "critic"] = "auto"
    """``self``: the reasoner's model. ``model``: the model in ``model``. Both list all errors, and their prompts need a
    ``detect.txt``. ``critic``: the critic, which finds only the first wrong step, as in a search. ``auto``: ``self``,
    but the critic if it matches the reasoner and the reasoner's prompts have no ``detect.txt``."""
    num_detections: Annotated[int, Field(ge=1, le=64)] = 4
    """Detections of one solution; the first is drawn at temperature 0, the others at ``temperature``."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """Sampling temperature of all detections but the first, in [0, 5]."""

    @model_validator(mode="after")
    def _check_used(self) -> "DetectorConfig":
        self.check_unused("temperature", is_used=self.num_detections > 1, way_in="raise num_detections")
        return self


class InjectionConfig(_RoleConfig):
    """Errors injected into right solutions, which several detectors must find (Critic-V, arXiv 2411.18203).

    All models but the critic use the reasoner's ``max_tokens`` and ``max_attempts``.
    """

    kind: Literal["auto", "self", "model", "pocket_rules"] = "auto"
    """The injector. ``self``: the reasoner's model. ``model``: the model in ``model``. ``pocket_rules``: the pocket
    world's rules. ``auto``: the rules for the shipped reasoner, ``self`` for any other."""
    detectors: tuple[DetectorConfig, ...] = (DetectorConfig(),)
    """The detectors, with at least two detections in all. Of any two detections, the words of the better one are
    preferred."""
    grader: ModelConfig | None = None
    """The model that grades detections. None: rules grade if rules inject; otherwise the injecting model grades if its
    prompts have a ``grade.txt``; otherwise errors are matched by their steps."""
    max_injected: Annotated[int, Field(ge=1, le=1024)] = 1
    """Most right paths of one problem that get errors."""

    @model_validator(mode="after")
    def _check_detections(self) -> "InjectionConfig":
        num = sum(each.num_detections for each in self.detectors)
        if num < 2:
            raise ValueError(
                f"detectors make {num} detections in all, and a preference is between 2; name another detector, or "
                "raise num_detections"
            )
        return self


class FiltersConfig(Section):
    """Filters of rows, in order of application. An export may use other filters than its run."""

    evaluation_sets: tuple[str, ...] = ()
    """Problem files; their problems are left out."""
    max_characters: Annotated[int, Field(ge=1)] = 2000
    """Most characters of a critique. A critique that is empty, repeats itself or states an answer is left out too."""
    is_leak_allowed: bool = False
    """Whether a critique may hold the reference answer."""
    min_right: Annotated[int, Field(ge=0, le=1024)] = 3
    """Least number of right refinements with a critique: MMC's utility filter."""
    min_lift: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least measured lift of a critique, in [-1, 1]; None sets no limit."""
    min_lift_gap: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Least difference between the lifts of the two critiques of a preference, in (0, 1]."""
    is_near_duplicate_allowed: bool = False
    """Whether to keep rows of a problem with nearly the words of an earlier one and the same images."""
    is_partial_allowed: bool = False
    """Whether to keep preferences between single steps as rows for the reasoner. They end before an answer, so a
    trainer that appends an end-of-turn token teaches the reasoner to stop there."""
    max_balance_ratio: Annotated[float, Field(ge=1)] | None = None
    """Largest stratum (by depth, outcome and source) as a multiple of the median one; None sets no limit."""
    correct_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Largest share of critiques that call a right path right, in [0, 1); further ones are left out. The share is lower
    if there are too few right paths."""


class CollectConfig(Section):
    """How training data is made from labelled trees."""

    pairs: PairsConfig = PairsConfig()
    """How paths are paired."""
    annotators: tuple[AnnotatorConfig, ...] = (AnnotatorConfig(),)
    """Annotators, which write critiques; empty for no critiques."""
    lift: LiftConfig = LiftConfig()
    """How the lift of critiques is measured."""
    labels: LabelsConfig = LabelsConfig()
    """How steps are labelled."""
    injection: InjectionConfig | None = None
    """Error injection into right solutions; None for none."""
    filters: FiltersConfig = FiltersConfig()
    """Filters of exported rows."""

    @model_validator(mode="after")
    def _check_measured(self) -> "CollectConfig":
        num_drawn, min_right = self.lift.num_refinements, self.filters.min_right
        if not num_drawn and self.filters.min_lift is not None:
            raise ValueError("filters.min_lift is set, and lift.num_refinements is 0, which measures nothing")
        if 0 < num_drawn < min_right:
            raise ValueError(
                f"filters.min_right is {min_right} of lift.num_refinements {num_drawn}, which no critique can reach; "
                "lower the first or raise the second"
            )
        return self
