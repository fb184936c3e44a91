from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.search import CriticConfig
from critic_engine.errors import CriticEngineError, ParseError, ProblemError
from critic_engine.parsing.injections import Injected, InjectedError, ReadGrade
from critic_engine.pocket.dialects import PROSE
from critic_engine.pocket.oracle import claims_of
from critic_engine.pocket.problems import PocketProblem, make_problems
from critic_engine.pocket.rule_injector import FactGrader, SlipInjector
from critic_engine.prompts import PromptFamily
from critic_engine.roles.critic import Critic
from critic_engine.roles.injection_models import CriticDetector
from critic_engine.types import Problem, TokenUsage, Trajectory

PROBLEMS = make_problems("train", 150, seed=5)


def inject(problem: PocketProblem, seed: int, steps: tuple[str, ...] | None = None) -> Injected:
    trajectory = Trajectory(problem.plan if steps is None else steps, True, problem.answer)
    extras = {"board": problem.board.code}
    injecting = SlipInjector().inject(Problem(problem.question), trajectory, seed=seed, extras=extras)
    reading = asyncio.run(injecting)
    assert reading.usage == TokenUsage()
    return reading.content


def test_the_errors_are_all_that_the_oracle_holds_wrong_and_its_facts() -> None:
    counts: Counter[int] = Counter()
    for number, problem in enumerate(PROBLEMS):
        injected = inject(problem, seed=number)
        verdicts = enumerate(problem.check(injected.steps).verdicts, 1)
        wrong = [(step, verdict.reason) for step, verdict in verdicts if not verdict.is_right]
        assert [(error.step, error.description) for error in injected.errors] == wrong
        assert all(error.description for error in injected.errors)
        counts[len(wrong)] += 1
    assert set(counts) == {1, 2, 3, 4, 5}


def test_steps_without_an_error_are_those_of_the_right_solution() -> None:
    for number, problem in enumerate(PROBLEMS):
        injected = inject(problem, seed=number)
        wrong = {error.step for error in injected.errors}
        for step, (new, old) in enumerate(zip(injected.steps, problem.plan, strict=True), 1):
            assert (new != old) is (step in wrong)


def test_prose_gets_errors_in_prose() -> None:
    rng = random.Random(0)
    for number, problem in enumerate(PROBLEMS[:40]):
        steps = PROSE.write(problem.plan, rng)
        injected = inject(problem, seed=number, steps=steps)
        wrong = {error.step for error in injected.errors}
        for step, (new, old) in enumerate(zip(injected.steps, steps, strict=True), 1):
            assert (new != old) is (step in wrong)
            assert claims_of(new)


def test_the_same_seed_makes_the_same_errors_and_others_make_others() -> None:
    problem = PROBLEMS[0]
    assert inject(problem, seed=3) == inject(problem, seed=3)
    assert len({inject(problem, seed=seed) for seed in range(20)}) > 10


def test_a_right_solution_in_another_order_keeps_its_own() -> None:
    problem = PROBLEMS[0]
    steps = (problem.plan[2], problem.plan[1], problem.plan[0], *problem.plan[3:])
    injected = inject(problem, seed=1, steps=steps)
    wrong = {error.step for error in injected.errors}
    assert [new for step, new in enumerate(injected.steps, 1) if step not in wrong] == [
        old for step, old in enumerate(steps, 1) if step not in wrong
    ]


@pytest.mark.parametrize("steps", [(), ("row 1 : nonsense",), ("answer : 99",)])
def test_a_solution_that_is_not_right_or_is_empty_is_refused(steps: tuple[str, ...]) -> None:
    with pytest.raises(ParseError, match=r"only a right one|no slips"):
        inject(PROBLEMS[0], seed=1, steps=steps)


