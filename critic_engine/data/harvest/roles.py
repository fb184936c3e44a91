"""From the configuration to whom a harvest asks."""

from critic_engine.annotator import Annotator, CriticAnnotator, Draws, ModelAnnotator
from critic_engine.checker import Checker
from critic_engine.collect_options import AnnotatorConfig, CollectConfig, InjectionConfig
from critic_engine.config import EngineConfig
from critic_engine.critic import Critic
from critic_engine.data.harvest.critiques import LiftMeter
from critic_engine.data.harvest.harvester import Harvester, HarvestRoles
from critic_engine.data.harvest.injection import Detector, Grader, InjectionRoles, Injector
from critic_engine.data.harvest.injection_models import (
    CriticDetector,
    ModelDetector,
    ModelGrader,
    ModelInjector,
    Writer,
)
from critic_engine.errors import ConfigError
from critic_engine.expanders import make_expander
from critic_engine.hosting import ModelConfig
from critic_engine.models import Models
from critic_engine.options import CriticConfig
from critic_engine.pocket.annotating import PocketAnnotator
from critic_engine.pocket.injecting import FactGrader, SlipInjector
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generator
from critic_engine.reasoner import Reasoner
from critic_engine.types import SamplingOptions

_NUM_POCKET_CRITIQUES = 2


def make_harvester(
    config: EngineConfig,
    models: Models,
    *,
    checker: Checker,
    reasoner: Generator | None = None,
    critic: Generator | None = None,
) -> Harvester:
    """Return what makes the findings that the section ``collect``, or its defaults, describe.

    Args:
        config: The run's configuration.
        models: Where its models come from.
        checker: Holds the reference answers.
        reasoner: The generator to reason with instead of the one that ``config`` names.
        critic: The same for the critic.

    Raises:
        ConfigError: someone is asked for who is not there.
        ModelLoadError: a model's folder is plainly not one.
    """
    collect = config.collect or CollectConfig()
    makers = _Makers(config, models, reasoner=reasoner, critic=critic)
    role = Reasoner.from_config(makers.reasoner, config.reasoner)
    roles = HarvestRoles(
        checker=checker,
        expander=make_expander(config.expander, role),
        family=makers.critic_family,
        annotators=[
            each for number, options in enumerate(collect.annotators) for each in makers.annotators(number, options)
        ],
        meter=LiftMeter(role, checker, options=collect.lift, expander=config.expander),
        critic=makers.critic(temperature=0.0, field="collect.pairs.check") if config.checks_pairs else None,
        injection=None if collect.injection is None else makers.injection(collect.injection),
    )
    return Harvester(config, collect, roles)


class _Makers:
    """Makes roles over models that are made when the first of them asks."""

    def __init__(
        self, config: EngineConfig, models: Models, *, reasoner: Generator | None, critic: Generator | None
    ) -> None:
        self._config = config
        self._models = models
        self._given_critic = critic
        self.reasoner = models.adopt(reasoner) if reasoner else models.generator(config.reasoner, "reasoner")
        self.family = PromptFamily.for_model(config.reasoner)
        self.critic_family = PromptFamily.for_model(config.critiquing)

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
        return Critic.from_config(generator, CriticConfig.model_validate(fields))

    def annotators(self, number: int, options: AnnotatorConfig) -> list[Annotator]:
        field = f"collect.annotators.{number}.kind"
        match options.kind:
            case "pocket_rules":
                return [PocketAnnotator()]
            case "critic":
                return [self._critic_annotator(options, field)]
            case "self":
                return [self._model_annotator(self.reasoner, self._config.reasoner, options, field)]
            case "model":
                assert options.model is not None
                generator = self._models.generator(options.model, "reasoner")
                return [self._model_annotator(generator, options.model, options, field)]
            case "auto":
                if self._config.reasoner.model != "pocket":
                    return [self._model_annotator(self.reasoner, self._config.reasoner, options, field)]
                twice = options.model_copy(update={"num_critiques": max(_NUM_POCKET_CRITIQUES, options.num_critiques)})
                by_critic = [self._critic_annotator(twice, field)] if self._config.critic_matches else []
                return [PocketAnnotator(), *by_critic]

    def _critic_annotator(self, options: AnnotatorConfig, field: str) -> Annotator:
        temperatures = [0.0, *[options.temperature] * (options.num_critiques - 1)]
        critics = [
            self.critic(temperature=temperature, field=field, max_tokens=options.max_tokens)
            for temperature in temperatures
        ]
        return CriticAnnotator(critics, PromptFamily.for_model(self._config.critic), name="critic")

    def _model_annotator(
        self, generator: Generator, model: ModelConfig, options: AnnotatorConfig, field: str
    ) -> Annotator:
        family = PromptFamily.for_model(model)
        self._check(family, "annotate", field)
        draws = Draws(options.num_critiques, options.temperature, options.max_tokens, options.max_attempts)
        return ModelAnnotator(generator, family, draws)

    def injection(self, options: InjectionConfig) -> InjectionRoles:
        is_pocket = self._config.reasoner.model == "pocket"
        is_by_rules = options.kind == "pocket_rules" or (options.kind == "auto" and is_pocket)
        injector: Injector = SlipInjector() if is_by_rules else ModelInjector(self._writer("inject", 0.7), self.family)
        temperatures = [0.0, *[options.temperature] * (options.num_detections - 1)]
        detectors = [self._detector(number, temperature) for number, temperature in enumerate(temperatures)]
        grader = self._grader(is_by_rules=is_by_rules)
        return InjectionRoles(injector, tuple(detectors), grader)

    def _grader(self, *, is_by_rules: bool) -> Grader | None:
        if is_by_rules:
            return FactGrader()
        return ModelGrader(self._writer("grade", 0.0), self.family) if self.family.has("grade") else None

    def _detector(self, number: int, temperature: float) -> Detector:
        if self._config.critic_matches and not self.family.has("detect"):
            critic = self.critic(temperature=temperature, field="collect.injection")
            form = PromptFamily.for_model(self._config.critic).form.critique
            return CriticDetector(critic, f"critic {number + 1}", form=form)
        return ModelDetector(self._writer("detect", temperature), self.family)

    def _writer(self, template: str, temperature: float) -> Writer:
        self._check(self.family, template, "collect.injection.kind")
        reasoner = self._config.reasoner
        sampling = SamplingOptions(temperature=temperature, max_tokens=reasoner.max_tokens)
        return Writer(self.reasoner, sampling, reasoner.max_attempts)

    def _check(self, family: PromptFamily, template: str, field: str) -> None:
        if not family.has(template):
            raise ConfigError(
                f"{field}: the prompts {family.name!r} have no {template}.txt, so that model cannot be asked; name "
                "prompts that have, or choose another kind",
                field=field,
            )
