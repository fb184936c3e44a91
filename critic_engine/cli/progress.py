"""Progress of a run on stderr: a bar in a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def show_progress() -> Iterator[Callable[[RunProgress], None]]:
    """Yield the function to call with each progress, from any thread."""
    if not sys.stderr.isatty():
        yield _progress_lines()
        return
    with progress_bar(Console(stderr=True)) as update:
        yield update


class _Pace:
    """Estimates the time left from the pace of this session."""

    def __init__(self) -> None:
        self._num_before: int | None = None

    def describe(self, progress: RunProgress) -> str:
        """Return tokens, tokens a second, and the time left."""
        elapsed_s = max(progress.elapsed_s, 1e-9)
        text = f"{progress.num_tokens:,} tokens, {progress.num_tokens / elapsed_s:,.0f} tokens/s"
        if progress.usage.num_requests:
            text = f"{text}, {progress.usage.num_requests:,} requests"
        if progress.num_failed:
            text = f"{progress.num_failed} failed, {text}"
        if self._num_before is None and progress.num_tokens:
            self._num_before = progress.num_done  # answers of earlier sessions come at once and would distort the pace
        num_done = progress.num_done - (self._num_before or 0)
        if not num_done or not progress.num_tokens:
            return text
        left_s = progress.elapsed_s / num_done * (progress.num_total - progress.num_done)
        return f"{text}, {duration(left_s)} left"


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[RunProgress], None]]:
    """Draw a bar on ``console``, in place, and yield the function that updates it."""
    pace = _Pace()
    shown = TextColumn("{task.fields[pace]}", markup=False)
    with Progress(TextColumn("solving"), BarColumn(), MofNCompleteColumn(), shown, console=console) as bar:
        task = bar.add_task("solving", total=None, pace="")
        yield lambda progress: bar.update(
            task, completed=progress.num_done, total=progress.num_total, pace=pace.describe(progress)
        )


def _progress_lines() -> Callable[[RunProgress], None]:
    """Return a function that prints a line every few seconds, for logs."""
    last_s, pace = time.monotonic(), _Pace()

    def update(progress: RunProgress) -> None:
        nonlocal last_s
        text = pace.describe(progress)
        if time.monotonic() - last_s >= _SECONDS_BETWEEN_LINES:
            last_s = time.monotonic()
            click.echo(f"{progress.num_done} of {progress.num_total} problems, {text}", err=True)

    return update
