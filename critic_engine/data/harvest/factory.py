"""The harvester of a configuration, with the models and checkers that it uses."""

from collections.abc import Iterator

from critic_engine.config.collect import AnnotatorConfig, CollectConfig, DetectorConfig, InjectionConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import CriticConfig
from critic_engine.data.harvest.critique_lift import LiftMeter
from critic_engine.data.harvest.error_detection import InjectionRoles
from critic_engine.data.harvest.harvester import Harvester
from critic_engine.errors import ConfigError
from critic_engine.models.registry import Models
from critic_engine.pocket.rule_annotator import PocketAnnotator
from critic_engine.pocket.rule_injector import FactGrader, SlipInjector
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generator
from critic_engine.roles.annotator import MAX_ANNOTATION_TOKENS, Annotator, CriticAnnotator, ModelAnnotator
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.roles.expanders import make_expander
from critic_engine.roles.injection_models import (
    CriticDetector,
    ModelDetector,
    ModelGrader,
    ModelInjector,
    SampledModel,
)
from critic_engine.roles.injection_protocols import Detector, Grader, Injector
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import ChatOptions, SamplingOptions

_NUM_POCKET_CRITIQUES = 2
_INJECTION_TEMPERATURE = 0.7


def make_harvester(
    config: EngineConfig,
    models: Models,
    *,
    checker: Checker,
    reasoner: Generator | None = None,
    critic: Generator | None = None,
) -> Harvester:
    """Return the harvester that the section ``collect``, or its defaults, describe.

    Args:
        config: The run's configuration.
        models: The models of the engine.
        checker: Holds the reference answers.
        reasoner: A generator to use instead of the reasoner that ``config`` names.
        critic: The same for the critic.

    Raises:
        ConfigError: a model is named that cannot do what it is to be asked.
        ModelLoadError: a model's folder is plainly not one.
    """
    collect = config.collect or CollectConfig()
    makers = _Makers(config, models, reasoner=reasoner, critic=critic)
    role = Reasoner(makers.reasoner, makers.family, config.reasoner)
    return Harvester(
        config=config,
        collect=collect,
        checker=checker,
        expander=make_expander(config.expander, role),
        family=makers.critic_family,
        annotators=[
            each for number, options in enumerate(collect.annotators) for each in makers.annotators(number, options)
        ],
        meter=LiftMeter(role, checker, collect.lift, config.expander),
        critic=makers.critic(temperature=0.0, field="collect.pairs.check") if config.checks_pairs else None,
        injection=None if collect.injection is None else makers.injection(collect.injection),
    )


