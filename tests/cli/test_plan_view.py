"""``solve --plan``: plain words for people, JSON for programs, and nothing solved or kept."""

import dataclasses
from pathlib import Path

import pytest

from critic_engine.cli.plan_view import plan_lines
from critic_engine.run.search_plan import Wordings
from tests.run import plans

SCRIPTED = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
# Steps repeat words, and a simulation draws several.
PLAN = dataclasses.replace(plans.PLAN, wordings=Wordings(True, 7.5, 0.25, 0.125), num_proposals=4)


def test_plan_says_in_plain_words_what_the_budget_buys() -> None:
    assert list(plan_lines(PLAN)) == [
        "drawn from     2 problems; nothing of it is kept",
        "a solution     180 tokens, for 100 prompt tokens (mean of 8) in 6.0 steps",
        "a step         30 tokens, for 120 prompt tokens, 90 of them cached (mean of 16)",
        "wording        7.5 nats a step, 0.25 a token; 12% of further draws repeat the words of an earlier one",
        "an evaluation  20 tokens, for 200 prompt tokens (mean of 8)",
        "the budget     1,800 tokens",
        "buys           about 10 whole solutions, if nothing is evaluated",
        "buys           about 9.0 simulations of 4 draws: 36 steps, each evaluated",
        "buys           about 6.0 finished paths if none shared a step; more where they do",
    ]


def test_plan_says_that_steps_drawn_again_make_paths_fewer() -> None:
    *_, last = plan_lines(dataclasses.replace(PLAN, is_redrawing=True))
    assert last.endswith("if none shared a step; more where they do, fewer where steps are drawn again")


def test_plan_says_what_is_not_known_and_what_failed() -> None:
    unknown = dataclasses.replace(
        PLAN,
        solution=None,
        draw=None,
        evaluation=None,
        max_tokens=None,
        failures=tuple(f"\x1b[31mgone {number}" for number in range(7)),
    )
    lines = list(plan_lines(unknown))
    assert "a solution     none could be drawn" in lines
    assert "a step         none could be drawn" in lines
    assert "an evaluation  asks no model" in lines
    assert "the budget     has no limit on tokens or simulations: the search ends by its own rule" in lines
    assert not any(line.startswith("buys") for line in lines)
    assert lines[-6:] == [*(f"failure        gone {number}" for number in range(5)), lines[-1]]
    assert lines[-1] == "failure        2 more; --json lists all"
    improbable = dataclasses.replace(PLAN, wordings=Wordings(True, None, None, None))
    assert "wording        some steps are less likely than 1e-323" in list(plan_lines(improbable))


def test_plan_of_a_file_draws_from_its_first_problems(cli, problems: Path) -> None:
    before = set(Path.cwd().iterdir())
    result = cli("solve", problems, "--plan", *SCRIPTED)
    assert result.code == 0
    assert result.out.startswith("drawn from     2 problems")
    assert "finished paths" in result.out
    assert set(Path.cwd().iterdir()) == before
    (plan,) = cli("solve", problems, "--plan", "--limit", 1, "--json", *SCRIPTED).rows
    assert plan["num_problems"] == 1
    assert plan["buys"]["num_solutions"] > 3
    assert plan["warnings"] == []


def test_plan_of_a_small_budget_warns(cli) -> None:
    small = ["--set", "budget.max_tokens=20"]
    result = cli("solve", "--question", "how many?", "--plan", *SCRIPTED, *small)
    assert result.code == 0
    assert "warning        budget.max_tokens pays for fewer than 3 whole solutions" in result.out


@pytest.mark.parametrize("option", ["--run", "--out"])
def test_plan_keeps_no_run(cli, problems: Path, option: str) -> None:
    result = cli("solve", problems, "--plan", option, "kept", *SCRIPTED)
    assert (result.code, result.out) == (2, "")
    assert f"--plan solves nothing; leave {option} out" in result.err


def test_file_without_a_readable_row_cannot_be_planned(cli, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text('{"question": ""}\n')
    result = cli("solve", tmp_path / "empty.jsonl", "--plan", *SCRIPTED)
    assert result.code != 0
    assert "no row that can be read" in result.err
