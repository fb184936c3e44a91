"""``solve`` and ``resume``: what is printed where, which exit code, and nothing lost."""

import base64
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import PIL.Image
import pytest

FIELDS = {
    "id",
    "problem_id",
    "answer",
    "value",
    "status",
    "stop_reason",
    "num_tokens",
    "num_simulations",
    "wall_s",
    "error",
}


def timeless(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in ("wall_s", "row")}


def _num_lines(path: Path) -> int:
    """Return the lines of a file, -1 while there is none."""
    return len(path.read_text().splitlines()) if path.exists() else -1


class TestQuestion:
    def test_answer_alone_goes_to_stdout(self, cli, scripted) -> None:
        result = cli("solve", "--question", "how many?", *scripted)
        assert (result.code, len(result.out.splitlines())) == (0, 1)
        assert "tokens" in result.err

    def test_json_is_one_object_of_the_answers_fields(self, cli, scripted) -> None:
        result = cli("solve", "--question", "how many?", "--json", *scripted)
        (row,) = result.rows
        assert row.keys() >= FIELDS
        assert (row["id"], row["status"], result.code, result.err) == ("1", "answered", 0, "")

    def test_images_and_choices_are_part_of_the_problem(self, cli, scripted, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        PIL.Image.new("RGB", (4, 4)).save(tmp_path / "elsewhere" / "a.png")
        question = ["solve", "--question", "how many?", "--json", *scripted]
        variants = [[], ["--choice", "1", "--choice", "2"], ["--image", tmp_path / "elsewhere" / "a.png"]]
        rows = [cli(*question, *variant).rows[0] for variant in variants]
        assert len({row["problem_id"] for row in rows}) == 3

    def test_image_may_be_a_data_url(self, cli, scripted, tmp_path: Path) -> None:
        PIL.Image.new("RGB", (4, 4), "white").save(tmp_path / "a.bmp")
        url = "data:image/bmp;base64," + base64.b64encode((tmp_path / "a.bmp").read_bytes()).decode()
        assert "//" in url
        question = ["solve", "--question", "how many?", "--json", *scripted, "--image"]
        assert cli(*question, url).rows[0]["problem_id"] == cli(*question, "a.bmp").rows[0]["problem_id"]

    def test_same_seed_gives_the_same_answer(self, cli, scripted) -> None:
        question = ["solve", "--question", "how many?", "--json", *scripted]
        first, second, other = (cli(*question, "--seed", seed).rows[0] for seed in (5, 5, 6))
        assert timeless(first) == timeless(second)
        assert timeless(first) != timeless(other)

    def test_stream_shows_steps_and_the_critics_words_on_stderr(self, cli, scripted) -> None:
        result = cli("solve", "--question", "how many?", "--stream", "--json", *scripted)
        assert "[0>1] " in result.err
        assert "critic: wrong step" in result.err
        assert len(result.rows) == 1

    def test_the_first_problem_of_a_file_can_be_streamed_too(self, cli, scripted, problems: Path) -> None:
        result = cli("solve", problems, "--limit", 1, "--stream", *scripted)
        assert result.code == 0
        assert "[0>1] " in result.err
        assert len(result.out.splitlines()) == 1

    def test_tree_is_not_shown_unasked_outside_a_terminal(self, cli, scripted) -> None:
        assert "critic:" not in cli("solve", "--question", "how many?", *scripted).err

    def test_interrupt_ends_the_search_quietly(self, scripted, tmp_path: Path) -> None:
        endless = ["--set", "strategy.num_samples=100000", "--set", "budget.max_tokens=10000000"]
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "critic_engine",
                "solve",
                "--question",
                "how many?",
                "--stream",
                *scripted,
                *endless,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "interrupted"
        assert "Task was destroyed" not in err

    def test_question_that_finds_no_answer_exits_1_and_says_why(self, cli) -> None:
        unfinished = ["--config", "greedy", "--set", "reasoner.max_tokens=2"]
        scripted = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
        result = cli("solve", "--question", "how many?", *unfinished, *scripted)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: ")


class TestFile:
    def test_without_a_run_there_is_one_row_a_problem_on_stdout(self, cli, scripted, problems) -> None:
        result = cli("solve", problems, *scripted)
        assert [row["id"] for row in result.rows] == ["ants", "bees", "cats"]
        assert result.rows[0].keys() >= FIELDS
        assert result.code == 0
        assert "answered 3 of 3, 0 failed" in result.err

    def test_limit_takes_the_first_rows(self, cli, scripted, problems) -> None:
        assert [row["id"] for row in cli("solve", problems, "--limit", 2, *scripted).rows] == ["ants", "bees"]

    def test_out_takes_the_rows_instead_of_stdout(self, cli, scripted, problems, tmp_path: Path) -> None:
        result = cli("solve", problems, "--out", "rows.jsonl", *scripted)
        assert (result.code, result.out) == (0, "")
        rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert [row["id"] for row in rows] == ["ants", "bees", "cats"]

    def test_run_keeps_answers_config_and_report(self, cli, scripted, problems, tmp_path: Path) -> None:
        result = cli("solve", problems, "--run", "runs/a", "--json", *scripted)
        (summary,) = result.rows
        assert (summary["run"], summary["num_answered"], summary["num_failed"]) == ("runs/a", 3, 0)
        assert {path.name for path in (tmp_path / "runs" / "a").iterdir()} >= {
            "run.sqlite",
            "config.yaml",
            "answers.jsonl",
            "report.json",
        }

    def test_bad_rows_are_listed_and_the_others_answered(self, cli, scripted, problems) -> None:
        problems.write_text(problems.read_text() + '{"id": "dogs", "question": ""}\n')
        result = cli("solve", problems, "--run", "runs/a", *scripted)
        assert result.code == 1
        assert "failed: dogs: question is empty text" in result.err
        assert "answered 3 of 4, 1 failed" in result.err

    def test_unusable_images_fail_their_own_rows(self, cli, scripted, tmp_path: Path) -> None:
        (tmp_path / "text.png").write_text("hello")
        names = ["gone.png", "text.png", "../above.png"]
        rows = [{"question": "q", "images": [name]} for name in names] + [{"question": "q"}]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        result = cli("solve", "p.jsonl", *scripted)
        assert [row["status"] for row in result.rows] == ["failed"] * 3 + ["answered"]
        for reason in ("gone.png does not exist", "text.png is not an image", "lies outside"):
            assert reason in result.err

    def test_duplicates_are_reported_and_each_answered(self, cli, scripted, problems) -> None:
        problems.write_text(problems.read_text() + '{"id": "again", "question": "how many ants?"}\n')
        result = cli("solve", problems, *scripted)
        assert "warning: problem again (row 4) repeats problem ants; each keeps its row" in result.err
        assert len(result.rows) == 4
        assert result.code == 0

    def test_image_root_is_where_paths_begin(self, cli, scripted, tmp_path: Path) -> None:
        (tmp_path / "pictures").mkdir()
        PIL.Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / "a.png")
        (tmp_path / "p.jsonl").write_text('{"question": "q", "images": ["a.png"]}\n')
        assert cli("solve", "p.jsonl", *scripted).code == 1
        assert cli("solve", "p.jsonl", "--image-root", "pictures", *scripted).code == 0

    def test_many_failures_are_counted_after_the_first_twenty(self, cli, scripted, tmp_path: Path) -> None:
        (tmp_path / "p.jsonl").write_text('{"question": "q"}\n' + '{"question": ""}\n' * 25)
        result = cli("solve", "p.jsonl", *scripted)
        assert result.err.count("failed: ") == 21
        assert "failed: 5 more; see the rows" in result.err


