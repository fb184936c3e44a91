"""What does one ask and tell cost, with 4 proposals and a free evaluator, as the tree grows?

    python -m bench.search_overhead --sizes 1000 10000 100000 --repeats 9

Run it from the root of the repository. Proposals are made before the clock starts, with values and priors drawn evenly,
so the time is the search's own; it is processor time, with the wall clock's median beside it. Each repeat grows one
tree from its own seed and times the trials that follow right after the tree has reached each size. The last line of
stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from dataclasses import dataclass

import numpy

from bench.provenance import print_report
from search import Mcts, MctsOptions, Proposal, SelectionRule

RULES: tuple[SelectionRule, ...] = ("puct", "uct")


@dataclass(frozen=True)
class Window:
    """The trials timed at one size of one tree."""

    trial_us: float
    """Microseconds of processor time for one ask and tell, mean of the window."""
    wall_us: float
    """The same by the wall clock, which also counts what else ran on the machine."""
    path_nodes: float
    """Nodes on the path to the trial's node, root included, mean of the window."""


def proposals(rng: numpy.random.Generator, num_proposals: int) -> list[Proposal[int]]:
    """Return the result of one trial; the priors sum to less than 1."""
    values = rng.random(num_proposals).tolist()
    priors = (rng.dirichlet([1.0] * (num_proposals + 1))[:num_proposals]).tolist()
    return [Proposal(0, value, prior) for value, prior in zip(values, priors, strict=True)]


def grow(strategy: Mcts[int], results: list[list[Proposal[int]]]) -> int:
    """Ask and tell once for each of ``results``, and return the nodes on the paths, in all."""
    num_path_nodes = 0
    for result in results:
        trial = strategy.ask()[0]
        strategy.tell(trial, result)
        num_path_nodes += trial.node.depth + 1
    return num_path_nodes


def new_strategy(rule: SelectionRule, seed: int, args: argparse.Namespace) -> Mcts[int]:
    """Return a search with no limit, whose nodes are expanded up to ``args.max_proposals``."""
    options = MctsOptions(selection=rule, num_proposals=args.num_proposals, max_proposals=args.max_proposals)
    return Mcts(options, rng=numpy.random.default_rng(seed), root=0)


def measure(rule: SelectionRule, seed: int, args: argparse.Namespace) -> list[Window]:
    """Return one window for each size, of one tree."""
    rng = numpy.random.default_rng([seed, 1])
    strategy = new_strategy(rule, seed, args)
    windows: list[Window] = []
    for size in sorted(args.sizes):
        while len(strategy.tree) < size:
            grow(strategy, [proposals(rng, args.num_proposals)])
        results = [proposals(rng, args.num_proposals) for _ in range(args.window)]
        start_s, start_wall_s = time.process_time(), time.perf_counter()
        num_path_nodes = grow(strategy, results)
        elapsed_s, wall_s = time.process_time() - start_s, time.perf_counter() - start_wall_s
        per_trial_us = 1e6 / args.window
        windows.append(Window(elapsed_s * per_trial_us, wall_s * per_trial_us, num_path_nodes / args.window))
    return windows


def bytes_per_node(args: argparse.Namespace) -> float:
    """Return the memory that one node takes, its statistics and place in the tree included, the state apart."""
    rng = numpy.random.default_rng(args.seed)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    strategy = new_strategy("puct", args.seed, args)
    while len(strategy.tree) < args.memory_nodes:
        grow(strategy, [proposals(rng, args.num_proposals)])
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / len(strategy.tree)


def summary(size: int, windows: list[Window]) -> dict[str, float]:
    """Return the median and the spread over the repeats."""
    times_us = [window.trial_us for window in windows]
    return {
        "num_nodes": size,
        "trial_us_median": round(statistics.median(times_us), 2),
        "trial_us_min": round(min(times_us), 2),
        "trial_us_max": round(max(times_us), 2),
        "wall_us_median": round(statistics.median(window.wall_us for window in windows), 2),
        "path_nodes_mean": round(statistics.fmean(window.path_nodes for window in windows), 2),
        "level_us_median": round(statistics.median(w.trial_us / w.path_nodes for w in windows), 3),
    }


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="nodes in the tree")
    parser.add_argument("--num-proposals", type=int, default=4, help="proposals of one trial")
    parser.add_argument("--max-proposals", type=int, default=4, help="proposals that one node may receive")
    parser.add_argument("--window", type=int, default=100, help="trials timed at each size of one tree")
    parser.add_argument("--repeats", type=int, default=9, help="trees for each selection rule")
    parser.add_argument("--memory-nodes", type=int, default=50_000, help="nodes of the tree that is weighed")
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat; the others follow")
    return parser.parse_args()


def main() -> None:
    """Measure, and print a table and the JSON line."""
    args = parse_args()
    results: dict[str, object] = {}
    for rule in RULES:
        measure(rule, args.seed, args)  # warm-up
        runs = [measure(rule, args.seed + repeat, args) for repeat in range(args.repeats)]
        rows = [
            summary(size, list(windows))
            for size, windows in zip(sorted(args.sizes), zip(*runs, strict=True), strict=True)
        ]
        for row in rows:
            print(rule, row)
        results[rule] = rows
    results["bytes_per_node"] = round(bytes_per_node(args), 1)
    print("bytes per node", results["bytes_per_node"])
    print_report("search_overhead", config=vars(args), results=results)


if __name__ == "__main__":
    main()
