"""Answers: read once into typed values, compared by one relation, counted by its classes.

``reading`` reads an answer for its question, ``equality`` compares two, ``classes`` gives votes their keys. A certain
verdict is never a guess: what may mean the same, by a synonym, a rounding or a unit left out, is unsure.
"""

from critic_engine.parsing.answers.classes import AnswerClasses, AnswerRelation, is_same_answer
from critic_engine.parsing.answers.values import choice_letter

__all__ = ["AnswerClasses", "AnswerRelation", "choice_letter", "is_same_answer"]
