"""How much slower is a search when its models live in Ray actors?

    python -m bench.ray_overhead --split test --num 256 --report bench/results/ray_overhead.md

Run it from the root of the repository, where vLLM and Ray are installed. The same problems are searched with the
reasoner and the critic each in a vLLM engine of this process, and each in one of a Ray actor. All engines are there
from the beginning, search the problems once before they are timed, and then take turns, so that what else a machine
does befalls both alike. The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.pocket_rows import load_rows, problem_parser
from bench.provenance import print_report, write_report
from critic_engine.engine import Engine
from critic_engine.types import ProblemRow

HOSTS = {"in process": (), "ray": ("ray.address=local",)}
OVERRIDES = ("reasoner.backend=vllm", "critic.backend=vllm", "run.problems_in_flight=256")


@dataclass(frozen=True)
class Timing:
    """One search of all problems."""

    host: str
    wall_s: float
    num_tokens: int
    """Tokens generated."""

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second; samples vary a little with the order of arrival."""
        return self.num_tokens / self.wall_s


def timing(host: str, engine: Engine, rows: Sequence[ProblemRow]) -> Timing:
    """Return how long a search takes."""
    started_s = time.perf_counter()
    num_tokens = sum(answer.num_tokens for answer in engine.solve_many(rows))
    found = Timing(host, time.perf_counter() - started_s, num_tokens)
    print(f"{host}: {found.wall_s:.2f} s, {found.tokens_per_s:.0f} tokens/s", flush=True)
    return found


def timings(rows: Sequence[ProblemRow], args: argparse.Namespace) -> list[Timing]:
    """Return how long searches take, after one by each host that is thrown away."""
    found = []
    with contextlib.ExitStack() as stack:
        engines = {}
        for host, overrides in HOSTS.items():
            engines[host] = stack.enter_context(Engine("mcts", overrides=[*OVERRIDES, *overrides, *args.overrides]))
            engines[host].load()
        for repeat in range(args.repeats + 1):
            # Each goes first every other time.
            for host in list(HOSTS)[:: 1 if repeat % 2 else -1]:
                one = timing(host, engines[host], rows)
                found += [one] if repeat else []
    return found


def lines_of(found: Sequence[Timing]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| host | s (min to max) | tokens a second, median |", "|---|---|---|"]
    for host in HOSTS:
        times = [timing.wall_s for timing in found if timing.host == host]
        cells = f"{host} | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
        lines.append(f"| {cells} | {speed(found, host):.0f} |")
    slower = 100 * (speed(found, "in process") / speed(found, "ray") - 1)
    return [*lines, "", f"Ray is {slower:+.1f} % slower by the medians of tokens a second."]


def speed(found: Sequence[Timing], host: str) -> float:
    """Return the median of tokens a second."""
    return statistics.median(timing.tokens_per_s for timing in found if timing.host == host)


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/ray_overhead.jsonl")
    parser.add_argument("--repeats", type=int, default=4, help="timed searches by each host")
    return parser.parse_args()


def main() -> None:
    """Measure, and print a table and the JSON line."""
    args = parse_args()
    rows = load_rows(args)
    found = timings(rows, args)
    lines = lines_of(found)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "A search by engines of this process, and by those of Ray actors", lines)
    results = {host: [timing.wall_s for timing in found if timing.host == host] for host in HOSTS}
    print_report("ray_overhead", config=vars(args), results=results)


if __name__ == "__main__":
    main()
