"""``pocket make`` writes a problems file that ``solve`` reads."""

import json
from pathlib import Path

from critic_engine.data.problems import read_problems
from critic_engine.types import ProblemRow


def test_problems_are_written_and_can_be_read(cli, tmp_path: Path) -> None:
    result = cli("pocket", "make", "--split", "test", "--num", 12, "--seed", 7, "--out", "p.jsonl")
    assert (result.code, result.out) == (0, "")
    rows = list(read_problems(tmp_path / "p.jsonl"))
    assert len(rows) == 12
    for row in rows:
        assert isinstance(row, ProblemRow)
        assert len(row.problem.images) == 1
        assert row.reference_answers


def test_same_seed_writes_the_same_file_over_the_old_one(cli, tmp_path: Path) -> None:
    contents = []
    for seed in (7, 8, 7):
        cli("pocket", "make", "--num", 5, "--seed", seed, "--out", "p.jsonl")
        contents.append((tmp_path / "p.jsonl").read_bytes())
    assert contents[0] == contents[2] != contents[1]
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


def test_pictures_are_written_beside_the_problems_on_request(cli, tmp_path: Path) -> None:
    assert cli("pocket", "make", "--num", 3, "--out", "whole.jsonl").code == 0
    assert cli("pocket", "make", "--num", 3, "--out", "p.jsonl", "--images", "boards/few").code == 0
    assert len(list((tmp_path / "boards/few").glob("*.png"))) == 3
    names = [(tmp_path / name).name for name in ("whole.jsonl", "p.jsonl")]
    whole, beside = ([row.problem for row in read_problems(tmp_path / name)] for name in names)
    assert [each.problem_id for each in whole] == [each.problem_id for each in beside]


def test_pictures_that_the_file_could_not_reach_are_refused(cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    result = cli("pocket", "make", "--out", "data/p.jsonl", "--images", "boards")
    assert (result.code, "boards is not below data" in result.err) == (2, True)
    assert not (tmp_path / "boards").exists()


def test_the_pair_that_words_freely_solves_problems(cli, tmp_path: Path) -> None:
    assert cli("pocket", "make", "--num", 1, "--out", "p.jsonl").code == 0
    pair = "--reasoner", "pocket:prose", "--critic", "pocket:prose"
    limits = "--config", "best_of_n", "--set", "strategy.num_samples=2"
    assert cli("solve", "p.jsonl", *pair, *limits, "--out", "answers.jsonl").code == 0
    (answer,) = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert answer["answer"]
