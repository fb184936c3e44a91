"""``critic-engine pocket make``: write problems of the pocket world."""

from pathlib import Path

import click

from critic_engine.cli.command import EngineCommand

_EPILOG = """\b
Examples:
  critic-engine pocket make --split test --num 100 --seed 7 --out problems.jsonl
  critic-engine pocket make --num 5 --out problems.jsonl --images boards
  critic-engine solve problems.jsonl --run runs/a
"""


@click.group("pocket", epilog=_EPILOG, short_help="Write problems of the pocket world.", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Problems of the pocket world: boards of coloured shapes and questions about them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("make", cls=EngineCommand, epilog=_EPILOG)
@click.option(
    "--split",
    type=click.Choice(["train", "dev", "test"]),
    default="test",
    show_default=True,
    help="Part of the boards to draw from; splits share none.",
)
@click.option(
    "--num", type=click.IntRange(min=1), metavar="N", default=100, show_default=True, help="Number of problems."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of the draw; equal seeds give equal problems.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The .jsonl file to write; an existing one is replaced once the new one is complete.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the pictures into this folder, in or below that of --out; without it, the rows hold them.",
)
def make(split: str, num: int, seed: int, out: Path, images: Path | None) -> None:
    """Write problems with their images and reference answers as JSON lines."""
    if out.suffix != ".jsonl":
        raise click.BadParameter(f"{out} must end in .jsonl", param_hint="--out")
    if not out.parent.is_dir():
        raise click.BadParameter(f"{out}: there is no folder {out.parent}; make it first", param_hint="--out")
    if images is not None and not images.resolve().is_relative_to(out.parent.resolve()):
        raise click.BadParameter(f"{images} is not below {out.parent}, the folder of --out", param_hint="--images")
    from critic_engine.pocket.problems import write_problems

    unfinished = out.resolve().with_name(f".{out.name}.unfinished")
    try:
        folder = None if images is None else images.resolve()
        write_problems(unfinished, split=split, num=num, seed=seed, images=folder)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"wrote {num} problems to {out}", err=True)
