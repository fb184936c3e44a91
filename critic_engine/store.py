"""One run directory: ``run.sqlite`` holds the problems, every search event, the answers and the failures.

SQLite in WAL mode; what one call writes is committed before it returns, so a killed process loses at most the call that
was cut. One process writes to a run at a time, which a lock on ``run.lock`` holds.
"""

import contextlib
import fcntl
import importlib.metadata
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from critic_engine.config import EngineConfig, dump_config, parse_config
from critic_engine.errors import RunError
from critic_engine.outputs import RunOutputs
from critic_engine.types import Answer, FailedRow, Image, Problem, ProblemRow

_FORMAT = "1"
_OWN_FILES = {"run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "run.lock", "config.yaml"}
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE images (
    digest TEXT PRIMARY KEY, data BLOB NOT NULL, media_type TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL
);
CREATE TABLE problems (
    position INTEGER PRIMARY KEY, row INTEGER NOT NULL, id TEXT NOT NULL, problem_id TEXT NOT NULL,
    question TEXT NOT NULL, choices TEXT NOT NULL, images TEXT NOT NULL
);
CREATE INDEX problems_by_content ON problems (problem_id);
CREATE TABLE unreadable_rows (
    position INTEGER PRIMARY KEY, row INTEGER NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE events (
    position INTEGER NOT NULL, sequence INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (position, sequence)
) WITHOUT ROWID;
CREATE TABLE answers (position INTEGER PRIMARY KEY, answer TEXT NOT NULL);
CREATE TABLE failures (
    position INTEGER NOT NULL, trial_id INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """One piece of a model's work that failed, though the search may have gone on."""

    trial_id: int
    kind: str
    """Such as ``reasoner_unreadable`` or ``critic_error``."""
    reason: str


class RunStore:
    """The log of one run. Positions count the rows of the input from 0, unreadable ones included."""

    def __init__(
        self, connection: sqlite3.Connection, *, folder: Path | None = None, lock: IO[str] | None = None
    ) -> None:
        """Wrap an open database; use ``create``, ``open`` or ``temporary``."""
        self._connection = connection
        self._lock = lock
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, config: EngineConfig) -> "RunStore":
        """Return the store of a new run and write its resolved ``config.yaml``.

        Raises:
            RunError: the folder holds another run, or anything else.
        """
        cls.check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        if _holds_run(folder):
            lock.close()
            cls.check_free(folder)
        for leftover in folder.iterdir():
            if leftover.name != "run.lock":
                leftover.unlink()
        (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        store = cls(_new_database(str(folder / "run.sqlite")), folder=folder, lock=lock)
        with store._connection:
            store._insert("meta", ("config", dump_config(config)))
        return store

    @staticmethod
    def check_free(folder: Path) -> None:
        """Refuse a folder that a new run may not use.

        Raises:
            RunError: it holds another run, or anything else; a run cut before its problems were read in does not count.
        """
        if _holds_run(folder):
            raise RunError(
                f"{folder} holds another run; go on with it by `critic-engine resume {folder}`, or name a new folder"
            )
        if folder.exists() and (not folder.is_dir() or _holds_other_files(folder)):
            raise RunError(f"{folder} exists and is not an empty folder; name a new one")

    @classmethod
    def open(cls, folder: Path) -> "RunStore":
        """Return the store of a run that exists.

        Raises:
            RunError: no run there, one of another version, one whose problems were not all read in, or one in use.
        """
        if not (folder / "run.sqlite").is_file():
            raise RunError(
                f"{folder} holds no run (no run.sqlite in it); start one with `critic-engine solve … --run {folder}`"
            )
        with contextlib.ExitStack() as on_error:
            lock = on_error.enter_context(_lock(folder))
            connection = on_error.enter_context(
                contextlib.closing(sqlite3.connect(folder / "run.sqlite", check_same_thread=False))
            )
            store = cls(connection, folder=folder, lock=lock)
            try:
                _tune(connection)
                store._check_format()
            except sqlite3.DatabaseError as error:
                raise RunError(f"{folder / 'run.sqlite'} cannot be read: {error}") from error
            on_error.pop_all()
        return store

    @classmethod
    def temporary(cls) -> "RunStore":
        """Return a store on disk that is gone when it is closed."""
        return cls(_new_database(""))

    def config(self) -> EngineConfig:
        """Return the configuration the run was started with, whatever ``config.yaml`` says by now."""
        found = self._connection.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        if found is None:
            raise RunError("a temporary run keeps no configuration")
        return parse_config(yaml.safe_load(found[0]), origin=str(self.folder))

    def add_rows(self, rows: Iterable[ProblemRow | FailedRow]) -> None:
        """Read in all rows of the input; all of them or, when it is cut, none."""
        with self._connection:
            for position, row in enumerate(rows):
                if isinstance(row, FailedRow):
                    self._insert("unreadable_rows", (position, row.row, row.id, row.reason))
                else:
                    self._add_problem(position, row)
            self._insert("meta", ("is_complete", "1"))

    @property
    def num_rows(self) -> int:
        """Rows of the input, unreadable ones included."""
        (problems,) = self._connection.execute("SELECT COUNT(*) FROM problems").fetchone()
        (unreadable,) = self._connection.execute("SELECT COUNT(*) FROM unreadable_rows").fetchone()
        return int(problems + unreadable)

    def duplicates(self) -> list[tuple[str, ...]]:
        """Return the ids of each group of rows that hold the same problem."""
        query = (
            "SELECT json_group_array(id) FROM (SELECT id, problem_id FROM problems ORDER BY position)"
            " GROUP BY problem_id HAVING COUNT(*) > 1"
        )
        return [tuple(json.loads(ids)) for (ids,) in self._connection.execute(query)]

    def row(self, position: int) -> ProblemRow | FailedRow:
        """Return one row. Reference answers are not kept, so none comes back."""
        query = "SELECT row, id, question, choices, images FROM problems WHERE position = ?"
        found = self._connection.execute(query, (position,)).fetchone()
        if found is None:
            query = "SELECT row, id, reason FROM unreadable_rows WHERE position = ?"
            return FailedRow(*self._connection.execute(query, (position,)).fetchone())
        row, id_, question, choices, digests = found
        images = tuple(self._image(digest) for digest in json.loads(digests))
        problem = Problem(question=question, images=images, choices=tuple(json.loads(choices)), name=id_)
        return ProblemRow(row=row, id=id_, problem=problem)

    def append(
        self, position: int, first_sequence: int, events: Sequence[Mapping[str, Any]], failures: Sequence[Failure] = ()
    ) -> None:
        """Commit search events of one problem, numbered from ``first_sequence``, and the failures met on the way."""
        with self._connection:
            for sequence, event in enumerate(events, start=first_sequence):
                self._insert("events", (position, sequence, json.dumps(event, separators=(",", ":"))))
            for failure in failures:
                self._insert("failures", (position, failure.trial_id, failure.kind, failure.reason))

    def events(self, position: int) -> list[dict[str, Any]]:
        """Return one problem's search events in the order they happened."""
        query = "SELECT event FROM events WHERE position = ? ORDER BY sequence"
        return [json.loads(event) for (event,) in self._connection.execute(query, (position,))]

    def failures(self, position: int) -> list[Failure]:
        """Return the failures of one problem in the order they were met."""
        query = "SELECT trial_id, kind, reason FROM failures WHERE position = ? ORDER BY rowid"
        return [Failure(*found) for found in self._connection.execute(query, (position,))]

    def drop_failures(self, position: int, *, trial_id: int) -> None:
        """Forget the failures of one trial, whose work is about to be done again."""
        with self._connection:
            self._connection.execute("DELETE FROM failures WHERE position = ? AND trial_id = ?", (position, trial_id))

    def set_answer(self, position: int, answer: Answer) -> None:
        """Commit the outcome of one problem."""
        with self._connection:
            self._insert("answers", (position, json.dumps(asdict(answer))))

    def answer(self, position: int) -> Answer | None:
        """Return the outcome of one problem; None while it has none."""
        found = self._connection.execute("SELECT answer FROM answers WHERE position = ?", (position,)).fetchone()
        if found is None:
            return None
        fields = json.loads(found[0])
        return Answer(**{**fields, "steps": tuple(fields["steps"])})

    def outputs(self) -> RunOutputs:
        """Return the writer of the folder's ``answers.jsonl`` and ``report.json``."""
        return RunOutputs(self.folder, duplicates=self.duplicates())

    def close(self) -> None:
        """Close the database and let other processes have the run."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def _add_problem(self, position: int, row: ProblemRow) -> None:
        problem = row.problem
        for image in problem.images:
            self._connection.execute(
                "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)",
                (image.digest, image.data, image.media_type, image.width, image.height),
            )
        digests = json.dumps([image.digest for image in problem.images])
        self._insert(
            "problems",
            (position, row.row, row.id, problem.problem_id, problem.question, json.dumps(problem.choices), digests),
        )

    def _image(self, digest: str) -> Image:
        query = "SELECT data, media_type, width, height FROM images WHERE digest = ?"
        return Image(*self._connection.execute(query, (digest,)).fetchone())

    def _insert(self, table: str, values: Sequence[object]) -> None:
        self._connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    def _check_format(self) -> None:
        try:
            meta = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            meta = {}
        if meta and meta.get("format") != _FORMAT:
            raise RunError(
                f"{self.folder} is a run of format {meta.get('format')}; this version reads format {_FORMAT}"
            )
        if "is_complete" not in meta:
            raise RunError(
                f"{self.folder} was stopped before its problems were read in; start it again by the same `solve`"
            )


def _holds_run(folder: Path) -> bool:
    """Return whether the folder holds a run whose problems were read in; one cut before that has done no work yet."""
    if not (folder / "run.sqlite").is_file():
        return False
    connection = sqlite3.connect(folder / "run.sqlite")
    try:
        return connection.execute("SELECT 1 FROM meta WHERE key = 'is_complete'").fetchone() is not None
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return False
        raise RunError(f"{folder / 'run.sqlite'} cannot be read: {error}; name a new folder") from error
    finally:
        connection.close()


def _holds_other_files(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    return bool(names - _OWN_FILES) or (bool(names) and "run.lock" not in names)


def _new_database(path: str) -> sqlite3.Connection:
    # Runs are driven by one thread at a time, though not always by the thread that opened them.
    connection = sqlite3.connect(path, check_same_thread=False)
    _tune(connection)
    version = importlib.metadata.version("critic-engine")
    meta = f"INSERT INTO meta VALUES ('format', '{_FORMAT}'), ('version', '{version}');"
    connection.executescript(f"BEGIN; {_SCHEMA} {meta} COMMIT;")
    return connection


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _lock(folder: Path) -> IO[str]:
    lock = (folder / "run.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise RunError(f"{folder} is in use by another process; wait for it or stop it first") from error
    return lock
