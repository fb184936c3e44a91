import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from critic_engine import Engine
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.types import Problem, ProblemRow

lmms_eval = pytest.importorskip("lmms_eval")

import PIL.Image  # noqa: E402
from lmms_eval.api.instance import Instance  # noqa: E402

from critic_engine.evaluation.harnesses.lmms_eval_model import CriticEngineLmms, manifest  # noqa: E402

pytestmark = [pytest.mark.harnesses, pytest.mark.filterwarnings("ignore")]

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=100"]
POCKET = ["run.problems_in_flight=1", "budget.max_tokens=40"]
TASK = """
task: boards
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_visual: !function boards.pictures
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {do_sample: false, max_new_tokens: 16}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
PICTURES = """
import PIL.Image


def pictures(doc):
    return [PIL.Image.open(path).convert("RGB") for path in doc["boards"]]
"""


def write_task(folder: Path, problems_file: Path, rows: Sequence[ProblemRow]) -> None:
    given = [json.loads(line) for line in problems_file.read_text().splitlines()[: len(rows)]]
    boards = [[str(problems_file.parent / path) for path in each["images"]] for each in given]
    lines = [
        json.dumps({"question": row.problem.question, "answer": row.reference_answers[0], "boards": paths})
        for row, paths in zip(rows, boards, strict=True)
    ]
    (folder / "boards.jsonl").write_text("\n".join(lines))
    (folder / "boards.yaml").write_text(TASK.replace("DATA", str(folder / "boards.jsonl")))
    (folder / "boards.py").write_text(PICTURES)


def as_picture(row: ProblemRow) -> Problem:
    """Return the problem with its board as lmms-eval hands it over: decoded."""
    import io

    images = [PIL.Image.open(io.BytesIO(image.data)).convert("RGB") for image in row.problem.images]
    return Problem(row.problem.question, tuple(map(load_image, images)))


def run_program(folder: Path, environment: Mapping[str, str], overrides: Sequence[str]) -> list[dict[str, object]]:
    arguments = ",".join(["method=mcts", "completion=answer", *overrides])
    command = [sys.executable, "-m", "lmms_eval", "--model", "critic_engine", "--model_args", arguments]
    more = ["--tasks", "boards", "--include_path", ".", "--log_samples", "--output_path", "out"]
    more += ["--batch_size", "1"]
    done = subprocess.run([*command, *more], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    # It returns 0 after errors too.
    samples = list(folder.glob("out/**/*samples_boards.jsonl"))
    assert samples, done.stdout + done.stderr
    return [json.loads(line) for line in samples[0].read_text().splitlines()]


def test_program_finds_the_model_and_scores_the_answers_of_the_engine(
    tmp_path: Path, environment: Mapping[str, str], problems_file: Path, rows: Sequence[ProblemRow]
) -> None:
    write_task(tmp_path, problems_file, rows[:6])
    with Engine("mcts", overrides=POCKET) as engine:
        answers = list(engine.solve_many([as_picture(row) for row in rows[:6]]))
    logged = run_program(tmp_path, environment, POCKET)
    assert [sample["filtered_resps"] for sample in logged] == [answer.answer for answer in answers]
    counted = [sample["token_counts"][0] for sample in logged]
    assert [(each["input_tokens"], each["output_tokens"]) for each in counted] == [
        (answer.prompt_tokens, answer.num_tokens) for answer in answers
    ]
    right = [answer.answer in row.reference_answers for answer, row in zip(answers, rows, strict=False)]
    assert [sample["exact_match"] == 1 for sample in logged] == right


def model_with(documents: Sequence[object]) -> CriticEngineLmms:
    model = CriticEngineLmms(overrides=SCRIPTED, batch_size=1, device="cuda:0")
    model.task_dict = {"task": {"test": dict(enumerate(documents))}}
    return model


def request(number: int, **arguments: object) -> Instance:
    parts = (f"how many of kind {number} ?", arguments, lambda document: document, number, "task", "test")
    return Instance("generate_until", parts, 0, {"task": "task", "doc_id": number, "repeats": 1})


def test_documents_without_a_picture_or_with_two_are_answered() -> None:
    picture = PIL.Image.new("RGB", (8, 8))
    model = model_with([None, [picture, picture]])
    results = model.generate_until([request(0), request(1, until=["\n\n"])])
    assert all("ANSWER" in result.text for result in results)
    assert all(result.token_counts.output_tokens > 0 for result in results)
    model.clean()


@pytest.mark.parametrize("visual", ["clip.mp4", {"array": [0.0], "sampling_rate": 16000}])
def test_videos_and_sounds_are_refused(visual: object) -> None:
    model = model_with([[visual]])
    with pytest.raises(ProblemError, match="document 0 of task: image"):
        model.generate_until([request(0)])
    model.clean()


def test_other_kinds_of_requests_are_refused() -> None:
    model = model_with([])
    with pytest.raises(NotImplementedError, match="generate_until"):
        model.loglikelihood([])
    with pytest.raises(NotImplementedError, match="generate_until"):
        model.generate_until_multi_round([])
    model.clean()


def test_manifest_names_the_class() -> None:
    assert manifest().simple_class_path == "critic_engine.evaluation.harnesses.lmms_eval_model.CriticEngineLmms"
