"""The option that changes the filters of a run's rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from critic_engine.config.collect import FiltersConfig

_SECTION = "collect.filters."


filter_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar=f"{_SECTION}FIELD=VALUE",
    help="Change a filter of the run's config for this call; may be repeated.",
)
"""Adds ``--set``, which takes only fields of ``collect.filters``."""


def changed_filters(run: Path, settings: Sequence[str]) -> FiltersConfig | None:
    """Return the filters of the run in a folder changed by ``settings``; None where nothing is changed.

    Raises:
        UsageError: a setting is of another section.
        ConfigError: there is no such field, or its value is out of range.
        RunError: there is no run.
    """
    if not settings:
        return None
    from critic_engine.config.collect import CollectConfig
    from critic_engine.config.engine import EngineConfig, parse_config
    from critic_engine.config.files import apply_override
    from critic_engine.run.store import RunStore

    with RunStore.view(run) as store:
        config = store.config()
    document = config.model_copy(update={"collect": config.collect or CollectConfig()}).model_dump(mode="json")
    for setting in settings:
        if not setting.startswith(_SECTION):
            raise click.UsageError(f"--set {setting!r}: of a run that is done only {_SECTION}FIELD can be changed.")
        apply_override(document, setting, sections=EngineConfig.model_fields)
    collect = parse_config(document, origin="--set").collect
    return None if collect is None else collect.filters
