"""Tables of the outcomes: ours against the best peer, losses first, and every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.peer_methods.methods import Method
from bench.peer_methods.outcomes import RULES, Outcome
from critic_engine.statistics.intervals import Interval, clustered_share
from critic_engine.statistics.verdicts import PairVerdict, judge_pairs

HEADLINE = "mcts"
"""The method of ours that stands for us."""


@dataclass(frozen=True)
class Row:
    """One method at one budget."""

    method: str
    budget: int
    outcomes: tuple[tuple[Outcome, ...], ...]
    """A tuple a problem, and in it an outcome a seed."""

    def right(self, rule: str) -> list[list[float]] | None:
        """Return 1 or 0 for each problem and seed, by this rule; None if the method has no such answers."""
        if any(rule not in each.is_right for problem in self.outcomes for each in problem):
            return None
        return [[float(each.is_right[rule] is True) for each in problem] for problem in self.outcomes]

    def accuracy(self, rule: str) -> Interval | None:
        """Return the share of right answers by this rule."""
        right = self.right(rule)
        return None if right is None else clustered_share(right)

    def mean(self, field: str) -> float:
        """Return the mean of a field of the outcomes."""
        found = [float(getattr(each, field)) for problem in self.outcomes for each in problem]
        return sum(found) / len(found)

    def total(self, field: str) -> int:
        """Return the sum of a field of the outcomes."""
        return sum(int(getattr(each, field)) for problem in self.outcomes for each in problem)

    @property
    def num_unsure(self) -> int:
        """Answers by the own rule whose grade is unsure; they count as wrong."""
        return sum(each.is_right["own"] is None for problem in self.outcomes for each in problem)


@dataclass(frozen=True)
class Comparison:
    """One of our rows and the best peer's, each with its rule."""

    ours: Row
    theirs: Row
    rule: str
    their_rule: str
    verdict: PairVerdict


