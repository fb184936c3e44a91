"""The methods that the worlds compare: presets, files, and either with overrides."""

import random
from dataclasses import dataclass
from functools import cache

from bench.world_models.problems import EMPTY, World
from bench.world_models.regimes import Regime
from bench.world_models.searches import KeyRule, Result, Search, claims, words
from critic_engine.config.critic_card import Measured
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.config.gate import gate_reason, gated
from critic_engine.errors import ConfigError
from critic_engine.statistics.calibration import clustered_auroc

SAMPLE_ON = "strategy.num_samples=100000"
"""Override that lets a preset sample until its budget is spent."""
_SHARE_OF_PATHS = 0.75
"""Share of the budget that a rival's paths are planned to take, found on development problems: of 0.35, 0.5, 0.75 and 1
it does best for particle filters, for problems differ in length."""
_NUM_OF_CARD = 200
"""Problems on which a card's AUROC is measured; none is of another split."""
_NUM_SOLUTIONS = 4
"""Solutions of each of them."""
_CARD = "world.card=true"
_MERGES: dict[str, KeyRule] = {"world.merge=words": words, "world.merge=claims": claims}


@dataclass(frozen=True)
class Method:
    """A row of the tables."""

    name: str
    source: str
    """A preset or a YAML file."""
    overrides: tuple[str, ...] = ()
    """Each ``section.field=value``; or ``world.merge=claims``, which makes siblings of equal claims one node; or
    ``world.card=true``, which measures the critic's card first, by which the critic steers or does not.

    In a value, ``PATHS`` is the number of paths of judged steps that three quarters of the budget pay for, at least 2.
    """

    def config(self, *, max_tokens: int, seed: int, num_paths: int = 2) -> EngineConfig:
        """Return its configuration with a seed and a budget planned for ``num_paths`` paths.

        Raises:
            ConfigError: there is no such preset or file, or an override does not fit it.
        """
        ours = [each.replace("=PATHS", f"={num_paths}") for each in self.overrides if each not in (*_MERGES, _CARD)]
        config = load_config(self.source, [*ours, f"budget.max_tokens={max_tokens}", f"run.seed={seed}"])
        if config.expander.max_revisions:
            raise ConfigError(f"{self.name}: the worlds revise no steps; leave out expander.max_revisions")
        return config

    def solver(self, regime: Regime, *, budget: float, seed: int) -> "Solver":
        """Return what solves the problems of a regime with a budget of so many whole solutions, and this seed."""
        judged = budget * regime.step_tokens / (regime.step_tokens + regime.critic_tokens)
        num_paths = max(2, round(_SHARE_OF_PATHS * judged))
        config = self.config(max_tokens=max_tokens_of(regime, budget), seed=seed, num_paths=num_paths)
        if _CARD in self.overrides:
            critic = config.critic.model_copy(update={"auroc": _measured_auroc(regime)})
            config = config.model_copy(update={"critic": critic})
            config = gated(config) if gate_reason(critic) is not None else config
        merges = [_MERGES[each] for each in self.overrides if each in _MERGES]
        return Solver(config, merges[-1] if merges else words)


@cache
def _measured_auroc(regime: Regime) -> Measured:
    """Return the critic's AUROC for right and wrong answers with its interval, as a card has it."""
    judged: list[list[tuple[float, bool]]] = []
    for number in range(_NUM_OF_CARD):
        world = World(regime, f"card {number}")
        rng = random.Random(number)
        solutions = [world.complete(EMPTY, rng) for _ in range(_NUM_SOLUTIONS)]
        judged.append([(world.value(each), world.answer(each) == world.right_answer) for each in solutions])
    found = clustered_auroc(judged, seed=0)
    return Measured(estimate=found.estimate, low=found.low, high=found.high)


def max_tokens_of(regime: Regime, budget: float) -> int:
    """Return the generated tokens of a budget of so many whole solutions."""
    return max(1, round(budget * regime.solution_tokens))


@dataclass(frozen=True)
class Solver:
    """A method with a budget and a seed."""

    config: EngineConfig
    key: KeyRule

    def solve(self, world: World) -> Result:
        """Return the end of its search of a problem."""
        return Search(world, self.config, seed=self.config.run.seed, key=self.key).run()


METHODS: tuple[Method, ...] = (
    Method("guided", "guided"),
    Method("guided with card", "guided", (_CARD,)),
    Method("mcts", "mcts"),
    Method("majority", "majority", (SAMPLE_ON,)),
    Method("weighted_majority", "weighted_majority", (SAMPLE_ON,)),
    Method("best_of_n", "best_of_n", (SAMPLE_ON,)),
    Method("particle", "particle", ("strategy.num_particles=PATHS",)),
    Method("beam", "beam"),
    Method("ab_mcts", "ab_mcts"),
    Method("mctsr", "mctsr"),
)
"""The methods of the table, the first of which stands for us. The rivals' settings are the best of those tried on
development problems; the preset of the beam does better there than wider ones and than branching 2 and 3."""


def parse_method(text: str) -> Method:
    """Return the method ``PRESET``, ``FILE.yaml``, or ``NAME=PRESET+section.field=value+…``."""
    known = {method.name: method for method in METHODS}
    if text in known:
        return known[text]
    name, separator, rest = text.partition("=")
    if not separator or "+" in name:
        name, rest = text, text
    source, *overrides = rest.split("+")
    base = known.get(source, Method(name, source))
    return Method(name, base.source, (*base.overrides, *overrides))
