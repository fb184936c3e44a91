"""The folder of a run: its lock, its database, and the checks of its other files."""

import contextlib
import fcntl
import importlib.metadata
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from critic_engine.errors import RunError

FORMAT = "4"
"""Format of the database; a run of another format cannot be read."""
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
    position INTEGER PRIMARY KEY, row INTEGER NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL, fault TEXT NOT NULL
);
CREATE TABLE events (
    position INTEGER NOT NULL, sequence INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (position, sequence)
) WITHOUT ROWID;
CREATE TABLE answers (position INTEGER PRIMARY KEY, answer TEXT NOT NULL);
CREATE TABLE failures (
    position INTEGER NOT NULL, trial_id INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL
);
"""
# Only labelled runs have these tables.
_LABELS_SCHEMA = """
CREATE TABLE labels (position INTEGER PRIMARY KEY, reference_answers TEXT NOT NULL, extras TEXT NOT NULL);
CREATE TABLE findings (
    position INTEGER NOT NULL, name TEXT NOT NULL, finding TEXT NOT NULL, num_tokens INTEGER NOT NULL,
    usage TEXT NOT NULL, PRIMARY KEY (position, name)
) WITHOUT ROWID;
INSERT INTO meta VALUES ('is_labelled', '1');
"""


def check_free(folder: Path) -> None:
    """Refuse a folder that a new run may not use.

    Raises:
        RunError: it holds another run or other files. A run that was cut before its problems were read in is no run.
    """
    if holds_run(folder):
        raise RunError(
            f"{folder} holds another run; continue it with `critic-engine resume {folder}`, or name a new folder"
        )
    if folder.exists() and (not folder.is_dir() or _holds_other_files(folder)):
        raise RunError(f"{folder} exists and is not an empty folder; name a new one")


def check_there(folder: Path) -> None:
    """Refuse a folder without a run.

    Raises:
        RunError: there is no database in it.
    """
    if not (folder / "run.sqlite").is_file():
        raise RunError(f"{folder} holds no run; start one with `critic-engine solve … --run {folder}`")


def holds_run(folder: Path) -> bool:
    """Return whether the folder holds a run with all its problems; one that was cut before that does not count."""
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


def lock_folder(folder: Path) -> IO[str]:
    """Return the run's lock; it is held until it is closed, or its process ends.

    Raises:
        RunError: another process holds it.
    """
    lock = (folder / "run.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise RunError(f"{folder} is in use by another process; wait for it or stop it first") from error
    return lock


def new_database(path: str, *, is_labelled: bool) -> sqlite3.Connection:
    """Return a new database with its tables; with an empty path it is deleted when it is closed.

    One thread at a time may use it, which need not be the one that opened it.
    """
    connection = sqlite3.connect(path, check_same_thread=False)
    tune(connection)
    version = importlib.metadata.version("critic-engine")
    meta = f"INSERT INTO meta VALUES ('format', '{FORMAT}'), ('version', '{version}');"
    labels = _LABELS_SCHEMA if is_labelled else ""
    connection.executescript(f"BEGIN; {_SCHEMA} {meta} {labels} COMMIT;")
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """Return a read-only connection that blocks no writer and sees the run as it is at the first query."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.execute("BEGIN")
    return connection


@contextlib.contextmanager
def explain_write_errors(folder: Path | None) -> Iterator[None]:
    """Turn an error of the database while a run is begun into one that says how to begin it again.

    Raises:
        RunError: the database cannot be written, as on a full disk.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        place = "a temporary run's database" if folder is None else folder / "run.sqlite"
        raise RunError(f"{place} cannot be written: {error}; make room and run the same command again") from error


def from_json(text: str) -> Any:
    """Return the JSON of a column.

    Raises:
        sqlite3.DataError: it is not JSON, for the database is damaged.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise sqlite3.DataError(f"a row is damaged: {error}") from error


def tune(connection: sqlite3.Connection) -> None:
    """Set WAL mode, so that commits survive a killed process and others can read meanwhile."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _holds_other_files(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    return bool(names - _OWN_FILES) or (bool(names) and "run.lock" not in names)
