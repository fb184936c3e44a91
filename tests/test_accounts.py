"""Accounts: what each model was asked for and what it spent is the sum of what the problems are said to have cost."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.engine import Engine
from critic_engine.episode.logged_usage import logged_usage
from critic_engine.errors import GenerationError
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, Problem, TokenUsage

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=600", "run.problems_in_flight=3"]
PROBLEMS = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(5)]
MODEL_TOKENS = ("prompt_tokens", "generated_tokens", "cached_tokens")
CRITIC_TOKENS = ("critic_prompt_tokens", "critic_tokens", "critic_cached_tokens")
BUSY = GenerationError("busy", is_retryable=True)
BILLED = GenerationError(
    "garbled", usage=TokenUsage(prompt_tokens=700, generated_tokens=30, num_requests=3, num_retries=2)
)


def models(**faults: dict[int, GenerationError]) -> dict[str, Any]:
    reasoner = ScriptedGenerator(scripted_reasoner(), name="reasoner", faults=faults.get("reasoner"))
    return {
        "reasoner": reasoner,
        "critic": ScriptedGenerator(scripted_critic(), name="critic", faults=faults.get("critic")),
    }


def cost(*answers: Answer) -> TokenUsage:
    """Return what the answers cost, retries apart: a model does not see that a role asks it again."""
    costs = [(each.prompt_tokens, each.num_tokens, each.cached_tokens, 0, each.num_requests) for each in answers]
    return sum((TokenUsage(*each) for each in costs), TokenUsage())


def critic_cost(*answers: Answer) -> tuple[int, int, int]:
    """Return the critic's part of what the answers cost: prompt, generated and cached tokens."""
    parts = [(each.critic_prompt_tokens, each.critic_tokens, each.critic_cached_tokens) for each in answers]
    return tuple(map(sum, zip(*parts, strict=True)))


def retried(*answers: Answer) -> int:
    return sum(num for each in answers for kind, num in each.failures.items() if kind.endswith("_retried"))


def events(run: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(run / "run.sqlite")) as connection:
        return [json.loads(event) for (event,) in connection.execute("SELECT event FROM events")]


@pytest.mark.parametrize("preset", ["mcts", "best_of_n", "critic_v", "greedy", "beam"])
def test_models_spend_what_the_problems_cost(preset: str, tmp_path: Path) -> None:
    faults = {"reasoner": {0: BUSY, 3: BILLED}, "critic": {1: BUSY, 2: BILLED}}
    overrides = [each for each in SCRIPTED if preset != "greedy" or not each.startswith(("critic", "budget"))]
    made = models(**faults)
    if preset == "greedy":
        made.pop("critic")
    with Engine(preset, overrides=overrides, **made) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=tmp_path))
        figures = engine.figures().values()
    spent, num_failed = sum((each.usage for each in figures), TokenUsage()), sum(each.num_failed for each in figures)
    assert cost(*answers) == replace(spent, num_retries=0)
    num_billed = spent.num_retries // BILLED.usage.num_retries
    assert 0 < num_billed < num_failed
    assert retried(*answers) == spent.num_retries + num_failed - num_billed
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in ("prompt_tokens", "cached_tokens", "num_requests"):
        assert report[name] == sum(row[name] for row in written) == sum(m[name] for m in report["models"].values())
    assert report["num_tokens"] == sum(model["generated_tokens"] for model in report["models"].values())
    judges = [model for name, model in report["models"].items() if name != "reasoner"]
    assert critic_cost(*answers) == tuple(sum(model[name] for model in judges) for name in MODEL_TOKENS)
    assert tuple(report[name] for name in CRITIC_TOKENS) == critic_cost(*answers)


def test_log_holds_the_usage_of_each_trial(tmp_path: Path) -> None:
    with Engine("mcts", overrides=SCRIPTED, **models(critic={1: BILLED})) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=tmp_path))
    logged, said = logged_usage(events(tmp_path)), cost(*answers)
    # Completing a path at the end of a search is no trial.
    assert logged.num_requests <= said.num_requests <= logged.num_requests + len(PROBLEMS)
    assert logged.num_retries == retried(*answers) == 2


