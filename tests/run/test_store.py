"""The run directory."""

import datetime
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.errors import RunError
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, FailedRow, Failure, Image, Problem, ProblemRow

CONFIG = parse_config({"budget": {"max_tokens": 100}})
IMAGE = Image(b"bytes of an image", "image/png", 4, 3)
ROWS: list[ProblemRow | FailedRow] = [
    ProblemRow(1, "a", Problem("one ?", images=(IMAGE,), choices=("x", "y"), name="a"), ("x",), {"family": "count"}),
    FailedRow(2, "b", "image board.png is missing"),
    ProblemRow(3, "c", Problem("one ?", images=(IMAGE,), choices=("x", "y"), name="c"), ("y",)),
]
ANSWER = Answer("a", ROWS[0].problem.problem_id, "x", 0.5, "answered", "cost", 9, 3, 0.1, steps=("s", "answer : x"))  # type: ignore[union-attr]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def store(folder: Path) -> RunStore:
    store = RunStore.create(folder, CONFIG)
    store.add_rows(ROWS)
    return store


def test_rows_come_back_as_they_went_in_without_their_reference_answers(store: RunStore, folder: Path) -> None:
    store.close()
    opened = RunStore.open(folder)
    assert opened.row(1) == ROWS[1]
    first = opened.row(0)
    assert isinstance(first, ProblemRow)
    assert isinstance(ROWS[0], ProblemRow)
    assert first.problem == ROWS[0].problem
    assert first.reference_answers == ()
    assert opened.config() == CONFIG
    opened.close()


def test_rows_that_hold_the_same_problem_are_reported(store: RunStore) -> None:
    assert store.duplicates() == [("a", "c")]
    store.close()


def test_events_failures_and_answers_survive_reopening(store: RunStore, folder: Path) -> None:
    store.append(0, 0, [{"event": "asked"}, {"event": "told"}], [Failure(0, "critic_unreadable", "no verdict")])
    store.append(0, 2, [{"event": "abandoned"}])
    store.set_answer(0, ANSWER)
    store.close()
    opened = RunStore.open(folder)
    assert [event["event"] for event in opened.events(0)] == ["asked", "told", "abandoned"]
    assert opened.failures(0) == [Failure(0, "critic_unreadable", "no verdict")]
    opened.drop_failures(0, trial_id=1)
    assert opened.failures(0)
    opened.drop_failures(0, trial_id=0)
    assert opened.failures(0) == []
    assert opened.answer(0) == ANSWER
    assert opened.answer(2) is None
    opened.close()


def test_an_event_number_that_is_taken_is_refused_and_nothing_of_the_call_is_kept(store: RunStore) -> None:
    store.append(0, 1, [{"event": "taken"}], [Failure(0, "kept", "y")])
    with pytest.raises(sqlite3.IntegrityError):
        store.append(0, 0, [{"event": "new"}, {"event": "taken"}], [Failure(0, "x", "y")])
    assert [event["event"] for event in store.events(0)] == ["taken"]
    assert [failure.kind for failure in store.failures(0)] == ["kept"]
    store.close()


def test_a_folder_with_a_run_is_not_overwritten(store: RunStore, folder: Path) -> None:
    store.close()
    with pytest.raises(RunError, match="holds another run"):
        RunStore.create(folder, CONFIG)


