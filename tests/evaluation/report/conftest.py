"""Method runs whose answers are given as letters: r right, w wrong, u unsure, f failed; a word a problem."""

from collections.abc import Callable

import pytest

from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.types import Answer

IS_RIGHT = {"r": True, "w": False, "u": None, "f": False}
MakeRun = Callable[..., MethodRun]


def graded(letter: str, *, index: int, seed: int, tokens: int) -> GradedAnswer:
    is_failed = letter == "f"
    answer = Answer(
        id=f"p{index}",
        problem_id=f"{index:016x}",
        answer=None if is_failed else letter,
        value=None if is_failed else {"r": 0.75, "w": 0.25, "u": 0.5}[letter],
        status="failed" if is_failed else "answered",
        stop_reason="error" if is_failed else "tokens",
        num_tokens=tokens + index % 2,
        num_simulations=1,
        wall_s=0.5 + seed,
        error="the endpoint is gone" if is_failed else None,
        prompt_tokens=4 * tokens,
        cached_tokens=tokens,
        num_requests=3,
        critic_tokens=tokens // 4,
        critic_prompt_tokens=tokens,
        critic_cached_tokens=tokens // 4,
    )
    reason = {"u": "two readings", "f": "failed"}.get(letter, "")
    return GradedAnswer(answer, Grade(IS_RIGHT[letter], reason, read_as=None if is_failed else letter))


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    def make(method: str, budget: float | None, words: str, *, tokens: int = 80, **fields: object) -> MethodRun:
        answers = tuple(
            tuple(graded(letter, index=index, seed=seed, tokens=tokens) for seed, letter in enumerate(word))
            for index, word in enumerate(words.split())
        )
        return MethodRun(method, budget, answers, **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def options() -> ReportOptions:
    return ReportOptions(currency="tokens", prompt_weight=0.25, concurrency=8, problems="problems.jsonl")
