"""The table of answers: given, reference, choices, question, whether they are the same, and why.

``expected`` is true, false or null, which is unsure. ``plain`` marks pairs that a person finds plain.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.parsing.answers import is_same_answer

LINES = (Path(__file__).with_name("cases") / "answers.jsonl").read_text(encoding="utf-8").splitlines()
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES]


def verdict(case: dict[str, Any], *, is_turned: bool = False) -> bool | None:
    pair = (case["given"], case["reference"])
    return is_same_answer(*(reversed(pair) if is_turned else pair), case["choices"], case["question"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['given'][:20]} {case['reference'][:20]}")
def test_pair_is_the_same_or_different_or_unsure_in_either_order(case: dict[str, Any]) -> None:
    assert verdict(case) is case["expected"], case["why"]
    assert verdict(case, is_turned=True) is case["expected"], case["why"]


def test_table_is_large_and_most_plain_pairs_are_sure() -> None:
    plain = [case for case in CASES if case["plain"]]
    assert len(CASES) >= 450
    assert len(plain) >= 300
    assert sum(verdict(case) is None for case in plain) <= 0.05 * len(plain)


def test_no_pair_stands_twice() -> None:
    pairs = {(case["given"], case["reference"], *case["choices"], case["question"]) for case in CASES}
    assert len(pairs) == len(CASES)
