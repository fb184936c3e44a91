"""Collecting and exporting that are killed at any moment go on where they stood, to what they would have come to."""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import pytest

from critic_engine.data.harvest.finding_kinds import PAIRS
from critic_engine.data.records import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.rows import Role, open_rows

COMMAND = [sys.executable, "-m", "critic_engine"]
NUM_PROBLEMS = 120
NUM_RUNS_KILLED_ONCE = 30
NUM_KILLS_OF_ONE_RUN = (5, 5, 5, 5)
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
FORMATS = [("trl-dpo", "critic"), ("trl-dpo", "reasoner"), ("llamafactory-sft", "critic")]

Rows: TypeAlias = dict[tuple[str, int, str | int], str]
"""What a run has committed: the content by table, position, and name or number."""

pytestmark = pytest.mark.slow


def collect(problems: Path, run: Path, options: list[str]) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, "collect", str(problems), "--run", str(run), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def resume(run: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, "resume", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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


def wait_for_rows(run: Path, process: "subprocess.Popen[bytes]", num_rows: int) -> None:
    """Return as soon as the run has committed ``num_rows``, or its process has ended."""
    count = "SELECT (SELECT COUNT(*) FROM events) + (SELECT COUNT(*) FROM findings) + (SELECT COUNT(*) FROM answers)"
    while process.poll() is None:
        with contextlib.suppress(sqlite3.OperationalError), reading(run) as connection:  # no file or no tables yet
            while process.poll() is None:
                if connection.execute(count).fetchone()[0] >= num_rows:
                    return
                time.sleep(0.001)
        time.sleep(0.005)


def kill_at(process: "subprocess.Popen[bytes]", run: Path, num_rows: int, rng: random.Random) -> Rows:
    """Kill the process soon after so many rows were committed; return all rows that then are."""
    wait_for_rows(run, process, num_rows)
    time.sleep(rng.uniform(0, 0.004))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return committed(run)


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
    return [*COMMAND, "export", str(run), "--format", name, "--role", role, "--out", str(out)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exported(run: Path, folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the files of the run's exports by format and role."""
    found = {}
    for name, role in FORMATS:
        out = folder / f"{name}-{role}"
        result = subprocess.run(export_command(run, out, name, role), capture_output=True, check=False)
        assert result.returncode == 0, result.stderr.decode()
        found[out.name] = files(out)
    return found


def share_of(rows: Rows, whole: Rows) -> float:
    return len(rows) / len(whole)


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
    assert collect(problems, run, SCRIPTED).wait(timeout=300) == 0
    return run


@pytest.fixture(scope="module")
def whole(undisturbed: Path) -> Rows:
    """All that it committed: of each table much, and of findings every kind."""
    rows = committed(undisturbed)
    kinds = {str(name).split("/")[0] for table, _, name in rows if table == "findings"}
    expected = "paths pairs value critique baseline fresh_baseline refined fresh labels search done"
    assert kinds == set(expected.split())
    assert sum(table == "findings" for table, _, _ in rows) > 10 * NUM_PROBLEMS
    return rows


def check_ended_alike(run: Path, whole: Rows, undisturbed: Path) -> None:
    assert committed(run) == whole, "something was done twice, or came out otherwise"
    assert summary(run) == summary(undisturbed)


@pytest.mark.timeout(1200)
def test_runs_killed_once_end_as_the_undisturbed_one(
    problems: Path, undisturbed: Path, whole: Rows, tmp_path: Path
) -> None:
    rng, rows = random.Random(40), dataset(undisturbed)
    # Of scripted critiques hardly one is better than another in two sets of draws.
    assert all(rows.values()), {kind: len(each) for kind, each in rows.items()}
    assert sum(len(each) > 2 for each in rows.values()) >= 6
    shares: list[float] = []
    for number in range(2 * NUM_RUNS_KILLED_ONCE):
        if len(shares) == NUM_RUNS_KILLED_ONCE:
            break
        run = tmp_path / f"run{number}"
        # Every part of the run has its kill, at a random moment of that part.
        num_rows = 1 + int(len(whole) * (len(shares) + rng.random()) / NUM_RUNS_KILLED_ONCE)
        acknowledged = kill_at(collect(problems, run, SCRIPTED), run, num_rows, rng)
        if 0 < len(acknowledged) < len(whole):
            shares.append(share_of(acknowledged, whole))
        finish(run)
        assert acknowledged.items() <= committed(run).items(), "what was acknowledged is lost or changed"
        check_ended_alike(run, whole, undisturbed)
        assert dataset(run) == rows
    assert len(shares) == NUM_RUNS_KILLED_ONCE, "too many kills came after the end of the run"
    assert min(shares) < 0.1, "no kill came at the beginning of the run"
    assert max(shares) > 0.9, "no kill came at the end of the run"


@pytest.mark.timeout(600)
def test_runs_killed_again_and_again_end_as_the_undisturbed_one(
    problems: Path, undisturbed: Path, whole: Rows, tmp_path: Path
) -> None:
    rng, exports = random.Random(41), exported(undisturbed, tmp_path)
    for number, num_kills in enumerate(NUM_KILLS_OF_ONE_RUN):
        run = tmp_path / f"run{number}"
        moments = sorted(rng.uniform(0, 0.95) for _ in range(num_kills))
        before: Rows = {}
        for moment in moments:
            process = resume(run) if before else collect(problems, run, SCRIPTED)
            num_rows = max(len(before), int(len(whole) * moment)) + 1
            acknowledged = kill_at(process, run, num_rows, rng)
            assert before.items() < acknowledged.items(), (
                "what was acknowledged is lost or changed, or nothing was done"
            )
            before = acknowledged
        assert len(before) < len(whole), "the last kill came after the end of the run"
        finish(run)
        assert before.items() <= committed(run).items()
        check_ended_alike(run, whole, undisturbed)
        (tmp_path / f"exports{number}").mkdir()
        assert exported(run, tmp_path / f"exports{number}") == exports


@pytest.mark.timeout(300)
def test_collecting_that_is_killed_while_problems_are_read_in_begins_anew(problems: Path, tmp_path: Path) -> None:
    many = tmp_path / "many.jsonl"
    rows = [{"question": f"how many of sort {n} ?", "answer": str(n % 6)} for n in range(20_000)]
    many.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run, rng = tmp_path / "run", random.Random(42)
    for _ in range(3):
        process = collect(many, run, SCRIPTED)
        while process.poll() is None and not (run / "run.sqlite").exists():
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, text=True, check=False)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "was stopped before its problems were read in; start it again by the same command" in line
    assert collect(problems, run, [*SCRIPTED, "--limit=3"]).wait() == 0
    assert {position for _, position, _ in committed(run)} == {0, 1, 2}


@pytest.mark.timeout(300)
def test_export_that_is_killed_leaves_the_whole_or_nothing_under_its_name(undisturbed: Path, tmp_path: Path) -> None:
    command = export_command(undisturbed, tmp_path / "whole", "llamafactory-sft", "critic")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    wanted, out, rng, num_cut = files(tmp_path / "whole"), tmp_path / "out", random.Random(43), 0
    for _ in range(12):
        again = [*export_command(undisturbed, out, "llamafactory-sft", "critic"), "--overwrite"]
        process = subprocess.Popen(again, stderr=subprocess.DEVNULL)
        earlier = set(tmp_path.iterdir())
        while process.poll() is None and not set(tmp_path.iterdir()) - earlier:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        num_cut += process.wait() == -signal.SIGKILL
        assert not out.exists() or files(out) == wanted
    assert num_cut >= 4, "too few kills came before the end"
    assert subprocess.run(again, capture_output=True, check=False).returncode == 0
    assert files(out) == wanted


@pytest.mark.timeout(600)
def test_killed_run_of_the_pocket_models_loses_and_repeats_nothing(tmp_path: Path) -> None:
    problems, run, rng = tmp_path / "problems.jsonl", tmp_path / "run", random.Random(44)
    make = ["pocket", "make", "--split", "train", "--num", "40", "--seed", "5", "--out", str(problems)]
    subprocess.run([*COMMAND, *make], capture_output=True, check=True)
    before: Rows = {}
    for num_rows in (20, 200, 400, 600):
        process = resume(run) if before else collect(problems, run, [])
        acknowledged = kill_at(process, run, max(num_rows, len(before) + 1), rng)
        assert before.items() < acknowledged.items()
        before = acknowledged
    finish(run)
    final = committed(run)
    assert before.items() < final.items(), "what was acknowledged is lost or changed, or the last kill came too late"
    for position in range(40):
        check_is_whole({(table, name): content for (table, at, name), content in final.items() if at == position})
    stages = json.loads((run / "report.json").read_text(encoding="utf-8"))["collect"]["stages"]
    assert (stages["rows"]["in"], stages["rows"]["left_out"]) == (40, {})


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
    pairs = PAIRS.decode(rows["findings", "pairs"].partition(" ")[2]).pairs
    divergent = {number for number, pair in enumerate(pairs) if pair.kind == "divergent"}
    assert {int(name.split("/")[1]) for name in findings if name.startswith("critique/")} <= divergent
