"""What a run's folder holds is safe to show by ``cat``."""

import json
from pathlib import Path

from critic_engine.outputs import RunOutputs
from critic_engine.types import Answer


def test_answers_hold_no_control_character_and_read_back_as_they_were(tmp_path: Path) -> None:
    text = "\x1b[31m\x9b\x7f\u202e\u2028 \u00fc 漢 half \ud800"
    with RunOutputs(tmp_path, duplicates=[]) as outputs:
        outputs.write(Answer("1", "0" * 16, text, None, "answered", "num_samples", 100, 4, 0.5))
    line = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").removesuffix("\n")
    assert line.isprintable()
    assert "漢" in line
    assert json.loads(line)["answer"] == text
