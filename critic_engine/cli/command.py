"""The base of all commands: ``--verbose``, ``--debug``, logging set up first, and options that commands share."""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from critic_engine.cli.text import one_line, printable

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@dataclass
class Settings:
    """The part of the command line that outlives the command."""

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
        verbose = "Print more on stderr; twice for debug messages."
        self.params += [
            click.Option(["-v", "--verbose"], count=True, help=verbose),
            click.Option(["--debug"], is_flag=True, help="Show the tracebacks of errors."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Set up logging, then run the command."""
        settings = ctx.ensure_object(Settings)
        settings.is_debug = ctx.params.pop("debug")
        _configure_logging(ctx.params.pop("verbose"), is_debug=settings.is_debug)
        return super().invoke(ctx)


def combined(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Return one decorator that adds all ``options``, which the help shows in this order."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


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
    """Print warnings on stderr, with verbosity 1 also information, with 2 also debug messages."""
    logger = logging.getLogger("critic_engine")
    logger.handlers[:] = [_StderrHandler(is_debug=is_debug)]
    logger.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
    if verbosity == 0:
        warnings.simplefilter("ignore")
        # The libraries read these when a command imports them; the user's own settings stay.
        for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_VERBOSITY"):
            os.environ.setdefault(name, "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
