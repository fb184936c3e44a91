"""Classes of answers: votes count what the relation of two answers says, whatever the order."""

import asyncio
import itertools
import random
from fractions import Fraction

import pytest

from critic_engine.parsing.answers import AnswerClasses, AnswerRelation
from critic_engine.parsing.answers.mathematics import FormulaProver
from critic_engine.parsing.answers.values import plain_number

QUESTIONS = [("", ()), ("How many apples are left?", ()), ("What is the length in cm?", ()), ("What percentage?", ()),
             ("Find all solutions.", ()), ("Which?", ("12", "15", "Two dogs", "x"))]  # fmt: skip


def written(draw: random.Random) -> str:
    """Return one of many spellings of one of few values."""
    number = Fraction(draw.choice([0, 1, 2, 7, 12, 15, -3]), draw.choice([1, 1, 2, 4, 3]))
    plain, top, bottom = plain_number(number), number.numerator, number.denominator
    forms = [plain, f"${plain}$", rf"\frac{{{top}}}{{{bottom}}}", f"{top}/{bottom}", f"x = {plain}", f"{plain} cm",
             f"{plain} centimetres", f"{plain}%", f"{plain} apples", f"${plain}", f"{plain} dollars", f"**{plain}.**",
             f"({plain}, 2)", f"({plain},2)", rf"\{{{plain}, 2\}}", f"{{2,{plain}}}", f"2 and {plain}", f"{plain}, 2",
             f"{plain}000000", f"{plain} million", f"#### {plain}"]  # fmt: skip
    words = ["red", "Red.", "a dog", "dog", "the dog", "dogs", "gray", "grey", "yes", "True", "no", "seven", "twelve",
             "UK", "United Kingdom", "CO", "Co", "B", "(B)", "b.", "Jan 5", "January 5", "f'", "f",
             "two dogs", ""]  # fmt: skip
    return draw.choice(forms) if draw.random() < 0.7 else draw.choice(words)


@pytest.mark.parametrize(("question", "choices"), QUESTIONS, ids=range(len(QUESTIONS)))
def test_answers_share_a_class_if_and_only_if_they_are_surely_the_same(question: str, choices: tuple[str, ...]) -> None:
    draw = random.Random(7)
    relation, classes = AnswerRelation(question, choices), AnswerClasses(question, choices)
    for _ in range(10_000 // len(QUESTIONS) + 1):
        left, right = written(draw), written(draw)
        is_same = relation.is_same(left, right)
        assert (classes.key(left) == classes.key(right)) is (is_same is True), (left, right)
        assert relation.is_same(right, left) is is_same


FORMULAS = [r"\sqrt{8}", r"2\sqrt{2}", r"2\sqrt2", "4", r"\sqrt{16}", "x+1", "1+x", "x+2", r"(\sqrt{4}, 3)", "(2,3)"]


def test_formulas_share_a_class_in_any_order() -> None:
    draw = random.Random(3)
    expected = {frozenset(FORMULAS[:3]), frozenset(FORMULAS[3:5]), frozenset(FORMULAS[5:7]), frozenset(["x+2"]),
                frozenset(FORMULAS[8:])}  # fmt: skip
    for _ in range(20):
        classes = AnswerClasses()
        groups: dict[str, set[str]] = {}
        for formula in draw.sample(FORMULAS, len(FORMULAS)):
            groups.setdefault(classes.key(formula), set()).add(formula)
        assert set(map(frozenset, groups.values())) == expected


def test_classes_agree_with_pairs_of_formulas() -> None:
    classes, relation = AnswerClasses(), AnswerRelation()
    for left, right in itertools.combinations(FORMULAS, 2):
        assert (classes.key(left) == classes.key(right)) is (relation.is_same(left, right) is True)


def test_settled_answers_need_no_further_mathematics() -> None:
    prover = FormulaProver()
    classes, relation = AnswerClasses(prover=prover), AnswerRelation(prover=prover)
    asyncio.run(classes.settle(FORMULAS))
    asyncio.run(relation.settle(itertools.combinations(FORMULAS, 2)))
    prover.close()
    assert len({classes.key(formula) for formula in FORMULAS}) == 5
    assert all(relation.is_same(left, right) is not None for left, right in itertools.combinations(FORMULAS[:3], 2))
    assert prover._worker is None, "a comparison was left to do"


def test_classes_learnt_from_a_log_take_its_keys() -> None:
    classes = AnswerClasses()
    classes.learn(r"2\sqrt{2}", "the key of the log")
    assert classes.key(r"\sqrt{8}") == classes.key(r"2 \sqrt{2}") == "the key of the log"
    assert classes.key("4") == "4"
