"""Mechanical rewordings of a solution that keep its meaning, its steps and their order."""

import re
from collections.abc import Callable, Mapping

from critic_engine.pocket.dialects import PROSE
from critic_engine.pocket.vocabulary import words_of

Steps = tuple[str, ...]

_SINGLE_SPACE = re.compile(r"(?<=\S) (?=\S)")
_STEP_NUMBER = re.compile(r"[Ss]tep [0-9]{1,3} ?: ?")
_ANSWER = re.compile(r"[Aa]nswer\b")
_ENDS_OPEN = re.compile(r"[\w)}\]$%°]\Z")
_POCKET = "pocket"


def rewordings_of(steps: Steps, family: str) -> dict[str, Steps]:
    """Return the rewordings by name that change these steps and that a prompt family can carry.

    ``spaces`` doubles the spaces between words, ``numbers`` begins each step with "Step K: " or drops these beginnings,
    and ``ending`` ends the last step with a full stop or without one, and begins "answer" there in the other case. The
    pocket family carries only texts of words that the pocket models know.

    Args:
        steps: The solution.
        family: The name of the prompt family of the critic.
    """
    reworded = {name: reword(steps) for name, reword in _REWORDINGS.items()}
    is_carried = _is_pocket if family == _POCKET else _is_any
    return {name: found for name, found in reworded.items() if found != steps and is_carried(found)}


def _doubled_spaces(steps: Steps) -> Steps:
    return tuple(_SINGLE_SPACE.sub("  ", step) for step in steps)


def _renumbered(steps: Steps) -> Steps:
    if all(_STEP_NUMBER.match(step) for step in steps):
        shorter = tuple(_STEP_NUMBER.sub("", step, count=1) for step in steps)
        return shorter if all(step.strip() for step in shorter) else steps
    if any(_STEP_NUMBER.match(step) for step in steps):
        return steps
    return tuple(f"Step {number}: {step}" for number, step in enumerate(steps, 1))


def _other_ending(steps: Steps) -> Steps:
    last = steps[-1]
    if last.endswith(".") and not last.endswith(".."):
        ended = last[:-1].rstrip()
    elif _ENDS_OPEN.search(last):
        ended = f"{last}."
    else:
        return steps
    if not ended:
        return steps
    if _ANSWER.match(ended):
        ended = ended[0].swapcase() + ended[1:]
    return (*steps[:-1], ended)


def _is_pocket(steps: Steps) -> bool:
    return all(word in PROSE.word_ids for step in steps for word in words_of(step))


def _is_any(steps: Steps) -> bool:
    return True


_REWORDINGS: Mapping[str, Callable[[Steps], Steps]] = {
    "spaces": _doubled_spaces,
    "numbers": _renumbered,
    "ending": _other_ending,
}
