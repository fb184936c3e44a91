"""Critics' texts in the manner of many models, and what is read of them: ``cases/critiques.jsonl``, one a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.errors import ParseError
from critic_engine.parsing.critiques import ReadCritique, parse_critique
from critic_engine.prompts import PromptFamily

FILE = Path(__file__).parent / "cases" / "critiques.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
FORMS = {name: PromptFamily.load(name).form.critique for name in ("plain", "reasoned", "pocket")}


@pytest.mark.parametrize("case", CASES, ids=[f"{number}: {case['why']}" for number, case in enumerate(CASES, 1)])
def test_a_critic_is_read_as_it_means(case: dict[str, Any]) -> None:
    form = FORMS[case["family"]]
    if case["verdict"] is None:
        with pytest.raises(ParseError):
            parse_critique(case["text"], form, num_steps=case["num_steps"])
    else:
        read = parse_critique(case["text"], form, num_steps=case["num_steps"])
        assert read == ReadCritique(case["verdict"], case["step"], case["score"])


def test_no_text_stands_twice_among_the_cases() -> None:
    assert len({(case["text"], case["family"]) for case in CASES}) == len(CASES)
