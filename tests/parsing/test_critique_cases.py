"""Texts of critics and annotators in the manner of many models, and what is read of them: one a line of ``cases/``."""

import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.errors import ParseError
from critic_engine.parsing.annotations import ReadAnnotation, parse_annotation
from critic_engine.parsing.critiques import ReadCritique, parse_critique
from critic_engine.prompts import PromptFamily


def cases(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent / "cases" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


CRITIQUES, ANNOTATIONS = cases("critiques"), cases("annotations")
FORMS = {name: PromptFamily.load(name).form.critique for name in ("plain", "reasoned", "pocket")}


def named(found: list[dict[str, Any]]) -> list[str]:
    return [f"{number}: {case['why']}" for number, case in enumerate(found, 1)]


@pytest.mark.parametrize("case", CRITIQUES, ids=named(CRITIQUES))
def test_a_critic_is_read_as_it_means(case: dict[str, Any]) -> None:
    form = FORMS[case["family"]]
    if case["verdict"] is None:
        with pytest.raises(ParseError):
            parse_critique(case["text"], form, num_steps=case["num_steps"])
    else:
        read = parse_critique(case["text"], form, num_steps=case["num_steps"])
        assert read == ReadCritique(case["verdict"], case["step"], case["score"])


@pytest.mark.parametrize("case", ANNOTATIONS, ids=named(ANNOTATIONS))
def test_an_annotator_is_read_as_it_means(case: dict[str, Any]) -> None:
    if case["side"] is None:
        with pytest.raises(ParseError):
            parse_annotation(case["text"])
    else:
        assert parse_annotation(case["text"]) == ReadAnnotation(case["side"], case["step"], case["reason"])


def test_no_text_stands_twice_among_the_cases() -> None:
    assert len({(case["text"], case["family"]) for case in CRITIQUES}) == len(CRITIQUES)
    assert len({case["text"] for case in ANNOTATIONS}) == len(ANNOTATIONS)
