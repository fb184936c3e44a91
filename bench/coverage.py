"""How often do the 95 % intervals hold the truth, and how often is a method called better that is not?

    python -m bench.coverage --draws 10000

Run it from the root of the repository; it needs no model. Each draw makes outcomes of new problems: the probability of
a right answer is a problem's own, drawn from a beta distribution, so the seeds of one problem agree more than chance.
The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from statistics import NormalDist

import numpy
from numpy.typing import NDArray

from bench.provenance import print_report
from critic_engine.statistics.calibration import clustered_auroc
from critic_engine.statistics.families import holm
from critic_engine.statistics.intervals import Interval, clustered_share
from critic_engine.statistics.paired import clustered_difference, sign_flip_test
from critic_engine.statistics.verdicts import judge_pairs

Table = list[list[float]]


@dataclass(frozen=True)
class World:
    """Problems and methods that draws are made of."""

    num_problems: int
    num_seeds: int
    accuracy: float
    """Of the first method, over all problems."""
    gain: float = 0.0
    """How much more often every other method is right."""
    agreement: float = 0.5
    """The correlation of two outcomes of one problem, in (0, 1)."""

    def num_right(self, rng: numpy.random.Generator, *, num_methods: int = 1) -> NDArray[numpy.int64]:
        """Return how many seeds each method gets right, (methods, problems), the methods independent on a problem."""
        weight = (1 - self.agreement) / self.agreement
        first = rng.beta(self.accuracy * weight, (1 - self.accuracy) * weight, self.num_problems)
        others = first + (1 - first) * self.gain / (1 - self.accuracy)
        return rng.binomial(self.num_seeds, [first, *[others] * (num_methods - 1)])


SHARES = [
    World(1000, 1, 0.3),
    World(1000, 1, 0.8),
    World(200, 3, 0.5),
    World(200, 3, 0.8, agreement=0.1),
    World(1000, 3, 0.8),
]
DIFFERENCES = [
    World(500, 1, 0.6),
    World(500, 1, 0.5, gain=0.1),
    World(1000, 1, 0.8, gain=0.05),
    World(200, 3, 0.6),
    World(200, 3, 0.7, gain=0.05),
]
AUROCS = [{"accuracy": 0.5, "separation": 0.5}, {"accuracy": 0.7, "separation": 1.5}]
FAMILIES = [World(200, 1, 0.6), World(1000, 1, 0.8), World(200, 3, 0.7)]


def share_coverage(world: World, *, num_draws: int, seed: int) -> float:
    """Return how often the interval of the accuracy holds the true accuracy."""
    rng = numpy.random.default_rng(seed)
    rows = [[1.0] * right + [0.0] * (world.num_seeds - right) for right in range(world.num_seeds + 1)]

    @cache
    def interval(*counts: int) -> Interval:
        return clustered_share([row for row, count in zip(rows, counts, strict=True) for _ in range(count)])

    counts = (numpy.bincount(world.num_right(rng)[0], minlength=world.num_seeds + 1) for _ in range(num_draws))
    return _coverage(interval, counts_of_draws=[tuple(found.tolist()) for found in counts], truth=world.accuracy)


def difference_coverage(world: World, *, num_draws: int, seed: int) -> float:
    """Return how often the interval of the paired difference holds the true gain."""
    rng = numpy.random.default_rng(seed)

    @cache
    def interval(*counts: int) -> Interval:
        return clustered_difference(*_tables(counts), seed=seed)

    draws = []
    for _ in range(num_draws):
        theirs, ours = world.num_right(rng, num_methods=2)
        draws.append(_difference_counts(ours - theirs, world.num_seeds))
    return _coverage(interval, counts_of_draws=draws, truth=world.gain)


def auroc_coverage(accuracy: float, separation: float, *, num_problems: int, num_draws: int, seed: int) -> float:
    """Return how often the interval of the AUROC over whole problems holds the true one, with five values a problem.

    Values are normal, ``separation`` higher for right outcomes, with half of their variance shared within a problem; so
    those of two problems are in order with probability ``Phi(separation / sqrt(2))``.
    """
    rng = numpy.random.default_rng(seed)
    truth = NormalDist().cdf(separation / 2**0.5)
    num_held = 0
    for _ in range(num_draws):
        is_right = rng.random((num_problems, 5)) < rng.beta(accuracy, 1 - accuracy, (num_problems, 1))
        noise = rng.normal(size=(num_problems, 5)) + rng.normal(size=(num_problems, 1))
        values = separation * is_right + noise / 2**0.5
        groups = [list(zip(*rows, strict=True)) for rows in zip(values.tolist(), is_right.tolist(), strict=True)]
        found = clustered_auroc(groups, seed=seed)
        num_held += found.low <= truth <= found.high
    return num_held / num_draws


def false_better_rate(world: World, *, num_methods: int, num_draws: int, seed: int) -> float:
    """Return how often any pair of equally good methods is called better or worse."""
    rng = numpy.random.default_rng(seed)

    @cache
    def p_value(*counts: int) -> float:
        return sign_flip_test(*_tables(counts))

    num_false = 0
    for _ in range(num_draws):
        right = world.num_right(rng, num_methods=num_methods)
        pairs = [one - other for one, other in combinations(right, 2)]
        # No verdict is better or worse without an adjusted p-value of 0.05, so the intervals of others need no time.
        if min(holm([p_value(*_difference_counts(pair, world.num_seeds)) for pair in pairs])) <= 0.05:
            columns = numpy.arange(world.num_seeds)
            tables = {str(name): (columns < row[:, None]).astype(float).tolist() for name, row in enumerate(right)}
            num_false += any(pair.verdict in ("better", "worse") for pair in judge_pairs(tables, seed=seed))
    return num_false / num_draws


def _difference_counts(differences: NDArray[numpy.int64], num_seeds: int) -> tuple[int, ...]:
    return tuple(numpy.bincount(differences + num_seeds, minlength=2 * num_seeds + 1).tolist())


def _tables(counts: tuple[int, ...]) -> tuple[Table, Table]:
    """Return two methods' outcomes whose differences of numbers right occur as often as ``counts`` says."""
    num_seeds = len(counts) // 2
    ours: Table = []
    theirs: Table = []
    for difference, count in zip(range(-num_seeds, num_seeds + 1), counts, strict=True):
        for table, right in ((ours, max(difference, 0)), (theirs, max(-difference, 0))):
            table += [[1.0] * right + [0.0] * (num_seeds - right)] * count
    return ours, theirs


def _coverage(interval: Callable[..., Interval], *, counts_of_draws: list[tuple[int, ...]], truth: float) -> float:
    found = [interval(*counts) for counts in counts_of_draws]
    return sum(one.low <= truth <= one.high for one in found) / len(found)


def main() -> None:
    """Measure, and print a line a world and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--methods", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}

    def record(name: str, world: Mapping[str, float], rate: float) -> None:
        results.setdefault(name, []).append({**world, "rate": rate})
        print(f"{name}: {rate:.4f}", *(f"{key} {number}" for key, number in world.items()), flush=True)

    for world in SHARES:
        record("share", asdict(world), share_coverage(world, num_draws=args.draws, seed=args.seed))
    for world in DIFFERENCES:
        record("difference", asdict(world), difference_coverage(world, num_draws=args.draws, seed=args.seed))
    for critic in AUROCS:
        record("auroc", critic, auroc_coverage(**critic, num_problems=100, num_draws=args.draws, seed=args.seed))
    for world in FAMILIES:
        rate = false_better_rate(world, num_methods=args.methods, num_draws=args.draws, seed=args.seed)
        record("false_better", asdict(world), rate)
    print_report("coverage", config=vars(args), results=results)


if __name__ == "__main__":
    main()
