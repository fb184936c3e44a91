import asyncio
import base64
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from critic_engine import Engine
from critic_engine.errors import ConfigError, ProblemError
from critic_engine.evaluation.harnesses.inspect_provider import problem_of
from critic_engine.types import Answer, ProblemRow

inspect_ai = pytest.importorskip("inspect_ai")

from inspect_ai import Task  # noqa: E402
from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.log import EvalLog, read_eval_log  # noqa: E402
from inspect_ai.model import (  # noqa: E402
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentAudio,
    ContentImage,
    ContentText,
    GenerateConfig,
    get_model,
)
from inspect_ai.scorer import match  # noqa: E402
from inspect_ai.solver import generate, multiple_choice, system_message  # noqa: E402
from inspect_ai.tool import ToolInfo  # noqa: E402

pytestmark = [
    pytest.mark.harnesses,
    pytest.mark.usefixtures("entry_points"),
    pytest.mark.filterwarnings("ignore"),
]

# One search at a time, so that batches have the same shapes.
ALONE = ["run.problems_in_flight=1"]
SHORT = ["budget.max_tokens=40"]
SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=100"]


def image_of(row: ProblemRow) -> ContentImage:
    (image,) = row.problem.images
    return ContentImage(image=f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}")


def samples_of(rows: Sequence[ProblemRow]) -> list[Sample]:
    return [
        Sample(
            id=row.id,
            input=[ChatMessageUser(content=[image_of(row), ContentText(text=row.problem.question)])],
            target=list(row.reference_answers),
        )
        for row in rows
    ]


def run_task(
    folder: Path,
    samples: Sequence[Sample],
    *,
    solver: object = None,
    config: GenerateConfig | None = None,
    overrides: Sequence[str] = SCRIPTED,
    **options: object,
) -> EvalLog:
    task = Task(dataset=list(samples), solver=solver or generate(), scorer=match(), config=config or GenerateConfig())
    fixed = {"model": "critic_engine/mcts", "log_dir": str(folder), "display": "none"}
    options = {"max_connections": 1, **options}
    (log,) = inspect_ai.eval(task, model_args={"overrides": list(overrides)}, **fixed, **options)
    return log


def costs(answer: Answer) -> tuple[object, ...]:
    return (
        answer.answer,
        answer.value,
        answer.num_simulations,
        answer.num_tokens,
        answer.prompt_tokens,
        answer.cached_tokens,
    )


def logged_costs(log: EvalLog) -> list[tuple[object, ...]]:
    found = []
    for sample in log.samples:
        usage = sample.output.usage
        outcome = [sample.output.metadata[name] for name in ("answer", "value", "num_simulations")]
        cached = usage.input_tokens_cache_read
        found.append((*outcome, usage.output_tokens, usage.input_tokens + cached, cached))
    return found


@pytest.mark.parametrize(
    ("num", "overrides"), [(20, [*ALONE, *SHORT]), pytest.param(100, ALONE, marks=pytest.mark.slow)]
)
def test_eval_and_engine_agree_on_every_answer_and_every_token(
    tmp_path: Path, rows: Sequence[ProblemRow], num: int, overrides: list[str]
) -> None:
    with Engine("mcts", overrides=overrides) as engine:
        answers = list(engine.solve_many(rows[:num]))
    log = run_task(tmp_path, samples_of(rows[:num]), overrides=overrides)
    assert log.status == "success"
    assert logged_costs(log) == [costs(answer) for answer in answers]
    right = [answer.answer in row.reference_answers for answer, row in zip(answers, rows, strict=False)]
    assert [sample.scores["match"].value == "C" for sample in log.samples] == right
    (total,) = log.stats.model_usage.values()
    assert total.output_tokens == sum(answer.num_tokens for answer in answers)


