"""Progress of a run on stderr: a bar in a terminal, a line every few seconds elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from critic_engine.cli.command import interrupted_with
from critic_engine.cli.text import duration
from critic_engine.engine import Engine
from critic_engine.run.runner import Progress as RunProgress

_SECONDS_BETWEEN_LINES = 5.0


def load_models(engine: Engine) -> None:
    """Load the engine's models, which may take minutes, with a spinner in a terminal.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    message = "interrupted while the models were loaded; run the same command again"
    with interrupted_with(message), Console(stderr=True).status("loading the models"):
        engine.load()


def show_progress() -> "ProgressBar | ProgressLines":
    """Return a bar or plain lines, whichever suits stderr; enter it, and call it with each ``Progress``."""
    return ProgressBar(Console(stderr=True)) if sys.stderr.isatty() else ProgressLines()


class _Pace:
    """Estimates the time left from the pace of this session."""

    def __init__(self) -> None:
        self._num_before: int | None = None

    def describe(self, progress: RunProgress) -> str:
        """Return tokens, tokens a second, and the time left."""
        elapsed_s = max(progress.elapsed_s, 1e-9)
        text = f"{progress.num_tokens:,} tokens, {progress.num_tokens / elapsed_s:,.0f} tokens/s"
        if progress.num_failed:
            text = f"{progress.num_failed} failed, {text}"
        left_s = self._left_s(progress)
        return text if left_s is None else f"{text}, {duration(left_s)} left"

    def _left_s(self, progress: RunProgress) -> float | None:
        if self._num_before is None and progress.num_tokens:
            self._num_before = progress.num_done  # answers of earlier sessions come at once and would distort the pace
        num_done = progress.num_done - (self._num_before or 0)
        if not num_done or not progress.num_tokens:
            return None
        return progress.elapsed_s / num_done * (progress.num_total - progress.num_done)


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A bar that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console``."""
        self._bar = Progress(
            TextColumn("solving"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            console=console,
        )
        self._task = self._bar.add_task("solving", total=None, pace="")
        self._pace = _Pace()

    def __call__(self, progress: RunProgress) -> None:
        """Show ``progress``; any thread may call."""
        self._bar.update(
            self._task, completed=progress.num_done, total=progress.num_total, pace=self._pace.describe(progress)
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._bar.stop()


class ProgressLines(AbstractContextManager["ProgressLines"]):
    """A line every few seconds, for logs."""

    def __init__(self) -> None:
        """Start the clock of the first line."""
        self._last_s = time.monotonic()
        self._pace = _Pace()

    def __call__(self, progress: RunProgress) -> None:
        """Print ``progress`` unless the last line is only a few seconds old."""
        pace = self._pace.describe(progress)
        if time.monotonic() - self._last_s < _SECONDS_BETWEEN_LINES:
            return
        self._last_s = time.monotonic()
        click.echo(f"{progress.num_done} of {progress.num_total} problems, {pace}", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
