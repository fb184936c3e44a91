"""The formats by name."""

from typing import Any

from critic_engine.data.exports.llamafactory import LlamaFactoryDemonstration, LlamaFactoryPreference
from critic_engine.data.exports.rlaifv import RlaifV
from critic_engine.data.exports.row_format import RowFormat
from critic_engine.data.exports.swift import SwiftDemonstration, SwiftPreference
from critic_engine.data.exports.trl import TrlDemonstration, TrlPreference, TrlRated, TrlSteps
from critic_engine.data.exports.visualprm import VisualPrm
from critic_engine.errors import ConfigError

_ALL: tuple[RowFormat[Any], ...] = (
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

_FORMATS = {row_format.name: row_format for row_format in _ALL}
FORMATS = tuple(_FORMATS)
"""The names of all formats."""


def format_named(name: str) -> RowFormat[Any]:
    """Return the format of that name.

    Raises:
        ConfigError: there is none.
    """
    if name in _FORMATS:
        return _FORMATS[name]
    raise ConfigError(f"format {name!r} does not exist; choose one of {', '.join(FORMATS)}", field="format")
