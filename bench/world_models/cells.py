"""One method in one regime with one budget: all its searches, and their figures."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.world_models.methods import Method, max_tokens_of
from bench.world_models.problems import World
from bench.world_models.regimes import Regime
from bench.world_models.searches import Result

RULES = ("own", "plain", "value", "value x probability")
"""The rules by which every method answers: its own, and the votes that all get."""


@dataclass(frozen=True)
class Task:
    """The searches of a cell."""

    regime: Regime
    method: Method
    budget: float
    """In whole solutions of the reasoner."""
    num: int
    """Problems."""
    num_seeds: int
    split: str


@dataclass(frozen=True)
class Cell:
    """The figures of a cell; means are over all searches."""

    regime: str
    method: str
    budget: float
    split: str
    right: dict[str, list[list[float]]]
    """By rule: a list a problem, and in it 1 or 0 a seed."""
    found: float
    """Share of searches that wrote a right solution."""
    finished: float
    """Share of searches that finished a path by themselves."""
    num_finished: float
    """Mean number of paths written to the end."""
    tokens: float
    """Mean tokens spent, as a multiple of the budget."""
    prompt_tokens: float
    """Mean prompt tokens, as a multiple of the budget."""
    uncached_tokens: float
    """Those that a cache of all prefixes would not hold, as a multiple of the budget."""
    num_requests: float
    duplicates: float
    """Share of the steps or solutions drawn that a sibling with the same words precedes."""

    def accuracy(self, rule: str) -> float:
        """Return the share of right answers by a rule, in [0, 1]."""
        rows = self.right[rule]
        return sum(map(sum, rows)) / sum(map(len, rows))


def run_task(task: Task) -> Cell:
    """Return the cell of ``task``."""
    regime, method = task.regime, task.method
    solvers = [method.solver(regime, budget=task.budget, seed=seed) for seed in range(task.num_seeds)]
    problems = [World(regime, f"{task.split} {number}") for number in range(task.num)]
    results = [[solver.solve(problem) for solver in solvers] for problem in problems]
    return _cell(task, results)


def _cell(task: Task, results: Sequence[Sequence[Result]]) -> Cell:
    max_tokens = max_tokens_of(task.regime, task.budget)
    flat = [result for row in results for result in row]

    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(flat)

    return Cell(
        regime=task.regime.name,
        method=task.method.name,
        budget=task.budget,
        split=task.split,
        right={rule: [[float(result.is_right[rule]) for result in row] for row in results] for rule in RULES},
        found=mean(result.was_found for result in flat),
        finished=mean(result.num_finished > 0 for result in flat),
        num_finished=mean(result.num_finished for result in flat),
        tokens=mean(result.spent.tokens for result in flat) / max_tokens,
        prompt_tokens=mean(result.spent.prompt_tokens for result in flat) / max_tokens,
        uncached_tokens=mean(result.spent.uncached_tokens for result in flat) / max_tokens,
        num_requests=mean(result.spent.num_requests for result in flat),
        duplicates=sum(result.spent.num_duplicates for result in flat)
        / max(1, sum(result.spent.num_drawn for result in flat)),
    )


def run_tasks(tasks: Sequence[Task], *, num_jobs: int) -> Iterator[Cell]:
    """Yield the cell of each task in order, from so many processes."""
    if num_jobs == 1:
        yield from map(run_task, tasks)
        return
    with ProcessPoolExecutor(num_jobs) as pool:
        yield from pool.map(run_task, tasks)
