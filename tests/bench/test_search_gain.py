from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import search_gain
from critic_engine.config.engine import load_config

SCRIPTED = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]


def test_the_bench_has_every_method_evaluated_at_its_budgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = ["--methods", "majority", "critic_v_gated", "rstar"]
    files = ["--problems", str(tmp_path / "problems.jsonl"), "--out", str(tmp_path / "out")]
    report = ["--report", str(tmp_path / "report.md")]
    words = ["--num", "3", "--budgets", "40", *methods, *files, *report, *SCRIPTED]
    monkeypatch.setattr("sys.argv", ["search_gain", *words])

    search_gain.main()

    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    budgets = {Path(name.split(" @")[0]).stem: found["budget"] for name, found in printed["results"].items()}
    assert budgets == {"majority": 40, "critic_v_gated": None, "rstar": 40 * search_gain.BUDGET_FACTOR}
    assert "majority" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("name", search_gain.VARIANTS)
def test_a_variant_is_its_preset_with_one_change(name: str, tmp_path: Path) -> None:
    preset, change = search_gain.VARIANTS[name]

    assert load_config(search_gain.write_variant(name, tmp_path)) == load_config(preset, [change])
