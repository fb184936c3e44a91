"""The configuration of a run: YAML into frozen models, one section a knob; every default of the engine stands here."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from critic_engine.errors import ConfigError
from search import Aggregation, BestOfNOptions, ChainOptions, DecisionRule, MctsOptions

_PACKAGE = Path(__file__).parent
_STRATEGY_OPTIONS = {"mcts": MctsOptions, "best_of_n": BestOfNOptions, "chain": ChainOptions}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelConfig(_Section):
    """Which model answers, and where it runs."""

    model: str = "pocket"
    """``pocket`` for the shipped model of the role, a local folder, or a hub id."""
    backend: Literal["huggingface", "scripted"] = "huggingface"
    """What runs it."""
    prompts: str = "auto"
    """A family of templates: ``pocket``, ``plain``, a folder of templates, or ``auto``: ``pocket`` for the shipped
    models, ``plain`` for all others."""
    device: str = "auto"
    """``auto`` takes CUDA, then MPS, then the CPU; or a torch device such as ``cuda:1``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto`` is float32 on a CPU, else what the checkpoint says."""
    max_batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """At most this many samples are drawn side by side."""
    is_remote_code_trusted: bool = False
    """Whether Python code that comes with the model may run. It can do anything on this machine."""
    is_pickle_allowed: bool = False
    """Whether weights that are not safetensors may be loaded. Unpickling can run code."""


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


class ExpanderConfig(_Section):
    """What one continuation is."""

    kind: Literal["step", "solution"] = "step"
    """``step``: the next step. ``solution``: a whole solution at the root, a critique-driven rewrite below it."""
    delimiter: Annotated[str, Field(min_length=1)] = "\n"
    """The string that ends a step."""
    max_step_tokens: Annotated[int, Field(ge=1, le=131072)] = 128
    """Steps only: a step is cut at this many tokens; MMC cuts at 30."""
    max_steps: Annotated[int, Field(ge=1, le=10000)] = 40
    """Steps only: a trajectory of this many steps is not continued."""
    is_critic_guided: bool = True
    """Steps only: whether the reasoner is shown the critic's words on the place and on rejected siblings."""
    max_rejected: Annotated[int, Field(ge=0, le=16)] = 2
    """Steps only: at most this many rejected siblings are shown, the latest ones."""


class EvaluatorConfig(_Section):
    """Who says how good a trajectory is."""

    kind: Literal["critic", "none"] = "critic"
    """``critic``: the critic's value and words. ``none``: nothing has a value."""
    reject_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Steps only: a child of a lower value is rejected, and its critique is shown to the next attempt at its place."""


class DecisionConfig(_Section):
    """Which finished path's answer is given."""

    rule: DecisionRule = "weighted_majority"
    """How finished paths are chosen between."""
    aggregation: Aggregation = "last"
    """How the values along a path make the path's value."""
    prior_exponent: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Values weigh in by the reasoner's probability of their path to this power; 0 leaves it out."""


class BudgetConfig(_Section):
    """Where a search stops, whatever it has found."""

    max_simulations: Annotated[int, Field(ge=1)] | None = None
    """Trials told in one tree; abandoned ones do not count."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Generated tokens, the reasoner's and the critic's, at which nothing more is asked for one problem.

    The trial that crosses it still counts, and so do those in flight beside it; a search that ends without a finished
    path writes its best one to the end on top.
    """


class RunConfig(_Section):
    """How many problems at once, and from which seed."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random choice derives from it."""
    problems_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Problems searched at the same time."""
    trials_in_flight: Annotated[int, Field(ge=1, le=1024)] = 1
    """Trials of one tree at the same time."""
    max_image_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    """An image with more pixels is refused before it is decoded."""


class StrategyConfig(BaseModel):
    """Where to think next: ``kind`` and, beside it, the fields of that strategy's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mcts", "best_of_n", "chain"]
    options: MctsOptions | BestOfNOptions | ChainOptions

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
        return {"kind": kind, "options": _strategy_options(kind, fields)}

    @model_serializer
    def _flatten_options(self) -> dict[str, Any]:
        return {"kind": self.kind, **dataclasses.asdict(self.options)}


