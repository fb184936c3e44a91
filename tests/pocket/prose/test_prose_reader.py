"""Prose is read back into the facts it states, or not at all."""

import random
from collections.abc import Sequence

import pytest

from critic_engine.pocket.board import Board
from critic_engine.pocket.oracle import UNCLEAR, check
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.prose.reader import MAX_CHARACTERS, facts_of
from critic_engine.pocket.prose.words import PROSE_WORDS
from critic_engine.pocket.prose.writer import Wording
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.solver import solve, solve_with_slips

BOARD = Board.from_code("rc--bs/rs----/--rcgt")
SAME = "how many other shapes have the colour of a1 ?"
REASONS = (
    *("b1 is none", "row 2 has 1", "the sum is 3", "count red", "count blue square", "3 - 1 = 2", "up from c3 is c2"),
    *("the green triangle is c3", "the answer is not none", "the answer is not 3", "the step is not clear"),
)


def _round_trip(num: int) -> None:
    rng = random.Random(0)
    problems = make_problems("train", num=200, seed=4)
    for seed in range(num):
        problem = problems[seed % len(problems)]
        question = read_question(problem.question)
        slips = {rng.randint(1, 5)} if seed % 2 else set()
        facts = solve_with_slips(question, problem.board, slips=slips, rng=rng)
        steps = Wording(random.Random(seed)).steps(facts)
        assert all(facts_of(step) for step in steps)
        _check_told(facts, [claim for step in steps for claim in facts_of(step)])


def _check_told(facts: Sequence[str], claims: Sequence[tuple[str, ...]]) -> None:
    """Check that the claims are the facts in their order, one or more times each, but for some rows."""
    told = [fact for fact in facts if not fact.startswith("row ") or (fact,) in claims]
    place = -1
    for claim in claims:
        place += place + 1 < len(told) and told[place + 1] in claim
        assert told[place] in claim
    assert place == len(told) - 1


def test_what_was_written_is_read() -> None:
    _round_trip(500)


@pytest.mark.slow
def test_what_was_written_is_read_for_ten_thousand_seeds() -> None:
    _round_trip(10_000)


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_are_read_too(reason: str) -> None:
    for seed in range(20):
        ((first, *_),) = facts_of(Wording(random.Random(seed)).fact(reason))
        assert first in (reason, reason.replace("the green triangle is c3", "c3 is green triangle"))


@pytest.mark.parametrize(
    ("step", "facts"),
    [
        ("so at c3 plainly sits a green triangle i think", (("c3 is green triangle", "the green triangle is c3"),)),
        ("Well,  b1 clearly HOLDS nothing", (("b1 is none",),)),
        ("1 plus 3 makes 4", (("1 + 3 = 4", "3 + 1 = 4"),)),
        (
            "taking 1 away from 3 leaves 2 ; so the best answer is 2",
            (("3 - 1 = 2",), ("answer : 2", "the answer is 2")),
        ),
        ("going north from b2 leads to b1", (("up from b2 is b1",),)),
        ("counting the red shapes gives 2 top 1 middle 0 bottom , 3 altogether", (("red : 2 + 1 + 0 = 3",),)),
        (
            "the top row has red circle at a1 , nothing on c1 , blue square in b1",
            (("row 1 : a1 red circle b1 blue square c1 none",),),
        ),
        ("the lower row has 2 squares", ()),
        ("b1 is not a red circle", ()),
        ("b1 is without a red circle", ()),
        ("b1 is a crimson circle", ()),
        ("b1 is a red circle or a blue square", ()),
        ("the top row has a1 with red circle , b1 with nothing", ()),
        ("the top row has a1 with red circle , b1 with nothing , b1 with nothing", ()),
        ("the top row has a1 with red circle , b1 with nothing , c2 with nothing", ()),
        ("counting the red shapes gives 1 top 1 top 0 bottom , 2 altogether", ()),
        ("taking 1 away from 3 leaves 2 ; hello", ()),
        ("so", ()),
        ("", ()),
        (";", ()),
    ],
)
def test_nothing_is_guessed(step: str, facts: tuple[tuple[str, ...], ...]) -> None:
    assert facts_of(step) == facts


def test_the_oracle_judges_prose_as_it_judges_the_facts() -> None:
    plan = solve(read_question(SAME), BOARD)
    for seed in range(20):
        wording = Wording(random.Random(seed))
        right = [wording.fact(fact) for fact in plan[3:5]]
        assert check(SAME, BOARD, right).is_right
        assert check(SAME, BOARD, [*right, wording.fact("3 - 1 = 1")]).words == "wrong step 3 : 3 - 1 = 2"
        assert check(SAME, BOARD, [*right, wording.fact("a2 is red square")]).words == "wrong step 3 : 3 - 1 = 2"
        merged = f"{right[0]} ; {wording.fact('red : 1 + 2 + 1 = 4')}"
        assert check(SAME, BOARD, [merged]).words == "wrong step 1 : row 2 has 1"
        assert check(SAME, BOARD, [right[0], "who knows"]).words == f"wrong step 2 : {UNCLEAR}"
        assert check(SAME, BOARD, [wording.fact("row 2 has 1")]).words == f"wrong step 1 : {UNCLEAR}"


def test_any_prose_is_judged_and_nothing_is_raised() -> None:
    rng = random.Random(1)
    for _ in range(500):
        steps = [" ".join(rng.choices(PROSE_WORDS, k=rng.randint(0, 12))) for _ in range(3)]
        assert len(check(SAME, BOARD, steps).verdicts) == 3


def test_a_very_long_step_is_not_read() -> None:
    assert facts_of("so " * (MAX_CHARACTERS // 3 - 20) + "b1 is nothing") == (("b1 is none",),)
    assert facts_of("so " * MAX_CHARACTERS + "b1 is nothing") == ()
    assert facts_of("left " * 10**5) == ()
