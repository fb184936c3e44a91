"""``collect``: the labelled search, what it keeps and reports, and that ``resume`` goes on with it."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.data.harvesting import findings

SCRIPTED = ["--set", "reasoner.backend=scripted", "--set", "budget.max_tokens=300"]
CLASSIFIED = ["--set=evaluator.kind=reward_model", "--set=reward_model.head=sequence_classification"]
FIGURES = ("num_with_right", "num_with_wrong", "num_with_both", "num_rollouts")


def rows(run: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "wall_s"} for row in found]


def labelling(run: Path) -> dict[str, int]:
    report: dict[str, dict[str, int]] = json.loads((run / "report.json").read_text())
    return report["labelling"]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Eight problems, of which the scripted reasoner gets some right now and then."""
    path = tmp_path / "labelled.jsonl"
    problems = [{"id": f"p{n}", "question": f"how many of kind {n}?", "answer": str(n % 6), "n": n} for n in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in problems))
    return path


def test_run_keeps_answers_and_reports_what_was_found(cli, labelled: Path, tmp_path: Path) -> None:
    result = cli("collect", labelled, "--run", "runs/a", "--json", *SCRIPTED)
    assert result.code == 0, result.err
    found = labelling(tmp_path / "runs/a")
    assert tuple(found) == FIGURES
    assert 0 < found["num_with_both"] <= min(found["num_with_right"], found["num_with_wrong"]) <= 8
    assert found["num_rollouts"] > 8
    (summary,) = result.rows
    assert {name: summary[name] for name in FIGURES} == found
    assert (summary["run"], summary["num_answered"], summary["num_failed"]) == ("runs/a", 8, 0)
    assert f"both for {found['num_with_both']}; {found['num_rollouts']} rollouts" in result.err
    solved = cli("solve", labelled, "--config", "majority", *SCRIPTED).rows
    assert [row.keys() for row in solved] == [row.keys() - {"row"} | {"wall_s"} for row in rows(tmp_path / "runs/a")]


def test_rows_without_a_reference_answer_are_listed_and_the_others_searched(cli, labelled: Path) -> None:
    labelled.write_text(labelled.read_text() + '{"id": "none", "question": "how many dogs?"}\n')
    result = cli("collect", labelled, "--run", "runs/a", *SCRIPTED)
    assert result.code == 1
    assert "failed: none: it has no reference answer; write one in its column 'answer'" in result.err
    assert "answered 8 of 9, 1 failed" in result.err


@pytest.mark.parametrize("limit", [[], ["--limit", "2"]])
def test_file_without_a_reference_answer_is_refused_before_models_are_loaded(
    cli, labelled: Path, tmp_path: Path, limit: list[str]
) -> None:
    text = '{"question": "how many dogs?", "answer": " "}\nno row\n' + (labelled.read_text() if limit else "")
    labelled.write_text(text)
    result = cli("collect", labelled, "--run", "runs/a", *SCRIPTED, *limit)
    (line,) = result.err.splitlines()
    assert "labelled.jsonl has no reference answer in the rows to search; write them in a column 'answer'" in line
    assert result.code == 2
    assert not (tmp_path / "runs").exists()


def test_rows_that_disagree_on_the_answer_are_both_listed(cli, labelled: Path) -> None:
    labelled.write_text(labelled.read_text() + '{"id": "again", "question": "how many of kind 1?", "answer": "5"}\n')
    result = cli("collect", labelled, "--run", "runs/a", *SCRIPTED)
    assert result.code == 1
    for name in ("p1", "again"):
        assert (
            f"failed: {name}: its rows have different reference answers, '1' and '5'; keep the right one" in result.err
        )