class EngineConfig(_Section):
    """Everything that decides what a run does."""

    strategy: StrategyConfig = Field(default_factory=lambda: StrategyConfig(kind="mcts", options=MctsOptions()))
    """Where to think next."""
    expander: ExpanderConfig = ExpanderConfig()
    """What one continuation is."""
    evaluator: EvaluatorConfig = EvaluatorConfig()
    """Who judges."""
    decision: DecisionConfig = DecisionConfig()
    """Which answer is given."""
    budget: BudgetConfig = BudgetConfig()
    """Where a search stops."""
    reasoner: ReasonerConfig = ReasonerConfig()
    """Who reasons."""
    critic: CriticConfig = CriticConfig()
    """Who criticises."""
    run: RunConfig = RunConfig()
    """Seed and concurrency."""

    @model_validator(mode="after")
    def _check_together(self) -> "EngineConfig":
        if self.strategy.kind == "mcts" and self.budget == BudgetConfig():
            raise ValueError("budget is empty; a tree search needs budget.max_simulations or budget.max_tokens")
        if self.strategy.kind != "mcts" and self.expander.kind != "solution":
            raise ValueError(
                f"expander.kind is 'step'; {self.strategy.kind} needs whole solutions: set it to 'solution'"
            )
        if self.evaluator.kind == "none":
            self._check_without_values()
        return self

    def _check_without_values(self) -> None:
        rule = self.decision.rule
        if rule in ("best_value", "weighted_majority"):
            raise ValueError(
                f"decision.rule is {rule!r}, which needs values; with evaluator.kind 'none', set it to 'majority', "
                "'most_visits' or 'last'"
            )
        options = self.strategy.options
        if not isinstance(options, BestOfNOptions) and options.value_threshold is not None:
            raise ValueError(
                f"strategy.value_threshold is {options.value_threshold}, which no path reaches with evaluator.kind "
                "'none': leave it out"
            )


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> EngineConfig:
    """Return the configuration of a YAML file or preset, changed by ``section.field=value`` overrides.

    Args:
        source: A path, or the bare name of a shipped preset such as ``mcts``.
        overrides: Each ``dotted.name=value``; the value is read as YAML.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, or a value out of range; the message names the field.
    """
    document = _read_yaml(_find(source))
    for override in overrides:
        _apply_override(document, override)
    return parse_config(document, origin=str(source))


def parse_config(document: Mapping[str, Any], *, origin: str = "config") -> EngineConfig:
    """Return the validated configuration, or raise ``ConfigError`` naming the first field that is wrong."""
    try:
        return EngineConfig.model_validate(document)
    except pydantic.ValidationError as error:
        raise _config_error(error, origin) from error


def dump_config(config: EngineConfig) -> str:
    """Return the resolved configuration as YAML that ``load_config`` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _strategy_options(kind: str, fields: Mapping[str, Any]) -> MctsOptions | BestOfNOptions | ChainOptions:
    known = [field.name for field in dataclasses.fields(_STRATEGY_OPTIONS[kind])]
    unknown = sorted(set(fields) - set(known), key=str)
    if unknown:
        raise ValueError(f"{unknown[0]} is not an option of {kind}; its options are {', '.join(known)}")
    adapter: pydantic.TypeAdapter[MctsOptions | BestOfNOptions | ChainOptions] = pydantic.TypeAdapter(
        _STRATEGY_OPTIONS[kind]
    )
    return adapter.validate_python(dict(fields))


def presets() -> dict[str, Path]:
    """Return the shipped presets by name: in a wheel they lie inside the package, in a checkout beside it."""
    folders = (_PACKAGE / "presets", _PACKAGE.parent / "configs")
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    known = presets()
    if str(source) in known:
        return known[str(source)]
    names = ", ".join(known)
    raise ConfigError(f"config {source} is neither a file nor a preset; the presets are {names}")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = _parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"config {path} cannot be read as YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"config {path} holds a {type(document).__name__}; it must be a mapping of sections")
    return document


def _apply_override(document: dict[str, Any], override: str) -> None:
    name, separator, text = override.partition("=")
    *sections, field = name.split(".")
    if not separator or not sections or not field:
        raise ConfigError(f"override {override!r} must read section.field=value, such as budget.max_tokens=400")
    for section in sections:
        document = document.setdefault(section, {})
        if not isinstance(document, dict):
            raise ConfigError(f"override {override!r}: {section} is not a section", field=name)
    try:
        document[field] = _parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"override {override!r}: the value cannot be read as YAML: {error}", field=name) from error


def _parse_yaml(text: str) -> Any:
    """Return the document in ``text``, or raise ``ValueError`` with the reason in one line."""
    try:
        return yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # The parser lets out what the making of a value raises: 2001-99-99, or !!bool and !!timestamp before a word.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _config_error(error: pydantic.ValidationError, origin: str) -> ConfigError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigError(f"{origin}: {field} is not a known key; {_known_keys(first['loc'])}", field=field)
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], Mapping) else f" (given {first['input']!r})"
    return ConfigError(f"{origin}: {field + ': ' if field else ''}{message}{given}", field=field)


def _known_keys(location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = EngineConfig
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return "the keys here are " + ", ".join(section.model_fields)
