"""A dry run: a few whole solutions, steps and evaluations, from which follows what a budget buys."""

import math
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.engine import EngineConfig
from critic_engine.episode.node_state import continuation_key, extend
from critic_engine.episode.solution_budget import solutions_limit
from critic_engine.episode.strategy_factory import make_strategy
from critic_engine.errors import GenerationError
from critic_engine.parsing.thoughts import visible
from critic_engine.protocols import Continuation, Evaluation, Expander, Expansion, ExpansionContext
from critic_engine.roles.factory import SearchRoles
from critic_engine.run.search_plan import DrawCost, SearchPlan, Wordings
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory
from search import GuidedOptions

NUM_DRAWS = 4
"""Whole solutions of a problem, and draws at each place."""
_NUM_JUDGED = 2


@dataclass(frozen=True, slots=True)
class _PlaceDraws:
    """The draws at one place, and the errors of the requests that failed, whose cost counts."""

    place: Trajectory
    expansion: Expansion
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ProblemDraws:
    """The draws of one problem."""

    solutions: _PlaceDraws
    """Whole solutions."""
    draws: tuple[_PlaceDraws, ...]
    """As the search draws them, at one place each."""
    evaluations: tuple[Evaluation, ...]
    """Of whole solutions, and of their first halves where the search draws steps."""


async def plan_search(problems: Sequence[Problem], config: EngineConfig, roles: SearchRoles) -> SearchPlan:
    """Return what the budget of ``config`` buys, by a few draws of its first reasoner and of its evaluator.

    A failure of a model is listed; it never raises.

    Raises:
        ModelLoadError: a model cannot be loaded.
        ReplicaLostError: no replica of a model is left.
    """
    samples = await gather_or_cancel(_sample(problem, config, roles) for problem in problems)
    solutions, draws = [each.solutions for each in samples], [*chain.from_iterable(each.draws for each in samples)]
    # An evaluator that asks no model costs nothing.
    judged = [each for sample in samples for each in sample.evaluations if each.usage.num_requests or each.errors]
    written = [each for drawn in solutions for each in drawn.expansion.continuations]
    num_steps = [len(each.steps) for each in written if each.steps]
    of_solution = _cost(config, [drawn.expansion.usage for drawn in solutions], NUM_DRAWS) if written else None
    is_drawn = any(drawn.expansion.continuations for drawn in draws)
    return SearchPlan(
        kind=config.expander.kind,
        num_problems=len(problems),
        solution=of_solution,
        num_unfinished=NUM_DRAWS * len(problems) - sum(each.answer is not None for each in written),
        steps_per_solution=math.fsum(num_steps) / len(num_steps) if num_steps else None,
        draw=_cost(config, [drawn.expansion.usage for drawn in draws], NUM_DRAWS) if is_drawn else None,
        wordings=_wordings(draws),
        evaluation=_cost(config, [each.usage for each in judged], 1),
        num_unvalued=sum(each.value is None for each in judged),
        max_tokens=_max_tokens(config, of_solution),
        max_simulations=config.budget.max_simulations,
        num_proposals=_num_proposals(config),
        is_redrawing=isinstance(config.strategy.options, GuidedOptions) and config.strategy.options.max_draws > 1,
        failures=tuple(dict.fromkeys(_failures(samples))),
    )


async def _sample(problem: Problem, config: EngineConfig, roles: SearchRoles) -> _ProblemDraws:
    async def expand(place: Trajectory, number: int) -> _PlaceDraws:
        """Return the draws at a place, as many a request as the search asks for, so that prompts cost the same."""
        seeds, size = _seeds(config, problem, "draw", number), min(NUM_DRAWS, _num_proposals(config))
        requests = [seeds[start : start + size] for start in range(0, NUM_DRAWS, size)]
        contexts = [ExpansionContext(place, is_repeated=request != requests[0]) for request in requests]
        return await _drawn(
            place,
            (expander.expand(problem, context, seeds=each) for context, each in zip(contexts, requests, strict=True)),
        )

    async def finish() -> _PlaceDraws:
        seeds = _seeds(config, problem, "solution", 0)
        return await _drawn(Trajectory(), (expander.finish(problem, Trajectory(), seeds=(seed,)) for seed in seeds))

    async def judge(trajectory: Trajectory, number: int) -> Evaluation:
        seed = _seeds(config, problem, "judge", number)[0]
        try:
            return await roles.evaluator.evaluate(problem, trajectory, seed=seed)
        except GenerationError as error:
            return Evaluation(None, None, error.usage, errors=(str(error),))

    expander: Expander = roles.expanders[0]
    if config.expander.kind == "solution":
        solutions = await expand(Trajectory(), 0)
        draws, halves = [solutions], list[Trajectory]()
    else:
        solutions = await finish()
        halves = [half for each in solutions.expansion.continuations if (half := _first_half(each)).steps]
        places = [Trajectory(), *halves[:1]]
        draws = await gather_or_cancel(expand(place, number) for number, place in enumerate(places))
    ends = [extend(Trajectory(), each) for each in solutions.expansion.continuations]
    judged = [*ends[:_NUM_JUDGED], *halves[:_NUM_JUDGED]]
    evaluations = await gather_or_cancel(judge(each, number) for number, each in enumerate(judged))
    return _ProblemDraws(solutions, tuple(draws), tuple(evaluations))


