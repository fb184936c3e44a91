"""The graders by name, and the rule that belongs to each schema of a benchmark."""

from collections.abc import Callable, Mapping

from critic_engine.config.files import nearest
from critic_engine.errors import ConfigError
from critic_engine.evaluation.graders.grader import AnswerGrader
from critic_engine.evaluation.graders.relation import ExactGrader, RelationGrader

_GRADERS: Mapping[str, Callable[[], AnswerGrader]] = {
    "relation": RelationGrader,
    "exact": ExactGrader,
}
GRADER_NAMES = tuple(_GRADERS)
"""Names that ``make_grader`` knows."""
_SCHEMA_GRADERS: Mapping[str, str] = {}


def make_grader(name: str) -> AnswerGrader:
    """Return the grader of a name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in _GRADERS:
        raise ConfigError(f"there is no grader {name!r}; those here are {', '.join(_GRADERS)}{nearest(name, _GRADERS)}")
    return _GRADERS[name]()


def grader_for(schema_name: str | None) -> str:
    """Return the name of the benchmark's own grader for a schema of problems files; ``relation`` if it has none."""
    return _SCHEMA_GRADERS.get(schema_name or "", "relation")
