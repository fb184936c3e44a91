"""The ``critic-engine`` program: commands by name; each error becomes one line and an exit code."""

import importlib
import io
import sys
from collections.abc import Sequence

import click

from critic_engine.cli.command import Interrupted, Settings
from critic_engine.cli.text import one_line
from critic_engine.errors import ConfigError, CriticEngineError, ModelLoadError, ProblemError, RunError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_COMMANDS = (
    *("solve", "collect", "inspect", "export", "resume"),
    *("evaluate", "evaluate-critic"),
    *("presets", "config", "doctor", "pocket"),
)
_USAGE_ERRORS = (
    ConfigError,
    RunError,
    ProblemError,
    ModelLoadError,
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    NotADirectoryError,
    IsADirectoryError,
)


class _LazyGroup(click.Group):
    """Imports a command's module only when that command runs; each module defines ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"critic_engine.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from critic_engine.config.files import nearest

            ctx.fail(
                f"No such command {args[0]!r}; the commands are {', '.join(_COMMANDS)}{nearest(args[0], _COMMANDS)}"
            )
        return super().resolve_command(ctx, args)


_EPILOG = """\b
Examples:
  critic-engine pocket make --split test --num 100 --seed 7 --out problems.jsonl --images boards
  critic-engine solve problems.jsonl --run runs/a
  critic-engine collect problems.jsonl --run runs/labelled
  critic-engine inspect runs/labelled
  critic-engine export runs/labelled --format trl-dpo --out data/critiques
  critic-engine evaluate-critic problems.jsonl --out cards/a
  critic-engine resume runs/a
  critic-engine presets
  critic-engine solve --question "how many red shapes ?" --image boards/test-7-0000.png
"""


@click.group(
    cls=_LazyGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="critic-engine")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Test-time reasoning with a critic inside a tree search, about images and text."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 some problems failed, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters that the terminal's encoding lacks are printed as escapes, so that printing never fails.
            stream.reconfigure(errors="backslashreplace")
    settings = Settings()
    try:
        result = cli.main(arguments, prog_name="critic-engine", standalone_mode=False, obj=settings)
    except Exception as error:
        if settings.is_debug and not isinstance(error, click.ClickException | click.Abort):
            raise
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int:
    """Print the error in one line and return its exit code."""
    match error:
        case click.Abort():
            click.echo("interrupted", err=True)
            return EXIT_INTERRUPTED
        case Interrupted():
            click.echo(one_line(error.format_message()), err=True)
            return EXIT_INTERRUPTED
        case click.UsageError(ctx=click.Context() as context):
            message = f"{error.format_message()} See '{context.command_path} --help'."
        case click.ClickException():
            message = error.format_message()
        case OSError():
            message = f"{error.filename or 'input or output'}: {error.strerror or error}"
        case CriticEngineError():
            message = str(error)
        case _:
            message = f"unexpected {type(error).__name__}: {error}; --debug shows the traceback"
    click.echo(f"error: {one_line(message)}", err=True)
    return EXIT_USAGE if isinstance(error, (*_USAGE_ERRORS, click.ClickException)) else EXIT_FAILED
