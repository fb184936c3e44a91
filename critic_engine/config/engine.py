"""The configuration of a run: YAML files read into frozen sections.

The defaults of the strategies and of stopping stand in the package ``search``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import pydantic
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from critic_engine.config.base import Section
from critic_engine.config.collect import CollectConfig
from critic_engine.config.files import apply_override, merged, nearest, read_document
from critic_engine.config.models import ModelConfig, RayConfig
from critic_engine.config.problem_files import ProblemFilesConfig
from critic_engine.config.search import (
    POCKET_SOLUTION_TOKENS,
    BlendEvaluatorConfig,
    BudgetConfig,
    CriticConfig,
    DecisionConfig,
    DirectEvaluatorConfig,
    EvaluatorConfig,
    ExpanderConfig,
    ReasonerConfig,
    RewardModelConfig,
    RolloutEvaluatorConfig,
    RunConfig,
    SingleEvaluatorConfig,
)
from critic_engine.errors import ConfigError
from search import (
    AbMctsOptions,
    BeamOptions,
    BestOfNOptions,
    ChainOptions,
    DvtsOptions,
    GuidedOptions,
    MctsOptions,
    ParticleOptions,
    StopOptions,
)

StrategyKind: TypeAlias = Literal["mcts", "ab_mcts", "beam", "dvts", "particle", "guided", "best_of_n", "chain"]
StrategyOptions: TypeAlias = (
    MctsOptions
    | AbMctsOptions
    | BeamOptions
    | DvtsOptions
    | ParticleOptions
    | GuidedOptions
    | BestOfNOptions
    | ChainOptions
)
_STRATEGY_OPTIONS: dict[str, type[StrategyOptions]] = {
    "mcts": MctsOptions,
    "ab_mcts": AbMctsOptions,
    "beam": BeamOptions,
    "dvts": DvtsOptions,
    "particle": ParticleOptions,
    "guided": GuidedOptions,
    "best_of_n": BestOfNOptions,
    "chain": ChainOptions,
}
# Options derived from other sections: whole solutions are refined, and each reasoner is an arm.
_DERIVED_OPTIONS = {"is_refining", "num_arms"}
_EVALUATORS: dict[str, type[Section]] = {
    kind: model
    for model in get_args(get_args(EvaluatorConfig)[0])
    for kind in get_args(model.model_fields["kind"].annotation)
}


class StrategyConfig(BaseModel):
    """The search strategy: its ``kind`` and, beside it, its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: StrategyKind
    options: StrategyOptions

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, section: object) -> object:
        if not isinstance(section, Mapping):
            return section
        kind = section.get("kind", "mcts")
        if not isinstance(kind, str) or kind not in _STRATEGY_OPTIONS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(_STRATEGY_OPTIONS)}")
        if type(section.get("options")) is _STRATEGY_OPTIONS[kind]:
            return section
        fields = {name: value for name, value in section.items() if name != "kind"}
        _check_names(kind, _STRATEGY_OPTIONS[kind], fields)
        return {"kind": kind, "options": pydantic.TypeAdapter(_STRATEGY_OPTIONS[kind]).validate_python(fields)}

    @model_serializer
    def _flatten_options(self) -> dict[str, Any]:
        options = dataclasses.asdict(self.options)
        return {"kind": self.kind, **{name: value for name, value in options.items() if name not in _DERIVED_OPTIONS}}


