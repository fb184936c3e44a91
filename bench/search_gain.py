"""What does searching with a critic win over the same generated tokens spent otherwise?

    python -m bench.search_gain --split test --num 1000 --seed 7 --budgets 150 300 --report bench/results/search_gain.md

Every method answers the same pocket problems with the shipped reasoner and critic. Methods that can spend any number of
tokens get each budget in turn. A search ends with the trial that crosses its budget, so best-of-N and majority spend at
least as much as the tree search, which may stop earlier. Greedy and the chains spend what they spend. The last line of
stdout is one JSON object.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.provenance import commit, hardware, print_report, versions
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.evaluation.metrics import Interval, paired_difference, share
from critic_engine.parsing.answers import answers_match
from critic_engine.pocket.problems import write_problems
from critic_engine.types import ProblemRow

FIXED = ("greedy", "critic_v", "mmc")
BUDGETED = ("majority", "best_of_n", "best_of_n_vote", "mcts")
SAMPLING = {
    "majority": ("majority", ()),
    "best_of_n": ("best_of_n", ()),
    "best_of_n_vote": ("best_of_n", ("decision.rule=weighted_majority",)),
}
"""Methods that sample until the budget is spent: their preset and what they change in it."""


@dataclass(frozen=True)
class Outcome:
    """How one method did."""

    method: str
    budget: int | None
    """Generated tokens a problem may spend; None for methods that end on their own."""
    is_right: list[bool]
    num_tokens: int
    """Generated for all problems, reasoner and critic."""
    num_failed: int
    wall_s: float

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


def run(method: str, rows: Sequence[ProblemRow], budget: int | None, overrides: Sequence[str]) -> Outcome:
    """Return how ``method`` does on ``rows``."""
    preset, changes = method, list(overrides)
    if budget is not None:
        changes.append(f"budget.max_tokens={budget}")
    if method in SAMPLING:
        preset, own = SAMPLING[method]
        changes += [*own, "strategy.num_samples=1000"]
    with Engine(preset, overrides=changes) as engine:
        engine.load()
        start_s = time.perf_counter()
        answers = list(engine.solve_many(rows))
        wall_s = time.perf_counter() - start_s
    is_right = [
        answer.answer is not None and answers_match(answer.answer, row.reference_answer or "", row.problem.choices)
        for answer, row in zip(answers, rows, strict=True)
    ]
    num_failed = sum(answer.status == "failed" for answer in answers)
    return Outcome(method, budget, is_right, sum(answer.num_tokens for answer in answers), num_failed, wall_s)


def load_rows(args: argparse.Namespace) -> list[ProblemRow]:
    """Return the pocket problems, through the same file format that users have."""
    path = Path(args.problems)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_problems(path, split=args.split, num=args.num, seed=args.seed)
    return [row for row in read_problems(path) if isinstance(row, ProblemRow)]


def table(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Return a Markdown table; what has a budget stands beside the tree search of the same budget."""
    lines = [
        "| method | accuracy | 95 % interval | tokens a problem | failed | wall s | MCTS minus it, same budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        accuracy = outcome.accuracy
        ours = [other for other in outcomes if other.method == "mcts" and other.budget == outcome.budget]
        gain = _gain(ours[0], outcome, seed) if ours and outcome is not ours[0] else ""
        lines.append(
            f"| {outcome.name} | {100 * accuracy.estimate:.1f} | {100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
            f" | {outcome.tokens_per_problem:.0f} | {outcome.num_failed} | {outcome.wall_s:.0f} | {gain} |"
        )
    return lines


def _gain(ours: Outcome, theirs: Outcome, seed: int) -> str:
    gain = paired_difference(ours.is_right, theirs.is_right, seed=seed)
    return f"{100 * gain.estimate:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def verdict(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Say in words whether the tree search beat the others, and at whose cost."""
    lines = []
    for ours in (outcome for outcome in outcomes if outcome.method == "mcts"):
        for theirs in outcomes:
            if theirs is ours or theirs.budget not in (None, ours.budget):
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


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev", help="tune on dev, report test")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--seed", type=int, default=7, help="of the problems")
    parser.add_argument("--budgets", type=int, nargs="+", default=[150, 300], help="generated tokens a problem")
    parser.add_argument("--methods", nargs="+", choices=FIXED + BUDGETED, default=list(FIXED + BUDGETED))
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.field=value, all methods")
    parser.add_argument("--set-mcts", action="append", default=[], help="section.field=value, the tree search only")
    parser.add_argument("--problems", default="runs/search_gain.jsonl", help="where the problems file is written")
    parser.add_argument("--report", type=Path, help="write the table and its commands to this Markdown file")
    return parser.parse_args()


def main() -> None:
    """Run all methods, and print a table and the JSON line."""
    args = parse_args()
    rows = load_rows(args)
    outcomes = []
    for method in args.methods:
        for budget in args.budgets if method in BUDGETED else [None]:
            extra = args.set_mcts if method == "mcts" else []
            outcomes.append(run(method, rows, budget, [*args.overrides, *extra]))
            print(outcomes[-1].name, outcomes[-1].accuracy, outcomes[-1].tokens_per_problem, flush=True)
    lines = [*table(outcomes, args.seed), "", *verdict(outcomes, args.seed)]
    print("\n".join(lines))
    if args.report is not None:
        write_report(args, lines)
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


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in facts.items())


def write_report(args: argparse.Namespace, lines: Sequence[str]) -> None:
    """Write the table with what it needs to be trusted."""
    head = [
        "# What searching with a critic wins at equal generated tokens",
        "",
        f"Command: `python -m bench.search_gain {shlex.join(sys.argv[1:])}`",
        "",
        f"Commit {commit()}; {_listed(hardware())}; {_listed(versions())}.",
        "The searches' own seed is that of the presets, 0; one run a method.",
        "Intervals are Wilson's for accuracies and the paired percentile bootstrap over problems for differences. A",
        "method without a budget spends what it spends.",
        "",
    ]
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
