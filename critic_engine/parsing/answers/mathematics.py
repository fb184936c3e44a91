"""Equality of formulas, by math-verify in a process of its own that is ended when it takes too long."""

import atexit
import functools
import json
import os
import selectors
import subprocess
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

_PROGRAM = Path(__file__).with_name("formula_worker.py")
_START_LIMIT_S = 120.0
_COMPARISON_LIMIT_S = 15.0
"""Wall-clock limit; the worker gives up by itself after a few seconds of processor time."""
_MAX_KEPT = 50_000
_LATE = "late"
"""The worker's verdict if it gave up for its limit of processor time."""
_Asked: TypeAlias = tuple[str, ...]
"""Both formulas in alphabetical order, or the reference, the answer and ``verify``."""


class FormulaProver:
    """Compares formulas in LaTeX, each pair once. Safe in any thread and in any process, forked ones too.

    The worker starts with the first comparison, and anew after one that it did not survive. math-verify stops a long
    comparison by a signal, which works in a main thread alone, and not inside the arithmetic of a large power.
    """

    def __init__(self, *, limit_s: float = _COMPARISON_LIMIT_S) -> None:
        """Take the wall-clock limit of one comparison."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._known: OrderedDict[_Asked, bool | None] = OrderedDict()
        self._late: set[_Asked] = set()

    def is_known(self, left: str, right: str) -> bool:
        """Return whether the pair was compared before, so that ``prove`` answers at once."""
        return _pair(left, right) in self._known

    def prove(self, left: str, right: str) -> bool | None:
        """Return whether two formulas are equal; None if that is unsure, or could not be found out in time."""
        return self._answer(_pair(left, right))

    def verify(self, reference: str, answer: str) -> bool | None:
        """Return math-verify's own verdict on an answer; None if it reads no mathematics in one, or not in time.

        In both texts it looks for LaTeX between dollar signs, and for plain numbers. Its verdict may depend on which of
        them is the reference.
        """
        return self._answer((reference, answer, "verify"))

    def is_late(self, left: str, right: str, *, is_verified: bool = False) -> bool:
        """Return whether the comparison of ``prove``, or of ``verify``, reached its time limit."""
        return ((left, right, "verify") if is_verified else _pair(left, right)) in self._late

    def _answer(self, asked: _Asked) -> bool | None:
        with suppress(KeyError):
            return self._known[asked]
        with self._lock:
            if asked not in self._known:
                self._known[asked] = self._ask(asked)
            verdict = self._known[asked]
            if len(self._known) > _MAX_KEPT:
                self._late.discard(self._known.popitem(last=False)[0])
            return verdict

    def close(self) -> None:
        """End the worker; another starts with the next comparison."""
        with self._lock:
            self._drop()

    def _ask(self, asked: _Asked) -> bool | None:
        if self._worker is not None and self._worker.owner != os.getpid():
            self._worker = None  # this process was forked: the worker is its parent's
        try:
            self._worker = self._worker or _Worker()
            verdict = self._worker.compare(asked, limit_s=self._limit_s)
        except (OSError, ValueError) as error:
            self._drop()
            verdict = _LATE if isinstance(error, TimeoutError) else None
        if verdict == _LATE:
            self._late.add(asked)
        return verdict if isinstance(verdict, bool) else None

    def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and worker.owner == os.getpid():
            worker.end()


class _Worker:
    """One worker process, which answers a line with a line."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        # By its path and not as a module: nothing of the caller's main program is imported there.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._read(_START_LIMIT_S)
        except BaseException:
            self.end()
            raise

    def compare(self, asked: _Asked, *, limit_s: float) -> object:
        """Return the worker's verdict: true, false, null, or ``_LATE``.

        Raises:
            TimeoutError: it did not answer in time.
            OSError: it ended.
            ValueError: its answer cannot be read.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._read(limit_s))

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what is left to write has no reader any more
                    pipe.close()

    def _read(self, limit_s: float) -> bytes:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(limit_s):
                raise TimeoutError(f"the worker did not answer within {limit_s:g} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise OSError("the worker ended")
        return line


@functools.cache
def shared_prover() -> FormulaProver:
    """Return the prover of this process; its worker ends with the process."""
    prover = FormulaProver()
    atexit.register(prover.close)
    return prover


def _pair(left: str, right: str) -> tuple[str, str]:
    return (left, right) if left <= right else (right, left)