async def _drawn(place: Trajectory, requests: Iterable[Awaitable[Expansion]]) -> _PlaceDraws:
    found = await gather_or_cancel(_expansion_or_error(each) for each in requests)
    expansions = [each for each in found if isinstance(each, Expansion)]
    return _PlaceDraws(
        place,
        Expansion(
            tuple(chain.from_iterable(each.continuations for each in expansions)),
            sum((each.usage for each in found), TokenUsage()),
            sum(each.num_unreadable for each in expansions),
            sum(each.num_cut for each in expansions),
            tuple(chain.from_iterable(each.cut_by for each in expansions)),
        ),
        tuple(str(each) for each in found if isinstance(each, GenerationError)),
    )


async def _expansion_or_error(request: Awaitable[Expansion]) -> Expansion | GenerationError:
    try:
        return await request
    except GenerationError as error:
        return error


def _seeds(config: EngineConfig, problem: Problem, *purpose: str | int) -> tuple[int, ...]:
    seed = config.run.seed
    return tuple(derive_seed(seed, problem.problem_id, "plan", *purpose, number) for number in range(NUM_DRAWS))


def _first_half(solution: Continuation) -> Trajectory:
    num_steps = len(solution.steps) // 2
    texts = None if solution.texts is None else solution.texts[:num_steps]
    return Trajectory(solution.steps[:num_steps], texts=texts)


def _cost(config: EngineConfig, usages: Sequence[TokenUsage], num_each: int) -> DrawCost | None:
    """Return the mean cost of one of ``num_each`` draws that each usage is of; None without any."""
    usage = sum(usages, TokenUsage())
    return DrawCost.mean(usage, num_each * len(usages), budget_tokens=config.budget.cost(usage)) if usages else None


def _wordings(draws: Sequence[_PlaceDraws]) -> Wordings:
    drawn = [each for place in draws for each in place.expansion.continuations]
    known = [each for each in drawn if each.prior is not None]
    nats = [-math.log(each.prior) for each in known if each.prior]
    has_all = bool(nats) and len(nats) == len(drawn)
    num_tokens = sum(each.num_tokens or 0 for each in drawn)
    thinks = any(visible(text) != text for each in drawn for text in each.texts or ())
    keys = [[continuation_key(each, place.place.prefix) for each in place.expansion.continuations] for place in draws]
    num_further = sum(max(0, len(some) - 1) for some in keys)
    return Wordings(
        has_logprobs=bool(known),
        nats_per_draw=math.fsum(nats) / len(nats) if has_all else None,
        nats_per_token=math.fsum(nats) / num_tokens if has_all and num_tokens and not thinks else None,
        repeated_share=sum(len(some) - len(set(some)) for some in keys) / num_further if num_further else None,
    )


def _max_tokens(config: EngineConfig, solution: DrawCost | None) -> int | None:
    num_solutions = config.budget.num_solutions
    if config.max_cost is not None or num_solutions is None:
        return config.max_cost
    return None if solution is None else solutions_limit(num_solutions, solution.generated_tokens)


def _num_proposals(config: EngineConfig) -> int:
    return next(iter(make_strategy(config, "plan").ask(1))).num_proposals


def _failures(samples: Sequence[_ProblemDraws]) -> Iterator[str]:
    for sample in samples:
        # The draws of a method of whole solutions are its solutions.
        for drawn in dict.fromkeys((sample.solutions, *sample.draws)):
            yield from (*drawn.failures, *drawn.expansion.cut_reasons)
            if num := drawn.expansion.num_unreadable - drawn.expansion.num_cut:
                yield f"{num} of {NUM_DRAWS} texts of the reasoner hold no step or solution"
        for each in sample.evaluations:
            yield from (*each.errors, *each.unreadable)
