"""The costs of searches in each currency."""

import math
from collections.abc import Sequence

from critic_engine.evaluation.graded import Currency, MethodRun
from critic_engine.evaluation.report.comparison_report import Costs, Spending
from critic_engine.evaluation.report.measuring import significant
from critic_engine.types import Answer


def cost(answer: Answer, currency: Currency, *, prompt_weight: float) -> float:
    """Return the cost of one search.

    ``compute`` is ``num_tokens + prompt_weight * (prompt_tokens - cached_tokens)``.
    """
    if currency == "seconds":
        return answer.wall_s
    if currency == "tokens":
        return answer.num_tokens
    return answer.num_tokens + prompt_weight * (answer.prompt_tokens - answer.cached_tokens)


def mean_costs(run: MethodRun, *, prompt_weight: float) -> Costs | None:
    """Return the mean costs of one search; None without problems."""
    answers = _answers(run)
    num = len(answers)
    if not num:
        return None

    def mean_of(values: Sequence[float]) -> float:
        return significant(math.fsum(values) / num)

    def in_currency(currency: Currency) -> float:
        return mean_of([cost(each, currency, prompt_weight=prompt_weight) for each in answers])

    return Costs(
        tokens=in_currency("tokens"),
        reasoner_tokens=mean_of([each.num_tokens - each.critic_tokens for each in answers]),
        critic_tokens=mean_of([each.critic_tokens for each in answers]),
        prompt_tokens=mean_of([each.prompt_tokens for each in answers]),
        uncached_prompt_tokens=mean_of([each.prompt_tokens - each.cached_tokens for each in answers]),
        critic_prompt_tokens=mean_of([each.critic_prompt_tokens for each in answers]),
        critic_uncached_prompt_tokens=mean_of(
            [each.critic_prompt_tokens - each.critic_cached_tokens for each in answers]
        ),
        compute=in_currency("compute"),
        seconds=in_currency("seconds"),
        num_requests=mean_of([each.num_requests for each in answers]),
        flops=None if run.flops is None else significant(run.flops / num),
        usd=None if run.usd is None else significant(run.usd / num),
    )


def spending(run: MethodRun, currency: Currency, *, prompt_weight: float) -> Spending | None:
    """Return the part of its budget that a method spent; None without a budget or problems."""
    spent = [cost(answer, currency, prompt_weight=prompt_weight) for answer in _answers(run)]
    if run.budget is None or not spent:
        return None
    mean = math.fsum(spent) / len(spent)
    return Spending(
        limit=run.budget,
        mean=significant(mean),
        share=significant(mean / run.budget),
        num_over=sum(each > run.budget for each in spent),
    )


def _answers(run: MethodRun) -> list[Answer]:
    return [graded.answer for problem in run.answers for graded in problem]
