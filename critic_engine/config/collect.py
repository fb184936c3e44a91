"""The section ``collect``: what is made of labelled trees. Its defaults stand here."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from critic_engine.config.base import Section
from critic_engine.config.models import ModelConfig

PairKind: TypeAlias = Literal["divergent", "sibling", "first_error", "best_worst"]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
_MIN_DETECTIONS = 2


class PairsConfig(Section):
    """Which right and wrong paths are set against each other."""

    kinds: Annotated[tuple[PairKind, ...], Field(min_length=1)] = ("divergent", "sibling", "first_error")
    """``divergent``: each wrong path against the reference path (MMC); only these are annotated. ``sibling``: two steps
    at one place by their values (MCTS-DPO, arXiv 2405.00451). ``first_error``: each wrong path against the right one
    that parts from it last, of those that nobody doubts (Step-DPO, arXiv 2406.18629). ``best_worst``: the reference
    path against the worst wrong one, which is one of the divergent pairs, for who wants one a problem."""
    max_pairs: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Pairs of each kind a problem, those that part last first."""
    max_annotated: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Errors a problem that are annotated, of ``divergent``: those that most completions make. Pairs that part at one
    place by one wrong step are one error."""
    min_margin: _Share = 0.25
    """Of ``sibling``: how much higher the value of the chosen step is."""
    check: Literal["auto", "critic", "none"] = "auto"
    """Who looks at right paths, to choose the reference path, and at the two steps where a pair parts: right answers
    come of wrong steps too, and then the two part where nothing is wrong. ``auto`` is the critic where it is the
    reasoner's match, see ``critic_matches``, else nobody. Of all kinds but ``sibling``, which goes by values alone."""
    max_references: Annotated[int, Field(ge=1, le=1024)] = 8
    """Of ``check``: right paths of a tree that the critic looks at, as ``search.reference_order`` has them. Of these
    the one is the reference path whose value, times the reasoner's mean probability of its steps, is highest."""
    min_support: Annotated[int, Field(ge=0, le=1024)] = 2
    """How often the reasoner drew the chosen side's first own step and came out right, at least: a slip that happens to
    end right is rarely made twice. Whoever looks; not where no two draws say the same, as in free text."""
    min_share: _Share = 0.7
    """Least share that these have of all that it drew at the place and came out right with. Of the same pairs."""
    min_reference_value: _Share = 0.5
    """Of ``check``: the critic's least value of the whole reference path."""
    min_chosen_value: _Share = 0.7
    """Of ``check``: the critic's least value of the chosen side up to its first own step."""
    max_rejected_value: _Share = 0.5
    """Of ``check``: the critic's highest value of the rejected side up to its first own step."""

    @model_validator(mode="after")
    def _check_used(self) -> "PairsConfig":
        self.check_unused("min_margin", is_used="sibling" in self.kinds, way_in="name sibling among the kinds")
        way_in = "name divergent among the kinds"
        self.check_unused("max_annotated", is_used="divergent" in self.kinds, way_in=way_in)
        is_parting = any(kind != "sibling" for kind in self.kinds)
        support = ("min_support", "min_share")
        self.check_unused(*support, is_used=is_parting, way_in="name another kind than sibling")
        values = ("max_references", "min_reference_value", "min_chosen_value", "max_rejected_value")
        self.check_unused(*values, is_used=self.check != "none", way_in="let someone check")
        return self


class _RoleConfig(Section):
    """Who is asked: someone by kind, who may be a model of its own."""

    kind: str
    """Who it is."""
    model: ModelConfig | None = None
    """Of ``model`` only."""

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if (self.kind == "model") != (self.model is not None):
            raise ValueError(f"kind is {self.kind!r}; kind 'model' needs a model, and no other kind has one")
        return self


