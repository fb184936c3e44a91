"""``evaluate-critic`` on the command line."""

import json
from pathlib import Path

import pytest

from critic_engine.config.critic_card import CriticCard

SMALL = ["--num-solutions", 2, "--num-checked", 2]


@pytest.fixture
def models(scripted: list[str]) -> list[str]:
    return scripted


def test_card_of_problems_is_written_and_said(cli, models, problems: Path) -> None:
    result = cli("evaluate-critic", problems, *models, *SMALL, "--out", "card")
    assert result.code == 0, result.err
    assert result.out.startswith("critic scripted:pocket on 6 solutions of 3 problems\n")
    assert "note: 3 problems are too few" in result.out
    card = CriticCard.read(Path("card/critic_card.json"))
    assert card.task.startswith("problems.jsonl ")
    names = {path.name for path in Path("card").iterdir()}
    assert {"critic_card.json", "report.md", "judgements.jsonl", "config.yaml", "solutions"} <= names
    again = cli("evaluate-critic", problems, *models, *SMALL, "--out", "card", "--json")
    assert CriticCard.model_validate(json.loads(again.out)) == card


def test_reward_model_is_measured_when_one_is_named(cli, models, problems: Path) -> None:
    options = [*models, "--set", "reward_model.backend=scripted", "--reward-model", "pocket"]
    result = cli("evaluate-critic", problems, *options, *SMALL, "--out", "card", "--json")
    assert result.code == 0, result.err
    (card,) = result.rows
    assert (card["kind"], card["temperature"], card["lift"], card["first_wrong_step"]) == (
        "reward_model",
        None,
        None,
        None,
    )


@pytest.mark.slow
def test_labelled_run_is_measured_with_its_own_models(cli, models, problems: Path) -> None:
    collecting = ["--config", "mmc_collect", "--set", "budget.max_simulations=4"]
    collecting += ["--set", "collect.labels={kind: binary_search, num_rollouts: 2}"]
    assert cli("collect", problems, *collecting, *models[2:], "--run", "labelled").code == 0
    result = cli("evaluate-critic", "labelled", "--num-solutions", 50, "--num-checked", 2, "--out", "card", "--json")
    assert result.code == 0, result.err
    (card,) = result.rows
    assert card["is_of_search"]
    assert 0 < card["steps"]["num"] < card["num_solutions"]
    assert card["critic"]["name"] == card["reasoner"]["name"] == "scripted:pocket"


@pytest.mark.parametrize("option", [["--limit", 1], ["--reasoner", "pocket"], ["--map", "answer="]])
def test_options_of_problems_are_refused_beside_a_run(cli, tmp_path: Path, option: list[object]) -> None:
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled" / "run.sqlite").touch()
    refused = cli("evaluate-critic", tmp_path / "labelled", *option, "--out", "other")
    assert (refused.code, f"{option[0]} goes with a problems file only" in refused.err) == (2, True)


def test_rows_without_references_are_named(cli, models, problems: Path) -> None:
    with problems.open("a") as file:
        file.write(json.dumps({"id": "bare", "question": "how many dogs?"}) + "\n")
    result = cli("evaluate-critic", problems, *models, *SMALL, "--out", "card")
    assert result.code == 1
    assert "failed: bare: it has no reference answer" in result.err
    bare = cli("evaluate-critic", problems, *models, "--map", "answer=", "--out", "other")
    assert bare.code == 2
    assert "has no reference answer in the rows to solve" in bare.err
    assert not Path("other").exists()


def test_two_models_at_once_and_missing_files_are_refused(cli, problems: Path) -> None:
    result = cli("evaluate-critic", problems, "--critic", "a", "--reward-model", "b", "--out", "card")
    assert (result.code, "a card is of one model" in result.err) == (2, True)
    result = cli("evaluate-critic", "absent.jsonl", "--out", "card")
    assert result.code == 2
    assert "absent.jsonl" in result.err
    assert not Path("card").exists()
