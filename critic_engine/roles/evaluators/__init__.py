"""The evaluators: who says how good a trajectory is."""

from critic_engine.roles.evaluators.blend import BlendEvaluator
from critic_engine.roles.evaluators.direct import CheckerEvaluator, CriticEvaluator, NoEvaluator
from critic_engine.roles.evaluators.factory import Roles, make_evaluator
from critic_engine.roles.evaluators.reward_model import ScorerEvaluator, VerdictTokenEvaluator
from critic_engine.roles.evaluators.rollouts import AgreementEvaluator, ReferenceEvaluator

__all__ = [
    "AgreementEvaluator",
    "BlendEvaluator",
    "CheckerEvaluator",
    "CriticEvaluator",
    "NoEvaluator",
    "ReferenceEvaluator",
    "Roles",
    "ScorerEvaluator",
    "VerdictTokenEvaluator",
    "make_evaluator",
]
