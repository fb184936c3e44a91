"""``critic-engine solve --plan``: what a budget buys with these models, in plain words."""

from collections.abc import Iterator
from dataclasses import asdict

import click

from critic_engine.cli.text import labelled
from critic_engine.run.report import json_line
from critic_engine.run.search_plan import DrawCost, SearchPlan, Wordings

NUM_PROBLEMS = 2
"""Problems of a file that a plan draws from, unless --limit says otherwise."""
_NUM_FAILURES_SHOWN = 5


def print_plan(plan: SearchPlan, *, is_json: bool) -> int:
    """Print a plan on stdout; return the exit code, 1 if no solution could be drawn."""
    if is_json:
        click.echo(json_line(plan_fields(plan)))
    else:
        for line in plan_lines(plan):
            click.echo(line)
    return int(plan.solution is None)


def plan_fields(plan: SearchPlan) -> dict[str, object]:
    """Return the plan as JSON: what was drawn, what the budget buys, and the warnings."""
    bought = {
        "num_solutions": plan.num_solutions,
        "num_expansions": plan.num_expansions,
        "num_simulations": plan.num_simulations,
        "num_paths": plan.num_paths,
    }
    rounded = {name: None if num is None else round(num, 1) for name, num in bought.items()}
    return {**asdict(plan), "buys": rounded, "warnings": plan.warnings}


def plan_lines(plan: SearchPlan) -> Iterator[str]:
    """Yield lines for a person."""
    problems = "one problem" if plan.num_problems == 1 else f"{plan.num_problems} problems"
    yield labelled("drawn from", f"{problems}; nothing of it is kept")
    yield labelled("a solution", _solution(plan))
    if plan.kind == "step":
        yield labelled("a step", "none could be drawn" if plan.draw is None else _cost(plan.draw))
    if plan.draw is not None:
        yield labelled("wording", _wording(plan.wordings, what=plan.kind))
    yield labelled("an evaluation", "asks no model" if plan.evaluation is None else _cost(plan.evaluation))
    yield labelled("the budget", _budget(plan))
    yield from (labelled("buys", line) for line in _bought(plan))
    yield from (labelled("warning", warning) for warning in plan.warnings)
    yield from (labelled("failure", failure) for failure in plan.failures[:_NUM_FAILURES_SHOWN])
    if (num_more := len(plan.failures) - _NUM_FAILURES_SHOWN) > 0:
        yield labelled("failure", f"{num_more} more; --json lists all")


def _solution(plan: SearchPlan) -> str:
    if plan.solution is None:
        return "none could be drawn"
    steps = "" if plan.steps_per_solution is None else f" in {plan.steps_per_solution:.1f} steps"
    return f"{_cost(plan.solution)}{steps}"


def _cost(cost: DrawCost) -> str:
    cached = f", {cost.cached_tokens:,.0f} of them cached" if cost.cached_tokens else ""
    return (
        f"{cost.generated_tokens:,.0f} tokens, for {cost.prompt_tokens:,.0f} prompt tokens{cached} (mean of {cost.num})"
    )


def _wording(wordings: Wordings, *, what: str) -> str:
    parts = []
    if not wordings.has_logprobs:
        parts.append("no log-probabilities")
    elif wordings.nats_per_draw is None:
        parts.append(f"some {what}s are less likely than 1e-323")
    else:
        by_token = "" if wordings.nats_per_token is None else f", {wordings.nats_per_token:.2f} a token"
        parts.append(f"{wordings.nats_per_draw:.1f} nats a {what}{by_token}")
    if wordings.repeated_share is not None:
        parts.append(f"{wordings.repeated_share:.0%} of further draws repeat the words of an earlier one")
    return "; ".join(parts)


def _budget(plan: SearchPlan) -> str:
    limits = [
        *([] if plan.max_tokens is None else [f"{plan.max_tokens:,} tokens"]),
        *([] if plan.max_simulations is None else [f"{plan.max_simulations:,} simulations"]),
    ]
    return " or ".join(limits) or "has no limit on tokens or simulations: the search ends by its own rule"


def _bought(plan: SearchPlan) -> Iterator[str]:
    """Yield what the budget buys, in plain words."""
    if plan.num_solutions is not None:
        yield f"about {_number(plan.num_solutions)} whole solutions, if nothing is evaluated"
    if plan.num_expansions is None or plan.num_simulations is None:
        return
    what = "steps" if plan.kind == "step" else "whole solutions"
    judged = "" if plan.evaluation is None else ", each evaluated"
    simulations = f"about {_number(plan.num_simulations)} simulations"
    if plan.num_proposals > 1:
        simulations += f" of {plan.num_proposals} draws"
    yield f"{simulations}: {_number(plan.num_expansions)} {what}{judged}"
    if plan.kind == "step" and plan.num_paths is not None:
        redrawn = ", fewer where steps are drawn again" if plan.is_redrawing else ""
        yield f"about {_number(plan.num_paths)} finished paths if none shared a step; more where they do{redrawn}"


def _number(num: float) -> str:
    return f"{num:,.1f}" if num < 10 else f"{num:,.0f}"