def test_limit_and_seed_are_those_of_solve(cli, labelled: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert cli("collect", labelled, "--run", name, "--limit", 3, "--seed", seed, *SCRIPTED).code == 0
    first, same, other = (rows(tmp_path / name) for name in "abc")
    assert len(first) == 3
    assert first == same != other


def test_any_method_can_be_labelled(cli, scripted, labelled: Path, tmp_path: Path) -> None:
    assert cli("collect", labelled, "--run", "runs/a", *scripted).code == 0
    found = labelling(tmp_path / "runs/a")
    assert found["num_with_right"] > 0
    assert found["num_rollouts"] == 0


def test_stopped_run_is_resumed_to_what_it_would_have_been(cli, labelled: Path, tmp_path: Path) -> None:
    problems = [{"question": f"how many of sort {n}?", "answer": str(n % 6)} for n in range(60)]
    labelled.write_text("".join(json.dumps(row) + "\n" for row in problems))
    options = [*SCRIPTED, "--set", "run.problems_in_flight=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "critic_engine", "collect", str(labelled), "--run", "runs/a", *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers = tmp_path / "runs/a/answers.jsonl"
    while process.poll() is None and not (answers.exists() and answers.read_text().count("\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].endswith("critic-engine resume runs/a")
    assert len(rows(tmp_path / "runs/a")) < 60

    result = cli("resume", "runs/a")
    assert result.code == 0
    assert "rollouts" in result.err
    assert cli("collect", labelled, "--run", "runs/whole", *options).code == 0
    assert rows(tmp_path / "runs/a") == rows(tmp_path / "runs/whole")
    assert labelling(tmp_path / "runs/a") == labelling(tmp_path / "runs/whole")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["collect"], ["PROBLEMS"]),
        (["collect", "labelled.jsonl"], ["--run"]),
        (["collect", "labelled.jsonl", "--run", "r", "--sample", "4"], ["--sample is about an --estimate", "--limit"]),
        (["collect", "gone.jsonl", "--run", "r"], ["gone.jsonl does not exist"]),
        (["collect", "labelled.jsonl", "--run", "r", "--config", "collect"], ["neither a file nor a preset"]),
        (["collect", "labelled.jsonl", "--run", "labelled.jsonl"], ["is not an empty folder; name a new one"]),
        (["solve", "labelled.jsonl", "--config", "mmc_collect"], ["`critic-engine collect`", "evaluator.against"]),
        (
            ["solve", "--question", "q", "--set", "evaluator.kind=checker"],
            ["`critic-engine collect`", "evaluator.kind"],
        ),
        (
            ["solve", "labelled.jsonl", "--set", "evaluator.kind=reward_model", "--reasoner", "./other"],
            ["would be paired with the pocket reward model", "--reward-model MODEL"],
        ),
        (
            ["solve", "--question", "q", *CLASSIFIED],
            ["reward_model.model is 'pocket', which has no head"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_refused_in_one_line(cli, labelled: Path, arguments: list[str], parts: list[str]) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    for part in parts:
        assert part in line
    assert not (labelled.parent / "r").exists()


def test_a_full_disk_is_one_line_and_what_was_committed_is_gone_on_with(cli, labelled: Path, tmp_path: Path) -> None:
    options = [*SCRIPTED, "--set", "run.problems_in_flight=2"]
    rows_of_sixty = [{"question": f"how many of sort {n}?", "answer": str(n % 6)} for n in range(60)]
    labelled.write_text("".join(json.dumps(row) + "\n" for row in rows_of_sixty))
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))"
    program = f"{limit}; from critic_engine.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "collect", str(labelled), "--run", "runs/a", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "what was committed is kept" in last

    assert cli("resume", "runs/a").code == 0
    assert cli("collect", labelled, "--run", "runs/whole", *options).code == 0
    assert rows(tmp_path / "runs/a") == rows(tmp_path / "runs/whole")
    assert labelling(tmp_path / "runs/a") == labelling(tmp_path / "runs/whole")


def test_a_full_disk_at_the_beginning_is_one_line_and_the_same_command_begins_anew(
    cli, labelled: Path, tmp_path: Path
) -> None:
    command = ["collect", "labelled.jsonl", "--run", "runs/a", *SCRIPTED]
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))"
    program = f"{limit}; from critic_engine.cli.main import main; sys.exit(main())"
    result = subprocess.run([sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: runs/a/run.sqlite cannot be written: ")
    assert line.endswith("; make room and run the same command again")
    assert cli(*command).code == 0


def damage(run: Path, table: str) -> None:
    """Overwrite the root page of a table."""
    with closing(sqlite3.connect(run / "run.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with (run / "run.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def drop_findings(run: Path) -> None:
    """Delete all findings, so that a resume has to read the logs of the searches again."""
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        connection.execute("DELETE FROM findings")


@pytest.mark.parametrize("table", ["problems", "events", "answers", "findings"])
def test_a_database_that_is_damaged_in_its_middle_is_named(cli, labelled: Path, tmp_path: Path, table: str) -> None:
    assert cli("collect", labelled, "--run", "runs/a", *SCRIPTED).code == 0
    if table == "events":
        drop_findings(tmp_path / "runs/a")
    damage(tmp_path / "runs/a", table)
    commands = [["inspect", "runs/a"], ["resume", "runs/a"]]
    commands += [["export", "runs/a", "--format", "trl-dpo", "--role", "reasoner", "--out", "out"]]
    # What only a search reads is not missed by the others.
    for command in commands if table != "events" else commands[1:2]:
        result = cli(*command)
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines()[-1].startswith("error: runs/a/run.sqlite cannot be used: ")
        assert "malformed" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("table", "column"), [("findings", "finding"), ("answers", "answer"), ("events", "event")])
def test_a_row_that_is_damaged_is_told_as_such(cli, labelled: Path, tmp_path: Path, table: str, column: str) -> None:
    assert cli("collect", labelled, "--run", "runs/a", *SCRIPTED).code == 0
    if table == "events":
        drop_findings(tmp_path / "runs/a")
    with closing(sqlite3.connect(tmp_path / "runs/a/run.sqlite")) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = substr({column}, 1, 4) || char(0, 0, 0)")
    result = cli("resume" if table == "events" else "inspect", "runs/a")
    assert result.code == 2
    assert "error: runs/a/run.sqlite cannot be used: a row is damaged: " in result.err


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("strategy.max_proposals=3", "strategy.max_proposals was 2 and is 3"),
        ("collect.lift.num_refinements=4", "collect.lift.num_refinements was 10 and is 4"),
    ],
)
def test_a_folder_with_a_run_of_another_config_is_refused_by_the_field_that_differs(
    cli, labelled: Path, setting: str, field: str
) -> None:
    assert cli("collect", labelled, "--run", "runs/a", "--limit", 1, *SCRIPTED).code == 0
    result = cli("collect", labelled, "--run", "runs/a", *SCRIPTED, "--set", setting)
    (line,) = result.err.splitlines()
    assert result.code == 2
    assert field in line
    filtered = cli("collect", labelled, "--run", "runs/a", *SCRIPTED, "--set", "collect.filters.min_right=1")
    assert "`critic-engine resume runs/a`" in filtered.err


def test_a_run_whose_config_file_is_lost_goes_on_by_the_config_it_was_begun_with(
    cli, labelled: Path, tmp_path: Path
) -> None:
    assert cli("collect", labelled, "--run", "runs/a", "--max-tokens", 600, *SCRIPTED).code == 1
    (tmp_path / "runs/a/config.yaml").unlink()
    assert cli("resume", "runs/a", "--max-tokens", 600_000).code == 0


def test_problems_of_an_evaluation_set_are_refused_and_counted(cli, labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"question": "How many of  KIND 3 ?"}\n{"question": "what else is there?"}\n')
    result = cli("collect", labelled, "--run", "runs/a", "--evaluation-set", tmp_path / "test.jsonl", *SCRIPTED)
    assert result.code == 1
    assert "failed: p3: it repeats row '1' of 'test.jsonl'" in result.err
    report = json.loads((tmp_path / "runs/a/report.json").read_text())["collect"]
    assert report["stages"]["rows"] == {"in": 8, "left_out": {"evaluation_set": 1}, "kept": 7}


@pytest.mark.parametrize("is_option", [False, True])
def test_caps_on_tokens_leave_the_rest_to_a_resume(cli, labelled: Path, tmp_path: Path, is_option: bool) -> None:
    options = [*SCRIPTED, "--set", "run.problems_in_flight=1"]
    result = cli("collect", labelled, "--run", "runs/a", "--max-tokens", 600, *options)
    assert result.code == 1
    stages = json.loads((tmp_path / "runs/a/report.json").read_text())["collect"]["stages"]
    assert 0 < stages["rows"]["kept"] < 8
    assert stages["rows"]["left_out"] == {"not_done_yet": 8 - stages["rows"]["kept"]}
    assert f"{8 - stages['rows']['kept']} problems are not done yet" in result.err
    way_on = "`critic-engine resume runs/a`, with a higher run.max_tokens in runs/a/config.yaml or --max-tokens N"
    assert result.err.splitlines()[-1].endswith(way_on)
    if is_option:
        result = cli("resume", "runs/a", "--max-tokens", 600_000)
    else:
        again = cli("resume", "runs/a")
        assert (again.code, again.err.splitlines()[-1]) == (1, result.err.splitlines()[-1])
        path = tmp_path / "runs/a/config.yaml"
        path.write_text(path.read_text().replace("max_tokens: 600\n", "max_tokens: 600000\n"))
        result = cli("resume", "runs/a")
    assert result.code == 0, result.err
    assert cli("collect", labelled, "--run", "runs/whole", *options).code == 0
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("runs/a", "runs/whole")]
    assert reports[0]["collect"] == reports[1]["collect"]


def test_cap_on_seconds_needs_no_other_one_to_go_on(cli, labelled: Path, tmp_path: Path) -> None:
    result = cli("collect", labelled, "--run", "runs/a", "--max-seconds", 1e-6, *SCRIPTED)
    assert result.code == 1
    assert result.err.splitlines()[-1].endswith("continue with `critic-engine resume runs/a`")
    assert json.loads((tmp_path / "runs/a/report.json").read_text())["cut_by"] == "run_seconds"
    assert cli("resume", "runs/a", "--max-seconds", 1e6).code == 0
    assert json.loads((tmp_path / "runs/a/report.json").read_text())["cut_by"] is None


def test_trees_of_which_nothing_can_be_made_are_listed_and_tried_again(cli, labelled: Path, tmp_path: Path) -> None:
    assert cli("collect", labelled, "--run", "runs/a", *SCRIPTED).code == 0
    whole = findings(tmp_path / "runs/a")
    with closing(sqlite3.connect(tmp_path / "runs/a/run.sqlite")) as connection, connection:
        connection.execute("DELETE FROM findings WHERE position IN (2, 5) AND name = 'done'")
        connection.execute("UPDATE findings SET finding = '{}' WHERE position IN (2, 5) AND name = 'pairs'")
    for _ in range(2):
        result = cli("resume", "runs/a", "--json")
        assert result.code == 1
        assert [line for line in result.err.splitlines() if line.startswith("failed: ")] == [
            "failed: p2: RunError: the finding 'pairs' of row 3 cannot be read: pairs: Field required; put back a copy "
            "of run.sqlite",
            "failed: p5: RunError: the finding 'pairs' of row 6 cannot be read: pairs: Field required; put back a copy "
            "of run.sqlite",
        ]
        assert "answered 8 of 8, 0 failed" in result.err
        assert "the harvest of 2 problems failed; `critic-engine resume runs/a`" in result.err
        (summary,) = result.rows
        assert [each["id"] for each in summary["collect"]["failed"]] == ["p2", "p5"]
    shown = cli("inspect", "runs/a")
    assert (shown.code, "failed: p2: RunError: the finding 'pairs' of row 3 cannot be read" in shown.out) == (0, True)
    assert "the harvest of 2 trees failed; `critic-engine resume` tries it again" in shown.out
    assert "not complete: 6 of 8 problems are done" in shown.out
    (facts,) = cli("inspect", "runs/a", "--json").rows
    assert (facts["is_complete"], facts["num_done"], facts["num_left"]) == (False, 6, 0)
    assert facts["failed"] == summary["collect"]["failed"]

    with closing(sqlite3.connect(tmp_path / "runs/a/run.sqlite")) as connection, connection:
        connection.execute("DELETE FROM findings WHERE position IN (2, 5) AND name = 'pairs'")
    assert cli("resume", "runs/a").code == 0
    assert findings(tmp_path / "runs/a") == whole