class AnnotatorConfig(_RoleConfig):
    """Who says what went wrong, and where."""

    kind: Literal["auto", "self", "model", "critic", "pocket_rules"] = "auto"
    """``self``: the reasoner's model (MMC's self-annotation). ``model``: the model named below. Both see the two
    branches side by side, in both orders. ``critic``: the critic, which sees the wrong path alone, as it does in a
    search. ``pocket_rules``: the pocket world's oracle. ``auto``: for the shipped pair the rules and two critiques of
    the critic, for any other reasoner ``self``."""
    num_critiques: Annotated[int, Field(ge=1, le=64)] = 1
    """Critiques of one pair: the first is drawn at temperature 0, the others at the one below."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """Of all critiques but the first."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 512
    """Most tokens of one critique."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often a request is sent that fails in a way that may pass; of the kinds that show both branches."""

    @model_validator(mode="after")
    def _check_used(self) -> "AnnotatorConfig":
        for name in ("num_critiques", "temperature", "max_tokens"):
            value = getattr(self, name)
            if self.kind == "pocket_rules" and value != type(self).model_fields[name].default:
                raise ValueError(f"{name} is {value}, and rules always say the same; leave it out")
        shows_both = self.kind in ("auto", "self", "model")
        self.check_unused("max_attempts", is_used=shows_both, way_in="set kind to 'self' or 'model'")
        return self


class LiftConfig(Section):
    """How it is measured what a critique is good for."""

    num_refinements: Annotated[int, Field(ge=0, le=1024)] = 10
    """Draws with each critique, and as many without; MMC's filter takes 10. 0 measures nothing."""
    num_fresh: Annotated[int, Field(ge=0, le=1024)] = 10
    """Further draws with each critique, and as many without, which no filter of critiques sees: every lift that is
    reported or exported rests on these alone, for the draws that a critique was chosen by flatter it. Preferences
    between critiques must be borne out by them, so that the margins of these are a little high. 0 saves them, and
    leaves lifts too high."""
    refine_from: Literal["node", "start"] = "node"
    """Where both begin: ``node``, where the two paths part; ``start``, the beginning, as in MMC."""

    @model_validator(mode="after")
    def _check_used(self) -> "LiftConfig":
        self.check_unused("num_fresh", "refine_from", is_used=self.num_refinements > 0, way_in="set num_refinements")
        return self


