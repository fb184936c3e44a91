"""What does searching with a critic win over the same generated tokens spent otherwise?

    python -m bench.search_gain --split test --num 1000 --seed 7 --budgets 150 300 --report bench/results/search_gain.md

Every method answers the same pocket problems with the shipped reasoner and critic. Methods that can spend any number of
tokens get each budget in turn; those that value nodes by completions get four times as much. A search ends with the
trial that crosses its budget, so best-of-N and majority spend at least as much as the tree search, which may stop
earlier. Greedy and the chains spend what they spend. The last line of stdout is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.provenance import commit, print_report, write_report
from critic_engine.config.engine import load_config
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.parsing.answers import is_same_answer
from critic_engine.pocket.problems import write_problems
from critic_engine.roles.checker import Checker
from critic_engine.statistics.intervals import Interval, paired_difference, share
from critic_engine.types import ProblemRow

SAMPLE_ON = ("strategy.num_samples=1000",)
"""Override that lets a method sample until its budget is spent."""


@dataclass(frozen=True)
class Method:
    """One row of the table of methods."""

    preset: str
    changes: tuple[str, ...] = ()
    """Overrides of the preset."""
    is_budgeted: bool = True
    """Whether it spends any budget it is given; if not, it spends what it spends."""
    budget_factor: int = 1
    """Factor on the budget: methods that value nodes by completions need more tokens."""


METHODS = {
    "greedy": Method("greedy", is_budgeted=False),
    "majority": Method("majority", SAMPLE_ON),
    "best_of_n": Method("best_of_n", SAMPLE_ON),
    "best_of_n, reward model": Method("best_of_n", (*SAMPLE_ON, "evaluator.kind=reward_model")),
    "weighted_majority": Method("weighted_majority", SAMPLE_ON),
    "weighted_majority, reward model": Method("weighted_majority", (*SAMPLE_ON, "evaluator.kind=reward_model")),
    "critic_v": Method("critic_v", is_budgeted=False),
    "critic_v, gated": Method("critic_v", ("decision.rule=gated",), is_budgeted=False),
    "mmc": Method("mmc", is_budgeted=False),
    "mmc, best_value": Method("mmc", ("decision.rule=best_value",), is_budgeted=False),
    "mmc_collect": Method("mmc_collect", budget_factor=4),
    "beam": Method("beam"),
    "dvts": Method("dvts"),
    "rstar": Method("rstar", budget_factor=4),
    "lats": Method("lats", budget_factor=4),
    "mctsr": Method("mctsr"),
    "llama_berry": Method("llama_berry"),
    "ab_mcts": Method("ab_mcts"),
    "ab_mcts, two reasoners": Method("ab_mcts", ("other_reasoners=[{temperature: 1.0}]",)),
    "mcts": Method("mcts"),
}
"""Every method there is a preset for, by name, and the variants worth a row."""

NOTES = (
    "The searches' own seed is that of the presets, 0; one run a method.",
    "Intervals are Wilson's for accuracies and the paired percentile bootstrap over problems for differences. A",
    "method without a budget spends what it spends. A labelling search is told the reference answers, so its figure",
    "is the share of problems for which it found a right path, and no accuracy.",
    "",
)


@dataclass(frozen=True)
class Outcome:
    """How one method did."""

    method: str
    budget: int | None
    """Generated tokens a problem may spend; None for methods that end on their own."""
    is_right: list[bool]
    num_tokens: int
    """Generated for all problems, reasoner and critic."""
    num_simulations: int
    """Trials told for all problems."""
    num_failed: int
    wall_s: float
    is_labelled: bool
    """Whether it was told the reference answers: its accuracy is a share of problems with a right path found."""

    @property
    def name(self) -> str:
        """Method and budget."""
        return self.method if self.budget is None else f"{self.method} @{self.budget}"

    @property
    def accuracy(self) -> Interval:
        """Share of problems answered right."""
        return share(sum(self.is_right), len(self.is_right))

    @property
    def tokens_per_problem(self) -> float:
        """Mean of the generated tokens."""
        return self.num_tokens / len(self.is_right)


def run(name: str, rows: Sequence[ProblemRow], budget: int | None, overrides: Sequence[str]) -> Outcome:
    """Return how the method does on ``rows``."""
    method = METHODS[name]
    changes = [*method.changes, *overrides]
    if budget is not None:
        changes.append(f"budget.max_tokens={budget}")
    config = load_config(method.preset, changes)
    with Engine(config, checker=Checker() if config.needs_reference else None) as engine:
        engine.load()
        start_s = time.perf_counter()
        answers = list(engine.solve_many(rows))
        wall_s = time.perf_counter() - start_s
    is_right = [
        answer.answer is not None
        and is_same_answer(answer.answer, row.reference_answers[0], row.problem.choices) is True
        for answer, row in zip(answers, rows, strict=True)
    ]
    num_tokens = sum(answer.num_tokens for answer in answers)
    num_simulations = sum(answer.num_simulations for answer in answers)
    num_failed = sum(answer.status == "failed" for answer in answers)
    return Outcome(name, budget, is_right, num_tokens, num_simulations, num_failed, wall_s, config.needs_reference)


def run_or_recall(name: str, rows: Sequence[ProblemRow], budget: int | None, args: argparse.Namespace) -> Outcome:
    """Return the outcome that ``args.outcomes`` keeps of the same commit and settings; else run, and keep it there."""
    overrides = [*args.overrides, *(args.set_mcts if name == "mcts" else [])]
    setting = {"commit": commit(), "rows": [args.split, args.num, args.seed], "set": overrides}
    path: Path | None = args.outcomes
    for line in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []:
        kept = json.loads(line)
        outcome = Outcome(**kept["outcome"])
        is_same = kept["setting"] == setting and not commit().endswith("+changes")
        if is_same and (outcome.method, outcome.budget) == (name, budget):
            return outcome
    outcome = run(name, rows, budget, overrides)
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"setting": setting, "outcome": asdict(outcome)}) + "\n")
    return outcome


def load_rows(args: argparse.Namespace) -> list[ProblemRow]:
    """Return the pocket problems, through the same file format that users have."""
    path = Path(args.problems)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_problems(path, split=args.split, num=args.num, seed=args.seed)
    return [row for row in read_problems(path) if isinstance(row, ProblemRow)]


def table(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Return a Markdown table; each budgeted method is compared with the tree search of its budget."""
    lines = [
        "| method | accuracy | 95 % interval | tokens a problem | failed | wall s | MCTS minus it, same budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        accuracy, mark = outcome.accuracy, " (labelling)" if outcome.is_labelled else ""
        ours = [other for other in outcomes if other.method == "mcts" and other.budget == outcome.budget]
        gain = _gain(ours[0], outcome, seed) if ours and outcome is not ours[0] else ""
        interval = f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
        lines.append(
            f"| {outcome.name}{mark} | {100 * accuracy.estimate:.1f} | {interval}"
            f" | {outcome.tokens_per_problem:.0f} | {outcome.num_failed} | {outcome.wall_s:.0f} | {gain} |"
        )
    return lines


def _gain(ours: Outcome, theirs: Outcome, seed: int) -> str:
    gain = paired_difference(ours.is_right, theirs.is_right, seed=seed)
    return f"{100 * gain.estimate:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def verdict(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Return sentences on whether the tree search beat the others, with the tokens of both."""
    lines = []
    for ours in (outcome for outcome in outcomes if outcome.method == "mcts"):
        for theirs in outcomes:
            if theirs is ours or theirs.is_labelled or theirs.budget not in (None, ours.budget):
                continue
            gain = paired_difference(ours.is_right, theirs.is_right, seed=seed)
            points = f"{_gain(ours, theirs, seed)} points"
            cost = f"{ours.tokens_per_problem:.0f} tokens against {theirs.tokens_per_problem:.0f}"
            if theirs.budget is None:
                lines.append(f"- {ours.name} beside {theirs.name}, at another cost: {points}, {cost}.")
                continue
            word = "helped" if gain.low > 0 else "did not help" if gain.estimate <= 0 else "may have helped"
            lines.append(f"- {ours.name}: searching {word} over {theirs.name}, {points}, {cost}.")
    return lines


def problem_parser(description: str | None, *, problems: str) -> argparse.ArgumentParser:
    """Return a parser of the options that say which problems are searched and where the report goes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev", help="tune on dev, report test")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--seed", type=int, default=7, help="of the problems")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.field=value, all rows")
    parser.add_argument("--problems", default=problems, help="where the problems file is written")
    parser.add_argument("--report", type=Path, help="write the table and its command to this Markdown file")
    return parser


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/search_gain.jsonl")
    parser.add_argument("--budgets", type=int, nargs="+", default=[150, 300], help="generated tokens a problem")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--set-mcts", action="append", default=[], help="section.field=value, the tree search only")
    parser.add_argument("--outcomes", type=Path, help="keep outcomes in this file, and run no setting that is in it")
    return parser.parse_args()


def main() -> None:
    """Run all methods, and print a table and the JSON line."""
    args = parse_args()
    rows = load_rows(args)
    outcomes = []
    for method in args.methods:
        factor = METHODS[method].budget_factor
        for budget in [factor * each for each in args.budgets] if METHODS[method].is_budgeted else [None]:
            outcomes.append(run_or_recall(method, rows, budget, args))
            print(outcomes[-1].name, outcomes[-1].accuracy, outcomes[-1].tokens_per_problem, flush=True)
    lines = [*table(outcomes, args.seed), "", *verdict(outcomes, args.seed)]
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "What searching with a critic wins at equal token budgets", [*NOTES, *lines])
    results = {
        outcome.name: {
            "accuracy": outcome.accuracy.estimate,
            "interval_95": [outcome.accuracy.low, outcome.accuracy.high],
            "tokens_per_problem": outcome.tokens_per_problem,
            "num_failed": outcome.num_failed,
            "wall_s": round(outcome.wall_s, 1),
        }
        for outcome in outcomes
    }
    print_report("search_gain", config=vars(args), results=results)


if __name__ == "__main__":
    main()
