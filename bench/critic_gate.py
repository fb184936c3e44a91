"""What does a critic that errs cost a search, and is a search with the gate ever worse than a vote of samples?

    python -m bench.critic_gate --num 200 --budget 300 --report bench/results/critic_gate_cpu_202611.md

The shipped critic's values are spoilt: inverted, constant, or mixed with noise until their AUROC is the one asked for.
A spoilt verdict has words that fit it. Each is searched with as it is, and through the gate, with a card of the AUROC
that its values have on the samples of these problems. Majority spends the same budget. Equal requests are answered
from memory, at the same count of tokens, so that all methods see the same samples. The last line of stdout is one JSON
object.
"""

import argparse
import asyncio
import functools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bench.pocket_rows import load_rows, problem_parser
from bench.provenance import commit, print_report, write_report
from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.backends.huggingface.fingerprint import card_model
from critic_engine.config.critic_card import CriticCard, Measured
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.config.gate import CRITIC_GATED
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.parsing.answers import is_same_answer
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Evaluation, Evaluator, Generation, GenerationRequest, Generator
from critic_engine.roles.critic_gate import with_gate
from critic_engine.roles.factory import SearchRoles, make_roles, with_critique_tokens
from critic_engine.run.problem_search import local_search
from critic_engine.run.runner import Runner
from critic_engine.run.store import RunStore
from critic_engine.seeds import derive_seed
from critic_engine.statistics.calibration import clustered_auroc
from critic_engine.statistics.intervals import Interval, auroc, share
from critic_engine.statistics.paired import clustered_difference
from critic_engine.types import Problem, ProblemRow, Trajectory

Draws: TypeAlias = tuple[float, float, float]
Spoil: TypeAlias = Callable[[float, Draws], float]
Judged: TypeAlias = tuple[float, bool, Draws]
"""The shipped critic's value of a solution, whether its answer is right, and the draws of the noise."""

SAMPLE_ON = ("strategy.num_samples=1000",)
METHODS = {"mcts": (), "best_of_n": SAMPLE_ON, "weighted_majority": SAMPLE_ON}
"""The methods that a critic steers, and their overrides."""
SHIPPED = "as shipped"
UNGUIDED = ("expander.is_critic_guided=false", "decision={rule: majority}")
FALLBACKS = {
    "mcts, no values, majority": ("mcts", ("evaluator={kind: none}", *UNGUIDED)),
    "mcts, agreement of 4 completions, majority": ("mcts", ("evaluator={kind: rollout}", *UNGUIDED)),
    "lats, agreement of 2 completions, best value": (
        "lats",
        ("evaluator={kind: rollout, num_rollouts: 2}", "expander={kind: step, is_critic_guided: false}"),
    ),
}
"""What a gate could fall back to instead of sampling."""
NOTES = (
    "The searches' own seed is that of the presets, 0; one run a method. Intervals are Wilson's for accuracies, the",
    "paired percentile bootstrap over problems for differences, and the bootstrap over problems for an AUROC, which is",
    "that of the values of all samples of these problems.",
    "",
)