class LabelsConfig(Section):
    """How steps are labelled, for process reward models."""

    kind: Literal["none", "tree", "binary_search"] = "tree"
    """``tree``: by the completions that the tree has. ``binary_search``: besides, the first wrong step of wrong paths
    is found by further completions (OmegaPRM, arXiv 2406.06592)."""
    min_completions: Annotated[int, Field(ge=1, le=1024)] = 4
    """Completions of the tree that a step's label rests on at least."""
    max_paths: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Paths of a tree that are labelled: those with most labels, right and wrong ones by turns."""
    num_rollouts: Annotated[int, Field(ge=1, le=1024)] = 4
    """Of ``binary_search``: completions at each place it looks at."""
    max_searched: Annotated[int, Field(ge=1, le=1024)] = 1
    """Of ``binary_search``: wrong paths a problem."""

    @model_validator(mode="after")
    def _check_used(self) -> "LabelsConfig":
        self.check_unused("min_completions", "max_paths", is_used=self.kind != "none", way_in="set kind to 'tree'")
        searched = ("num_rollouts", "max_searched")
        self.check_unused(*searched, is_used=self.kind == "binary_search", way_in="set kind to 'binary_search'")
        return self


class DetectorConfig(_RoleConfig):
    """Who looks for injected errors, and how often."""

    kind: Literal["auto", "self", "model", "critic"] = "auto"
    """``self``: the reasoner's model. ``model``: the model named below. Both list all errors, and their prompts have a
    ``detect.txt``. ``critic``: the critic, which finds the first wrong step alone, as it does in a search. ``auto``:
    ``self`` where the reasoner's prompts let it, else the critic where it is the reasoner's match."""
    num_detections: Annotated[int, Field(ge=1, le=64)] = 4
    """How often it looks at one solution: first at temperature 0, then at the one below."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    """Of all its detections but the first."""

    @model_validator(mode="after")
    def _check_used(self) -> "DetectorConfig":
        self.check_unused("temperature", is_used=self.num_detections > 1, way_in="raise num_detections")
        return self


class InjectionConfig(_RoleConfig):
    """Errors put into right solutions, for several detectors to find (Critic-V, arXiv 2411.18203).

    All models but the critic write within the reasoner's ``max_tokens`` and ``max_attempts``.
    """

    kind: Literal["auto", "self", "model", "pocket_rules"] = "auto"
    """Who puts them in. ``self``: the reasoner's model. ``model``: the model named below. ``pocket_rules``: the pocket
    world's rules. ``auto``: the rules for the shipped reasoner, for any other ``self``."""
    detectors: tuple[DetectorConfig, ...] = (DetectorConfig(),)
    """Who looks for them. Of two detections, whosever they are, the better one's words are preferred, so that it takes
    two in all."""
    grader: ModelConfig | None = None
    """Which model grades what was found. None grades by rules where rules put errors in; else by the model that did,
    where its prompts have a ``grade.txt``, and where they do not errors match by their steps."""
    max_injected: Annotated[int, Field(ge=1, le=1024)] = 1
    """Right paths a problem that get errors."""

    @model_validator(mode="after")
    def _check_detections(self) -> "InjectionConfig":
        num = sum(each.num_detections for each in self.detectors)
        if num < _MIN_DETECTIONS:
            raise ValueError(
                f"detectors make {num} detections in all, and a preference is between {_MIN_DETECTIONS}; name another "
                "detector, or raise num_detections"
            )
        return self


class FiltersConfig(Section):
    """What is left out, in this order. Exports may take other filters than their run, without a new one."""

    evaluation_sets: tuple[str, ...] = ()
    """Problem files, none of whose problems may be collected."""
    max_characters: Annotated[int, Field(ge=1)] = 2000
    """A longer critique is left out; so is one that is empty, repeats itself, or states an answer."""
    is_leak_allowed: bool = False
    """Whether a critique may hold the reference answer."""
    min_right: Annotated[int, Field(ge=0, le=1024)] = 3
    """MMC's utility filter: so many of the refinements that a critique brought must be right."""
    min_lift: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least measured lift of a critique."""
    min_lift_gap: Annotated[float, Field(gt=0, le=1)] = 0.2
    """How much more the chosen one of two critiques of one error must lift."""
    is_near_duplicate_allowed: bool = False
    """Whether rows may be of a problem that repeats an earlier one but for a few words, over the same pictures."""
    is_partial_allowed: bool = False
    """Whether preferences between single steps are rows for the reasoner: they end before an answer, and a trainer that
    ends each answer with the end of a turn teaches to stop there."""
    max_balance_ratio: Annotated[float, Field(ge=1)] | None = None
    """How many times the median stratum (of depth, outcome and source) a stratum may be; None leaves all as it is."""
    correct_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of critiques that say of a right path that nothing is to be corrected: those past it are left out. It is
    less than 1, for all other critiques stay, and is not reached where there are too few right paths."""


class CollectConfig(Section):
    """What is made of labelled trees."""

    pairs: PairsConfig = PairsConfig()
    """Which paths are set against each other."""
    annotators: tuple[AnnotatorConfig, ...] = (AnnotatorConfig(),)
    """Who writes critiques; none writes none."""
    lift: LiftConfig = LiftConfig()
    """How critiques are measured."""
    labels: LabelsConfig = LabelsConfig()
    """How steps are labelled."""
    injection: InjectionConfig | None = None
    """Whether errors are put into right solutions."""
    filters: FiltersConfig = FiltersConfig()
    """What is left out of an export."""

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
