import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.config.search import CriticConfig, ExpanderConfig, ReasonerConfig
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Expansion, ExpansionContext, Sample
from critic_engine.roles.critic import Critic
from critic_engine.roles.expanders import SolutionExpander, StepExpander, make_expander
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import Critique, Problem, TokenUsage, Trajectory

ROOT = ExpansionContext(Trajectory())
FINISHED = Trajectory(("row 1 : a1 none", "answer : 0"), is_finished=True, answer="0")
WRONG = Critique("wrong step 1 : a1 is red circle", "wrong", 0.2, 1)
Make = Callable[..., tuple[Reasoner, Any]]


def solution(text: str = "row 1 : a1 red circle\nanswer : 1") -> list[Sample]:
    return [Sample(text, num_tokens=9, finish_reason="stop")]


@pytest.fixture
def make(listed: Callable[..., Any]) -> Make:
    def make(*items: Any) -> tuple[Reasoner, Any]:
        generator = listed(*items)
        return Reasoner(generator, PromptFamily.load("pocket"), ReasonerConfig()), generator

    return make


def test_step_expander_offers_next_steps(make: Make, problem: Problem) -> None:
    reasoner, generator = make(solution("row 1 : a1 none"))
    expansion = asyncio.run(StepExpander(reasoner, ExpanderConfig()).expand(problem, ROOT, seeds=(3,)))
    assert expansion.continuations[0].steps == ("row 1 : a1 none",)
    assert generator.requests[0].seeds == (3,)


@pytest.mark.parametrize("trajectory", [FINISHED, Trajectory(("a", "b", "c"))])
def test_step_expander_does_not_continue_what_is_at_its_end(
    trajectory: Trajectory, make: Make, problem: Problem
) -> None:
    reasoner, generator = make()
    expander = StepExpander(reasoner, ExpanderConfig(max_steps=3))
    assert asyncio.run(expander.expand(problem, ExpansionContext(trajectory), seeds=(0,))) == Expansion(
        (), TokenUsage()
    )
    assert generator.requests == []


def test_solution_expander_solves_at_the_root(make: Make, problem: Problem) -> None:
    reasoner, generator = make(solution())
    expander = SolutionExpander(reasoner, ExpanderConfig(kind="solution"))
    (continuation,) = asyncio.run(expander.expand(problem, ROOT, seeds=(0,))).continuations
    assert (continuation.is_rewrite, continuation.answer) == (False, "1")
    assert generator.requests[0].messages[0].text == "how many red circles ?"


def test_solution_expander_rewrites_below_the_root(make: Make, problem: Problem) -> None:
    reasoner, generator = make(solution())
    expander = SolutionExpander(reasoner, ExpanderConfig(kind="solution"))
    (continuation,) = asyncio.run(
        expander.expand(problem, ExpansionContext(FINISHED, critique=WRONG), seeds=(0,))
    ).continuations
    assert (continuation.is_rewrite, continuation.answer) == (True, "1")
    assert generator.requests[0].messages[0].text.endswith("critique :\nwrong step 1 : a1 is red circle")


def test_solution_without_a_critique_is_replaced_by_a_fresh_one(make: Make, problem: Problem) -> None:
    reasoner, generator = make(solution())
    expander = SolutionExpander(reasoner, ExpanderConfig(kind="solution"))
    (continuation,) = asyncio.run(expander.expand(problem, ExpansionContext(FINISHED), seeds=(0,))).continuations
    assert (continuation.is_rewrite, continuation.answer) == (True, "1")
    assert generator.requests[0].messages[0].text == "how many red circles ?"


def test_expander_is_the_one_configured(make: Make) -> None:
    reasoner, _ = make()
    assert isinstance(make_expander(ExpanderConfig(kind="step"), reasoner), StepExpander)
    assert isinstance(make_expander(ExpanderConfig(kind="solution"), reasoner), SolutionExpander)


def test_scripted_models_speak_the_pocket_forms_to_the_end(problem: Problem) -> None:
    reasoner = Reasoner(ScriptedGenerator(scripted_reasoner()), PromptFamily.load("pocket"), ReasonerConfig())
    critic = Critic(ScriptedGenerator(scripted_critic()), PromptFamily.load("pocket"), CriticConfig())
    expander = StepExpander(reasoner, ExpanderConfig())
    trajectory = Trajectory()
    while not trajectory.is_finished:
        (continuation,) = asyncio.run(expander.expand(problem, ExpansionContext(trajectory), seeds=(5,))).continuations
        trajectory = Trajectory(trajectory.steps + continuation.steps, continuation.is_finished, continuation.answer)
        evaluation = asyncio.run(critic.evaluate(problem, trajectory, seed=0))
        assert evaluation.value is not None
        assert evaluation.critique is not None
        assert (evaluation.critique.verdict == "right") is (evaluation.value > 0.5)
    assert trajectory.answer is not None
