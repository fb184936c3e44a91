"""The gate: a method whose critic is not known to tell right from wrong, changed so that the critic does not steer."""

from dataclasses import replace
from typing import TypeAlias

from critic_engine.config.engine import EngineConfig, StrategyConfig
from critic_engine.config.search import (
    BlendEvaluatorConfig,
    BlendPart,
    CriticConfig,
    DecisionConfig,
    DirectEvaluatorConfig,
    EvaluatorConfig,
    ExpanderConfig,
    RolloutEvaluatorConfig,
)
from search import (
    AbMctsOptions,
    BeamOptions,
    BestOfNOptions,
    ChainOptions,
    DecisionRule,
    GuidedOptions,
    MctsOptions,
    ParticleOptions,
)

CRITIC_GATED = "critic_gated"
"""Kind of the note, among the failures of a search, that its critic did not steer."""
_UNTIL_SPENT = 1_000_000
_OF_CRITIQUES = ("max_revisions", "revise_below", "is_critic_guided", "max_rejected", "reject_below")
# Rules that mean something for rewrites or for places of a tree, and nothing for samples beside each other.
_OF_TREES = ("last", "gated", "most_visits")
_Others: TypeAlias = tuple[BlendPart, ...]


def gate_reason(critic: CriticConfig) -> str | None:
    """Return why the critic does not steer, with the figures; None if it does, or if its AUROC is not known.

    The low end of the interval has to reach ``min_auroc``: a critic that errs costs more than a vote of samples does,
    so it must be shown to be good, and a card of few solutions shows little.
    """
    found, limit = critic.auroc, critic.min_auroc
    if found is None or found.estimate is None:
        return None
    low = found.estimate if found.low is None else found.low
    if low >= limit:
        return None
    interval = "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    verdict = f"below critic.min_auroc {limit:g}"
    if found.estimate >= limit:
        verdict = f"which may be {verdict} (a card of more problems can tell)"
    return f"the critic's AUROC is {found.estimate:.2f}{interval}, {verdict}"


def gated(config: EngineConfig) -> EngineConfig:
    """Return the configuration with the critic taken out of everything that steers the search.

    Where other evaluators of a blend know more than the reasoner does, they steer alone: steps are searched without
    critiques, and whole solutions are sampled in the place of rewrites. Otherwise whole solutions are sampled and the
    most common answer is given. That is a majority vote and so never worse than one, as a tree without values, or with
    the agreement of completions for values, may be (``bench/critic_gate.py``).

    There are as many samples as the method would write solutions at most. Those of a tree search, whose budget holds as
    before, are as many as it pays for; a simulation is a whole solution then.
    """
    others = _others(config.evaluator)
    if not others:
        return _sampling(config, DirectEvaluatorConfig(kind="none"), "majority")
    evaluator = others[0].evaluator if len(others) == 1 else BlendEvaluatorConfig(kind="blend", parts=others)
    if config.expander.kind == "step":
        defaults = {name: ExpanderConfig.model_fields[name].default for name in _OF_CRITIQUES}
        expander = config.expander.model_copy(update=defaults | {"is_critic_guided": False})
        return _changed(config, evaluator=evaluator, expander=expander)
    if config.strategy.kind == "best_of_n":
        return _changed(config, evaluator=evaluator)
    return _sampling(config, evaluator, config.decision.rule)


def _others(evaluator: EvaluatorConfig) -> _Others:
    """Return the parts of a blend without the critic; none if what is left knows no more than a vote of samples."""
    parts = evaluator.parts if isinstance(evaluator, BlendEvaluatorConfig) else ()
    others = tuple(part for part in parts if part.evaluator.kind != "critic")
    knows_more = (
        part.evaluator.against == "reference"
        if isinstance(part.evaluator, RolloutEvaluatorConfig)
        else part.evaluator.kind != "none"
        for part in others
    )
    return others if any(knows_more) else ()


def _sampling(config: EngineConfig, evaluator: EvaluatorConfig, rule: DecisionRule) -> EngineConfig:
    has_values = evaluator.kind != "none"
    before = config.expander
    return _changed(
        config,
        strategy=StrategyConfig(kind="best_of_n", options=BestOfNOptions(_num_samples(config))),
        expander=ExpanderConfig(
            kind="solution", split=before.split, delimiter=before.delimiter, step_template=before.step_template
        ),
        evaluator=evaluator,
        decision=DecisionConfig(rule="weighted_majority" if has_values and rule in _OF_TREES else rule),
        stop=config.stop if has_values else replace(config.stop, value_threshold=None, patience=None, one_sided=None),
        other_reasoners=(),
    )


def _num_samples(config: EngineConfig) -> int:
    """Return the most solutions that the method writes; one without an end of its own ends when its budget is spent."""
    options = config.strategy.options
    if isinstance(options, BestOfNOptions):
        return options.num_samples
    if isinstance(options, ChainOptions):
        return 1 + options.max_rounds
    if isinstance(options, MctsOptions | AbMctsOptions | GuidedOptions) or options.num_rounds is None:
        return _UNTIL_SPENT
    if isinstance(options, ParticleOptions):
        return options.num_rounds * options.num_particles
    num_beams = options.width if isinstance(options, BeamOptions) else options.num_subtrees
    return options.num_rounds * num_beams * options.branching


def _changed(config: EngineConfig, **sections: object) -> EngineConfig:
    """Return the configuration with these sections, checked as a whole."""
    return EngineConfig.model_validate({name: getattr(config, name) for name in EngineConfig.model_fields} | sections)
