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

_PROGRAM = Path(__file__).with_name("formula_worker.py")
_START_LIMIT_S = 120.0
_COMPARISON_LIMIT_S = 15.0
"""Wall-clock limit; the worker gives up by itself after a few seconds of processor time."""
_MAX_KEPT = 50_000


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
        self._known: OrderedDict[tuple[str, str], bool | None] = OrderedDict()

    def is_known(self, left: str, right: str) -> bool:
        """Return whether the pair was compared before, so that ``prove`` answers at once."""
        return _pair(left, right) in self._known

    def prove(self, left: str, right: str) -> bool | None:
        """Return whether two formulas are equal; None if that is unsure, or could not be found out in time."""
        pair = _pair(left, right)
        with suppress(KeyError):
            return self._known[pair]
        with self._lock:
            if pair not in self._known:
                self._known[pair] = self._ask(pair)
            verdict = self._known[pair]
            if len(self._known) > _MAX_KEPT:
                self._known.popitem(last=False)
            return verdict

    def close(self) -> None:
        """End the worker; another starts with the next comparison."""
        with self._lock:
            self._drop()

    def _ask(self, pair: tuple[str, str]) -> bool | None:
        if self._worker is not None and self._worker.owner != os.getpid():
            self._worker = None  # this process was forked: the worker is its parent's
        try:
            self._worker = self._worker or _Worker()
            return self._worker.compare(pair, limit_s=self._limit_s)
        except (OSError, TimeoutError, ValueError):
            self._drop()
            return None

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

    def compare(self, pair: tuple[str, str], *, limit_s: float) -> bool | None:
        """Return the worker's verdict.

        Raises:
            TimeoutError: it did not answer in time.
            OSError: it ended.
            ValueError: its answer cannot be read.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(pair).encode() + b"\n")
        self._process.stdin.flush()
        verdict = json.loads(self._read(limit_s))
        return verdict if isinstance(verdict, bool) else None

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
