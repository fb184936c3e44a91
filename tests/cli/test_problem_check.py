"""Files of other columns on the command line: what would be read, and what a run notes of it."""

import json
from pathlib import Path

import pytest

from critic_engine.config.engine import load_config

GSM8K = [
    {"question": f"How many {name}?", "answer": f"It is 7.\n#### {number}"} for name, number in (("a", 7), ("b", 8))
]
OTHER = [{"text": "How many?", "gold": "7", "key": "k1"}, {"text": "", "gold": "8", "key": "k2"}]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_doctor_shows_what_would_be_read(cli, tmp_path: Path) -> None:
    result = cli("doctor", "--problems", write(tmp_path / "gsm.jsonl", GSM8K))
    assert result.code == 0
    assert "has the columns of gsm8k and is read so" in result.err
    shown = dict(
        line.split(maxsplit=1) for line in reversed(result.out.splitlines()) if len(line.split(maxsplit=1)) == 2
    )
    assert shown["schema"] == "gsm8k"
    assert shown["columns"] == "question from question; answer from answer"
    assert shown["question"] == "How many a?"
    assert shown["reference"] == "7"
    assert shown["rows"] == "2, of which 0 cannot be read"


def test_doctor_counts_the_rows_that_fail_with_their_reasons(cli, tmp_path: Path) -> None:
    path = write(tmp_path / "other.jsonl", OTHER)
    mapped = ["--map", "question=text", "--map", "answer=gold", "--map", "id=key"]
    result = cli("doctor", "--problems", path, *mapped, "--json")
    assert result.code == 1
    (found,) = result.rows
    assert (found["num_rows"], found["num_failed"], found["schema"]) == (2, 1, "plain")
    assert found["columns"] == {"id": ["key"], "question": ["text"], "answer": ["gold"]}
    assert found["failures"] == [
        {"num_rows": 1, "first": "row 2 (id 'k2'): question is empty text; write something, or leave it out"}
    ]
    assert found["first_rows"][0] == {
        "id": "k1",
        "question": "How many?",
        "choices": [],
        "images": [],
        "reference_answers": ["7"],
    }
    assert cli("doctor", "--problems", path, *mapped, "--limit", 1).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is no column 'question'; the columns are text, gold, key: say which holds it, --map question=text"),
        (["--map", "question"], "--map 'question': write PART=COLUMN"),
        (["--map", "question=text", "--map", "question=key"], "--map names question twice"),
        (["--schema", "nothing"], "there is no schema 'nothing'"),
    ],
)
@pytest.mark.parametrize("command", [["solve"], ["collect", "--run", "runs/a"], ["doctor", "--problems"]])
def test_file_of_unknown_columns_ends_in_one_line(cli, tmp_path: Path, command, options, message) -> None:
    result = cli(*command, write(tmp_path / "other.jsonl", OTHER), *options)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_columns_that_were_guessed_are_all_named(cli, tmp_path: Path) -> None:
    path = write(tmp_path / "quiz.jsonl", [{"question": "Which?", "A": "red", "B": "dog", "label": "A"}])
    result = cli("doctor", "--problems", path)
    assert result.err == f"{path}: choices read from 'A', 'B'; answer read from 'label'; see --map if that is not so\n"


def test_options_of_a_file_need_a_file(cli) -> None:
    for options in (["--schema", "mmmu"], ["--map", "a=b"], ["--limit", "3"]):
        assert "goes with --problems only" in cli("doctor", *options).err
    assert "--schema goes with a problems file only" in cli("solve", "--question", "q", "--schema", "mmmu").err


def test_run_notes_how_its_file_was_read_and_resumes(cli, scripted, tmp_path: Path) -> None:
    mapped = ["--map", "question=text", "--map", "id=key"]
    result = cli("solve", write(tmp_path / "other.jsonl", OTHER[:1]), "--run", "runs/a", *scripted, *mapped)
    assert result.code == 0
    noted = load_config(tmp_path / "runs/a/config.yaml").problems
    assert (noted.schema_name, noted.columns) == (None, {"question": "text", "id": "key"})
    assert cli("resume", "runs/a").code == 0
    assert json.loads((tmp_path / "runs/a/answers.jsonl").read_text())["id"] == "k1"
    assert cli("solve", write(tmp_path / "gsm.jsonl", GSM8K), "--run", "runs/b", *scripted).code == 0
    assert load_config(tmp_path / "runs/b/config.yaml").problems.schema_name == "gsm8k"


def test_config_names_the_schema_and_the_columns_too(cli, scripted, tmp_path: Path) -> None:
    settings = ["--set", "problems.schema_name=plain", "--set", "problems.columns={question: text}"]
    result = cli("solve", write(tmp_path / "other.jsonl", OTHER[:1]), *scripted, *settings)
    assert (result.code, result.err.count("other.jsonl")) == (0, 0)


def test_collect_guards_against_an_evaluation_set_of_other_columns(cli, tmp_path: Path) -> None:
    scripted = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
    problems = write(tmp_path / "other.jsonl", [{"text": "How many a?", "gold": "7"}])
    sets = ["--evaluation-set", write(tmp_path / "gsm.jsonl", GSM8K), "--evaluation-set", problems]
    mapped = ["--map", "question=text", "--map", "answer=gold"]
    result = cli("collect", problems, "--run", "runs/a", *scripted, *sets, *mapped)
    answer = json.loads((tmp_path / "runs/a/answers.jsonl").read_text())
    assert "it is row '1' of 'gsm.jsonl', an evaluation set" in answer["error"], result.err
