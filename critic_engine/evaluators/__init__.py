"""The evaluators: who says how good a trajectory is."""

from critic_engine.evaluators.blend import BlendEvaluator
from critic_engine.evaluators.direct import CheckerEvaluator, CriticEvaluator, NoEvaluator
from critic_engine.evaluators.making import Roles, make_evaluator
from critic_engine.evaluators.reward_model import ScorerEvaluator, VerdictTokenEvaluator
from critic_engine.evaluators.rollouts import AgreementEvaluator, ReferenceEvaluator

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
