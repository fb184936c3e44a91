"""Tables of the cells: our default beside the best of the others, losses first, and every row."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.world_models.cells import RULES, Cell
from bench.world_models.regimes import Regime
from critic_engine.statistics.intervals import Interval
from critic_engine.statistics.paired import clustered_difference

RIVALS = ("majority", "weighted_majority", "best_of_n", "particle", "beam", "ab_mcts")
"""The methods that our default is held to."""
MOST_BEHIND, FEWEST_AHEAD = -0.03, 0.03
"""Differences in accuracy: a cell below the one fails, a cell at the other or above is won."""


@dataclass(frozen=True)
class Comparison:
    """Ours and the best rival in one regime at one budget."""

    ours: Cell
    theirs: Cell
    difference: Interval


def best_rules(cells: Sequence[Cell], rule: str) -> dict[str, str]:
    """Return each method's rule: ``rule``, or for ``best`` the one with the highest mean accuracy over all cells."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    if rule != "best":
        return dict.fromkeys(methods, rule)
    return {
        method: max(RULES, key=lambda each: sum(cell.accuracy(each) for cell in cells if cell.method == method))
        for method in methods
    }


def compare(cells: Sequence[Cell], *, ours: str, rules: dict[str, str], seed: int = 0) -> list[Comparison]:
    """Return ``ours`` beside the best rival of each regime and budget, the largest loss first."""
    found = []
    for mine in (cell for cell in cells if cell.method == ours):
        others = [
            cell
            for cell in cells
            if cell.method in RIVALS
            and cell.method != ours
            and (cell.regime, cell.budget) == (mine.regime, mine.budget)
        ]
        if others:
            best = max(others, key=lambda cell: cell.accuracy(rules[cell.method]))
            right = mine.right[rules[ours]], best.right[rules[best.method]]
            found.append(Comparison(mine, best, clustered_difference(*right, seed=seed, num_resamples=1000)))
    return sorted(found, key=lambda each: each.difference.estimate)


def verdict(found: Sequence[Comparison]) -> dict[str, Any]:
    """Return whether ours is never more than 3 points behind, and at least 3 ahead in half of the cells."""
    behind = [each for each in found if each.difference.estimate < MOST_BEHIND]
    ahead = [each for each in found if each.difference.estimate >= FEWEST_AHEAD]
    surely = [each for each in found if each.difference.high < 0]
    worst = found[0].difference.estimate if found else None
    return {
        "num_cells": len(found),
        "num_behind": len(behind),
        "num_surely_behind": len(surely),
        "num_ahead": len(ahead),
        "worst": worst,
        "mean_difference": _mean(each.difference.estimate for each in found) if found else None,
        "finished": _mean(each.ours.finished for each in found) if found else None,
        "holds": bool(found) and not behind and 2 * len(ahead) >= len(found),
    }


def summary(found: Sequence[Comparison], *, ours: str) -> str:
    """Return the verdict in one line."""
    facts = verdict(found)
    if not found:
        return f"{ours}: no rival ran in the same cells."
    state = "holds" if facts["holds"] else "does not hold"
    return (
        f"{ours}: in {facts['num_behind']} of {facts['num_cells']} cells more than 3 points behind the best rival, in "
        f"{facts['num_ahead']} at least 3 ahead; worst {100 * facts['worst']:+.1f}, mean "
        f"{100 * facts['mean_difference']:+.1f} points; in {facts['num_surely_behind']} the whole interval is below 0. "
        f"The bar {state}. {100 * facts['finished']:.1f} % of its searches finish a path by themselves."
    )


def comparison_table(found: Sequence[Comparison], rules: dict[str, str]) -> list[str]:
    """Return the comparisons as a table, in their order."""
    lines = [
        "| regime | budget | ours | best rival | rival | ours minus it (95 % interval) | finished by itself | found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        ours, theirs, gap = each.ours, each.theirs, each.difference
        lines.append(
            f"| {ours.regime} | {ours.budget:g} | {_percent(ours.accuracy(rules[ours.method]))} | {theirs.method} "
            f"| {_percent(theirs.accuracy(rules[theirs.method]))} "
            f"| {100 * gap.estimate:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f}) "
            f"| {_percent(ours.finished)} | {_percent(ours.found)}, {_percent(theirs.found)} |"
        )
    return lines


def league(cells: Sequence[Cell]) -> list[str]:
    """Return each method's mean over the regimes, by budget, by each rule."""
    lines = [
        "| budget | method | " + " | ".join(RULES) + " | found | finished by itself | tokens | prompt tokens "
        "| uncached |",
        "|" + "---|" * (7 + len(RULES)),
    ]
    for budget in sorted({cell.budget for cell in cells}):
        for method in dict.fromkeys(cell.method for cell in cells):
            group = [cell for cell in cells if (cell.budget, cell.method) == (budget, method)]
            shares = [_mean(cell.accuracy(rule) for cell in group) for rule in RULES]
            shares += [_mean(cell.found for cell in group), _mean(cell.finished for cell in group)]
            lines.append(
                f"| {budget:g} | {method} | {' | '.join(map(_percent, shares))} "
                f"| {_mean(cell.tokens for cell in group):.2f} | {_mean(cell.prompt_tokens for cell in group):.1f} "
                f"| {_mean(cell.uncached_tokens for cell in group):.2f} |"
            )
    return lines


def table(cells: Sequence[Cell], rules: Mapping[str, str]) -> list[str]:
    """Return the accuracy of every cell by its method's rule, a column a method."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    rows: dict[tuple[str, str, float], dict[str, str]] = {}
    for cell in cells:
        row = rows.setdefault((cell.split, cell.regime, cell.budget), {})
        row[cell.method] = _percent(cell.accuracy(rules[cell.method]))
    return [
        "| split | regime | budget | " + " | ".join(methods) + " |",
        "|" + "---|" * (3 + len(methods)),
        *(
            f"| {split} | {regime} | {budget:g} | {' | '.join(row[method] for method in methods)} |"
            for (split, regime, budget), row in rows.items()
        ),
    ]


def regime_table(regimes: Sequence[Regime]) -> list[str]:
    """Return what each regime changes."""
    plain = Regime("")
    lines = ["| regime | settings that differ from the plain one | |", "|---|---|---|"]
    for regime in regimes:
        names = [name for name in Regime.__dataclass_fields__ if name not in ("name", "note")]
        changed = [f"{name} {getattr(regime, name)}" for name in names if getattr(regime, name) != getattr(plain, name)]
        lines.append(f"| {regime.name} | {', '.join(changed)} | {regime.note} |")
    return lines


def results(cells: Sequence[Cell], found: Mapping[str, Sequence[Comparison]], rules: dict[str, str]) -> dict[str, Any]:
    """Return the figures of the JSON line."""
    return {
        "verdicts": {split: verdict(compared) for split, compared in found.items()},
        "rules": rules,
        "cells": [
            {
                "split": cell.split,
                "regime": cell.regime,
                "budget": cell.budget,
                "method": cell.method,
                **{rule: round(cell.accuracy(rule), 4) for rule in RULES},
                "found": round(cell.found, 4),
                "finished": round(cell.finished, 4),
                "paths": round(cell.num_finished, 2),
                "requests": round(cell.num_requests, 1),
                "tokens": round(cell.tokens, 3),
                "prompt_tokens": round(cell.prompt_tokens, 2),
                "uncached_tokens": round(cell.uncached_tokens, 2),
                "duplicates": round(cell.duplicates, 3),
            }
            for cell in cells
        ],
    }


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