@pytest.mark.parametrize(
    ("extras", "question", "reason"),
    [
        ({}, "how many red shapes ?", "has no 'board'"),
        ({"board": 7}, "how many red shapes ?", "has no 'board'"),
        ({"board": "xx"}, "how many red shapes ?", "is none of the pocket world"),
        ({"board": PROBLEMS[0].board.code}, "what is the time ?", "is none of the pocket world"),
    ],
)
def test_a_problem_of_another_world_is_refused(extras: dict[str, object], question: str, reason: str) -> None:
    with pytest.raises(ProblemError, match=reason) as caught:
        asyncio.run(SlipInjector().inject(Problem(question), Trajectory(("answer : 1",)), seed=0, extras=extras))
    assert isinstance(caught.value, CriticEngineError)


ERRORS = (InjectedError(2, "c2 is none"), InjectedError(4, "1 + 1 = 2"))


def grade(*found: tuple[int | None, str], errors: tuple[InjectedError, ...] = ERRORS) -> ReadGrade:
    errors_found = tuple(InjectedError(step, words) for step, words in found)
    trajectory = Trajectory(("a", "b", "c", "d"))
    graded = FactGrader().grade(Problem("how many ?"), trajectory, errors=errors, found=errors_found, seed=0)
    grading = asyncio.run(graded)
    assert grading.usage == TokenUsage()
    return grading.content


@pytest.mark.parametrize(
    ("found", "num_matched", "points"),
    [
        (((2, "c2 is none"),), 1, 10),
        (((2, "c2  is\tnone"),), 1, 10),
        (((2, "c2 is red circle"),), 1, 0),
        (((4, "c2 is none"),), 1, 0),
        (((3, "c2 is none"),), 0, 0),
        (((None, "c2 is none"),), 0, 0),
        (((2, "c2 is none"), (4, "1 + 1 = 2")), 2, 10),
        (((2, "c2 is none"), (4, "1 + 1 = 3")), 2, 5),
        (((2, "c2 is none"), (1, "c1 is none"), (3, "c3 is none")), 1, 3),
        ((), 0, 0),
    ],
)
def test_a_step_that_is_named_matches_and_its_right_fact_is_graded(
    found: tuple[tuple[int | None, str], ...], num_matched: int, points: int
) -> None:
    assert grade(*found) == ReadGrade(num_matched=num_matched, grade=points)


def test_a_fact_in_other_words_is_the_fact() -> None:
    errors = (InjectedError(2, "row 2 has 1"), InjectedError(3, "b1 is none"))
    found = [(2, "the middle row plainly has 1"), (3, "At b1 sits nothing")]
    assert grade(*found, errors=errors) == ReadGrade(num_matched=2, grade=10)
    assert grade((2, "the middle row plainly has 2"), errors=errors) == ReadGrade(num_matched=1, grade=0)


def test_what_a_critic_says_in_its_familys_form_is_graded_by_its_fact() -> None:
    family = PromptFamily.load("pocket")
    for number, problem in enumerate(PROBLEMS):
        injected = inject(problem, seed=number)
        first = injected.errors[0]
        for fact, points in [(first.description, 10), ("nothing is so", 0)]:
            words = family.written_critique(step=first.step, reason=fact)
            critic = Critic(ScriptedGenerator([words]), family, CriticConfig(max_attempts=1))
            detector = CriticDetector(critic, "a critic")
            found = asyncio.run(detector.detect(Problem(problem.question), Trajectory(injected.steps), seed=0))
            assert found.words == words
            assert found.errors == (InjectedError(first.step, fact),)
            assert grade(*[(each.step, each.description) for each in found.errors], errors=injected.errors) == (
                ReadGrade(num_matched=1, grade=points)
            )


def test_a_critic_that_gives_no_reason_is_described_by_all_it_wrote() -> None:
    family = PromptFamily.load("pocket")
    critic = Critic(ScriptedGenerator(["wrong step 2"]), family, CriticConfig(max_attempts=1))
    detector = CriticDetector(critic, "a critic")
    found = asyncio.run(detector.detect(Problem("how many ?"), Trajectory(("a", "b")), seed=0))
    assert found.errors == (InjectedError(2, "wrong step 2"),)
