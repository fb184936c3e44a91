"""One vote for all methods: which answer do the solutions give that a method has found?"""

import math
from collections.abc import Callable, Sequence

from bench.peer_methods.sessions import Solution


def vote_by_value(solutions: Sequence[Solution], answer_class: Callable[[str], str]) -> str | None:
    """Return the answer with the highest sum of values, each solution counted as often as it was written.

    Li et al. (2022, arXiv 2206.02336). A solution of unknown value adds nothing; where no value is known, each counts
    1. Ties go to the answer with more solutions, then to the one found first. None without an answer.
    """
    is_valued = any(each.value is not None for each in solutions)
    weights = [(each.value or 0.0) if is_valued else 1.0 for each in solutions]
    return _winner(solutions, weights, answer_class)


def vote_by_value_and_probability(solutions: Sequence[Solution], answer_class: Callable[[str], str]) -> str | None:
    """Return the answer with the highest sum of value times the reasoner's probability, over distinct solutions.

    The rule of our ``mcts`` preset. A solution of unknown probability counts as the least probable one.
    """
    distinct = list({each.steps: each for each in reversed(solutions)}.values())[::-1]
    known = [each.log_prior for each in distinct if each.log_prior is not None and each.log_prior > -math.inf]
    highest, lowest = max(known, default=0.0), min(known, default=0.0)
    is_valued = any(each.value is not None for each in distinct)
    weights = []
    for each in distinct:
        log_prior = lowest if each.log_prior is None else each.log_prior
        value = (each.value or 0.0) if is_valued else 1.0
        weights.append(value * math.exp(log_prior - highest))
    return _winner(distinct, weights, answer_class)


def _winner(solutions: Sequence[Solution], weights: Sequence[float], answer_class: Callable[[str], str]) -> str | None:
    sums: dict[str, tuple[float, int]] = {}
    first: dict[str, str] = {}
    for solution, weight in zip(solutions, weights, strict=True):
        if solution.answer is None:
            continue
        key = answer_class(solution.answer)
        total, number = sums.get(key, (0.0, 0))
        sums[key] = (total + weight, number + 1)
        first.setdefault(key, solution.answer)
    # The first of equals: a dict keeps the order in which the answers were found.
    return first[max(sums, key=lambda key: sums[key])] if sums else None
