"""Collecting and exporting that are killed at any moment go on where they stood, to what they would have come to.

``bench/faults.py`` kills dozens of runs at random moments; here each kind of moment has one kill.
"""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import pytest

from critic_engine.data.harvest.finding_kinds import PAIRS
from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.rows import Role, open_rows
from tests.killing import run_killed

COMMAND = [sys.executable, "-m", "critic_engine"]
NUM_PROBLEMS = 40
"""Enough that every kind of finding and of row is among them."""
SCRIPTED = [
    "--set=reasoner.backend=scripted",
    "--set=critic.backend=scripted",
    "--set=budget.max_tokens=300",
    "--set=collect.annotators=[{kind: critic, num_critiques: 3}]",
    "--set=collect.pairs={check: critic, max_annotated: 32, min_support: 1, min_share: 0, min_reference_value: 0}",
    "--set=collect.pairs.min_chosen_value=0.1",
    "--set=collect.pairs.max_rejected_value=0.95",
    "--set=collect.lift={num_refinements: 5, num_fresh: 2}",
    "--set=collect.labels={kind: binary_search, num_rollouts: 2}",
    "--set=collect.filters={min_right: 1, min_lift_gap: 0.05, is_near_duplicate_allowed: true}",
]
KINDS: list[tuple[type[TrainingRow], Role]] = [
    (Preference, "critic"),
    (Preference, "reasoner"),
    (Demonstration, "critic"),
    (Demonstration, "reasoner"),
    (Rated, "critic"),
    (Rated, "reasoner"),
    (StepLabelled, "reasoner"),
]
FORMATS = [("trl-kto", "critic"), ("trl-dpo", "reasoner"), ("llamafactory-sft", "critic")]
FINDINGS = (
    "paths",
    "pairs",
    "value",
    "critique",
    "labels",
    "search",
    "done",
    "baseline",
    "fresh_baseline",
    "refined",
    "fresh",
)
"""Kinds of findings; the later ones come of few problems, and a session that waits for them does much of the rest."""
MOMENTS = {
    "between ask and tell": (r"INSERT INTO events .*told", 10),
    "before a commit": (r"COMMIT", 150),
    "between two commits": (r"BEGIN", 300),
    "as an answer is written": (r"INSERT INTO answers", 20),
    "as the report is written": (r"open .*report\.json", 1),
}
NUM_RANDOM = 3
EXPORT_MOMENTS = {
    "as its folder is made": (r"os\.mkdir .*unfinished", 1),
    "as rows are written": (r"open .*train\.jsonl", 1),
    "as the earlier one is put aside": (r"os\.rename .*replaced", 1),
    "between its two renames": (r"os\.rename .*unfinished", 1),
    "as the earlier one is removed": (r"shutil\.rmtree .*replaced", 1),
}

Rows: TypeAlias = dict[tuple[str, int, str | int], str]
"""What a run has committed: the content by table, position, and name or number."""

pytestmark = pytest.mark.slow


def collect(problems: Path, run: Path, options: list[str]) -> list[str]:
    return ["collect", str(problems), "--run", str(run), *options]


def succeed(arguments: list[str]) -> None:
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()


def finish(run: Path) -> None:
    result = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr.decode()


@contextlib.contextmanager
def reading(run: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"{(run / 'run.sqlite').as_uri()}?mode=ro", uri=True)) as connection:
        yield connection


def committed(run: Path) -> Rows:
    """Return all that was committed but the seconds that an answer took."""
    with reading(run) as connection:
        found = connection.execute(
            "SELECT 'events', position, sequence, event FROM events UNION ALL"
            " SELECT 'findings', position, name, num_tokens || ' ' || finding FROM findings UNION ALL"
            " SELECT 'answers', position, '', json_remove(answer, '$.wall_s') FROM answers"
        ).fetchall()
    rows: Rows = {(table, position, name): content for table, position, name, content in found}
    assert len(rows) == len(found)
    return rows


def dataset(run: Path) -> dict[str, list[str]]:
    """Return the rows that the run gives to trainers, written down."""
    return {
        f"{kind.__name__} {role}": [json.dumps(asdict(row)) for row in open_rows(run, kind=kind, role=role)]
        for kind, role in KINDS
    }


def summary(run: Path) -> tuple[object, object]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["is_complete"]
    return report["labelling"], report["collect"]


