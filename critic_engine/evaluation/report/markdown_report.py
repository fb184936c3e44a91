"""The report of a comparison as Markdown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from critic_engine.data.markdown import markdown_table, plain_markdown
from critic_engine.evaluation.report.comparison_report import ComparisonReport, MethodReport
from critic_engine.evaluation.report.figure_words import (
    UNKNOWN,
    accuracy_words,
    amount_words,
    counted,
    currency_words,
    kinds_words,
    measured_words,
    spending_words,
)

_COSTS = (
    *("method", "reasoner", "critic", "prompt", "uncached", "critic's prompt", "critic's uncached"),
    *("requests", "FLOPs", "USD", "all requests", "wall s"),
)


def markdown_report(report: ComparisonReport, *, files: Sequence[str] = ()) -> str:
    """Return ``report.md``.

    Args:
        report: The figures.
        files: Names of the files beside it, which the last section lists.
    """
    sections = [
        f"# Methods compared on {plain_markdown(report.problems) or 'problems'}",
        _summary(report),
        *(["![Accuracy over cost](curves.png)"] if "curves.png" in files else []),
        f"## Accuracy and cost\n\n{_accuracy_table(report)}\n\n{_accuracy_notes(report)}",
        f"## Verdicts\n\n{_verdicts(report)}",
        *_gates(report),
        "## What cannot be concluded\n\n" + _list(report.cautions or ["Nothing more than the verdicts say."]),
        f"## Costs of one search\n\n{_cost_table(report)}\n\n{_COST_NOTES}",
        *_samples(report.methods),
        *_ungraded(report.methods),
        f"## Values and ends\n\n{_value_table(report)}\n\n{_VALUE_NOTES}",
        "## How it was measured\n\n" + _list(_measurement(report)),
    ]
    if files:
        sections.append("## Files\n\n" + _list([_FILES.get(name, name) for name in files], is_markdown=True))
    return "\n\n".join(sections) + "\n"


_COST_NOTES = (
    "Means over all searches: tokens that the reasoner and the critic generated, prompt tokens that all roles read, "
    "and those of them that no cache held, each with the critic's part. `all requests` and `wall s` are of the whole "
    "run. FLOPs are 2 N for each token read uncached or generated."
)
_PAIR_NOTES = (
    "`smallest effect` is the smallest true difference that this many problems show with 80 % power, and `problems "
    "needed` would settle an inconclusive pair with 80 % power if the difference found is the true one."
)
_VALUE_NOTES = (
    "The AUROC is the probability that the chosen path of a right answer has a higher value than that of a wrong one: "
    "0.5 is chance. It is of the answers that are known to be right or wrong and have a value. Failures and "
    "retries of models are counted by kind; a search may have gone on after them."
)
_FILES = {
    "report.json": "`report.json`: all figures.",
    "curves.csv": "`curves.csv`: accuracy with its interval and each mean cost, a row a method and budget.",
    "curves.png": "`curves.png`: accuracy over generated tokens and over compute, with 95 % intervals.",
    "flips.jsonl": "`flips.jsonl`: each answer that one of two methods gave right and the other did not, with the run "
    "directory and row of both searches.",
    "graded.jsonl": "`graded.jsonl`: each answer with its grade and its tokens.",
    "audit.jsonl": "`audit.jsonl`: each answer that the answer relation grades otherwise than the grader.",
}


def _summary(report: ComparisonReport) -> str:
    verdicts = Counter(pair.verdict for pair in report.pairs)
    return (
        f"{counted(len(report.methods), 'method run')} over {counted(report.num_problems, 'problem')} with "
        f"{counted(report.num_seeds, 'seed')}; budgets in {currency_words(report.currency)}. Of "
        f"{counted(len(report.pairs), 'pair')}, {verdicts['worse']} lost, {verdicts['better']} won, "
        f"{verdicts['no_difference']} without a difference that matters, and {verdicts['inconclusive']} inconclusive."
    )


def _accuracy_table(report: ComparisonReport) -> str:
    names = ("method", "right", "95 % interval", "tokens", "compute", "seconds", "spent", "unsure", "failed")
    return markdown_table(
        names,
        [
            (
                method.name,
                *accuracy_words(method),
                *([UNKNOWN] * 3 if method.costs is None else map(amount_words, _currencies(method))),
                spending_words(method.spending),
                f"{method.num_unsure:,}",
                f"{method.num_failed:,}",
            )
            for method in report.methods
        ],
    )


def _currencies(method: MethodReport) -> Iterator[float]:
    if method.costs is not None:
        yield from (method.costs.tokens, method.costs.compute, method.costs.seconds)


def _accuracy_notes(report: ComparisonReport) -> str:
    return (
        "`right` is the share of all answers that are right; unsure and failed ones count as not right. The intervals "
        "take a problem's seeds as dependent. `tokens`, `compute` and `seconds` are the means of one search; `spent` "
        f"is in {currency_words(report.currency)}, of the budget, and no figure is rescaled by it."
    )


def _verdicts(report: ComparisonReport) -> str:
    if not report.pairs:
        return "There is no pair of methods to compare."
    explained = (
        "Losses come first. The difference is the accuracy of the method named first less that of the other; won and "
        "lost are the answers that it alone, or the other alone, gave right."
    )
    sentences = _list(pair.text for pair in report.pairs)
    return f"{explained}\n\n{sentences}\n\n{_pair_table(report)}\n\n{_PAIR_NOTES}"


def _pair_table(report: ComparisonReport) -> str:
    names = ("method", "against", "difference", "p", "adjusted p", "smallest effect", "problems needed", "verdict")
    return markdown_table(
        names,
        [
            (
                pair.ours,
                pair.theirs,
                measured_words(pair.difference, sign="+"),
                f"{pair.p_value:.2g}",
                f"{pair.adjusted_p_value:.2g}",
                f"{pair.smallest_effect:.3f}",
                UNKNOWN if pair.num_needed is None else f"{pair.num_needed:,}",
                pair.verdict.replace("_", " "),
            )
            for pair in report.pairs
        ],
    )


def _gates(report: ComparisonReport) -> Iterator[str]:
    if report.gates:
        rows = [(outcome.gate, outcome.passing, outcome.reason) for outcome in report.gates]
        yield f"## Gates\n\n{markdown_table(('gate', 'outcome', 'reason'), rows)}"


def _cost_table(report: ComparisonReport) -> str:
    rows: list[list[str]] = []
    for method in report.methods:
        costs = method.costs
        if costs is None:
            rows.append([method.name, *[UNKNOWN] * (len(_COSTS) - 1)])
            continue
        roles = (costs.reasoner_tokens, costs.critic_tokens, costs.prompt_tokens, costs.uncached_prompt_tokens)
        judged = (costs.critic_prompt_tokens, costs.critic_uncached_prompt_tokens)
        means = map(amount_words, (*roles, *judged, costs.num_requests, costs.flops, costs.usd))
        rows.append([method.name, *means, f"{method.num_requests:,}", amount_words(method.wall_s)])
    return markdown_table(_COSTS, rows)


def _samples(methods: Sequence[MethodReport]) -> Iterator[str]:
    rows = [
        (method.name, name, f"{each.k}", measured_words(each.share))
        for method in methods
        for name, shares in (("pass@k", method.pass_at), ("maj@k", method.majority_at))
        for each in shares
    ]
    if rows:
        table = markdown_table(("method", "measure", "k", "share"), rows)
        yield (
            f"## Independent samples\n\n{table}\n\npass@k is the share of problems with a right answer among k "
            "samples: a bound for any choice among them, not an accuracy. maj@k is the share that a "
            "majority of k gets right. Each problem counts with as many samples as every search has that did not fail."
        )


def _ungraded(methods: Sequence[MethodReport]) -> Iterator[str]:
    rows = [(method.name, each.outcome, each.reason, f"{each.num:,}") for method in methods for each in method.reasons]
    if rows:
        table = markdown_table(("method", "outcome", "reason", "answers"), rows)
        yield f"## Unsure and failed answers\n\nThe commonest reasons; these answers count as not right.\n\n{table}"


def _value_table(report: ComparisonReport) -> str:
    return markdown_table(
        ("method", "AUROC of the value", "answers", "searches by the reason for their end", "failures"),
        [
            (
                method.name,
                measured_words(method.value_auroc),
                f"{method.num_valued:,}",
                kinds_words(method.stop_reasons),
                kinds_words(method.failures) or "none",
            )
            for method in report.methods
        ],
    )


def _measurement(report: ComparisonReport) -> Iterator[str]:
    for name, text in (("Reasoner", report.reasoner), ("Critic", report.critic), ("Grader", report.grader)):
        if text:
            yield f"{name}: {text}."
    yield (
        f"Budgets are in {currency_words(report.currency)} of one search. Compute counts a generated token as 1 and an "
        f"uncached prompt token as {report.prompt_weight:g}."
    )
    yield f"Seconds were measured with up to {report.concurrency:,} requests in flight."
    yield "The interval of an accuracy is Wilson's at the effective number of answers, with seeds clustered by problem."
    yield (
        "A pair's p-value is of the exact paired test over problems (McNemar's with one seed), adjusted by Holm "
        f"over all pairs; its interval is a bootstrap over problems with seed {report.seed}."
    )
    yield (
        f"A verdict is better or worse at an adjusted p of at most {report.level:g}, and no difference if the interval "
        f"lies within {report.margin:g} on both sides of 0."
    )


def _list(items: Iterable[str], *, is_markdown: bool = False) -> str:
    return "\n".join(f"- {item if is_markdown else plain_markdown(item)}" for item in items)
