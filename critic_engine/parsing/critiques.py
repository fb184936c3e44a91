"""Read a critic's text: its verdict, first wrong step, score and reason."""

from dataclasses import dataclass

from critic_engine.errors import ParseError
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critique_parts import CritiqueParts, tidied
from critic_engine.parsing.statements import without_thoughts
from critic_engine.types import Verdict


@dataclass(frozen=True, slots=True)
class ReadCritique:
    """A critic's text as read."""

    verdict: Verdict
    first_wrong_step: int | None
    """1-based; None if the verdict is right, no step is named, or the step does not exist."""
    score: float | None
    """Probability in [0, 1] that every step is right; None if none is given or it contradicts the verdict."""


def parse_critique(text: str, form: CritiqueForm, *, num_steps: int) -> ReadCritique:
    """Return the critique in ``text`` of a trajectory of ``num_steps`` steps.

    A step number out of range is ignored; the verdict is kept.

    Raises:
        ParseError: the text has no verdict.
    """
    parts = CritiqueParts.find(text, form)
    if parts is None:
        raise ParseError.quoting(lack_of_verdict(form), text)
    return read_parts(parts, num_steps=num_steps)


def lack_of_verdict(form: CritiqueForm) -> str:
    """Return the reason why a text without a verdict cannot be read."""
    where = f"behind {form.verdict_label!r}" if form.verdict_label else "at its beginning"
    return f"critique has neither {form.right!r} nor {form.wrong!r} {where}"


def read_parts(parts: CritiqueParts, *, num_steps: int) -> ReadCritique:
    """Return the critique of a trajectory of ``num_steps`` steps whose parts these are."""
    verdict = parts.verdict.verdict
    step = None if parts.step is None or verdict == "right" else parts.step.number
    score = None if parts.score is None else parts.score.number
    contradicts = score is not None and (score < 0.5 if verdict == "right" else score > 0.5)
    is_there = step is not None and 1 <= step <= num_steps
    return ReadCritique(verdict, step if is_there else None, None if contradicts else score)


def reason_of(text: str, form: CritiqueForm) -> str:
    """Return a critic's text without its verdict, step number and score, in one line; see ``CritiqueParts.reason``."""
    parts = CritiqueParts.find(text, form)
    return tidied(without_thoughts(text)) if parts is None else parts.reason