@pytest.mark.parametrize("name", ["thesis.tex", "run.sh", "config.yml"])
def test_a_folder_with_other_files_is_not_touched(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("words")
    with pytest.raises(RunError, match="not an empty folder"):
        RunStore.create(folder, CONFIG)
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_run_cut_before_its_problems_were_read_in_can_be_started_again(folder: Path) -> None:
    RunStore.create(folder, CONFIG).close()
    with pytest.raises(RunError, match="start it again"):
        RunStore.open(folder)
    store = RunStore.create(folder, CONFIG)
    store.add_rows(ROWS)
    assert store.num_rows == 3
    store.close()


def test_rows_are_read_in_whole_or_not_at_all(folder: Path) -> None:
    store = RunStore.create(folder, CONFIG)

    def broken() -> object:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add_rows(broken())  # type: ignore[arg-type]
    assert store.num_rows == 0
    store.close()


def test_one_process_at_a_time_writes_to_a_run(store: RunStore, folder: Path) -> None:
    program = (
        f"from pathlib import Path; from critic_engine.run.store import RunStore; RunStore.open(Path({str(folder)!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "in use by another process" in result.stderr
    store.close()


@pytest.mark.parametrize("schema", ["", "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"])
def test_a_run_cut_while_its_database_was_made_can_be_started_again(folder: Path, schema: str) -> None:
    RunStore.create(folder, CONFIG).close()
    for path in folder.glob("run.sqlite*"):
        path.unlink()
    with sqlite3.connect(folder / "run.sqlite") as connection:
        connection.executescript(schema)
    connection.close()
    with pytest.raises(RunError, match="start it again"):
        RunStore.open(folder)
    store = RunStore.create(folder, CONFIG)
    store.add_rows(ROWS)
    store.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all, but longer than a header of one hundred bytes" * 3])
def test_a_folder_without_a_readable_run_says_so(folder: Path, content: bytes) -> None:
    folder.mkdir()
    with pytest.raises(RunError, match="holds no run"):
        RunStore.open(folder)
    (folder / "run.sqlite").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.sqlite|start it again"):
        RunStore.open(folder)


def test_a_run_of_another_format_says_so_and_the_way_on(folder: Path) -> None:
    RunStore.create(folder, CONFIG).close()
    with sqlite3.connect(folder / "run.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
    connection.close()
    for read in (RunStore.open, RunStore.view):
        with pytest.raises(RunError, match=r"is a run of format 3, and .* begin a new run in another folder"):
            read(folder)


def test_configuration_defaults_stand_in_one_place() -> None:
    assert EngineConfig.model_validate({"budget": {"max_tokens": 100}}) == CONFIG


class TestLabels:
    ROWS: tuple[ProblemRow | FailedRow, ...] = (
        ProblemRow(1, "a", Problem("one ?"), ("1",), {"source": "x", "levels": [1, None]}),
        FailedRow(2, "b", "image board.png is missing"),
        ProblemRow(3, "c", Problem("two ?")),
        ProblemRow(4, "d", Problem("three ?"), ("3",)),
        ProblemRow(5, "e", Problem("three ?"), ("4",)),
        ProblemRow(6, "f", Problem("one ?"), ("1.0",)),
        ProblemRow(7, "g", Problem("which ?", choices=("red", "blue")), ("C",)),
    )

    @pytest.fixture
    def labelled(self, folder: Path) -> RunStore:
        store = RunStore.create(folder, CONFIG, checker=Checker())
        store.add_rows(self.ROWS)
        return store

    def test_labels_come_back_as_they_went_in(self, labelled: RunStore, folder: Path) -> None:
        labelled.close()
        opened = RunStore.open(folder)
        rows = [(place, row) for place, row in enumerate(self.ROWS) if isinstance(row, ProblemRow)]
        assert [opened.extras(place) for place, _ in rows] == [row.extras for _, row in rows]
        opened.close()

    def test_checker_knows_the_answers_of_the_run_when_it_is_opened_again(
        self, labelled: RunStore, folder: Path
    ) -> None:
        labelled.close()
        given = Checker()
        for checker in (given, None):
            opened = RunStore.open(folder, checker=checker)
            assert opened.checker is given or checker is None
            assert opened.checker is not None
            assert opened.checker.is_right(Problem("one ?"), "1") is True
            assert opened.checker.is_right(Problem("three ?"), "3") is None
            opened.close()

    def test_rows_that_cannot_be_checked_have_failed_and_no_row_holds_its_answer(self, labelled: RunStore) -> None:
        rows = [labelled.row(position) for position in range(labelled.num_rows)]
        labelled.close()
        faults = [row.fault if isinstance(row, FailedRow) else None for row in rows]
        disputed = "disputed_reference_answer"
        foreign = "foreign_reference_answer"
        assert faults == [None, "unreadable", "no_reference_answer", disputed, disputed, None, foreign]
        reasons = [row.reason for row in rows if isinstance(row, FailedRow)]
        assert reasons[0] == "image board.png is missing"
        assert "no reference answer" in reasons[1]
        assert "different reference answers, '3' and '4'" in reasons[2]
        assert reasons[3] == reasons[2]
        assert "'C' is none of the choices" in reasons[4]
        assert all(row.reference_answers == () for row in rows if isinstance(row, ProblemRow))

    def test_extras_without_a_form_in_json_are_kept_as_text(self, folder: Path) -> None:
        store = RunStore.create(folder, CONFIG, checker=Checker())
        day = datetime.date(2025, 5, 1)
        store.add_rows(
            [ProblemRow(1, "a", Problem("one ?"), ("1",), {"picture": b"\x00\xff", "day": day, "half": "\ud800"})]
        )
        extras = store.extras(0)
        store.close()
        assert extras == {"picture": "AP8=", "day": "2025-05-01", "half": "\ud800"}

    def test_run_without_labels_has_no_checker_and_no_place_for_any(self, store: RunStore, folder: Path) -> None:
        store.close()
        opened = RunStore.open(folder, checker=Checker())
        assert opened.checker is None
        opened.close()
        with sqlite3.connect(folder / "run.sqlite") as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.close()
        assert "labels" not in tables
