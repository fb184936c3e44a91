"""The formats by name."""

from typing import Any

from critic_engine.data.exports.llamafactory import LlamaFactoryDemonstration, LlamaFactoryPreference
from critic_engine.data.exports.rlaifv import RlaifV
from critic_engine.data.exports.row_format import RowFormat
from critic_engine.data.exports.swift import SwiftDemonstration, SwiftPreference
from critic_engine.data.exports.trl import TrlDemonstration, TrlPreference, TrlRated, TrlSteps
from critic_engine.data.exports.visualprm import VisualPrm
from critic_engine.errors import ConfigError

_FORMATS: tuple[RowFormat[Any], ...] = (
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

FORMATS = tuple(row_format.name for row_format in _FORMATS)
"""The names of all formats."""


def format_named(name: str) -> RowFormat[Any]:
    """Return the format of that name.

    Raises:
        ConfigError: there is none.
    """
    for row_format in _FORMATS:
        if row_format.name == name:
            return row_format
    raise ConfigError(f"format {name!r} does not exist; choose one of {', '.join(FORMATS)}", field="format")
