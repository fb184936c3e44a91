"""The graders by name, and the rule that belongs to each schema of a benchmark."""

from collections.abc import Mapping

from critic_engine.config.files import nearest
from critic_engine.errors import ConfigError
from critic_engine.evaluation.graders.grader import AnswerGrader
from critic_engine.evaluation.graders.letter_rules import grade_m3cot, grade_mmstar, grade_realworldqa, grade_scienceqa
from critic_engine.evaluation.graders.math_rule import MathRule
from critic_engine.evaluation.graders.mathvista_rule import grade_mathvista
from critic_engine.evaluation.graders.mmmu_rule import grade_mmmu
from critic_engine.evaluation.graders.relation import RelationRule, grade_choice, grade_exact
from critic_engine.evaluation.graders.rule import Rule, RuleGrader
from critic_engine.evaluation.graders.text_rules import grade_chartqa, grade_gsm8k, grade_mathverse

_RULES: Mapping[str, Rule] = {
    "relation": RelationRule(),
    "exact": grade_exact,
    "choice": grade_choice,
    "math": MathRule(),
    "mathvista": grade_mathvista,
    "m3cot": grade_m3cot,
    "mmstar": grade_mmstar,
    "scienceqa": grade_scienceqa,
    "chartqa": grade_chartqa,
    "mmmu": grade_mmmu,
    "mathverse": grade_mathverse,
    "realworldqa": grade_realworldqa,
    "gsm8k": grade_gsm8k,
}
GRADER_NAMES = tuple(_RULES)
"""Names that ``make_grader`` knows; the first is the default."""
# Schemas whose benchmark has no rule of its own, but a form of answers that one of these fits.
_OTHER_SCHEMAS: Mapping[str, str] = {
    "aokvqa": "choice",
    "ai2d": "choice",
    "mmlu": "choice",
    "arc": "choice",
}


def make_grader(name: str) -> AnswerGrader:
    """Return the grader of a name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in _RULES:
        raise ConfigError(f"there is no grader {name!r}; those here are {', '.join(_RULES)}{nearest(name, _RULES)}")
    return RuleGrader(name, _RULES[name])


def grader_for(schema_name: str | None) -> str:
    """Return the name of the grader that holds the rule of a schema's benchmark; ``relation`` if none does."""
    name = schema_name or ""
    return name if name in _RULES else _OTHER_SCHEMAS.get(name, GRADER_NAMES[0])
