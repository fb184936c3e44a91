"""What does a tree lose in accuracy, and win in time, when many of its trials are in flight?

    python -m bench.search_parallel --split test --num 1000 --simulations 128 --report bench/results/search_parallel.md

Run it from the root of the repository. Every setting searches the same pocket problems with the shipped models and the
same limit of simulations; differences are paired, over problems. Wall time is measured apart, with a scripted reasoner
and critic that take 50 ms a call, one tree at a time, so that it holds the search's own waiting and nothing else. The
last line of stdout is one JSON object.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.pocket_rows import load_rows, problem_parser
from bench.provenance import print_report, write_report
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.engine import Engine
from critic_engine.parsing.answers import is_same_answer
from critic_engine.statistics.intervals import Interval, share
from critic_engine.statistics.paired import clustered_difference
from critic_engine.types import Problem, ProblemRow


@dataclass(frozen=True)
class Timing:
    """Trees grown with simulated latency."""

    trials_in_flight: int
    wall_s: list[float]
    """Seconds of each tree."""


@dataclass(frozen=True)
class Outcome:
    """How the preset did with one number of trials in flight."""

    is_right: list[bool]
    num_tokens: int
    """Generated for all problems, reasoner and critic."""
    num_simulations: int
    """Trials told for all problems."""

    @property
    def accuracy(self) -> Interval:
        """Share of problems answered right."""
        return share(sum(self.is_right), len(self.is_right))

    @property
    def tokens_per_problem(self) -> float:
        """Mean of the generated tokens."""
        return self.num_tokens / len(self.is_right)


def overrides(args: argparse.Namespace, trials_in_flight: int) -> list[str]:
    """Return the overrides of the preset."""
    return [
        "budget.max_tokens=null",
        f"budget.max_simulations={args.simulations}",
        f"run.trials_in_flight={trials_in_flight}",
        *args.overrides,
    ]


def timing(args: argparse.Namespace, trials_in_flight: int) -> Timing:
    """Return the seconds of trees in which each model call takes ``args.latency_s``."""
    reasoner = ScriptedGenerator(scripted_reasoner(), latency_s=args.latency_s)
    critic = ScriptedGenerator(scripted_critic(), latency_s=args.latency_s)
    changes = ["reasoner.prompts=pocket", "critic.prompts=pocket", *overrides(args, trials_in_flight)]
    with Engine(args.preset, overrides=changes, reasoner=reasoner, critic=critic) as engine:
        answers = [engine.solve(Problem(f"how many stars are there in sky {number} ?")) for number in range(args.trees)]
    return Timing(trials_in_flight, [answer.wall_s for answer in answers])


def accuracy(args: argparse.Namespace, rows: Sequence[ProblemRow], trials_in_flight: int) -> Outcome:
    """Return how the preset does with so many trials in flight."""
    with Engine(args.preset, overrides=overrides(args, trials_in_flight)) as engine:
        answers = list(engine.solve_many(rows))
    is_right = [
        answer.answer is not None
        and is_same_answer(answer.answer, row.reference_answers[0], row.problem.choices) is True
        for answer, row in zip(answers, rows, strict=True)
    ]
    num_tokens = sum(answer.num_tokens for answer in answers)
    return Outcome(is_right, num_tokens, sum(answer.num_simulations for answer in answers))


def table(outcomes: dict[int, Outcome], timings: dict[int, Timing], seed: int) -> list[str]:
    """Return a Markdown table, each setting beside the first."""
    columns = ("in flight", "accuracy", "minus the first", "simulations", "tokens", "s a tree (min to max)", "faster")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    first = next(iter(outcomes))
    for number, outcome in outcomes.items():
        ours, others = ([[each] for each in found.is_right] for found in (outcome, outcomes[first]))
        gain = clustered_difference(ours, others, seed=seed)
        times = timings[number].wall_s
        cells = (
            str(number),
            f"{100 * outcome.accuracy.estimate:.1f}",
            f"{100 * gain.estimate:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})",
            f"{outcome.num_simulations / len(outcome.is_right):.1f}",
            f"{outcome.tokens_per_problem:.0f}",
            f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})",
            f"{statistics.median(timings[first].wall_s) / statistics.median(times):.2f} times",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/search_parallel.jsonl")
    parser.add_argument("--preset", default="mcts", help="the method")
    parser.add_argument("--simulations", type=int, default=128, help="trials told in one tree")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 8], help="trials of one tree at once")
    parser.add_argument("--trees", type=int, default=10, help="trees timed for each")
    parser.add_argument("--latency-s", type=float, default=0.05, help="of one simulated model call")
    return parser.parse_args()


def main() -> None:
    """Run all settings, and print a table and the JSON line."""
    args = parse_args()
    rows = load_rows(args)
    timings = {number: timing(args, number) for number in args.in_flight}
    outcomes = {number: accuracy(args, rows, number) for number in args.in_flight}
    limit = f"At most {args.simulations} simulations a tree in every row, fewer where nothing is left worth asking; the"
    lines = [limit, "timed trees, of a scripted model, take all of them.", "", *table(outcomes, timings, args.seed)]
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "Many trials of one tree in flight", lines)
    results = {
        str(number): {
            "accuracy": outcome.accuracy.estimate,
            "interval_95": [outcome.accuracy.low, outcome.accuracy.high],
            "tokens_per_problem": outcome.tokens_per_problem,
            "num_simulations": outcome.num_simulations,
            "wall_s": timings[number].wall_s,
        }
        for number, outcome in outcomes.items()
    }
    print_report("search_parallel", config=vars(args), results=results)


if __name__ == "__main__":
    main()
