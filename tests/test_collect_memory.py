"""The memory that collecting, reading and exporting take hangs on the problems in flight, not on how many there are.

As a program, ``python test_collect_memory.py FOLDER NUM``, it collects so many problems into the folder, goes through
what they give, exports it, and prints the memory it had on the way.
"""

import collections
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from critic_engine.config.engine import load_config
from critic_engine.data.exports import ExportOptions, export_rows
from critic_engine.data.row_types import Demonstration, Preference
from critic_engine.data.selection.rows import open_rows
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.engine import Engine
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import Problem, ProblemRow

NUM_FEW = 400
NUM_MANY = 4000
MAX_GROWN_KIB = 24 * 1024
"""What all further problems together may add. Known to stay of each are its reference answers, which the checker holds
by its hash; the sketch by which near duplicates are found; 8 bytes a row by which rows are chosen; and the lifts that
the report sums up, in blocks of up to 16 MB. Their trees, findings and answers are as much as text, and several times
that in memory."""
SETTINGS = [
    "reasoner.backend=scripted",
    "critic.backend=scripted",
    "evaluator.num_rollouts=2",
    "budget.max_tokens=100",
    "collect.annotators=[{kind: critic}]",
    "collect.pairs={check: none, min_support: 0, min_share: 0, max_pairs: 2}",
    "collect.lift={num_refinements: 2, num_fresh: 0}",
    "collect.labels={kind: tree}",
    "collect.filters={min_right: 0, max_balance_ratio: 4}",
]


def peak_of(work: Callable[[], object]) -> int:
    """Return the most memory, in KiB, that this process had resident while it did the work."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    work()
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def exhaust(each: Iterable[object]) -> None:
    collections.deque(each, maxlen=0)


def given(num: int) -> Iterator[ProblemRow]:
    for number in range(num):
        question = f"how many {number * 7919 % 10_007} of kind {number} in sky {number * 104_729 % 99_991} ?"
        yield ProblemRow(number + 1, str(number), Problem(question), (str(number % 6),), {"number": number})


def collect(run: Path, num: int) -> None:
    with Engine(load_config("mmc_collect", SETTINGS), checker=Checker()) as engine:
        exhaust(engine.solve_many(given(num), run=run))


def select(run: Path) -> None:
    with contextlib.closing(RunStore.view(run)) as store:
        exhaust(Selection(store))


def export(run: Path, name: str) -> None:
    rows = open_rows(run, kind=Preference, role="reasoner")
    export_rows(rows, ExportOptions(format=name, out=run.parent / name, role="reasoner"))


def peaks(folder: Path, num: int) -> dict[str, int]:
    run = folder / "run"
    return {
        "collecting": peak_of(lambda: collect(run, num)),
        "selecting": peak_of(lambda: select(run)),
        "preferences": peak_of(lambda: exhaust(open_rows(run, kind=Preference, role="reasoner"))),
        "demonstrations": peak_of(lambda: exhaust(open_rows(run, kind=Demonstration, role="critic"))),
        "exporting parquet": peak_of(lambda: export(run, "trl-dpo")),
        "exporting lines": peak_of(lambda: export(run, "llamafactory-dpo")),
    }


def measured(folder: Path, num: int) -> dict[str, int]:
    """Return the peaks of a process of its own, in KiB."""
    folder.mkdir()
    program = [sys.executable, __file__, str(folder), str(num)]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, int] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_times_the_problems_take_hardly_more_memory(tmp_path: Path) -> None:
    few, many = (measured(tmp_path / str(num), num) for num in (NUM_FEW, NUM_MANY))
    grown = {name: many[name] - few[name] for name in few}
    assert max(grown.values()) < MAX_GROWN_KIB, f"more at the peak of each, in KiB: {grown}"


if __name__ == "__main__":
    print(json.dumps(peaks(Path(sys.argv[1]), int(sys.argv[2]))))
