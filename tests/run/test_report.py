"""What a run's folder holds is safe to show by ``cat``."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from critic_engine.errors import RunError
from critic_engine.models.metering import ModelFigures
from critic_engine.run.report import RunOutputs
from critic_engine.run.written_report import WrittenReport
from critic_engine.types import Answer, TokenUsage

ANSWER = Answer("1", "0" * 16, "3", None, "answered", "num_samples", 100, 4, 0.5)
needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def test_answers_hold_no_control_character_and_read_back_as_they_were(tmp_path: Path) -> None:
    text = "\x1b[31m\x9b\x7f\u202e\u2028 \u00fc 漢 half \ud800"
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        answer = replace(ANSWER, answer=text)
        outputs.add(0, answer)
        outputs.put_in_order(answer)
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
            (folder / f"{full}.part").symlink_to("/dev/full")
        outputs.add(0, ANSWER)
        outputs.put_in_order(ANSWER)
        if error is not None:
            raise error


@needs_full_device
def test_full_disk_names_the_folder_and_leaves_no_report(tmp_path: Path) -> None:
    message = f"the files in {tmp_path} cannot be written: No space left on device; what was committed is kept"
    with pytest.raises(RunError, match=message):
        written(tmp_path, full="report.json")
    assert not list(tmp_path.glob("report.json*"))
    (tmp_path / "answers.jsonl").unlink()
    (tmp_path / "answers.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=message):
        written(tmp_path, full="answers.jsonl")
    assert not (tmp_path / "report.json").exists()


@needs_full_device
def test_report_that_cannot_be_written_hides_no_error_before_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first"):
        written(tmp_path, full="report.json", error=ValueError("first"))
    assert not list(tmp_path.glob("report.json*"))


def answers_of(folder: Path) -> list[tuple[int, str]]:
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["row"], row["id"]) for row in map(json.loads, lines)]


def numbered(position: int) -> Answer:
    return replace(ANSWER, id=f"p{position}")


def test_answers_are_written_as_they_come_and_put_into_input_order_at_the_end(tmp_path: Path) -> None:
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        for position in (2, 1):
            outputs.add(position, numbered(position))
        assert answers_of(tmp_path) == [(3, "p2"), (2, "p1")]
        outputs.add(0, numbered(0))
        for position in range(3):
            outputs.put_in_order(numbered(position))
    assert answers_of(tmp_path) == [(1, "p0"), (2, "p1"), (3, "p2")]
    assert {path.name for path in tmp_path.iterdir()} == {"answers.jsonl", "report.json"}


def test_session_begins_with_the_answers_of_earlier_ones_and_an_interrupted_one_keeps_all(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"row": 9, "id": "half')
    outputs = RunOutputs(tmp_path, duplicates=[], stored=[(1, numbered(1)), (3, numbered(3))])
    outputs.__enter__()
    assert answers_of(tmp_path) == [(2, "p1"), (4, "p3")]
    outputs.add(2, numbered(2))
    outputs.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert answers_of(tmp_path) == [(2, "p1"), (4, "p3"), (3, "p2")]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["is_complete"], report["num_answered"]) == (False, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"answers.jsonl", "report.json"}


def test_report_that_cannot_be_read_back_says_how_to_write_it(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"cut_by": 3}', '{"cut_by": null, "collect": {}}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(RunError, match=r"report\.json cannot be read: .*`critic-engine resume") as caught:
            WrittenReport.read(tmp_path)
        assert "\n" not in str(caught.value)
