import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from critic_engine import Engine, Problem
from critic_engine.errors import ConfigError

lm_eval = pytest.importorskip("lm_eval")

from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

from critic_engine.evaluation.harnesses.lm_eval_model import CriticEngineLM  # noqa: E402

pytestmark = [pytest.mark.harnesses, pytest.mark.filterwarnings("ignore")]

SCRIPTED = {"reasoner.backend": "scripted", "critic.backend": "scripted", "budget.max_tokens": 100}
OVERRIDES = [f"{name}={value}" for name, value in SCRIPTED.items()]
QUESTIONS = [f"how many of kind {number} ?" for number in range(6)]
TASK = """
task: kinds
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: TYPE
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
doc_to_choice: ["1", "2"]
generation_kwargs: {until: ["<end>"], do_sample: false, max_gen_toks: 7}
filter_list:
  - name: last
    filter:
      - {function: regex, regex_pattern: "ANSWER: (.*)"}
      - {function: take_first}
metric_list: [METRIC]
num_fewshot: 0
"""
EXACT = "{metric: exact_match, aggregation: mean, higher_is_better: true}"
ACC = "{metric: acc, aggregation: mean, higher_is_better: true}"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def write_task(folder: Path, *, answers: Sequence[str], output_type: str = "generate_until") -> None:
    data = folder / "kinds.jsonl"
    rows = [json.dumps({"question": q, "answer": a}) for q, a in zip(QUESTIONS, answers, strict=True)]
    data.write_text("\n".join(rows))
    text = TASK.replace("DATA", str(data)).replace("TYPE", output_type)
    if output_type == "generate_until":
        text = text.replace('doc_to_choice: ["1", "2"]\n', "").replace("METRIC", EXACT)
    else:
        text = text.replace("METRIC", ACC).split("filter_list")[0] + f"metric_list: [{ACC}]\nnum_fewshot: 0\n"
        text = text.replace('generation_kwargs: {until: ["<end>"], do_sample: false, max_gen_toks: 7}\n', "")
    (folder / "kinds.yaml").write_text(text)


def evaluate(folder: Path, **options: object) -> Mapping[str, object]:
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return lm_eval.simple_evaluate(tasks=["kinds"], task_manager=manager, bootstrap_iters=0, **options)


@pytest.fixture(scope="module")
def answers() -> list[str]:
    with Engine("mcts", overrides=OVERRIDES) as engine:
        return [engine.solve(Problem(question)) for question in QUESTIONS]


def instances(contexts: Sequence[str], **arguments: object) -> list[Instance]:
    return [
        Instance("generate_until", {}, (context, {"until": [], **arguments}), number)
        for number, context in enumerate(contexts)
    ]


def test_runner_scores_the_answers_of_the_engine_and_reports_all_tokens(
    tmp_path: Path, answers: Sequence[object], caplog: pytest.LogCaptureFixture
) -> None:
    references = [answer.answer for answer in answers]
    references[0] = "none"
    write_task(tmp_path, answers=references)
    results = evaluate(tmp_path, model="critic_engine", model_args={"method": "mcts", **SCRIPTED}, batch_size=1)
    assert results["results"]["kinds"]["exact_match,last"] == 5 / 6
    found = [sample["filtered_resps"][0] for sample in results["samples"]["kinds"]]
    assert found == [answer.answer for answer in answers]
    cost = results["config"]["critic_engine"]
    assert cost["num_tokens"] == sum(answer.num_tokens for answer in answers)
    assert cost["prompt_tokens"] == sum(answer.prompt_tokens for answer in answers)
    assert cost["num_problems"] == 6
    assert cost["options_without_effect"] == {"do_sample": False, "max_gen_toks": 7}
    assert [record.message for record in caplog.records if "has no effect" in record.message] != []


def test_tasks_of_log_likelihoods_are_refused(tmp_path: Path) -> None:
    write_task(tmp_path, answers=["1"] * 6, output_type="multiple_choice")
    with pytest.raises(NotImplementedError, match="output_type is generate_until"):
        evaluate(tmp_path, model="critic_engine", model_args=dict(SCRIPTED))


def test_repeated_prompts_are_drawn_anew_and_completions_end_before_until() -> None:
    model = CriticEngineLM(completion="solution", **SCRIPTED)
    first, second, cut = model.generate_until(instances([QUESTIONS[0]] * 2) + instances([QUESTIONS[0]], until="ANSWER"))
    assert first != second
    assert "ANSWER" in first
    assert "ANSWER" not in cut
    model.close()


def test_completion_may_be_the_answer_alone(answers: Sequence[object]) -> None:
    model = CriticEngineLM(method="mcts", completion="answer", overrides=OVERRIDES)
    assert model.generate_until(instances(QUESTIONS)) == [answer.answer for answer in answers]
    model.close()


def test_search_without_an_answer_is_an_empty_completion_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    model = CriticEngineLM(**{**SCRIPTED, "reasoner.max_tokens": 1, "budget.max_tokens": 4})
    assert model.generate_until(instances(QUESTIONS[:2])) == ["", ""]
    assert model.get_model_info()["critic_engine"]["num_failed"] == 2
    assert "found no answer" in caplog.text
    model.close()


def test_chat_becomes_one_question() -> None:
    model = CriticEngineLM(**SCRIPTED)
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "a ?"}]
    assert model.apply_chat_template(turns) == "s\n\na ?"
    with pytest.raises(ValueError, match="last message is not the user's"):
        model.apply_chat_template(
            [*turns, {"role": "assistant", "content": "The answer is"}], add_generation_prompt=False
        )
    model.close()


def test_wrong_argument_is_named() -> None:
    with pytest.raises(ConfigError, match="pretrained is no argument of this model"):
        CriticEngineLM(pretrained="gpt2")


def test_command_line_has_the_model(tmp_path: Path, environment: Mapping[str, str]) -> None:
    write_task(tmp_path, answers=["1"] * 6)
    arguments = ",".join(["method=mcts", *OVERRIDES])
    command = [sys.executable, "-m", "critic_engine.evaluation.harnesses.lm_eval_model", "--model", "critic_engine"]
    more = [
        "--model_args",
        arguments,
        "--tasks",
        "kinds",
        "--include_path",
        ".",
        "--output_path",
        "out",
        "--limit",
        "2",
    ]
    done = subprocess.run([*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (results,) = tmp_path.glob("out/**/results_*.json")
    assert json.loads(results.read_text())["config"]["critic_engine"]["num_problems"] == 2