def rows_of(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return the outcomes by budget and method, in the order in which these come first."""
    cells: dict[tuple[int, str], dict[int, list[Outcome]]] = {}
    for each in outcomes:
        cells.setdefault((each.budget, each.method), {}).setdefault(each.problem, []).append(each)
    ordered = sorted(cells, key=lambda cell: cell[0])
    return [
        Row(method, budget, tuple(tuple(found) for _, found in sorted(cells[budget, method].items())))
        for budget, method in ordered
    ]


def compare(
    rows: Sequence[Row], methods: Mapping[str, Method], *, names: Sequence[str], rules: Sequence[str], seed: int
) -> list[Comparison]:
    """Return our rows against the best peer of their budget by each rule, and by any rule; the largest loss first."""
    found = []
    for ours in (row for row in rows if row.method in names):
        peers = [row for row in rows if row.budget == ours.budget and methods[row.method].package != "ours"]
        for rule in rules:
            their_rules = RULES if rule == "any" else (rule,)
            our_rule = "own" if rule == "any" else rule
            found += _against_best(ours, peers, our_rule, their_rules, seed)
    return sorted(found, key=lambda each: each.verdict.difference.estimate)


def _against_best(
    ours: Row, peers: Sequence[Row], rule: str, their_rules: Sequence[str], seed: int
) -> list[Comparison]:
    known = [
        (accuracy.estimate, peer, each)
        for peer in peers
        for each in their_rules
        if (accuracy := peer.accuracy(each)) is not None
    ]
    right = ours.right(rule)
    if not known or right is None:
        return []
    _, best, their_rule = max(known, key=lambda each: each[0])
    theirs = best.right(their_rule)
    assert theirs is not None
    (verdict,) = judge_pairs({ours.method: right, f"{best.method} ": theirs}, seed=seed)
    return [Comparison(ours, best, rule, their_rule, verdict)]


def comparisons(outcomes: Sequence[Outcome], methods: Mapping[str, Method], *, seed: int) -> list[str]:
    """Return the sections that compare ours with the best peer; empty without both."""
    rows = rows_of(outcomes)
    others = [name for name in dict.fromkeys(row.method for row in rows) if methods[name].package == "ours"]
    others = [name for name in others if name != HEADLINE]
    lines = []
    for title, names, rules in (
        (f"{HEADLINE} against the best peer of each budget, losses first", [HEADLINE], [*RULES, "any"]),
        ("Our other presets, each by its own rule, against the best peer's own rule, losses first", others, ["own"]),
    ):
        found = compare(rows, methods, names=names, rules=rules, seed=seed)
        if found:
            lines += [f"## {title}", "", *_comparison_table(found), "", *_reasons(found), ""]
    return lines


def _comparison_table(found: Sequence[Comparison]) -> list[str]:
    lines = [
        "| budget | ours | rule | best peer | its rule | ours minus it (95 % interval) | p | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        difference, verdict = each.verdict.difference, each.verdict
        lines.append(
            f"| {each.ours.budget} | {each.ours.method} | {each.rule} | {each.theirs.method} | {each.their_rule}"
            f" | {_points(difference)} | {verdict.p_value:.3g} | {verdict.text} |"
        )
    return lines


def _reasons(found: Sequence[Comparison]) -> list[str]:
    """Return what the data show of each comparison in which ours is behind: what was found, chosen and spent."""
    lines = []
    for each in (each for each in found if each.verdict.difference.estimate < 0):
        ours, theirs = _facts(each.ours, each.rule), _facts(each.theirs, each.their_rule)
        lines.append(f"- {each.ours.method} @{each.ours.budget} ({each.rule}): {ours}; {each.theirs.method}: {theirs}.")
    return ["Where ours is behind:", "", *lines] if lines else []


def _facts(row: Row, rule: str) -> str:
    found, accuracy = row.mean("was_found"), row.accuracy(rule)
    right = 0.0 if accuracy is None else accuracy.estimate
    chosen = f", chose right in {100 * right / found:.0f} % of them" if found else ""
    return (
        f"found a right solution for {100 * found:.1f} % of problems{chosen}, wrote {row.mean('num_solutions'):.1f} "
        f"solutions with {row.mean('num_tokens'):.0f} tokens"
    )


def table(outcomes: Sequence[Outcome], methods: Mapping[str, Method]) -> list[str]:
    """Return the table of all rows."""
    lines = [
        "## All rows",
        "",
        "| budget | package | method | own rule | value vote | value x probability vote | right solution found "
        "| solutions | tokens | critic's | prompt tokens | failed | unreadable | unsure |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows_of(outcomes):
        shares = " | ".join(_share(row.accuracy(rule)) for rule in RULES)
        lines.append(
            f"| {row.budget} | {methods[row.method].package} | {row.method} | {shares}"
            f" | {100 * row.mean('was_found'):.1f} | {row.mean('num_solutions'):.1f} | {row.mean('num_tokens'):.0f}"
            f" | {row.mean('num_critic_tokens'):.0f} | {row.mean('num_prompt_tokens'):.0f}"
            f" | {row.total('num_failed')} | {row.total('num_unreadable')} | {row.num_unsure} |"
        )
    return lines


def results(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Return the figures of each row for the JSON line."""
    return {
        f"{row.method} @{row.budget}": {
            **{f"accuracy, {rule}": _numbers(row.accuracy(rule)) for rule in RULES},
            "found": round(row.mean("was_found"), 4),
            "tokens_per_problem": round(row.mean("num_tokens"), 1),
            "prompt_tokens_per_problem": round(row.mean("num_prompt_tokens"), 1),
            "num_failed": row.total("num_failed"),
            "num_unreadable": row.total("num_unreadable"),
        }
        for row in rows_of(outcomes)
    }


def _numbers(accuracy: Interval | None) -> list[float] | None:
    return None if accuracy is None else [round(each, 4) for each in (accuracy.estimate, accuracy.low, accuracy.high)]


def _share(accuracy: Interval | None) -> str:
    if accuracy is None:
        return "-"
    return f"{100 * accuracy.estimate:.1f} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _points(difference: Interval) -> str:
    return f"{100 * difference.estimate:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
