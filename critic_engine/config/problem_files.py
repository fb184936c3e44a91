"""The section ``problems``: how problems files are read."""

from pydantic import Field

from critic_engine.config.base import Section


class ProblemFilesConfig(Section):
    """How the columns of problems files are read. A run notes here how its own was read."""

    schema_name: str | None = None
    """The benchmark whose columns the file has, such as ``mathvista``; ``plain`` for none. None recognises it."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns by the part of a problem that they hold: ``id``, ``question``, ``images``, ``choices``, ``answer``, or
    ``answer_index`` for an answer that counts the choices from 0; several are separated by commas, none is
    empty text."""