def export_command(run: Path, out: Path, name: str, role: str) -> list[str]:
    return ["export", str(run), "--format", name, "--role", role, "--out", str(out)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exported(run: Path, folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the files of the run's exports by format and role."""
    found = {}
    for name, role in FORMATS:
        out = folder / f"{name}-{role}"
        succeed(export_command(run, out, name, role))
        found[out.name] = files(out)
    return found


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problems of which the scripted reasoner gets some right now and then."""
    path = tmp_path_factory.mktemp("problems") / "problems.jsonl"
    rows = [{"id": f"p{n}", "question": f"how many of kind {n} ?", "answer": str(n % 6)} for n in range(NUM_PROBLEMS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(problems: Path) -> Path:
    """A run that nobody killed."""
    run = problems.parent / "undisturbed"
    succeed(collect(problems, run, SCRIPTED))
    return run


@pytest.fixture(scope="module")
def whole(undisturbed: Path) -> Rows:
    """All that it committed: of each table much, and of findings every kind."""
    rows = committed(undisturbed)
    kinds = {str(name).split("/")[0] for table, _, name in rows if table == "findings"}
    assert kinds == set(FINDINGS)
    return rows


def check_ended_alike(run: Path, whole: Rows, undisturbed: Path) -> None:
    assert committed(run) == whole, "something was done twice, or came out otherwise"
    assert summary(run) == summary(undisturbed)


def check_killed_once(problems: Path, run: Path, whole: Rows, undisturbed: Path, pattern: str, num: int) -> None:
    run_killed(pattern, num, collect(problems, run, SCRIPTED))
    acknowledged = committed(run)
    finish(run)
    assert acknowledged.items() <= committed(run).items(), "what was acknowledged is lost or changed"
    check_ended_alike(run, whole, undisturbed)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_each_kind_of_moment_ends_as_the_undisturbed_one(
    moment: str, problems: Path, undisturbed: Path, whole: Rows, tmp_path: Path
) -> None:
    check_killed_once(problems, tmp_path / "run", whole, undisturbed, *MOMENTS[moment])


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_a_run_killed_anywhere_ends_as_the_undisturbed_one(
    seed: int, problems: Path, undisturbed: Path, whole: Rows, tmp_path: Path
) -> None:
    num = random.Random(seed).randint(1, len(whole) * 9 // 10)
    pattern = "INSERT INTO (events|findings|answers)"
    check_killed_once(problems, tmp_path / "run", whole, undisturbed, pattern, num)


def test_a_run_killed_as_each_kind_of_finding_is_written_gives_the_same_rows_and_exports(
    problems: Path, undisturbed: Path, whole: Rows, tmp_path: Path
) -> None:
    rows = dataset(undisturbed)
    # Of scripted critiques hardly one is better than another in two sets of draws.
    assert sum(len(each) > 2 for each in rows.values()) >= 6, {kind: len(each) for kind, each in rows.items()}
    run = tmp_path / "run"
    before: Rows = {}
    for kind in FINDINGS:
        pattern = rf"INSERT INTO findings VALUES \(\d+, ?'{kind}\b"
        run_killed(pattern, 1, ["resume", str(run)] if before else collect(problems, run, SCRIPTED))
        acknowledged = committed(run)
        assert before.items() <= acknowledged.items(), "what was acknowledged is lost or changed"
        before = acknowledged
    assert len(before) < len(whole), "the last kill came after the end of the run"
    finish(run)
    check_ended_alike(run, whole, undisturbed)
    assert dataset(run) == rows
    assert exported(run, tmp_path / "exports") == exported(undisturbed, tmp_path / "undisturbed exports")


def test_collecting_that_is_killed_while_problems_are_read_in_begins_anew(problems: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_killed(r"INSERT INTO problems", 5, collect(problems, run, SCRIPTED))
    result = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "was stopped before its problems were read in; start it again by the same command" in line
    succeed(collect(problems, run, [*SCRIPTED, "--limit=3"]))
    assert {position for _, position, _ in committed(run)} == {0, 1, 2}


def test_export_that_is_killed_leaves_the_whole_or_nothing_under_its_name(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    again = [*export_command(undisturbed, out, "llamafactory-sft", "critic"), "--overwrite"]
    succeed(again)
    wanted = files(out)
    for pattern, num in EXPORT_MOMENTS.values():
        run_killed(pattern, num, again)
        assert not out.exists() or files(out) == wanted
        succeed(again)
        assert files(out) == wanted


def test_killed_run_of_the_pocket_models_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """A few problems suffice: what the models add is rounding, so that a repeated draw would be another one."""
    problems, run, num_problems = tmp_path / "problems.jsonl", tmp_path / "run", 8
    make = ["pocket", "make", "--split", "train", "--num", str(num_problems), "--seed", "5", "--out", str(problems)]
    succeed(make)
    before: Rows = {}
    for pattern, num in ((r"INSERT INTO events .*told", 20), (r"INSERT INTO findings", 20)):
        run_killed(pattern, num, ["resume", str(run)] if before else collect(problems, run, []))
        acknowledged = committed(run)
        assert before.items() < acknowledged.items()
        before = acknowledged
    finish(run)
    final = committed(run)
    assert before.items() < final.items(), "what was acknowledged is lost or changed, or the last kill came too late"
    for position in range(num_problems):
        check_is_whole({(table, name): content for (table, at, name), content in final.items() if at == position})
    stages = json.loads((run / "report.json").read_text(encoding="utf-8"))["collect"]["stages"]
    assert (stages["rows"]["in"], stages["rows"]["left_out"]) == (num_problems, {})


def check_is_whole(rows: Mapping[tuple[str, str | int], str]) -> None:
    """Check that one problem has an unbroken log, each trial ended once, an answer, and all findings, none twice."""
    sequences = sorted(name for table, name in rows if table == "events" and isinstance(name, int))
    assert sequences == list(range(len(sequences)))
    events = [json.loads(rows["events", sequence]) for sequence in sequences]
    ended = [event["trial"] for event in events if event["event"] in ("told", "abandoned")]
    assert len(ended) == len(set(ended)) > 0
    assert ("answers", "") in rows
    findings = {str(name) for table, name in rows if table == "findings"}
    assert {"paths", "pairs", "labels", "done"} <= findings
    assert "error" not in findings
    pairs = PAIRS.decode(rows["findings", "pairs"].partition(" ")[2], position=0).pairs
    divergent = {number for number, pair in enumerate(pairs) if pair.kind == "divergent"}
    assert {int(name.split("/")[1]) for name in findings if name.startswith("critique/")} <= divergent
