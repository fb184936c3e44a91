"""``critic-engine config``: every field of a configuration with its value, its default and what it means."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
from click.core import ParameterSource

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.engine_options import EngineRequest, engine_options
from critic_engine.cli.placement_options import placement_options

_EPILOG = """\b
Examples:
  critic-engine config
  critic-engine config guided one_gpu > my.yaml
  critic-engine config beam --set strategy.width=8 --reasoner openai:qwen --reward-model openai:qwen
  critic-engine config guided --fields reasoner
  critic-engine config --fields expander.split --fields collect.pairs
  critic-engine config best_of_n --json
"""


@click.command("config", cls=EngineCommand, epilog=_EPILOG, short_help="Show every field of a configuration.")
@click.argument("sources", nargs=-1, metavar="[PATH|PRESET]...")
@click.option(
    "--fields",
    "names",
    multiple=True,
    metavar="SECTION[.FIELD]",
    help="Only this section or field, also one that the config leaves out; may be repeated.",
)
@engine_options("guided")
@placement_options
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on stdout.")
def command(sources: tuple[str, ...], names: tuple[str, ...], is_json: bool, **options: Any) -> None:
    """Show the configuration that `solve` makes of the same options, as YAML that --config reads.

    Files and presets are merged in order, then --set and the other options change them. Each field stands below its
    explanation; its default follows where the value is another one.
    """
    from critic_engine.config.fields import as_yaml, describe
    from critic_engine.run.report import json_line

    is_default = click.get_current_context().get_parameter_source("config") is ParameterSource.DEFAULT
    given = options.pop("config")
    request = EngineRequest(config=sources if is_default and sources else (*sources, *given), **options)
    config = request.load_config()
    fields = describe(config, names)
    if is_json:
        rows = [{**dataclasses.asdict(each), "place": each.name} for each in fields if not each.is_section]
        click.echo(json_line({"config": config.model_dump(mode="json"), "fields": rows}))
    else:
        click.echo(as_yaml(fields), nl=False)