class Remembering:
    """A generator that answers a request that it had before from memory."""

    def __init__(self, inner: Generator) -> None:
        """Wrap a generator."""
        self._inner = inner
        self._known: dict[tuple[object, ...], Generation] = {}
        self.name = inner.name

    async def load(self) -> None:
        """Load the model."""
        await self._inner.load()

    async def aclose(self) -> None:
        """Close the model."""
        await self._inner.aclose()

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return what an equal request got, its usage included."""
        messages = [(each.role, each.text, *(image.digest for image in each.images)) for each in request.messages]
        key = (tuple(messages), request.prefix, request.sampling, request.seeds)
        if key not in self._known:
            self._known[key] = await self._inner.generate(request)
        return self._known[key]


@dataclass(frozen=True)
class SpoiltCritic:
    """The critic with other values, always the same for a trajectory, and with words that fit them."""

    critic: Evaluator
    spoil: Spoil
    family: PromptFamily
    finished: dict[tuple[str, tuple[str, ...]], tuple[float, str | None, Draws]] = field(default_factory=dict)
    """The critic's own value, the answer and the draws of each finished trajectory, by problem and steps."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the critic's evaluation, spoilt."""
        evaluation = await self.critic.evaluate(problem, trajectory, seed=seed)
        critique = evaluation.critique
        if critique is None or critique.value is None:
            return evaluation
        draws = draws_of(problem, trajectory)
        if trajectory.is_finished:
            self.finished[problem.problem_id, trajectory.steps] = critique.value, trajectory.answer, draws
        value = self.spoil(critique.value, draws)
        if (value < 0.5) == (critique.verdict == "wrong"):
            return replace(evaluation, value=value, critique=replace(critique, value=value))
        step = int(draws[2] * len(trajectory.steps)) if value < 0.5 else None
        words = (
            self.family.written_critique(step=None)
            if step is None
            else self.family.written_critique(step=step + 1, reason=trajectory.steps[step])
        )
        spoilt = replace(
            critique,
            value=value,
            verdict="right" if step is None else "wrong",
            words=words,
            first_wrong_step=None if step is None else step + 1,
        )
        return replace(evaluation, value=value, critique=spoilt)


@dataclass(frozen=True)
class Outcome:
    """How one method did."""

    method: str
    critic: str
    is_right: list[bool]
    tokens_per_problem: float
    num_gated: int
    """Problems whose answers say that the critic did not steer."""
    wall_s: float


def draws_of(problem: Problem, trajectory: Trajectory) -> Draws:
    """Return the draws in [0, 1) of a trajectory, always the same."""
    one, two, three = np.random.default_rng(derive_seed(0, problem.problem_id, *trajectory.steps)).random(3)
    return float(one), float(two), float(three)


def keep(value: float, draws: Draws) -> float:
    """Return the value as it is."""
    return value


def invert(value: float, draws: Draws) -> float:
    """Return a high value where it was low."""
    return 1 - value


def say_right(value: float, draws: Draws) -> float:
    """Return the value of a critic that finds everything right."""
    return 0.9


def mix(value: float, draws: Draws, *, share_kept: float) -> float:
    """Return the value for a share of the trajectories, and a number in [0, 1) for the others."""
    return value if draws[0] < share_kept else draws[1]


def share_for(judged: Sequence[Judged], target: float) -> float:
    """Return the share of values to keep for an AUROC of ``target``, by bisection."""
    outcomes = [is_right for _, is_right, _ in judged]
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        found = auroc([mix(value, draws, share_kept=middle) for value, _, draws in judged], outcomes)
        low, high = (middle, high) if found < target else (low, middle)
    return (low + high) / 2


class Bench:
    """The problems, the models, and the searches over both."""

    def __init__(self, rows: Sequence[ProblemRow], budget: int) -> None:
        """Take the problems and the budget in generated tokens a problem."""
        self.rows = rows
        self.budget = budget
        config = load_config("mcts")
        self.reasoner = Remembering(make_generator(config.reasoner, "reasoner"))
        self.critic = Remembering(make_generator(config.critic, "critic"))
        self.family = PromptFamily.for_model(config.critic)

    def config(self, preset: str, overrides: Sequence[str]) -> EngineConfig:
        """Return a method that may spend the budget."""
        return load_config(preset, [*overrides, f"budget.max_tokens={self.budget}"])

    async def run(
        self, method: str, critic: str, config: EngineConfig, spoil: Spoil = keep
    ) -> tuple[Outcome, SpoiltCritic]:
        """Return how a method does with a critic, and that critic."""
        config = with_critique_tokens(with_gate(config))
        models = Models(ModelMakers(make_generator, make_scorer))
        roles = make_roles(config, models, reasoner=self.reasoner, critic=self.critic)
        spoilt = SpoiltCritic(roles.evaluator, spoil, self.family)
        roles = SearchRoles(roles.expanders, spoilt if config.needs_critic else roles.evaluator)
        begun_s = time.perf_counter()
        with RunStore.temporary() as store:
            store.add_rows(self.rows)
            runner = Runner(store, config, begin=lambda task: local_search(task, config, roles))
            answers = [answer async for answer in runner.answers()]
        is_right = [self.is_right(row, answer.answer) for row, answer in zip(self.rows, answers, strict=True)]
        tokens = sum(answer.num_tokens for answer in answers) / len(answers)
        num_gated = sum(CRITIC_GATED in answer.failures for answer in answers)
        outcome = Outcome(method, critic, is_right, tokens, num_gated, time.perf_counter() - begun_s)
        print(method, "|", critic, share(sum(is_right), len(is_right)), round(tokens), flush=True)
        return outcome, spoilt

    def is_right(self, row: ProblemRow, answer: str | None) -> bool:
        """Return whether it is the reference answer."""
        choices = row.problem.choices
        return answer is not None and is_same_answer(answer, row.reference_answers[0], choices) is True

    def judged(self, critic: SpoiltCritic) -> list[list[Judged]]:
        """Return the solutions that a critic valued, by problem."""
        rows = {row.problem.problem_id: row for row in self.rows}
        groups: dict[str, list[Judged]] = {problem_id: [] for problem_id in rows}
        for (problem_id, _), (value, answer, draws) in critic.finished.items():
            groups[problem_id].append((value, self.is_right(rows[problem_id], answer), draws))
        return list(groups.values())

    def card(self, found: Interval, folder: Path, name: str) -> Path:
        """Write the card of a spoilt critic."""
        config = load_config("mcts")
        card = CriticCard(
            critic=card_model(config.critic),
            reasoner=card_model(config.reasoner),
            task="pocket",
            num_problems=len(self.rows),
            num_solutions=0,
            answer_auroc=Measured(estimate=found.estimate, low=found.low, high=found.high),
        )
        path = folder / f"{name}.json"
        path.write_text(card.model_dump_json(), encoding="utf-8")
        return path


def measured(groups: Sequence[Sequence[Judged]], spoil: Spoil) -> Interval:
    """Return the AUROC of spoilt values."""
    spoilt = [[(spoil(value, draws), is_right) for value, is_right, draws in group] for group in groups]
    return clustered_auroc(spoilt, seed=0)


async def compare(bench: Bench, aurocs: Sequence[float]) -> AsyncIterator[tuple[Outcome, dict[str, Interval]]]:
    """Yield each outcome, majority first, with the AUROC of each critic so far."""
    found: dict[str, Interval] = {}
    yield (await bench.run("majority", "", bench.config("majority", SAMPLE_ON)))[0], found
    valued, critic = await bench.run("weighted_majority", SHIPPED, bench.config("weighted_majority", SAMPLE_ON))
    groups = bench.judged(critic)
    spoils: dict[str, Spoil] = {"inverted": invert, "constant 0.9": say_right}
    for target in aurocs:
        kept = share_for([each for group in groups for each in group], target)
        spoils[f"noisy {target:g}"] = functools.partial(mix, share_kept=kept)
    found.update({name: measured(groups, spoil) for name, spoil in {**spoils, SHIPPED: keep}.items()})
    yield valued, found
    with tempfile.TemporaryDirectory() as folder:
        for name, spoil in {**spoils, SHIPPED: keep}.items():
            path = bench.card(found[name], Path(folder), name)
            for method, overrides in METHODS.items():
                if (method, name) != ("weighted_majority", SHIPPED):
                    yield (await bench.run(method, name, bench.config(method, overrides), spoil))[0], found
                gated = bench.config(method, [*overrides, f"critic.health={path}"])
                yield (await bench.run(f"{method}, gate", name, gated, spoil))[0], found
    for method, (preset, overrides) in FALLBACKS.items():
        yield (await bench.run(method, "none", bench.config(preset, overrides)))[0], found


def signed(gain: Interval) -> str:
    """Return a difference in points with its interval."""
    return f"{100 * gain.estimate:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def table(outcomes: Sequence[Outcome], found: dict[str, Interval], seed: int) -> list[str]:
    """Return a Markdown table; each row is compared with majority, the first outcome."""
    lines = [
        "| method | critic | its AUROC | does it steer | accuracy | tokens a problem | minus majority |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        accuracy, has_critic = share(sum(outcome.is_right), len(outcome.is_right)), outcome.critic in found
        of = found.get(outcome.critic)
        figures = "" if of is None else f"{of.estimate:.2f} ({of.low:.2f} to {of.high:.2f})"
        steers = ("no" if outcome.num_gated else "yes") if has_critic else ""
        gain = "" if outcome is outcomes[0] else signed(minus_majority(outcomes, outcome, seed))
        lines.append(
            f"| {outcome.method} | {outcome.critic} | {figures} | {steers} | {100 * accuracy.estimate:.1f}"
            f" ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}) | {outcome.tokens_per_problem:.0f} | {gain} |"
        )
    return lines


def minus_majority(outcomes: Sequence[Outcome], outcome: Outcome, seed: int) -> Interval:
    """Return the paired difference from majority."""
    ours, majority = ([[each] for each in found.is_right] for found in (outcome, outcomes[0]))
    return clustered_difference(ours, majority, seed=seed)


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/critic_gate.jsonl")
    parser.set_defaults(num=200)
    parser.add_argument("--budget", type=int, default=300, help="generated tokens a problem")
    parser.add_argument("--aurocs", type=float, nargs="*", default=[0.6], help="of noisy critics")
    return parser.parse_args()


async def run(args: argparse.Namespace) -> list[Outcome]:
    """Return all outcomes; the report is written anew after each, so that a run that is stopped leaves one."""
    outcomes: list[Outcome] = []
    async for outcome, found in compare(Bench(load_rows(args), args.budget), args.aurocs):
        outcomes.append(outcome)
        lines = table(outcomes, found, args.seed)
        if args.report is not None:
            write_report(args.report, "What critics that err cost, with the gate and without it", [*NOTES, *lines])
    print("\n".join(lines))
    return outcomes


def main() -> None:
    """Search with all critics, and print a table and the JSON line."""
    args = parse_args()
    commit()
    outcomes = asyncio.run(run(args))
    results = {
        f"{outcome.method} | {outcome.critic}": {
            "accuracy": share(sum(outcome.is_right), len(outcome.is_right)).estimate,
            "minus_majority": signed(minus_majority(outcomes, outcome, args.seed)),
            "tokens_per_problem": outcome.tokens_per_problem,
            "num_gated": outcome.num_gated,
            "wall_s": round(outcome.wall_s, 1),
        }
        for outcome in outcomes
    }
    print_report("critic_gate", config=vars(args), results=results)


if __name__ == "__main__":
    main()