def _check_names(what: str, options: type[StrategyOptions | StopOptions], fields: Mapping[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(options) if field.name not in _DERIVED_OPTIONS]
    unknown = sorted(set(fields) - set(known), key=str)
    if unknown:
        near = nearest(unknown[0], known)
        raise ValueError(f"{unknown[0]} is not an option of {what}; its options are {', '.join(known)}{near}")


def _known_stops(section: object) -> object:
    if isinstance(section, Mapping):
        _check_names("stop", StopOptions, section)
    return section


class EngineConfig(Section):
    """The whole configuration of a run."""

    strategy: StrategyConfig = Field(default_factory=lambda: StrategyConfig(kind="mcts", options=MctsOptions()))
    """The search strategy and its options."""
    expander: ExpanderConfig = ExpanderConfig()
    """The form of a continuation: a step or a whole solution."""
    evaluator: EvaluatorConfig = DirectEvaluatorConfig(kind="critic")
    """The evaluator that values trajectories."""
    decision: DecisionConfig = DecisionConfig()
    """How the answer is chosen."""
    budget: BudgetConfig = BudgetConfig()
    """Limits of one search, independent of its findings."""
    stop: Annotated[StopOptions, BeforeValidator(_known_stops)] = StopOptions()
    """Conditions on the findings that stop a search."""
    reasoner: ReasonerConfig = ReasonerConfig()
    """The reasoner."""
    other_reasoners: tuple[ReasonerConfig, ...] = ()
    """Further reasoners, each another arm of the same tree; for strategy ``ab_mcts`` only.

    The first reasoner writes all rollouts and completions.
    """
    critic: CriticConfig = CriticConfig()
    """The critic."""
    reward_model: RewardModelConfig = RewardModelConfig()
    """The reward model."""
    collect: CollectConfig | None = None
    """How training data is made from labelled trees; in labelling mode only."""
    problems: ProblemFilesConfig = ProblemFilesConfig()
    """How problems files are read."""
    run: RunConfig = RunConfig()
    """Seed, concurrency, and the limits of the whole run."""
    ray: RayConfig = RayConfig()
    """Hosting of models and searches by Ray."""

    @property
    def evaluators(self) -> tuple[SingleEvaluatorConfig, ...]:
        """The evaluator, or the parts of a blend."""
        evaluator = self.evaluator
        if isinstance(evaluator, BlendEvaluatorConfig):
            return tuple(part.evaluator for part in evaluator.parts)
        return (evaluator,)

    @property
    def critic_matches(self) -> bool:
        """Whether the critic matches the reasoner: equal ``model``, ``backend`` and kind, pocket or not."""
        is_same_model = self.critic.model == self.reasoner.model and self.critic.backend == self.reasoner.backend
        return is_same_model and self.critic.is_pocket == self.reasoner.is_pocket

    @property
    def critique_model(self) -> ModelConfig:
        """The model with the prompts for critiques: the critic if it matches the reasoner, else the reasoner."""
        return self.critic if self.critic_matches else self.reasoner

    @property
    def max_cost(self) -> int | None:
        """The limit on the tokens of one search; None if there is none, or if it is measured in the search itself."""
        num_solutions, max_tokens = self.budget.num_solutions, self.budget.max_tokens
        if num_solutions is not None and self.reasoner.is_pocket:
            return max(1, round(num_solutions * POCKET_SOLUTION_TOKENS))
        return max_tokens if isinstance(max_tokens, int) else None

    @property
    def needs_critic(self) -> bool:
        """Whether an evaluator uses the critic."""
        return any(evaluator.kind == "critic" for evaluator in self.evaluators)

    @property
    def asks_critic(self) -> bool:
        """Whether an evaluator or the section ``collect`` uses the critic."""
        if self.needs_critic or self.collect is None:
            return self.needs_critic
        kinds = {annotator.kind for annotator in self.collect.annotators}
        if self.collect.injection is not None:
            kinds |= {detector.kind for detector in self.collect.injection.detectors}
        return self.checks_pairs or "critic" in kinds or ("auto" in kinds and self.critic_matches)

    @property
    def checks_pairs(self) -> bool:
        """Whether the critic checks right paths and the steps at which pairs diverge."""
        check = "none" if self.collect is None else self.collect.pairs.check
        return check == "critic" or (check == "auto" and self.critic_matches)

    @property
    def needs_reward_model(self) -> bool:
        """Whether an evaluator uses the reward model."""
        return any(evaluator.kind == "reward_model" for evaluator in self.evaluators)

    @property
    def needs_reference(self) -> bool:
        """Whether reference answers are needed: labelling mode, not inference."""
        return self.collect is not None or any(
            evaluator.kind == "checker"
            or (isinstance(evaluator, RolloutEvaluatorConfig) and evaluator.against == "reference")
            for evaluator in self.evaluators
        )

    @model_validator(mode="after")
    def _check_together(self) -> "EngineConfig":
        kind = self.strategy.kind
        is_endless = kind in ("mcts", "ab_mcts", "guided") or getattr(self.strategy.options, "num_rounds", 1) is None
        if is_endless and self.budget == BudgetConfig():
            raise ValueError(
                "budget is empty; a tree search needs budget.max_simulations, budget.max_tokens or budget.max_wall_s"
            )
        if kind in ("best_of_n", "chain") and self.expander.kind != "solution":
            raise ValueError(f"expander.kind is 'step'; {kind} needs whole solutions: set it to 'solution'")
        if kind in ("beam", "dvts", "particle", "guided") and self.expander.kind != "step":
            raise ValueError(f"expander.kind is 'solution'; {kind} goes step by step: set it to 'step'")
        if self.other_reasoners and kind != "ab_mcts":
            raise ValueError(f"other_reasoners are arms of ab_mcts; {kind} has one reasoner: leave them out")
        if all(evaluator.kind == "none" for evaluator in self.evaluators):
            self._check_without_values()
        self._check_expander()
        self._check_actors()
        return self

    def _check_actors(self) -> None:
        for role in ("reasoner", "critic", "reward_model"):
            actor = getattr(self, role).actor
            if self.ray.address is None and actor.num_replicas != type(actor).model_fields["num_replicas"].default:
                raise ValueError(
                    f"{role}.actor.num_replicas is {actor.num_replicas}, and only Ray hosts several; set ray.address, "
                    "or leave it out"
                )

    def _check_expander(self) -> None:
        if self.expander.max_revisions and not self.needs_critic:
            raise ValueError(
                f"expander.max_revisions is {self.expander.max_revisions}, and only the critic's words say what to "
                "revise; take the critic into the evaluator, or leave it out"
            )
        for reasoner in (self.reasoner, *self.other_reasoners):
            if self.expander.split == "template" and reasoner.prompts in ("auto", "plain", "pocket"):
                raise ValueError(
                    "expander.split is 'template', and the reasoner's prompts ask for no headings; set "
                    "reasoner.prompts to 'headed' or to a folder of your own"
                )

    def _check_without_values(self) -> None:
        rule = self.decision.rule
        if rule in ("best_value", "weighted_majority", "gated"):
            raise ValueError(
                f"decision.rule is {rule!r}, which needs values; with evaluator.kind 'none', set it to 'majority', "
                "'most_visits' or 'last'"
            )
        for name in ("value_threshold", "patience"):
            if getattr(self.stop, name) is not None:
                raise ValueError(f"stop.{name} needs values; with evaluator.kind 'none', leave it out")


def load_config(source: str | Path | Sequence[str | Path], overrides: Sequence[str] = ()) -> EngineConfig:
    """Return the configuration of YAML files or presets, changed by ``section.field=value`` overrides.

    Args:
        source: A path, or the name of a shipped preset such as ``guided``; or several. Each overrides fields of those
            before it, and replaces a section if it changes its ``kind``.
        overrides: Each ``dotted.name=value``; the value is read as YAML.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, or a value out of range; the message names the field.
    """
    sources = [source] if isinstance(source, str | Path) else source
    return parse_config(load_document(sources, overrides), origin=" and ".join(map(str, sources)))


def load_document(sources: Sequence[str | Path], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the merged mapping that ``load_config`` reads, as it stands in the files and overrides.

    Raises:
        ConfigError: no such file, not YAML, or an override without a value.
    """
    document: dict[str, Any] = {}
    for each in sources:
        document = merged(document, read_document(each))
    for override in overrides:
        apply_override(document, override, sections=EngineConfig.model_fields)
    return document


def parse_config(document: Mapping[str, Any], *, origin: str = "config") -> EngineConfig:
    """Return the validated configuration, or raise ``ConfigError`` naming the first field that is wrong."""
    try:
        return EngineConfig.model_validate(document)
    except pydantic.ValidationError as error:
        raise _config_error(error, origin) from error


def dump_config(config: EngineConfig) -> str:
    """Return the resolved configuration as YAML that ``load_config`` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _config_error(error: pydantic.ValidationError, origin: str) -> ConfigError:
    first = error.errors()[0]
    # Pydantic adds the kind of an evaluator to the location, but it is no part of the path in the file.
    pairs = zip(first["loc"], (None, *first["loc"]), strict=False)
    parts = [part for part, before in pairs if before != "evaluator" or part not in _EVALUATORS]
    if first["type"] in ("union_tag_not_found", "union_tag_invalid"):
        kinds = [kind for kind in _EVALUATORS if kind != "blend" or "parts" not in parts]
        parts.append("kind")
        return ConfigError(f"{origin}: {_dotted(parts)} must be one of {', '.join(kinds)}", field=_dotted(parts))
    if first["type"] == "extra_forbidden":
        message = f"{origin}: {_dotted(parts)} is not a known key; {_known_keys(first['loc'])}"
        return ConfigError(message, field=_dotted(parts))
    message = first["msg"].removeprefix("Value error, ")
    # The value may be an API key written into the wrong field.
    is_secret = isinstance(first["input"], Mapping) or "openai_api" in first["loc"]
    given = "" if is_secret else f" (given {first['input']!r})"
    return ConfigError(f"{origin}: {_dotted(parts) + ': ' if parts else ''}{message}{given}", field=_dotted(parts))


def _dotted(parts: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in parts)


def _known_keys(location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = EngineConfig
    for part in map(str, location[:-1]):  # a field, or a kind of evaluator
        if part not in section.model_fields:
            section = _EVALUATORS.get(part, section)
            continue
        annotation = section.model_fields[part].annotation
        types = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
        section = next((each for each in types if issubclass(each, BaseModel)), section)
    return f"the keys here are {', '.join(section.model_fields)}{nearest(location[-1], section.model_fields)}"
