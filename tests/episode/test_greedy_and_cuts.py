"""A greedy reasoner is never asked the same twice, and a text that its length cut is told apart from a bad form."""

from collections import Counter
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, load_config, parse_config
from critic_engine.engine import Engine
from critic_engine.protocols import GenerationRequest, Sample
from critic_engine.types import Answer, Problem

PROBLEM = Problem("how many ?", name="p")
OVERRIDES = ["reasoner.prompts=pocket", "critic.prompts=pocket", "reasoner.temperature=0", "run.problems_in_flight=1"]


def solve(config: EngineConfig, script: Any) -> tuple[Answer, list[GenerationRequest]]:
    reasoner = ScriptedGenerator(script, is_recording=True)
    critic = ScriptedGenerator(["right", "wrong step 1 : it is not so"]) if config.needs_critic else None
    with Engine(config, reasoner=reasoner, critic=critic) as engine:
        return engine.solve(PROBLEM), reasoner.requests


def greedy_twice(requests: list[GenerationRequest]) -> list[str]:
    """Return what was asked at temperature 0 more than once, seeds apart."""
    keys = [
        repr((request.messages, request.prefix, request.sampling.stop, request.sampling.max_tokens))
        for request in requests
        if request.sampling.is_greedy
        for _ in request.seeds
    ]
    return [key for key, count in Counter(keys).items() if count > 1]


def cut(request: GenerationRequest, seed: int) -> Sample:
    return Sample("I count them one by one and", 9, "length")


def blank(request: GenerationRequest, seed: int) -> Sample:
    return Sample("", 1, "stop")


def thinking(request: GenerationRequest, seed: int) -> Sample:
    return Sample("", 9, "length", thought="<think>let me see")


def worded(request: GenerationRequest, seed: int) -> str:
    return f"see {seed % 5}\nsee {seed % 7}\nanswer : {seed % 3}"


@pytest.mark.parametrize("script", [cut, blank, thinking, worded])
@pytest.mark.parametrize("preset", ["greedy", "majority", "best_of_n", "mmc", "ab_mcts", "mctsr", "mcts"])
def test_greedy_reasoner_is_never_asked_the_same_twice(preset: str, script: Any) -> None:
    overrides = [*OVERRIDES, "budget.max_simulations=8"]
    _, requests = solve(load_config(preset, overrides), script)
    assert greedy_twice(requests) == []
    assert requests[0].sampling.temperature == 0
    assert all(request.sampling.temperature in (0, 0.7) for request in requests)


def test_completions_of_a_greedy_reasoner_differ() -> None:
    config = parse_config(
        {
            "strategy": {"kind": "mcts", "num_proposals": 2, "max_proposals": 2},
            "expander": {"is_critic_guided": False},
            "evaluator": {"kind": "rollout", "num_rollouts": 4},
            "budget": {"max_simulations": 1},
            "reasoner": {"temperature": 0.0, "prompts": "pocket"},
        }
    )
    _, requests = solve(config, lambda request, seed: f"see {seed}\nanswer : {seed % 3}")
    assert greedy_twice(requests) == []
    assert [len(request.seeds) for request in requests] == [1, 1, 1, 3, 1, 3]


@pytest.mark.parametrize("temperature", [0.3, 1.1])
def test_sampling_reasoner_keeps_its_temperature(temperature: float) -> None:
    _, requests = solve(load_config("majority", [*OVERRIDES, f"reasoner.temperature={temperature}"]), worded)
    assert {request.sampling.temperature for request in requests} == {temperature}


@pytest.mark.parametrize(
    ("preset", "script", "option"),
    [
        ("greedy", cut, "raise reasoner.max_tokens"),
        ("majority", cut, "raise reasoner.max_tokens"),
        ("greedy", thinking, "raise reasoner.max_thought_tokens"),
        ("mcts", thinking, "raise reasoner.max_thought_tokens"),
    ],
)
def test_text_cut_by_its_length_names_the_option_to_raise(preset: str, script: Any, option: str) -> None:
    answer, _ = solve(load_config(preset, OVERRIDES), script)
    assert answer.status == "failed"
    assert answer.failures["reasoner_cut"] > 0
    assert "reasoner_unreadable" not in answer.failures
    assert option in str(answer.error)
    assert "answer: X" not in str(answer.error)