class TestResume:
    def test_finished_run_is_told_again(self, cli, scripted, problems, tmp_path: Path) -> None:
        cli("solve", problems, "--run", "runs/a", *scripted)
        rows = (tmp_path / "runs/a/answers.jsonl").read_text()
        result = cli("resume", "runs/a")
        assert result.code == 0
        assert "answered 3 of 3" in result.err
        assert (tmp_path / "runs/a/answers.jsonl").read_text() == rows

    @pytest.mark.parametrize("min_answers", [0, 1])
    def test_interrupted_run_is_kept_and_resumed_to_the_same_answers(
        self, cli, scripted, tmp_path: Path, min_answers: int
    ) -> None:
        rows = [{"question": f"how many {number}?"} for number in range(60)]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = [*scripted, "--set", "run.problems_in_flight=2"]
        process = subprocess.Popen(
            [sys.executable, "-m", "critic_engine", "solve", "p.jsonl", "--run", "runs/a", *options],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        answers = tmp_path / "runs/a/answers.jsonl"
        while process.poll() is None and not _num_lines(answers) >= min_answers:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130, err
        assert err.splitlines()[-1].endswith("critic-engine resume runs/a")
        assert len(err.splitlines()) == 1
        assert _num_lines(answers) < 60

        assert cli("resume", "runs/a").code == 0
        resumed = [timeless(json.loads(line)) for line in answers.read_text().splitlines()]
        assert resumed == [timeless(row) for row in cli("solve", "p.jsonl", *options).rows]
