"""What a run's folder holds is safe to show by ``cat``."""

import json
from pathlib import Path

from critic_engine.metering import ModelFigures
from critic_engine.outputs import RunOutputs
from critic_engine.types import Answer, TokenUsage


def test_answers_hold_no_control_character_and_read_back_as_they_were(tmp_path: Path) -> None:
    text = "\x1b[31m\x9b\x7f\u202e\u2028 \u00fc 漢 half \ud800"
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        outputs.write(Answer("1", "0" * 16, text, None, "answered", "num_samples", 100, 4, 0.5))
    line = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").removesuffix("\n")
    assert line.isprintable()
    assert "漢" in line
    assert json.loads(line)["answer"] == text


def test_report_says_what_each_model_was_asked_for_and_at_what_price(tmp_path: Path) -> None:
    usage = TokenUsage(prompt_tokens=1000, generated_tokens=10, cached_tokens=750, num_retries=2)
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        outputs.set_models({"openai:qwen": ModelFigures(5, 1, usage, usd=0.25), "idle": ModelFigures()})
    models = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["models"]
    assert models["openai:qwen"] == {
        "num_requests": 5,
        "num_failed": 1,
        "prompt_tokens": 1000,
        "generated_tokens": 10,
        "cached_tokens": 750,
        "num_retries": 2,
        "cache_hit_rate": 0.75,
        "usd": 0.25,
    }
    assert models["idle"]["cache_hit_rate"] is None
