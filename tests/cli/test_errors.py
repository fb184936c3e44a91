"""Wrong usage: exit code 2 and one line that names the thing and what to do, never a traceback."""

import io
import json
import logging
import shutil
import struct
from pathlib import Path

import PIL.Image
import pytest

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.cli.main import main
from critic_engine.errors import ConfigError


def assert_refused(result, *parts: str) -> None:
    assert result.code == 2, result.err
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "parts"),
        [
            (["solve"], ["give either a problems file or --question"]),
            (["solve", "p.jsonl", "--question", "q"], ["give either a problems file or --question"]),
            (["solve", "p.jsonl", "--image", "a.png"], ["--image goes with --question only"]),
            (["solve", "p.jsonl", "--stream"], ["--stream shows one tree", "--limit 1"]),
            (["solve", "p.jsonl", "--stream", "--limit", "1", "--run", "r"], ["--stream", "cannot be used with --run"]),
            (["solve", "--question", "q", "--run", "r"], ["--run goes with a problems file only"]),
            (["solve", "--question", "q", "--limit", "3"], ["--limit goes with a problems file only"]),
            (["solve", "p.jsonl", "--run", "r", "--out", "o"], ["--out excludes --run"]),
            (["solve", "p.jsonl", "--out", "gone/o.jsonl"], ["--out gone/o.jsonl: there is no folder gone"]),
            (
                ["solve", "--question", "q", "--choice", "a", "--choice", " "],
                ["--choice is empty; give its text"],
            ),
            (["solve", "p.jsonl", "--limit", "0"], ["--limit", "solve --help"]),
            (["solve", "p.jsonl", "--speed", "9"], ["No such option", "--speed"]),
            (["solve", "p.jsonl", "--dtype", "int8"], ["--dtype", "bfloat16"]),
            (["solve", "p.jsonl", "--image-root", "gone"], ["--image-root", "gone"]),
            (["solv"], ["No such command 'solv'", "did you mean solve?", "critic-engine --help"]),
            (["config", "bestofn"], ["bestofn is neither", "did you mean best_of_n?"]),
            (
                ["config", "--fields", "top_p"],
                ["no section or field top_p; did you mean reasoner.top_p or critic.top_p?"],
            ),
            (["config", "--fields", "budget.max_token"], ["did you mean budget.max_tokens?"]),
            (["config", "--critic", "openai:"], ["critic: model is 'openai:'", "openai:NAME"]),
            (["solve", "p.jsonl", "--reward-model", " "], ["--reward-model is empty"]),
            (["resume"], ["RUN"]),
            (["resume", "gone"], ["gone holds no run; start one with"]),
            (["pocket", "make"], ["--out"]),
            (["pocket", "make", "--out", "p.txt"], ["p.txt must end in .jsonl"]),
            (
                ["pocket", "make", "--out", "gone/p.jsonl"],
                ["--out", "gone/p.jsonl: there is no folder gone; make it first"],
            ),
            (["pocket", "make", "--out", "p.jsonl", "--split", "exam"], ["--split", "train"]),
            (["pocket", "make", "--out", "p.jsonl", "--num", "0"], ["--num"]),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_wrong_options_are_named(self, cli, arguments: list[str], parts: list[str]) -> None:
        assert_refused(cli(*arguments), *parts)

    @pytest.mark.parametrize("question", ["", "  ", "\n"])
    def test_question_without_a_word_is_refused(self, cli, scripted, question: str) -> None:
        assert_refused(cli("solve", "--question", question, *scripted), "--question", "at least one word")

    def test_question_that_is_not_utf8_is_refused(self, cli, scripted) -> None:
        assert_refused(cli("solve", "--question", "caf\udce9", *scripted), "must be UTF-8")

    def test_out_that_exists_is_not_overwritten(self, cli, problems, scripted, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text("precious")
        assert_refused(cli("solve", problems, "--out", "rows.jsonl", *scripted), "rows.jsonl exists; name a new file")
        assert (tmp_path / "rows.jsonl").read_text() == "precious"


class TestProblemsFile:
    @pytest.mark.parametrize(
        ("content", "part"),
        [
            (b"", "p.jsonl is empty"),
            (b'{"question": "caf\xe9"}\n', "is not UTF-8: byte 0xe9 at line 1"),
            (b'{"question": "a"}\n{"quest', "line 2, the last, is cut off"),
            (b'{"body": "a", "title": "b"}\n', "no column 'question'; the columns are body, title"),
        ],
        ids=["empty", "not UTF-8", "truncated", "columns"],
    )
    def test_unusable_file_is_refused_before_anything_is_written(
        self, cli, scripted, tmp_path: Path, content: bytes, part: str
    ) -> None:
        (tmp_path / "p.jsonl").write_bytes(content)
        assert_refused(cli("solve", "p.jsonl", "--run", "runs/a", *scripted), part)
        assert not (tmp_path / "runs").exists()

    def test_missing_file_is_named(self, cli, scripted) -> None:
        assert_refused(cli("solve", "gone.jsonl", *scripted), "gone.jsonl does not exist")


class TestImages:
    def test_missing_image_and_what_is_no_image_are_refused(self, cli, scripted, tmp_path: Path) -> None:
        (tmp_path / "text.png").write_text("hello")
        question = ["solve", "--question", "q", *scripted, "--image"]
        assert_refused(cli(*question, "gone.png"), "gone.png does not exist")
        assert_refused(cli(*question, "text.png"), "text.png is not an image")
        assert_refused(cli(*question, tmp_path), "is not a file")

    def test_empty_name_and_addresses_are_refused_as_what_they_are(self, cli, scripted) -> None:
        question = ["solve", "--question", "q", *scripted, "--image"]
        assert_refused(cli(*question, ""), "empty path; give the path of an image file")
        assert_refused(cli(*question, "https://host/a.png"), "https://host/a.png is a network address")
        assert_refused(cli(*question, "data:image/png;base64,AAAA"), "image in a data URL is not an image")

    def test_truncated_image_and_bomb_are_refused(self, cli, scripted, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        PIL.Image.effect_noise((50, 50), 50).save(buffer, format="PNG")
        data = buffer.getvalue()
        (tmp_path / "cut.png").write_bytes(data[:-200])
        (tmp_path / "bomb.bmp").write_bytes(
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 20000, 20000, 1, 24, 0, 0, 0, 0, 0, 0)
        )
        question = ["solve", "--question", "q", *scripted, "--image"]
        assert_refused(cli(*question, "cut.png"), "cut.png is truncated or broken")
        assert_refused(cli(*question, "bomb.bmp"), "bomb.bmp")
        (tmp_path / "whole.png").write_bytes(data)
        small = [*question, "whole.png", "--set", "run.max_image_pixels=2499"]
        assert_refused(cli(*small), "has 50 x 50 pixels, more than 2,499")


class TestConfig:
    @pytest.mark.parametrize(
        ("setting", "parts"),
        [
            ("expander.kindd=step", ["expander.kindd is not a known key", "kind, split, delimiter"]),
            ("expnder.kind=step", ["expnder", "not a known key", "strategy, expander"]),
            ("strategy.explortion=1", ["explortion is not an option of best_of_n", "num_samples"]),
            ("strategy.kind=dfs", ["dfs", "mcts"]),
            ("reasoner.temperature=9", ["reasoner.temperature", "less than or equal to 5"]),
            ("reasoner.temperature=warm", ["reasoner.temperature", "warm"]),
            ("budget.max_simulations=0", ["budget.max_simulations", "greater than or equal to 1"]),
            ("budget.max_tokens=0", ["budget.max_tokens", "greater than or equal to 1"]),
            ("run.seed=-1", ["run.seed"]),
            ("temperature=1", ["section.field=value"]),
            ("reasoner.temperature", ["section.field=value"]),
        ],
    )
    def test_wrong_setting_is_named(self, cli, scripted, problems, tmp_path, setting: str, parts: list[str]) -> None:
        assert_refused(cli("solve", problems, "--run", "runs/a", *scripted, "--set", setting), *parts)
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize(
        ("content", "parts"),
        [
            ("expander: {kindd: step}", ["my.yaml", "expander.kindd is not a known key"]),
            ("a: [", ["my.yaml", "cannot be read as YAML"]),
            ("- a", ["my.yaml", "must be a mapping"]),
            ("strategy: {kind: mcts}", ["my.yaml", "a tree search needs budget"]),
            ("budget: {max_tokens: 0}", ["my.yaml", "budget.max_tokens"]),
        ],
    )
    def test_wrong_config_file_is_named(self, cli, problems, tmp_path: Path, content: str, parts: list[str]) -> None:
        (tmp_path / "my.yaml").write_text(content)
        assert_refused(cli("solve", problems, "--config", "my.yaml"), *parts)

    def test_blend_in_a_blend_is_told_the_kinds_it_may_hold(self, cli, problems) -> None:
        result = cli("solve", problems, "--set", "evaluator={kind: blend, parts: [{evaluator: {kind: blend}}]}")
        assert_refused(result, "kind must be one of critic, reward_model, checker, none, rollout")
        assert result.err.endswith("rollout\n")

    def test_unknown_preset_is_told_the_known_ones(self, cli, problems) -> None:
        assert_refused(cli("solve", problems, "--config", "mtcs"), "mtcs", "mcts")


class TestRunFolder:
    def test_folder_of_another_run_is_refused_with_the_resume_command(self, cli, scripted, problems) -> None:
        assert cli("solve", problems, "--run", "runs/a", *scripted).code == 0
        result = cli("solve", problems, "--run", "runs/a", *scripted)
        assert_refused(result, "runs/a holds another run", "critic-engine resume runs/a")

    def test_folder_of_other_files_is_refused_and_left_alone(self, cli, scripted, problems, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("precious")
        assert_refused(cli("solve", problems, "--run", "mine", *scripted), "mine")
        assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"

    def test_file_in_place_of_the_folder_is_refused(self, cli, scripted, problems) -> None:
        assert_refused(cli("solve", problems, "--run", problems, *scripted), "problems.jsonl")

    def test_resuming_what_is_no_run_is_refused(self, cli, scripted, problems, tmp_path: Path) -> None:
        assert_refused(cli("resume", tmp_path), "holds no run")
        cli("solve", problems, "--run", "runs/a", *scripted)
        (tmp_path / "runs/a/run.sqlite").write_text("not a database, though as long as the header of one would be")
        assert_refused(cli("resume", "runs/a"), "runs/a")


class TestModels:
    def test_missing_model_folder_is_named(self, cli, problems) -> None:
        result = cli("solve", problems, "--reasoner", "./gone", "--config", "greedy")
        assert_refused(result, "model ./gone: there is no such folder")

    def test_folder_that_is_no_model_is_named(self, cli, problems, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        result = cli("solve", problems, "--reasoner", "./folder", "--config", "greedy", "--run", "runs/a")
        assert_refused(result, "model ./folder has no config.json")
        assert not (tmp_path / "runs").exists()

    @pytest.mark.slow
    def test_broken_model_folder_is_named(self, cli, problems, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "config.json").write_text("{")
        (tmp_path / "folder" / "model.safetensors").write_bytes(b"")
        result = cli("solve", "--question", "q", "--reasoner", "./folder", "--config", "greedy")
        assert_refused(result, "model ./folder")

    @pytest.mark.slow
    def test_model_without_a_chat_template_is_named(self, cli, tmp_path: Path) -> None:
        folder = shutil.copytree(pocket_folder("reasoner"), tmp_path / "folder")
        (folder / "chat_template.jinja").unlink()
        result = cli("solve", "--question", "q", "--reasoner", "./folder", "--config", "greedy")
        assert_refused(result, "model ./folder has no chat template")

    @pytest.mark.parametrize(
        ("options", "parts"),
        [
            (
                ["--reasoner", "./gone"],
                ["--reasoner would be paired with the pocket critic", "name --critic too", "evaluator.kind"],
            ),
            (
                ["--critic", "./gone"],
                ["--critic would be paired with the pocket reasoner", "name --reasoner too", "same model"],
            ),
            (["--reasoner", "pocket:prose"], ["paired with the pocket critic", "only the terse dialect"]),
        ],
    )
    def test_one_model_alone_is_not_paired_with_the_pocket_model_of_the_other(
        self, cli, problems, options: list[str], parts: list[str]
    ) -> None:
        assert_refused(cli("solve", problems, *options), *parts)
        assert_refused(cli("solve", "--question", "q", *options), *parts)

    @pytest.mark.parametrize(
        "options",
        [
            ["--reasoner", "./gone", "--critic", "./gone"],
            ["--reasoner", "./gone", "--critic", "pocket"],
            ["--reasoner", "./gone", "--set", "critic.model=./other"],
            ["--reasoner", "./gone", "--set", "evaluator.kind=none", "--set", "decision.rule=majority"],
        ],
    )
    def test_one_model_alone_is_taken_where_the_other_was_chosen_or_is_not_needed(
        self, cli, problems, options: list[str]
    ) -> None:
        assert_refused(cli("solve", problems, *options), "model ./gone: there is no such folder")

    def test_name_that_looks_like_a_number_stays_a_name(self, cli, problems) -> None:
        result = cli("solve", problems, "--reasoner", "./007", "--config", "greedy")
        assert_refused(result, "model ./007")


class TestDebug:
    def test_debug_lets_the_traceback_through(self, cli) -> None:
        with pytest.raises(ConfigError):
            main(["solve", "--question", "q", "--config", "mtcs", "--debug"])

    def test_logged_exception_shows_its_traceback_when_asked(
        self, cli, scripted, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for options, is_shown in ([], False), (["--debug"], True):
            cli("solve", "--question", "how many?", *scripted, *options)
            try:
                raise RuntimeError("broken\x1b[31m")
            except RuntimeError:
                logging.getLogger("critic_engine.run.runner").exception("problem 1 failed")
            err = capsys.readouterr().err
            assert err.splitlines()[0] == "error: problem 1 failed"
            assert ("Traceback" in err) is ("RuntimeError: broken" in err) is is_shown
            assert "\x1b" not in err

    def test_error_text_is_one_safe_line(self, cli, tmp_path: Path) -> None:
        (tmp_path / "p.jsonl").write_text(json.dumps({"\x1b]0;evil\x07\x1b[31mred\nline": 1}) + "\n")
        result = cli("solve", "p.jsonl")
        assert_refused(result, "the columns are red line")
        assert "\x1b" not in result.err
