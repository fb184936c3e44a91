"""A model's opinions stand beside the grades, and are asked for once."""

import asyncio
import re
from pathlib import Path

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.model_judge import ModelJudge
from critic_engine.evaluation.judged_answers import JudgedMethod, judge_answers, judged_methods
from critic_engine.evaluation.problem_set import GradedProblem
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import GenerationRequest
from critic_engine.roles.injection_models import SampledModel
from critic_engine.types import Answer, Problem, ProblemRow, SamplingOptions

ROW = ProblemRow(1, "p1", Problem("Which animal?"), ("dog",))
TEXTS = ("hound", "cow", "dog")


def make_judge(asked: list[str]) -> ModelJudge:
    """Return a judge that calls all but cows right, and gives no verdict on dogs."""

    def script(request: GenerationRequest, seed: int) -> str:
        prompt = request.messages[-1].text
        found = re.search(r"<answer-(\w+)>\s*(\w+)", prompt)
        assert found is not None
        code, answer = found.groups()
        asked.append(answer)
        return "hm" if answer == "dog" else f"Verdict {code}: {'wrong' if answer == 'cow' else 'right'}"

    model = SampledModel(ScriptedGenerator(script), SamplingOptions(max_tokens=200), 1)
    return ModelJudge(model, PromptFamily.load("plain"))


def graded(text: str | None, *, is_right: bool | None) -> GradedAnswer:
    status = "failed" if text is None else "answered"
    answer = Answer("p1", ROW.problem.problem_id, text, None, status, "num_samples", 1, 1, 0.1)
    return GradedAnswer(answer, Grade(is_right))


def test_each_answer_is_judged_once_and_what_a_stop_cut_again(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    asked: list[str] = []
    verdicts = asyncio.run(judge_answers(make_judge(asked), [(ROW, text) for text in (*TEXTS, "cow")], path))
    assert [verdicts["p1", ("dog",), text] for text in TEXTS] == [True, False, None]
    assert sorted(asked) == ["cow", "dog", "hound"]
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    path.write_text("".join(lines[:2]) + lines[2][:20] + "\n")
    asked.clear()
    again = asyncio.run(judge_answers(make_judge(asked), [(ROW, text) for text in TEXTS], path))
    assert again == verdicts
    assert "hound" not in asked
    assert "cow" not in asked


def test_opinions_are_counted_beside_the_grades() -> None:
    answers = (
        graded("hound", is_right=False),
        graded("cow", is_right=False),
        graded("dog", is_right=True),
        graded(None, is_right=False),
    )
    verdicts = {("p1", ("dog",), text): verdict for text, verdict in zip(TEXTS, (True, False, None), strict=True)}
    run = MethodRun("greedy", None, (answers,))
    assert judged_methods([run], [GradedProblem.of(ROW)], verdicts) == [JudgedMethod("greedy", 1, 2, 1, 1)]
