"""What does one ask and tell cost, with a free evaluator, as the tree grows, and beside treequest?

    python -m bench.search_overhead --sizes 1000 10000 100000 1000000 --repeats 5

Run it from the root of the repository; treequest comes with the extra `test`. Proposals are made before the clock
starts, with values and priors drawn evenly, so the time is the search's own; it is processor time, with the wall
clock's median beside it. Each repeat grows one tree from its own seed and times the trials that follow right after the
tree has reached each size. Beside treequest, both sides take the same values one proposal a step: UCT with two children
a node, and AB-MCTS-A; treequest's steps are done in place, without the copy of its tree that it makes by default.
The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import treequest

from bench.provenance import print_report, write_report
from search import AbMcts, AbMctsOptions, Mcts, MctsOptions, PriorRule, Proposal, SelectionRule, Strategy

SIZES = [1_000, 10_000, 100_000, 1_000_000]
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
    """Return a search without limits, with up to ``args.max_proposals`` children a node."""
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


def bytes_per_node(new: Callable[[], Strategy[int]], args: argparse.Namespace) -> float:
    """Return the memory that one node takes, its statistics and place in the tree included, the state apart."""
    rng = numpy.random.default_rng(args.seed)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    strategy = new()
    while len(strategy.tree) < args.memory_nodes:
        trial = strategy.ask()[0]
        strategy.tell(trial, proposals(rng, trial.num_proposals))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return round(taken / len(strategy.tree), 1)


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


@dataclass(frozen=True)
class Pairing:
    """One method as both sides have it."""

    name: str
    ours: Callable[[int], Strategy[int]]
    """From a seed to a search."""
    theirs: Callable[[], treequest.Algorithm[int, Any]]


def pairings() -> list[Pairing]:
    """Return the pairs of methods to compare."""
    uct = MctsOptions(selection="uct", exploration=2**0.5, num_proposals=1, max_proposals=2)

    def ab_mcts(prior: PriorRule) -> Callable[[int], Strategy[int]]:
        return lambda seed: AbMcts(AbMctsOptions(prior=prior), rng=numpy.random.default_rng(seed), root=0)

    return [
        Pairing(
            "mcts_uct",
            lambda seed: Mcts(uct, rng=numpy.random.default_rng(seed), root=0),
            lambda: treequest.StandardMCTS(samples_per_action=2),
        ),
        Pairing("ab_mcts_gaussian", ab_mcts("gaussian"), lambda: treequest.ABMCTSA(dist_type="gaussian")),
        Pairing("ab_mcts_beta", ab_mcts("beta"), lambda: treequest.ABMCTSA(dist_type="beta")),
    ]


def step_us(steps: Callable[[], object], num_steps: int) -> float:
    """Return the microseconds of processor time that one of ``num_steps`` steps takes."""
    start_s = time.process_time()
    steps()
    return (time.process_time() - start_s) * 1e6 / num_steps


def our_steps(strategy: Strategy[int], values: Sequence[float]) -> None:
    """Ask and tell once for each value."""
    for value in values:
        trial = strategy.ask()[0]
        strategy.tell(trial, [Proposal(0, value)])


def their_steps(algorithm: treequest.Algorithm[int, Any], values: Sequence[float]) -> None:
    """Do the same with treequest."""
    left = iter(values)
    state, generate = algorithm.init_tree(), {"only": lambda _: (0, next(left))}
    for _ in values:
        state = algorithm.step(state, generate, inplace=True)


def compare(pairing: Pairing, args: argparse.Namespace) -> dict[str, float]:
    """Return both sides' cost of a step, mean over the first ``args.peer_steps``, median over the repeats."""
    ours, theirs = [], []
    for repeat in range(-1, args.peer_repeats):
        seed = args.seed + repeat + 1
        numpy.random.seed(seed)  # treequest draws from the global generator
        values = numpy.random.default_rng([seed, 2]).random(args.peer_steps).tolist()
        strategy, algorithm = pairing.ours(seed), pairing.theirs()
        if repeat < 0:  # warm-up
            our_steps(strategy, values[:200])
            their_steps(algorithm, values[:200])
            continue
        ours.append(step_us(partial(our_steps, strategy, values), args.peer_steps))
        theirs.append(step_us(partial(their_steps, algorithm, values), args.peer_steps))
    return {
        "ours_us_median": round(statistics.median(ours), 2),
        "ours_us_max": round(max(ours), 2),
        "treequest_us_median": round(statistics.median(theirs), 2),
        "treequest_us_min": round(min(theirs), 2),
        "times_faster": round(statistics.median(theirs) / statistics.median(ours), 1),
        "times_faster_at_worst": round(min(theirs) / max(ours), 1),
    }


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="nodes in the tree")
    parser.add_argument("--num-proposals", type=int, default=4, help="proposals of one trial")
    parser.add_argument("--max-proposals", type=int, default=4, help="proposals that one node may receive")
    parser.add_argument("--window", type=int, default=100, help="trials timed at each size of one tree")
    parser.add_argument("--repeats", type=int, default=5, help="trees for each selection rule")
    parser.add_argument("--memory-nodes", type=int, default=50_000, help="nodes of the tree that is weighed")
    parser.add_argument("--peer-steps", type=int, default=4_000, help="steps beside treequest")
    parser.add_argument("--peer-repeats", type=int, default=3, help="trees beside treequest")
    parser.add_argument("--report", type=Path, help="write the table to this Markdown file")
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat; the others follow")
    return parser.parse_args()


def grow_report(args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the cost of a trial at each size, by selection rule."""
    rows: dict[str, list[dict[str, float]]] = {}
    for rule in RULES:
        measure(rule, args.seed, args)  # warm-up
        runs = [measure(rule, args.seed + repeat, args) for repeat in range(args.repeats)]
        sizes = sorted(args.sizes)
        rows[rule] = [
            summary(size, list(windows)) for size, windows in zip(sizes, zip(*runs, strict=True), strict=True)
        ]
    return rows


def table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the Markdown tables of all that was measured."""
    head = "| selection | nodes | µs a trial (min to max) | nodes on its path | µs a level |"
    lines = [head, "|---|---|---|---|---|"]
    for rule, rows in results["sizes"].items():
        for row in rows:
            trial_us = f"{row['trial_us_median']} ({row['trial_us_min']} to {row['trial_us_max']})"
            level = f"{row['path_nodes_mean']} | {row['level_us_median']}"
            lines.append(f"| {rule} | {row['num_nodes']:,} | {trial_us} | {level} |")
    lines += ["", "| method | bytes a node, besides its state |", "|---|---|"]
    lines += [f"| {name} | {num_bytes} |" for name, num_bytes in results["bytes_per_node"].items()]
    lines += ["", "| method | µs a step, mean of the first steps | treequest, in place | times faster (at worst) |"]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {name} | {row['ours_us_median']} | {row['treequest_us_median']}"
        f" | {row['times_faster']} ({row['times_faster_at_worst']}) |"
        for name, row in results["treequest"].items()
    ]
    return lines


def main() -> None:
    """Measure, and print tables and the JSON line."""
    args = parse_args()
    results: dict[str, Any] = {
        "sizes": grow_report(args),
        "bytes_per_node": {
            "mcts_puct": bytes_per_node(lambda: new_strategy("puct", args.seed, args), args),
            **{pair.name: bytes_per_node(partial(pair.ours, args.seed), args) for pair in pairings()},
        },
        "treequest": {pair.name: compare(pair, args) for pair in pairings()},
    }
    lines = table(results)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "What the search itself costs", lines)
    print_report("search_overhead", config=vars(args), results=results)


if __name__ == "__main__":
    main()
