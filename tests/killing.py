"""Commands of the program that are killed at a chosen moment, wherever the machine's speed would have put it.

As a program, ``python -m tests.killing PATTERN NUM ARGUMENT...``, it runs the command line and kills its own process as
the ``NUM``-th operation begins that matches the pattern: a statement of SQL with its values, or a file operation as
Python's audit events name it, such as ``os.rename /from /to``.
"""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_killed(pattern: str, num: int, arguments: Sequence[str]) -> None:
    """Run a command that must be killed so, in a process of its own."""
    command = [sys.executable, "-m", "tests.killing", pattern, str(num), *arguments]
    root = Path(__file__).parents[1]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, f"{pattern} did not come {num} times: {result.stderr}"


def kill_at(pattern: str, num: int) -> None:
    """Arrange for this process to be killed."""
    num_left = num

    def watch(operation: str) -> None:
        nonlocal num_left
        if re.match(pattern, operation, re.DOTALL):
            num_left -= 1
            if num_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def watched_connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(watch)
        return connection

    sqlite3.connect = watched_connect
    sys.addaudithook(lambda event, facts: watch(" ".join(map(str, (event, *facts)))) if event in AUDITED else None)


AUDITED = {"open", "os.rename", "os.mkdir", "shutil.rmtree"}

if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]))
    from critic_engine.cli.main import main

    sys.exit(main(sys.argv[3:]))
