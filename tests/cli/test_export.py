"""``export`` refuses what makes no sense before it opens a run."""

from pathlib import Path

import pytest

from critic_engine.data.exports import FORMATS

BASE = ("export", "runs/a", "--out", "data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "trl-dpo", "--max-length", 9), "--max-length needs --tokenizer"),
        (("--format", "trl-dpo", "--tokenizer", "pocket"), "--max-length, which is missing"),
        (("--format", "trl-dpo", "--private"), "--push-to-hub"),
        (("--format", "trl-dpo", "--validation-share", 1), "--validation-share"),
        (("--format", "trl-dpo", "--container", "csv"), "--container"),
        (("--format", "trl-dpo", "--role", "annotator"), "--role"),
        ((), "--format"),
        (("--format", "dpo"), "format 'dpo' does not exist; choose one of trl-dpo, trl-sft, trl-kto, trl-prm"),
    ],
)
def test_usage_error_is_one_line_that_names_the_option(cli, options: tuple[object, ...], message: str) -> None:
    result = cli(*BASE, *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not Path("data").exists()


def test_help_names_every_format(cli) -> None:
    shown = cli("export", "--help").out.split()
    assert set(FORMATS) <= set(shown)
