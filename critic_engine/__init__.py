"""Test-time reasoning with a critic inside a tree search, for vision-language and text models.

The names below are the public surface; they are imported on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig, load_config
    from critic_engine.data.exports import ExportOptions, export_rows
    from critic_engine.data.problems import read_problems
    from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled
    from critic_engine.data.selection.rows import open_rows
    from critic_engine.engine import Engine
    from critic_engine.episode.episode import SearchEvent
    from critic_engine.errors import CriticEngineError
    from critic_engine.images.loading import load_image
    from critic_engine.roles.checker import Checker
    from critic_engine.run.runner import Progress
    from critic_engine.types import Answer, Critique, Image, Problem

__all__ = [
    "Answer",
    "Checker",
    "CriticEngineError",
    "Critique",
    "Demonstration",
    "Engine",
    "EngineConfig",
    "ExportOptions",
    "Image",
    "Preference",
    "Problem",
    "Progress",
    "Rated",
    "SearchEvent",
    "StepLabelled",
    "export_rows",
    "load_config",
    "load_image",
    "open_rows",
    "read_problems",
]

_HOMES = {
    "Answer": "types",
    "Checker": "roles.checker",
    "CriticEngineError": "errors",
    "Critique": "types",
    "Demonstration": "data.row_types",
    "Engine": "engine",
    "EngineConfig": "config.engine",
    "ExportOptions": "data.exports",
    "Image": "types",
    "Preference": "data.row_types",
    "Problem": "types",
    "Progress": "run.runner",
    "Rated": "data.row_types",
    "SearchEvent": "episode.episode",
    "StepLabelled": "data.row_types",
    "export_rows": "data.exports",
    "load_config": "config.engine",
    "load_image": "images.loading",
    "open_rows": "data.selection.rows",
    "read_problems": "data.problems",
}


def __getattr__(name: str) -> object:
    """Import the public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'critic_engine' has no attribute {name!r}")
    return getattr(importlib.import_module(f"critic_engine.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
