r"""The prompts that the pocket models were trained on. One module holds them all.

Every prompt is one user turn, the image first, then text; "\n" stands between lines and nowhere else.

======================  ==========================================================================================
reasoner, solve         user ``QUESTION``; assistant: the steps, one a line, the last ``answer : ...``
reasoner, continue      the same; the assistant's turn begins with the steps so far, each followed by "\n"
reasoner, rewrite       user ``QUESTION\nsolution :\nSTEPS\ncritique :\nWORDS``; assistant: all steps, put right
reasoner, next step     user ``QUESTION`` + one to three times ``\nrejected :\nSTEP\ncritique :\nWORDS``; the
                        assistant's turn begins with the steps so far, as for continue; the rejected steps are what
                        was tried in their place
critic                  user ``QUESTION\nsolution :\nSTEPS`` (whole or partial); assistant: ``right``, or
                        ``wrong step K : REASON`` with K the first wrong step, from 1
======================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence


def rewrite_prompt(question: str, *, steps: Sequence[str], critique: str) -> str:
    """Return the text that asks for a corrected whole solution."""
    return "\n".join((question, "solution :", *steps, "critique :", critique))


def next_step_prompt(question: str, *, rejected: Sequence[tuple[str, str]]) -> str:
    """Return the text that asks for the next step; ``rejected`` holds (step, critique) of earlier tries at it."""
    lines = [question]
    for step, critique in rejected:
        lines += ["rejected :", step, "critique :", critique]
    return "\n".join(lines)


def critic_prompt(question: str, *, steps: Sequence[str]) -> str:
    """Return the text that asks for a judgement of ``steps``."""
    return "\n".join((question, "solution :", *steps))


def prefix_text(steps: Sequence[str]) -> str:
    """Return ``steps`` as the beginning of the assistant's turn."""
    return "".join(f"{step}\n" for step in steps)
