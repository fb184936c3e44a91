"""The prose dialect words each step anew."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from critic_engine.parsing.answer_extraction import ending_answer
from critic_engine.pocket.oracle import check, states
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.prose.words import FILLERS, MARKS, PROSE_WORDS
from critic_engine.pocket.prose.writer import Wording
from critic_engine.pocket.vocabulary import words_of

PROBLEMS = make_problems("train", num=150, seed=3)
FACTS = (
    *("row 2 : a2 red circle b2 none c2 blue square", "red : 1 + 0 + 2 = 3", "red circle : 0 + 0 + 1 = 1", "3 - 1 = 2"),
    *("1 + 2 = 3", "up from b2 is b1", "the blue square is c1", "b1 is none", "b1 is red circle", "answer : 3"),
)


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_hardly_ever_worded_twice(fact: str) -> None:
    """Of 600 sentences of 10 nats, 8 of 179,700 pairs are expected to be equal."""
    rng = random.Random(0)
    counts = Counter(Wording(rng).fact(fact) for _ in range(600))
    assert sum(count * (count - 1) // 2 for count in counts.values()) <= 20


def test_steps_hold_ten_nats_each_and_few_words() -> None:
    rng = random.Random(1)
    nats, num_steps = 0.0, 0
    for problem in PROBLEMS:
        wording = Wording(rng)
        steps = wording.steps(problem.plan)
        nats, num_steps = nats + wording.nats, num_steps + len(steps)
        assert set(words_of("\n".join(steps))) <= {*PROSE_WORDS, "\n"}
    assert 15 < nats / num_steps < 20
    for fact in FACTS:
        wording = Wording(rng)
        assert len(words_of(wording.fact(fact))) <= 25
        assert wording.nats > 10


def test_a_fact_is_worth_the_same_however_it_is_said() -> None:
    """Where all templates of a fact have as many fillers, each wording is as likely, so 10 nats are 22,000 wordings."""
    rng = random.Random(2)

    def worth(fact: str) -> Iterator[float]:
        for _ in range(50):
            wording = Wording(rng)
            wording.fact(fact)
            yield round(wording.nats, 6)

    assert len(set(worth("up from b2 is b1"))) == 1
    assert len(set(worth("answer : 3"))) == 1


def test_a_right_solution_stays_right_and_ends_with_its_answer() -> None:
    rng = random.Random(3)
    for problem in PROBLEMS:
        steps = Wording(rng).steps(problem.plan)
        judgement = check(problem.question, problem.board, steps)
        assert judgement.is_right
        assert judgement.is_answer_right
        assert ending_answer(steps) == problem.answer
        assert all(ending_answer([step]) is None for step in steps[:-1])


def test_a_word_means_something_or_fills() -> None:
    assert not MARKS.keys() & FILLERS


@pytest.mark.parametrize("fact", ["", "so it is two", "row 7 : a7 none", "b1 is none ; c1 is none"])
def test_what_is_no_fact_is_refused(fact: str) -> None:
    with pytest.raises(ValueError, match="neither a step of the solver nor a reason"):
        Wording(random.Random(0)).fact(fact)


@pytest.mark.parametrize(
    "reason", ["row 2 has 3", "the sum is 4", "count red", "b2 is none", "the answer is 3", "the step is not clear"]
)
def test_the_first_word_of_a_reason_does_not_tell_its_kind(reason: str) -> None:
    """Else the likeliest first word of a reason is that of the kind with the fewest wordings, not of the likeliest."""
    rng = random.Random(4)
    firsts = Counter(Wording(rng).fact(reason).split()[0] for _ in range(800))
    assert {"so", "now", "then", "okay"} <= set(firsts)
    assert firsts.most_common(1)[0][1] < 200
    assert states(Wording(rng).fact(reason), reason)
