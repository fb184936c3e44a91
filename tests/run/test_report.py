"""What a run's folder holds is safe to show by ``cat``."""

import json
from pathlib import Path

import pytest

from critic_engine.errors import RunError
from critic_engine.models.metering import ModelFigures
from critic_engine.run.report import RunOutputs
from critic_engine.types import Answer, TokenUsage

ANSWER = Answer("1", "0" * 16, "3", None, "answered", "num_samples", 100, 4, 0.5)
needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def test_answers_hold_no_control_character_and_read_back_as_they_were(tmp_path: Path) -> None:
    text = "\x1b[31m\x9b\x7f\u202e\u2028 \u00fc 漢 half \ud800"
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        outputs.write(Answer("1", "0" * 16, text, None, "answered", "num_samples", 100, 4, 0.5))
    line = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").removesuffix("\n")
    assert line.isprintable()
    assert "漢" in line
    assert json.loads(line)["answer"] == text


def test_report_says_what_each_model_was_asked_for_and_at_what_price(tmp_path: Path) -> None:
    usage = TokenUsage(prompt_tokens=1000, generated_tokens=10, cached_tokens=750, num_retries=2, num_requests=5)
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        outputs.set_end({"openai:qwen": ModelFigures(1, usage, usd=0.25), "idle": ModelFigures()}, cut_by=None)
    models = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["models"]
    assert models["openai:qwen"] == {
        "num_failed": 1,
        "prompt_tokens": 1000,
        "generated_tokens": 10,
        "cached_tokens": 750,
        "num_retries": 2,
        "num_requests": 5,
        "cache_hit_rate": 0.75,
        "usd": 0.25,
    }
    assert models["idle"]["cache_hit_rate"] is None


def written(folder: Path, *, full: str, error: Exception | None = None) -> None:
    """Write an answer and a report where the disk is full for the file ``full``."""
    with RunOutputs(folder, duplicates=[]) as outputs:
        if full == "report.json":
            (folder / full).symlink_to("/dev/full")
        outputs.write(ANSWER)
        if error is not None:
            raise error


@needs_full_device
def test_full_disk_names_the_folder_and_leaves_no_report(tmp_path: Path) -> None:
    message = f"the files in {tmp_path} cannot be written: No space left on device; what was committed is kept"
    with pytest.raises(RunError, match=message):
        written(tmp_path, full="report.json")
    assert not (tmp_path / "report.json").is_symlink()
    (tmp_path / "answers.jsonl").unlink()
    (tmp_path / "answers.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=message):
        written(tmp_path, full="answers.jsonl")
    assert not (tmp_path / "report.json").exists()


@needs_full_device
def test_report_that_cannot_be_written_hides_no_error_before_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first"):
        written(tmp_path, full="report.json", error=ValueError("first"))
    assert not (tmp_path / "report.json").is_symlink()