def test_each_epoch_is_another_draw_and_the_same_again(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    logs = [run_task(tmp_path, samples_of(rows[:3]), epochs=2) for _ in range(2)]
    texts = [{(each.id, each.epoch): each.output.completion for each in log.samples} for log in logs]
    assert texts[0] == texts[1]
    assert any(texts[0][row.id, 1] != texts[0][row.id, 2] for row in rows[:3])


def test_completion_is_the_path_with_the_answer_on_its_last_line(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    (sample,) = run_task(tmp_path, samples_of(rows[:1])).samples
    *steps, last = sample.output.completion.splitlines()
    assert steps
    assert last == f"ANSWER: {sample.output.metadata['answer']}"
    assert sample.output.metadata["stop_reason"]
    assert sample.output.metadata["num_simulations"] > 0


def test_search_without_an_answer_is_an_error_of_its_sample(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    overrides = [*SCRIPTED, "reasoner.max_tokens=1", "budget.max_tokens=4"]
    log = run_task(tmp_path, samples_of(rows[:2]), overrides=overrides, fail_on_error=False)
    assert ["the search found no answer" in sample.error.message for sample in log.samples] == [True, True]
    assert all(not sample.scores for sample in log.samples)


def test_options_of_the_task_have_no_effect_and_are_said_once(
    tmp_path: Path, rows: Sequence[ProblemRow], caplog: pytest.LogCaptureFixture
) -> None:
    plain, asked = (
        run_task(tmp_path, samples_of(rows[:2]), config=config)
        for config in (GenerateConfig(), GenerateConfig(temperature=0.0, max_tokens=9, stop_seqs=["ANSWER"]))
    )
    for one, other in zip(plain.samples, asked.samples, strict=True):
        assert other.output.completion == one.output.completion.partition("ANSWER")[0]
    said = [record.message for record in caplog.records if "has no effect" in record.message]
    assert len(said) == 1
    assert "temperature=0.0" in said[0]
    assert "max_tokens=9" in said[0]


def test_question_holds_the_system_message_and_the_choices(tmp_path: Path) -> None:
    sample = Sample(input="Which is odd?", choices=["2", "3"], target="B")
    log = run_task(tmp_path, [sample], solver=[system_message("Be brief."), multiple_choice()])
    assert log.status == "success"
    problem = problem_of(log.samples[0].messages[:2], max_pixels=1)
    assert problem.question.startswith("Be brief.\n\nAnswer the following multiple choice question")
    assert "A) 2\nB) 3" in problem.question


def test_earlier_turns_are_part_of_the_question() -> None:
    turns = [ChatMessageSystem(content="s"), ChatMessageUser(content="a ?"), ChatMessageAssistant(content="b")]
    problem = problem_of([*turns, ChatMessageUser(content="c ?")], max_pixels=1)
    assert problem.question == "s\n\nUser: a ?\n\nAssistant: b\n\nUser: c ?"


def test_samples_in_flight_together_are_answered_as_one_by_one(tmp_path: Path, rows: Sequence[ProblemRow]) -> None:
    together, one_by_one = (run_task(tmp_path, samples_of(rows[:8]), max_connections=number) for number in (8, 1))
    assert logged_costs(together) == logged_costs(one_by_one)


def provider(**arguments: object):
    config = arguments.pop("config", GenerateConfig())
    return get_model("critic_engine/greedy", config=config, memoize=False, **arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"reasonr": "x"}, "did you mean reasoner"),
        ({"completion": "all"}, "completion is 'all'"),
        ({"overrides": ["budget.max_token=3"]}, "budget.max_token"),
        ({"base_url": "http://localhost:1/v1"}, "openai:NAME"),
        ({"api_key": "secret"}, "environment"),
        ({"config": GenerateConfig(frequency_penalty=0.5)}, "frequency_penalty"),
        ({"config": GenerateConfig(num_choices=2)}, "--epochs"),
        ({"config": GenerateConfig(temperature=9.0)}, "reasoner.temperature"),
    ],
)
def test_wrong_argument_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        provider(**arguments)


def test_options_of_the_user_become_fields_of_the_config() -> None:
    config = GenerateConfig(temperature=0.3, top_p=0.9, max_tokens=99, seed=5)
    found = provider(config=config, critic="openai:judge", base_url="http://localhost:1/v1").api._model.config
    assert (found.reasoner.temperature, found.reasoner.top_p, found.reasoner.max_tokens) == (0.3, 0.9, 99)
    assert found.run.seed == 5
    assert found.critic.openai_api.base_url == "http://localhost:1/v1"


IMAGE = ContentImage(image="data:image/png;base64,AA==")


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ([], "last message is not the user's"),
        ([ChatMessageUser(content="a ?"), ChatMessageAssistant(content="b")], "last message is not the user's"),
        ([ChatMessageUser(content=" ")], "question is empty"),
        ([ChatMessageUser(content=[ContentAudio(audio="data:audio/wav;base64,AA==", format="wav")])], "holds audio"),
        ([ChatMessageUser(content=[IMAGE, ContentText(text="a ?")])], "not an image"),
        ([ChatMessageUser(content=[ContentImage(image="/etc/passwd")])], "no data URL"),
        (
            [ChatMessageUser(content=[IMAGE]), ChatMessageAssistant(content="a"), ChatMessageUser(content="b ?")],
            "not an image",
        ),
        ([ChatMessageUser(content="a ?"), ChatMessageTool(content="3"), ChatMessageUser(content="b ?")], "role 'tool'"),
    ],
)
def test_messages_that_are_no_problem_are_refused(messages: Sequence[ChatMessage], named: str) -> None:
    with pytest.raises(ProblemError, match=named):
        problem_of(messages, max_pixels=1000)


def test_image_of_an_earlier_turn_is_refused(rows: Sequence[ProblemRow]) -> None:
    turns = [ChatMessageUser(content=[image_of(rows[0])]), ChatMessageAssistant(content="a")]
    with pytest.raises(ProblemError, match="earlier message holds an image"):
        problem_of([*turns, ChatMessageUser(content="b ?")], max_pixels=100_000)


def test_tools_are_refused() -> None:
    api, tool = provider().api, ToolInfo(name="bash", description="")
    with pytest.raises(ProblemError, match="'bash'"):
        asyncio.run(api.generate([ChatMessageUser(content="a ?")], [tool], "auto", GenerateConfig()))


def test_closed_model_answers_nothing() -> None:
    api = provider().api
    assert api.max_connections() == 128
    asyncio.run(api.aclose())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(api.generate([ChatMessageUser(content="a ?")], [], "none", GenerateConfig()))


def test_program_finds_the_provider_by_its_entry_point(tmp_path: Path, environment: Mapping[str, str]) -> None:
    (tmp_path / "task.py").write_text(
        "from inspect_ai import Task, task\n"
        "from inspect_ai.dataset import Sample\n"
        "from inspect_ai.scorer import includes\n\n\n"
        "@task\n"
        "def numbers():\n"
        "    return Task(dataset=[Sample(input='how many ?', target='4')], scorer=includes())\n"
    )
    arguments = [f"-M{name}" for name in SCRIPTED]
    command = [sys.executable, "-m", "inspect_ai", "eval", "task.py", "--model", "critic_engine/mcts", *arguments]
    done = subprocess.run(
        [*command, "--log-dir", "logs", "--display", "plain"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = map(read_eval_log, (tmp_path / "logs").glob("*.eval"))
    assert log.samples[0].output.completion.splitlines()[-1].startswith("ANSWER: ")
