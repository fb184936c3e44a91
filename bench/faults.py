"""Does a run that is killed at random moments lose, repeat or change anything?

    python -m bench.faults --kills 50 --seed 0 --report bench/results/faults_cpu_202611.md

Run it from the root of the repository, before a release. ``solve`` and ``collect`` over scripted models are first run
undisturbed. Half of the kills meet a new run each, which is then resumed to its end; the other half come five to a run.
Each is a ``kill -9`` soon after a number of rows was committed; the numbers are drawn evenly over the run. What was
committed when the process died must stand unchanged in the finished run, which must equal the undisturbed one in its
database and its exports. The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bench.provenance import print_report, write_report

_COMMAND = (sys.executable, "-m", "critic_engine")
_SCRIPTED = ("--set=reasoner.backend=scripted", "--set=critic.backend=scripted", "--set=budget.max_tokens=300")
_COLLECT = (
    *_SCRIPTED,
    "--set=collect.annotators=[{kind: critic, num_critiques: 3}]",
    "--set=collect.pairs={check: critic, max_annotated: 32, min_support: 1, min_share: 0, min_reference_value: 0}",
    "--set=collect.pairs.min_chosen_value=0.1",
    "--set=collect.pairs.max_rejected_value=0.95",
    "--set=collect.lift={num_refinements: 5, num_fresh: 2}",
    "--set=collect.labels={kind: binary_search, num_rollouts: 2}",
    "--set=collect.filters={min_right: 1, min_lift_gap: 0.05, is_near_duplicate_allowed: true}",
)
_EXPORTS = (("trl-kto", "critic"), ("trl-dpo", "reasoner"), ("llamafactory-sft", "critic"))
_KILLS_OF_ONE_RUN = 5
_TABLES = {
    "events": "SELECT 'events', position, sequence, event FROM events",
    "answers": "SELECT 'answers', position, '', json_remove(answer, '$.wall_s') FROM answers",
    "findings": "SELECT 'findings', position, name, num_tokens || ' ' || finding FROM findings",
}

Rows: TypeAlias = dict[tuple[str, int, str | int], str]
"""What a run has committed: the content by table, position, and name or number."""
Files: TypeAlias = dict[str, bytes]


@dataclass(frozen=True)
class Work:
    """A command that makes a run, and the rows and exports of an undisturbed run of it."""

    name: str
    options: tuple[str, ...]
    tables: tuple[str, ...]
    problems: Path
    rows: Rows = field(default_factory=dict)
    files: Files = field(default_factory=dict)

    def begin(self, run: Path) -> list[str]:
        """Return the command that starts a run."""
        return [*_COMMAND, self.name, str(self.problems), "--run", str(run), *self.options]

    def committed(self, run: Path) -> Rows:
        """Return all that a run has committed but the seconds that an answer took."""
        with contextlib.closing(sqlite3.connect(f"{(run / 'run.sqlite').as_uri()}?mode=ro", uri=True)) as connection:
            query = " UNION ALL ".join(_TABLES[table] for table in self.tables)
            return {(table, at, name): content for table, at, name, content in connection.execute(query)}

    def exported(self, run: Path, folder: Path) -> Files:
        """Return the content of the files of the run's exports."""
        for format, role in _EXPORTS if "findings" in self.tables else ():
            out = str(folder / f"{format}-{role}")
            _finish([*_COMMAND, "export", str(run), "--format", format, "--role", role, "--out", out])
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Counts:
    """Kills and their consequences."""

    num_kills: int = 0
    num_runs: int = 0
    num_late_kills: int = 0
    """Processes that had ended by themselves when they were to be killed; they are not among the kills."""
    num_rows_lost_or_changed: int = 0
    """Rows that were committed at a kill and are not in the run afterwards."""
    num_rows_different_at_the_end: int = 0
    """Rows in which the finished run differs from the undisturbed one."""
    num_exports_different: int = 0
    shares: list[float] = field(default_factory=list)
    """Committed rows at each kill, as a share of the undisturbed run's."""

    @property
    def has_faults(self) -> bool:
        """Whether anything was lost or came out otherwise."""
        return self.num_rows_lost_or_changed + self.num_rows_different_at_the_end + self.num_exports_different > 0


def undisturbed(work: Work, folder: Path) -> Work:
    """Do the work once and keep what it gives."""
    folder.mkdir()
    _finish(work.begin(folder / "run"))
    (folder / "exports").mkdir()
    rows, files = work.committed(folder / "run"), work.exported(folder / "run", folder / "exports")
    return Work(work.name, work.options, work.tables, work.problems, rows, files)