def test_resumed_problem_costs_what_both_sessions_spent(tmp_path: Path) -> None:
    with Engine("mcts", overrides=[*SCRIPTED, "run.max_tokens=900"], **models()) as engine:
        list(engine.solve_many(PROBLEMS, run=tmp_path))
    before = logged_usage(events(tmp_path))
    with Engine("mcts", overrides=SCRIPTED, **models()) as engine:
        resumed = list(engine.resume(tmp_path))
    with Engine("mcts", overrides=SCRIPTED, **models()) as engine:
        whole = list(engine.solve_many(PROBLEMS))
    assert 0 < before.num_requests < cost(*whole).num_requests
    assert [asdict(cost(each)) for each in resumed] == [asdict(cost(each)) for each in whole]
    assert [critic_cost(each) for each in resumed] == [critic_cost(each) for each in whole]


def test_budget_of_computation_counts_prompts_and_the_answers_count_generated_tokens(tmp_path: Path) -> None:
    weighted = [*SCRIPTED, "budget.prompt_weight=0.5"]
    with Engine("mcts", overrides=[*weighted, "run.max_tokens=200"], **models()) as engine:
        list(engine.solve_many(PROBLEMS, run=tmp_path))
    with RunStore.view(tmp_path) as store:
        assert 200 <= store.num_tokens() == logged_usage(events(tmp_path)).generated_tokens
    with Engine("mcts", overrides=weighted, **models()) as engine:
        answers = list(engine.resume(tmp_path))
    assert {answer.stop_reason for answer in answers} == {"tokens"}
    # Completing a path at the end of a search is no trial.
    num_logged, completed = logged_usage(events(tmp_path)).generated_tokens, len(PROBLEMS) * 40
    assert num_logged <= sum(answer.num_tokens for answer in answers) <= num_logged + completed
    spent = [each.num_tokens + 0.5 * (each.prompt_tokens - each.cached_tokens) for each in answers]
    assert min(spent) >= 600
    assert max(answer.num_tokens for answer in answers) < 600


@pytest.mark.parametrize("failed", [0, 1])
def test_greedy_request_whose_other_half_fails_is_paid_for(failed: int) -> None:
    reasoner = models(reasoner={failed: GenerationError("no")})["reasoner"]
    with Engine("majority", overrides=["reasoner.temperature=0"], reasoner=reasoner) as engine:
        answer = engine.solve(PROBLEMS[0])
        figures = engine.figures()["reasoner"]
    assert (figures.num_failed, figures.usage.num_requests) == (1, answer.num_requests)
    assert cost(answer) == figures.usage


def test_critiques_that_cannot_be_read_are_paid_for() -> None:
    unreadable = ScriptedGenerator(["no verdict here"], name="critic")
    reasoner = models()["reasoner"]
    with Engine("best_of_n", overrides=SCRIPTED, reasoner=reasoner, critic=unreadable) as engine:
        answer = engine.solve(PROBLEMS[0])
        figures = engine.figures()
    assert answer.failures["critic_unreadable"] == figures["critic"].usage.num_requests > 0
    assert cost(answer) == figures["critic"].usage + figures["reasoner"].usage
    assert 600 <= answer.num_tokens < 700


def test_failed_requests_that_were_billed_count_against_the_budget() -> None:
    costly = GenerationError("garbled", usage=TokenUsage(prompt_tokens=50, generated_tokens=10_000, num_requests=1))
    with Engine("mcts", overrides=SCRIPTED, **models(reasoner={2: costly})) as engine:
        answer = engine.solve(PROBLEMS[0])
    assert answer.stop_reason == "tokens"
    assert answer.num_tokens >= 10_000
    assert answer.num_requests < 20
