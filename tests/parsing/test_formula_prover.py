"""The prover of formulas: a process of its own, ended when it takes too long and started anew."""

import threading
from collections.abc import Iterator

import pytest

from critic_engine.parsing.answers.formulas import formula_of
from critic_engine.parsing.answers.mathematics import FormulaProver
from critic_engine.parsing.answers.question import question_form
from critic_engine.parsing.answers.reading import read_open_answer

TOWER = "9^{9^{9^{9}}}"
"""Arithmetic that no signal interrupts, and no machine ends."""


@pytest.fixture
def prover() -> Iterator[FormulaProver]:
    made = FormulaProver(limit_s=20)
    yield made
    made.close()


def test_a_formula_that_takes_for_ever_is_unsure_and_the_next_is_proved() -> None:
    prover = FormulaProver(limit_s=2)
    try:
        assert prover.prove(TOWER, "x+1") is None
        assert prover.prove("x+1", "1+x") in (True, None)  # None where the machine is too slow for two seconds
    finally:
        prover.close()


def test_a_worker_that_dies_leaves_the_pair_unsure_and_the_next_is_proved(prover: FormulaProver) -> None:
    assert prover.prove("x+1", "1+x") is True
    worker = prover._worker
    assert worker is not None
    worker._process.kill()
    worker._process.wait()
    assert prover.prove("x+2", "2+x") is None
    assert prover.prove("x+3", "3+x") is True


def test_a_product_of_letters_is_no_unit_that_may_be_left_out(prover: FormulaProver) -> None:
    for formula, number in (("2ab", "2"), ("2 ab", "2"), ("x+2ab", "x+2"), ("(x+1)ab", "x+1")):
        assert prover.prove(formula, number) is None
    assert prover.prove("2ab", "2ba") is True
    assert prover.prove("2ab^2", "2a*b^2") is True


def test_formulas_are_proved_in_any_thread(prover: FormulaProver) -> None:
    found: list[bool | None] = []
    threads = [
        threading.Thread(target=lambda number=number: found.append(prover.prove(f"x+{number}", f"{number}+x")))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


@pytest.mark.parametrize(
    "text", ["\n", "{", "\\frac{", "x\ny", "\x00", "\ud800", '"', "\\input{/etc/passwd}", "1" * 5000]
)
def test_text_that_is_no_formula_is_unsure(prover: FormulaProver, text: str) -> None:
    assert prover.prove(text, "x") is None
    assert prover.prove("x+1", "1+x") is True


@pytest.mark.parametrize(
    "text",
    ["f'", "z*", "0.999...", "5-10", "2010-2015", "AB", "f(x)", "101_2", "H2O", "n!", "x<y<z<w", "cm", "1, 2", "a:b",
     r"\unknown{x}", "(x", "x)", "x" * 500, "2^"],
)  # fmt: skip
def test_text_that_a_prover_could_misread_is_not_shown_to_it(text: str) -> None:
    assert formula_of(read_open_answer(text, question_form("")).value) is None