def kill_one_run(work: Work, folder: Path, moments: Sequence[float], rng: random.Random, counts: Counts) -> None:
    """Kill a run at each of these shares of its work, finish it, and count what is not as it should be."""
    run = folder / "run"
    (folder / "exports").mkdir(parents=True)
    before: Rows = {}
    for moment in sorted(moments):
        command = [*_COMMAND, "resume", str(run)] if before else work.begin(run)
        is_killed = _kill(command, run, max(len(before), int(len(work.rows) * moment)) + 1, work.tables, rng)
        after = work.committed(run)
        counts.num_kills += is_killed
        counts.num_late_kills += not is_killed
        counts.num_rows_lost_or_changed += len(before.items() - after.items())
        counts.shares += [len(after) / len(work.rows)] * is_killed
        before = after
    _finish([*_COMMAND, "resume", str(run)])
    final = work.committed(run)
    counts.num_runs += 1
    counts.num_rows_lost_or_changed += len(before.items() - final.items())
    counts.num_rows_different_at_the_end += len(final.items() ^ work.rows.items())
    counts.num_exports_different += work.exported(run, folder / "exports") != work.files


def _kill(command: list[str], run: Path, num_rows: int, tables: Sequence[str], rng: random.Random) -> bool:
    """Kill the process soon after it has committed ``num_rows``; return whether it ended by that."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    count = "SELECT " + " + ".join(f"(SELECT COUNT(*) FROM {table})" for table in tables)
    while process.poll() is None:
        with contextlib.suppress(sqlite3.OperationalError):  # no file or no tables yet
            uri = f"{(run / 'run.sqlite').as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                while process.poll() is None and connection.execute(count).fetchone()[0] < num_rows:
                    time.sleep(0.001)
                break
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.004))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _finish(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr}")


def campaign(work: Work, num_kills: int, folder: Path, seed: int) -> Counts:
    """Kill half of the times once a run, evenly over the run, and the other half five times a run."""
    rng, counts = random.Random(seed), Counts()
    num_alone = num_kills - num_kills // 2 // _KILLS_OF_ONE_RUN * _KILLS_OF_ONE_RUN
    batches = [[(number + rng.random()) / num_alone * 0.95] for number in range(num_alone)]
    batches += [
        [rng.uniform(0, 0.95) for _ in range(_KILLS_OF_ONE_RUN)] for _ in range(num_kills // 2 // _KILLS_OF_ONE_RUN)
    ]
    for number, moments in enumerate(batches):
        kill_one_run(work, folder / f"{work.name}{number}", moments, rng, counts)
        print(f"{work.name}: {counts.num_kills} of {num_kills} kills", file=sys.stderr)
    return counts


def write_problems(folder: Path, num: int) -> Path:
    """Write problems of which the scripted reasoner gets some right now and then."""
    path = folder / "problems.jsonl"
    rows = [{"id": f"p{n}", "question": f"how many of kind {n} ?", "answer": str(n % 6)} for n in range(num)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(found: dict[str, Counts]) -> list[str]:
    """Return a Markdown table of the kills and their consequences."""
    consequences = ("rows lost", "rows different", "exports different")
    columns = ("command", "kills", "too late", "runs", "committed at the kills", *consequences)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, counts in found.items():
        shares = f"{100 * min(counts.shares, default=0):.0f} to {100 * max(counts.shares, default=0):.0f} %"
        numbers = (counts.num_rows_lost_or_changed, counts.num_rows_different_at_the_end, counts.num_exports_different)
        cells = (name, counts.num_kills, counts.num_late_kills, counts.num_runs, shares, *numbers)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments and compare what they come to.")
    parser.add_argument("--kills", type=int, default=50, help="kills of each of the two commands")
    parser.add_argument("--problems", type=int, default=60, help="problems of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write a Markdown report to this file")
    return parser.parse_args()


def main() -> None:
    """Run the campaign."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problems = write_problems(folder, args.problems)
        works = [
            Work("solve", ("--config=mcts", *_SCRIPTED), ("events", "answers"), problems),
            Work("collect", _COLLECT, ("events", "answers", "findings"), problems),
        ]
        found = {
            work.name: campaign(undisturbed(work, folder / work.name), args.kills, folder, args.seed) for work in works
        }
    lines = table(found)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "Runs that are killed at random moments", lines)
    print_report("faults", config=vars(args), results={name: vars(counts) for name, counts in found.items()})
    sys.exit(any(each.has_faults for each in found.values()))


if __name__ == "__main__":
    main()
