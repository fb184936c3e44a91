"""The base of all commands: ``--verbose``, ``--debug``, and logging set up before the command runs."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from critic_engine.cli.text import one_line, printable

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@dataclass
class Settings:
    """The options of verbosity, read from the command line."""

    verbosity: int = 0
    """0 shows warnings, 1 information, 2 debug messages."""
    is_debug: bool = False
    """Whether an error shows its traceback."""


class Interrupted(click.ClickException):
    """Ctrl-C stopped a command; the message says how to continue."""

    exit_code = 130


@contextlib.contextmanager
def interrupted_with(message: str) -> Iterator[None]:
    """Turn Ctrl-C inside the block into ``Interrupted`` with ``message``.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(message) from error


class EngineCommand(click.Command):
    """A command with ``-v`` and ``--debug``, which sets up logging first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the two options after the command's own."""
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["-v", "--verbose"],
                count=True,
                expose_value=False,
                callback=_set_verbosity,
                help="Print more on stderr; twice for debug messages.",
            ),
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_set_debug,
                help="Show the tracebacks of errors.",
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Set up logging, then run the command."""
        settings = ctx.ensure_object(Settings)
        _configure_logging(settings.verbosity, is_debug=settings.is_debug)
        return super().invoke(ctx)


class _StderrHandler(logging.Handler):
    """Writes records in one line each, above a progress bar where there is one."""

    def __init__(self, *, is_debug: bool) -> None:
        super().__init__()
        self._is_debug = is_debug

    def emit(self, record: logging.LogRecord) -> None:
        text = one_line(record.getMessage())
        click.echo(f"{record.levelname.lower()}: {text}", err=True)
        if self._is_debug and record.exc_info:
            click.echo(printable(logging.Formatter().formatException(record.exc_info)), err=True)


def _configure_logging(verbosity: int, *, is_debug: bool) -> None:
    logger = logging.getLogger("critic_engine")
    logger.handlers[:] = [_StderrHandler(is_debug=is_debug)]
    logger.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
    if verbosity == 0:
        warnings.simplefilter("ignore")
        # The libraries read these when a command imports them; the user's own settings stay.
        for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_VERBOSITY"):
            os.environ.setdefault(name, "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _set_verbosity(ctx: click.Context, _: click.Parameter, value: int) -> None:
    ctx.ensure_object(Settings).verbosity = value


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Settings).is_debug = value