class _Makers:
    """Makes roles over models, which are made when a role first needs them."""

    def __init__(
        self, config: EngineConfig, models: Models, *, reasoner: Generator | None, critic: Generator | None
    ) -> None:
        self._config = config
        self._models = models
        self._given_critic = critic
        self.reasoner = models.adopt(reasoner) if reasoner else models.generator(config.reasoner, "reasoner")
        self.family = PromptFamily.for_model(config.reasoner)
        self.critic_family = PromptFamily.for_model(config.critique_model)

    @property
    def _critics_family(self) -> PromptFamily:
        return PromptFamily.for_model(self._config.critic)

    def critic(self, *, temperature: float, field: str, max_tokens: int | None = None) -> Critic:
        if not self._config.critic_matches and self._config.critic.model == "pocket":
            raise ConfigError(
                f"{field} asks the critic, and the pocket critic cannot read what {self._config.reasoner.model} "
                "writes; name a critic, or choose another",
                field=field,
            )
        given = self._given_critic
        generator = self._models.adopt(given) if given else self._models.generator(self._config.critic, "critic")
        fields = self._config.critic.model_dump() | {"temperature": temperature}
        if max_tokens is not None:
            fields["max_tokens"] = max_tokens
        return Critic(generator, self._critics_family, CriticConfig.model_validate(fields))

    def annotators(self, number: int, options: AnnotatorConfig) -> list[Annotator]:
        field = f"collect.annotators.{number}.kind"
        match options.kind:
            case "pocket_rules":
                return [PocketAnnotator()]
            case "critic":
                return [self._critic_annotator(options, field)]
            case "self" | "model":
                return [self._model_annotator(options, field)]
            case "auto":
                if not self._config.reasoner.is_pocket:
                    return [self._model_annotator(options, field)]
                twice = options.model_copy(update={"num_critiques": max(_NUM_POCKET_CRITIQUES, options.num_critiques)})
                by_critic = [self._critic_annotator(twice, field)] if self._config.critic_matches else []
                return [PocketAnnotator(), *by_critic]

    def _critic_annotator(self, options: AnnotatorConfig, field: str) -> Annotator:
        allowed = max(MAX_ANNOTATION_TOKENS, self._critics_family.form.critique_tokens)
        critics = [
            self.critic(temperature=temperature, field=field, max_tokens=options.max_tokens or allowed)
            for temperature in _temperatures(options.num_critiques, options.temperature)
        ]
        return CriticAnnotator(critics, name="critic")

    def _model_annotator(self, options: AnnotatorConfig, field: str) -> Annotator:
        generator, family = self._prompted(options.model, "annotate", field)
        return ModelAnnotator(generator, family, options, self._chat(options.model))

    def injection(self, options: InjectionConfig) -> InjectionRoles:
        is_pocket = self._config.reasoner.is_pocket
        is_by_rules = options.kind == "pocket_rules" or (options.kind == "auto" and is_pocket)
        injector: Injector = SlipInjector()
        if not is_by_rules:
            asked = self._sampled(options.model, "inject", "collect.injection.kind", _INJECTION_TEMPERATURE)
            injector = ModelInjector(*asked)
        detectors = [
            each for number, detector in enumerate(options.detectors) for each in self._detectors(number, detector)
        ]
        grader = FactGrader() if is_by_rules and options.grader is None else self._grader(options)
        return InjectionRoles(injector, tuple(detectors), grader)

    def _grader(self, options: InjectionConfig) -> Grader | None:
        model = options.model if options.grader is None else options.grader
        if options.grader is None and not self._family(model).has("grade"):
            return None
        return ModelGrader(*self._sampled(model, "grade", "collect.injection.grader", 0.0))

    def _detectors(self, number: int, options: DetectorConfig) -> Iterator[Detector]:
        field = f"collect.injection.detectors.{number}.kind"
        is_for_critic = self._config.critic_matches and not self.family.has("detect")
        is_critic = options.kind == "critic" or (options.kind == "auto" and is_for_critic)
        forms = [(each.form.critique, each.form.reasons_first) for each in (self._critics_family, self.critic_family)]
        other_family = None if forms[0] == forms[1] else self.critic_family
        for place, temperature in enumerate(_temperatures(options.num_detections, options.temperature), 1):
            if is_critic:
                critic = self.critic(temperature=temperature, field=field)
                yield CriticDetector(critic, f"critic {place}", restated_in=other_family)
            else:
                model, family = self._sampled(options.model, "detect", field, temperature)
                yield ModelDetector(model, family, critic_family=self.critic_family)

    def _sampled(
        self, model: ModelConfig | None, template: str, field: str, temperature: float
    ) -> tuple[SampledModel, PromptFamily]:
        generator, family = self._prompted(model, template, field)
        reasoner = self._config.reasoner
        sampling = SamplingOptions(temperature=temperature, max_tokens=reasoner.max_tokens)
        return SampledModel(generator, sampling, reasoner.max_attempts, self._chat(model)), family

    def _prompted(self, model: ModelConfig | None, template: str, field: str) -> tuple[Generator, PromptFamily]:
        """Return a model, the reasoner's if it is None, and its prompts, which must have the template."""
        family = self._family(model)
        if not family.has(template):
            raise ConfigError(
                f"{field}: the prompts {family.name!r} have no {template}.txt, so that model cannot be asked; name "
                "prompts that have, or ask another",
                field=field,
            )
        return self.reasoner if model is None else self._models.generator(model, "reasoner"), family

    def _chat(self, model: ModelConfig | None) -> ChatOptions:
        return self._config.reasoner.chat if model is None else model.chat

    def _family(self, model: ModelConfig | None) -> PromptFamily:
        return self.family if model is None else PromptFamily.for_model(model)


def _temperatures(num: int, temperature: float) -> list[float]:
    """Return the temperatures of ``num`` draws: 0 for the first, ``temperature`` for the others."""
    return [0.0, *[temperature] * (num - 1)]
