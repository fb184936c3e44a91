"""The formats by name."""

from typing import Any

from critic_engine.data.exports.llamafactory import LlamaFactoryDemonstration, LlamaFactoryPreference
from critic_engine.data.exports.published import RlaifV, VisualPrm
from critic_engine.data.exports.row_format import Layout
from critic_engine.data.exports.swift import SwiftDemonstration, SwiftPreference
from critic_engine.data.exports.trl import TrlDemonstration, TrlPreference, TrlRated, TrlSteps
from critic_engine.errors import ConfigError

_LAYOUTS: tuple[Layout[Any], ...] = (
    TrlPreference(),
    TrlDemonstration(),
    TrlRated(),
    TrlSteps(),
    LlamaFactoryPreference(),
    LlamaFactoryDemonstration(),
    SwiftPreference(),
    SwiftDemonstration(),
    RlaifV(),
    VisualPrm(),
)

FORMATS = tuple(layout.name for layout in _LAYOUTS)
"""The names of all formats."""


def layout_named(name: str) -> Layout[Any]:
    """Return the format of that name.

    Raises:
        ConfigError: there is none.
    """
    for layout in _LAYOUTS:
        if layout.name == name:
            return layout
    raise ConfigError(f"format {name!r} does not exist; choose one of {', '.join(FORMATS)}", field="format")
