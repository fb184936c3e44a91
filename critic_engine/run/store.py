"""One run directory: ``run.sqlite`` holds the problems, every search event, the answers and the failures.

SQLite in WAL mode; what one call writes is committed before it returns, so a killed process loses at most the call that
was cut. One process writes to a run at a time, which a lock on ``run.lock`` holds.
"""

import base64
import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import yaml

from critic_engine.config.engine import EngineConfig, dump_config, parse_config
from critic_engine.errors import RunError
from critic_engine.roles.checker import Checker
from critic_engine.run.database import (
    FORMAT,
    check_free,
    check_there,
    connect_reading,
    from_json,
    holds_run,
    lock_folder,
    new_database,
    tune,
)
from critic_engine.run.findings import Findings
from critic_engine.run.report import RunOutputs
from critic_engine.types import Answer, FailedRow, Failure, Image, Problem, ProblemRow


class RunStore:
    """The log of one run. Positions count the rows of the input from 0, unreadable ones included.

    A labelled run stores the reference answers of its rows too, and has a checker. Other runs have no table for them.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        folder: Path | None = None,
        lock: IO[str] | None = None,
        checker: Checker | None = None,
    ) -> None:
        """Wrap an open database; use ``create``, ``open`` or ``temporary``."""
        self._connection = connection
        self._lock = lock
        self.folder = folder
        self.checker = checker
        """The checker with the reference answers of a labelled run; None in any other."""
        self.findings = Findings(connection)
        """The findings of a labelled run; no other run has any."""

    @classmethod
    def create(cls, folder: Path, config: EngineConfig, *, checker: Checker | None = None) -> "RunStore":
        """Return the store of a new run and write its resolved ``config.yaml``.

        Args:
            folder: A new or an empty one.
            config: What the run does.
            checker: Makes it a labelled run, and takes up the reference answers of its rows.

        Raises:
            RunError: the folder holds another run, or anything else.
        """
        check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(folder)
        if holds_run(folder):
            lock.close()
            check_free(folder)
        for leftover in folder.iterdir():
            if leftover.name != "run.lock":
                leftover.unlink()
        (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        database = new_database(str(folder / "run.sqlite"), is_labelled=checker is not None)
        store = cls(database, folder=folder, lock=lock, checker=checker)
        with store._connection:
            store._insert("meta", ("config", dump_config(config)))
        return store

    @classmethod
    def open(cls, folder: Path, *, checker: Checker | None = None) -> "RunStore":
        """Return the store of a run that exists.

        Args:
            folder: The run's.
            checker: Takes up the reference answers of a labelled run; None makes a new one.

        Raises:
            RunError: no run there, one of another version, one whose problems were not all read in, or one in use.
        """
        check_there(folder)
        with contextlib.ExitStack() as on_error:
            lock = on_error.enter_context(lock_folder(folder))
            connection = sqlite3.connect(folder / "run.sqlite", check_same_thread=False)
            store = on_error.enter_context(cls(connection, folder=folder, lock=lock))
            tune(connection)
            store._begin(checker)
            on_error.pop_all()
        return store

    @classmethod
    def view(cls, folder: Path) -> "RunStore":
        """Return a read-only store of a run that exists; another process may go on with it meanwhile.

        Raises:
            RunError: as ``open``, but for a run in use.
        """
        check_there(folder)
        with contextlib.ExitStack() as on_error:
            store = on_error.enter_context(cls(connect_reading(folder / "run.sqlite"), folder=folder))
            store._begin(None)
            on_error.pop_all()
        return store

    @classmethod
    def temporary(cls, *, checker: Checker | None = None) -> "RunStore":
        """Return a store that is deleted when it is closed; a ``checker`` makes its run a labelled one."""
        return cls(new_database("", is_labelled=checker is not None), checker=checker)

    def config(self) -> EngineConfig:
        """Return the configuration that the run was started with, even if ``config.yaml`` has changed."""
        found = self._connection.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        if found is None:
            raise RunError("a temporary run keeps no configuration")
        return parse_config(yaml.safe_load(found[0]), origin=str(self.folder))

    def add_rows(self, rows: Iterable[ProblemRow | FailedRow]) -> None:
        """Store all rows of the input, or none if it is cut."""
        with self._connection:
            for position, row in enumerate(rows):
                if isinstance(row, FailedRow):
                    self._insert("unreadable_rows", (position, row.row, row.id, row.reason, row.fault))
                else:
                    self._add_problem(position, row)
            self._insert("meta", ("is_complete", "1"))

    @property
    def place(self) -> str:
        """The place of the database, in words."""
        return "a temporary run's database" if self.folder is None else str(self.folder / "run.sqlite")

    @property
    def num_rows(self) -> int:
        """Rows of the input, unreadable ones included."""
        query = "SELECT (SELECT COUNT(*) FROM problems) + (SELECT COUNT(*) FROM unreadable_rows)"
        return int(self._connection.execute(query).fetchone()[0])

    def duplicates(self) -> list[tuple[str, ...]]:
        """Return the ids of each group of rows that hold the same problem."""
        query = (
            "SELECT json_group_array(id) FROM (SELECT id, problem_id FROM problems ORDER BY position)"
            " GROUP BY problem_id HAVING COUNT(*) > 1"
        )
        return [tuple(from_json(ids)) for (ids,) in self._connection.execute(query)]

    def row(self, position: int) -> ProblemRow | FailedRow:
        """Return one row, without its reference answer; in a labelled run, one that cannot be checked has failed."""
        query = "SELECT row, id, question, choices, images FROM problems WHERE position = ?"
        found = self._connection.execute(query, (position,)).fetchone()
        if found is None:
            query = "SELECT row, id, reason, fault FROM unreadable_rows WHERE position = ?"
            return FailedRow(*self._connection.execute(query, (position,)).fetchone())
        row, id_, question, choices, digests = found
        images = tuple(self._image(digest) for digest in from_json(digests))
        problem = Problem(question=question, images=images, choices=tuple(from_json(choices)), name=id_)
        objection = None if self.checker is None else self.checker.objection(problem)
        if objection is None:
            return ProblemRow(row=row, id=id_, problem=problem)
        return FailedRow(row, id_, objection.reason, objection.fault)

    def labelled(self, row: ProblemRow, position: int) -> ProblemRow:
        """Return a row of a labelled run with its reference answers and other columns."""
        query = "SELECT reference_answers FROM labels WHERE position = ?"
        (answers,) = self._connection.execute(query, (position,)).fetchone()
        return replace(row, reference_answers=tuple(from_json(answers)), extras=self.extras(position))

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
        return [from_json(event) for (event,) in self._connection.execute(query, (position,))]

    def failures(self, position: int) -> list[Failure]:
        """Return the failures of one problem in the order they were met."""
        query = "SELECT trial_id, kind, reason FROM failures WHERE position = ? ORDER BY rowid"
        return [Failure(*found) for found in self._connection.execute(query, (position,))]

    def drop_failures(self, position: int, *, trial_id: int) -> None:
        """Delete the failures of one trial that is about to be done again."""
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
        return _read_answer(found[0])

    def answers(self) -> Iterator[tuple[int, Answer]]:
        """Yield the positions and outcomes of the problems that have one, in input order."""
        for position, answer in self._connection.execute("SELECT position, answer FROM answers ORDER BY position"):
            yield position, _read_answer(answer)

    def extras(self, position: int) -> dict[str, object]:
        """Return the other columns of a row of a labelled run: bytes in base64, values that JSON lacks as text."""
        (extras,) = self._connection.execute("SELECT extras FROM labels WHERE position = ?", (position,)).fetchone()
        return dict(from_json(extras))

    def num_tokens(self) -> int:
        """Return the tokens generated so far: of the answers, of the searches without one, and of the findings."""
        query = (
            "SELECT (SELECT COALESCE(SUM(json_extract(answer, '$.num_tokens')), 0) FROM answers) + "
            "(SELECT COALESCE(SUM(COALESCE(json_extract(event, '$.usage.generated_tokens'),"
            " json_extract(event, '$.cost'))), 0) FROM events"
            " WHERE position NOT IN (SELECT position FROM answers))"
        )
        num_searched = int(self._connection.execute(query).fetchone()[0])
        return num_searched if self.checker is None else num_searched + self.findings.num_tokens()

    def outputs(self) -> RunOutputs:
        """Return the writer of the folder's ``answers.jsonl`` and ``report.json``."""
        is_labelled = self.checker is not None
        return RunOutputs(self.folder, duplicates=self.duplicates(), is_labelled=is_labelled, stored=self.answers())

    def close(self) -> None:
        """Close the database and let other processes have the run."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store.

        Raises:
            RunError: the database could not be used: it is damaged, or the disk is full.
        """
        self.close()
        is_ours = isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
        if isinstance(error, sqlite3.DatabaseError) and not is_ours:
            raise RunError(
                f"{self.place} cannot be used: {error}; make room if the disk is full, put back a copy if it is damaged"
            ) from error

    def _begin(self, checker: Checker | None) -> None:
        """Check that this version can read the run, and give the checker the reference answers of a labelled one."""
        try:
            meta = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            meta = {}
        if meta and meta.get("format") != FORMAT:
            raise RunError(
                f"{self.folder} is a run of format {meta.get('format')}, and this version reads format {FORMAT}; go on "
                "with the version that began it, or begin a new run in another folder"
            )
        if "is_complete" not in meta:
            raise RunError(
                f"{self.folder} was stopped before its problems were read in; start it again by the same command"
            )
        if meta.get("is_labelled"):
            self.checker = checker if checker is not None else Checker()
            query = "SELECT problem_id, reference_answers FROM labels JOIN problems USING (position) ORDER BY position"
            for problem_id, answers in self._connection.execute(query):
                self.checker.add(problem_id, json.loads(answers))

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
        if self.checker is not None:
            extras = json.dumps(dict(row.extras), default=_plain)
            self._insert("labels", (position, json.dumps(row.reference_answers), extras))
            self.checker.add(problem.problem_id, row.reference_answers)

    def _image(self, digest: str) -> Image:
        query = "SELECT data, media_type, width, height FROM images WHERE digest = ?"
        return Image(*self._connection.execute(query, (digest,)).fetchone())

    def _insert(self, table: str, values: Sequence[object]) -> None:
        self._connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def _read_answer(text: str) -> Answer:
    fields = from_json(text)
    return Answer(**{**fields, "steps": tuple(fields["steps"])})


def _plain(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
