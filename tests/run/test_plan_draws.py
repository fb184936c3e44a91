"""The draws of a plan: what they cost, what their wording says, and that failures are listed and never counted."""

import asyncio
from collections.abc import Callable

import pytest

from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.config.engine import load_config
from critic_engine.errors import GenerationError
from critic_engine.models.registry import Models
from critic_engine.protocols import GenerationRequest, Sample, TokenLogprob
from critic_engine.roles.factory import make_roles
from critic_engine.run.plan_draws import NUM_DRAWS, plan_search
from critic_engine.run.search_plan import SearchPlan
from critic_engine.types import Problem

PROBLEM = Problem("how many?")
CRITIQUE = "Verdict: right\nScore: 0.9"


def reason(step_tokens: int, *, nats: float | None = 0.5, is_worded_anew: bool = False) -> Callable[..., Sample]:
    """Return a reasoner of four steps and an answer, each of so many tokens of so many nats."""

    def write(request: GenerationRequest, seed: int) -> Sample:
        number = request.prefix.count("\n")
        steps = [f"step {each}{f' by way {seed}' * is_worded_anew}" for each in range(number, 4)] + ["answer: 7"]
        is_step = request.sampling.stop != ()
        text = steps[0] if is_step else "\n".join(steps)
        num_tokens = step_tokens * (1 if is_step else len(steps))
        tokens = None if nats is None else (TokenLogprob(text, -nats), *[TokenLogprob("", -nats)] * (num_tokens - 1))
        ends_turn = not is_step or steps[0] == "answer: 7"
        return Sample(text, num_tokens, "stop", None if ends_turn else "\n", tokens)

    return write


def plan(reasoner: Script, *overrides: str, preset: str = "mcts", critic: Script | None = None) -> SearchPlan:
    config = load_config(preset, ["reasoner.prompts=plain", "critic.prompts=plain", *overrides])
    generators = {"reasoner": ScriptedGenerator(reasoner), "critic": ScriptedGenerator(critic or [CRITIQUE])}
    roles = make_roles(config, Models(None), **generators)  # type: ignore[arg-type]
    return asyncio.run(plan_search([PROBLEM, Problem("how many more?")], config, roles))


def test_solutions_steps_and_evaluations_are_drawn_and_priced() -> None:
    found = plan(reason(30), "budget.max_tokens=1500")
    assert (found.num_problems, found.kind, found.num_proposals, found.failures) == (2, "step", 1, ())
    assert found.solution is not None
    assert found.draw is not None
    assert found.evaluation is not None
    assert (found.solution.num, found.solution.generated_tokens, found.steps_per_solution) == (2 * NUM_DRAWS, 150, 5)
    assert (found.draw.num, found.draw.generated_tokens) == (4 * NUM_DRAWS, 30), "at the root, and half-way"
    assert found.evaluation.num == 8
    assert found.num_solutions == 10
    assert (found.num_unfinished, found.num_unvalued, found.warnings) == (0, 0, ())


def test_wording_is_measured_by_log_probabilities_and_repeated_words() -> None:
    same, anew = plan(reason(30)).wordings, plan(reason(20, nats=1.0, is_worded_anew=True)).wordings
    assert (same.has_logprobs, same.nats_per_draw, same.nats_per_token, same.repeated_share) == (True, 15.0, 0.5, 1.0)
    assert (anew.nats_per_draw, anew.nats_per_token, anew.repeated_share) == (20.0, 1.0, 0.0)


def test_reasoner_without_log_probabilities_is_said_to_have_none() -> None:
    found = plan(reason(30, nats=None))
    assert not found.wordings.has_logprobs
    assert found.wordings.nats_per_draw is None
    assert any("no log-probabilities" in warning for warning in found.warnings)


def test_probability_that_underflows_is_no_number() -> None:
    wordings = plan(reason(100, nats=9.0)).wordings
    assert (wordings.has_logprobs, wordings.nats_per_draw, wordings.nats_per_token) == (True, None, None)


def test_budget_of_solutions_is_told_in_tokens() -> None:
    assert plan(reason(30), "budget.max_tokens=16 solutions").max_tokens == 16 * 150
    assert plan(reason(4), "budget.max_tokens=16 solutions").max_tokens == 16 * 64, "no solution counts for less"


def test_prompts_count_where_the_budget_weighs_them() -> None:
    free, weighed = (plan(reason(30), "budget.max_tokens=1500", f"budget.prompt_weight={each}") for each in (0, 1))
    assert free.draw is not None
    assert weighed.draw is not None
    assert weighed.draw.budget_tokens == free.draw.generated_tokens + free.draw.prompt_tokens


def test_method_of_whole_solutions_draws_nothing_else() -> None:
    found = plan(reason(30), "budget.max_tokens=1500", preset="mctsr")
    assert found.kind == "solution"
    assert found.draw == found.solution
    assert found.evaluation is not None
    assert found.evaluation.num == 4
    assert found.num_paths == found.num_expansions


def test_only_a_method_that_draws_steps_again_is_said_to() -> None:
    assert not plan(reason(30)).is_redrawing
    assert plan(reason(30), preset="guided").is_redrawing
    assert not plan(reason(30), "strategy.max_draws=1", preset="guided").is_redrawing


def test_evaluator_that_asks_no_model_costs_nothing() -> None:
    found = plan(reason(30), "evaluator.kind=none", "decision.rule=majority")
    assert found.evaluation is None
    assert found.expansion_tokens == 30


def test_failures_are_listed_and_their_cost_counts() -> None:
    def fail(request: GenerationRequest, seed: int) -> str:
        raise GenerationError("the endpoint is gone")

    found = plan(fail)
    assert (found.solution, found.draw, found.evaluation, found.max_tokens) == (None, None, None, None)
    assert found.failures == ("the endpoint is gone",)
    assert "no whole solution could be drawn" in found.warnings[0]
    unread = plan(reason(30), critic=["hm"])
    assert unread.evaluation is not None
    assert (unread.num_unvalued, unread.num_unfinished) == (8, 0)
    assert any("no evaluation gave a value" in warning for warning in unread.warnings)
    assert all("hm" in failure for failure in unread.failures)


def test_texts_without_an_answer_are_counted() -> None:
    found = plan(lambda request, seed: "" if seed % 2 else "I do not know\n")
    assert found.num_unfinished == 2 * NUM_DRAWS
    assert any("have no answer" in warning or "no whole" in warning for warning in found.warnings)


@pytest.mark.parametrize("preset", ["beam", "dvts", "rstar", "ab_mcts", "lats", "best_of_n", "majority", "critic_v"])
def test_each_method_can_be_planned(preset: str) -> None:
    # The reward model would be loaded.
    found = plan(reason(10), *["evaluator={kind: critic}"] * (preset in ("beam", "dvts")), preset=preset)
    assert found.solution is not None
    assert found.num_proposals >= 1
