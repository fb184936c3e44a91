"""A scripted reasoner and critic in the pocket models' text forms, for runs with no model at all."""

from __future__ import annotations

from collections.abc import Sequence

from critic_engine.backends.scripted import Script, ScriptedText, unit_hash
from critic_engine.protocols import GenerationRequest

_MIN_STEPS = 3
_MAX_STEPS = 5
_NUM_ANSWERS = 6
_SHARE_USUAL = 0.6
_REASONS = ("the count is off", "it looks at another row", "it does not follow")


def scripted_reasoner() -> Script:
    """Return a script that writes three to five steps, one a line, and ends ``answer : N``.

    The number of steps and the usual answer depend on the question; each seed words its steps differently, and in four
    of ten trajectories gives another answer. A prefix is continued: its lines count as the first steps.
    """
    return _reason


def scripted_critic() -> Script:
    """Return a script that says ``right`` or ``wrong step K : REASON`` of a trajectory.

    The first token's odds give a value in (0, 1) that depends on the prompt alone. At temperature 0 the verdict is the
    likelier one, else the seed draws it.
    """
    return _criticise


def _reason(request: GenerationRequest, seed: int) -> str:
    question = _question(request)
    written = request.prefix.split("\n")
    steps, half_step = written[:-1], written[-1]
    if any(_is_answer(step) for step in written):
        return ""
    num_steps = _MIN_STEPS + _choose(_MAX_STEPS - _MIN_STEPS + 1, "steps", question)
    lines = []
    if half_step:
        steps, lines = [*steps, half_step], [""]
    while len(steps) < num_steps:
        step = f"step {len(steps) + 1} : find {_choose(10, question, *steps, seed)}"
        steps, lines = [*steps, step], [*lines, step]
    usual = _choose(_NUM_ANSWERS, "answer", question)
    is_usual = unit_hash("usual", question, *steps, seed) < _SHARE_USUAL
    answer = usual if is_usual else _choose(_NUM_ANSWERS, "other", question, *steps, seed)
    return "\n".join([*lines, f"answer : {answer}"])


def _criticise(request: GenerationRequest, seed: int) -> ScriptedText:
    prompt = request.messages[-1].text
    value = unit_hash("value", prompt, *_digests(request))
    threshold = 0.5 if request.sampling.temperature == 0 else unit_hash("verdict", prompt, seed)
    odds = {"right": value, "wrong": 1 - value}
    if value > threshold:
        return ScriptedText("right", odds)
    steps = _solution_lines(prompt)
    wrong = 1 + _choose(max(1, len(steps)), "wrong", prompt)
    return ScriptedText(f"wrong step {wrong} : {_REASONS[_choose(len(_REASONS), 'reason', prompt)]}", odds)


def _question(request: GenerationRequest) -> str:
    """Return the first line of the last message with its images' digests, which all prompts of a problem share."""
    return " ".join([request.messages[-1].text.split("\n")[0], *_digests(request)])


def _digests(request: GenerationRequest) -> list[str]:
    return [image.digest for message in request.messages for image in message.images]


def _solution_lines(prompt: str) -> Sequence[str]:
    _, _, solution = prompt.partition("solution :\n")
    return [line for line in solution.split("\n") if line]


def _is_answer(line: str) -> bool:
    return line.startswith("answer :")


def _choose(count: int, *parts: object) -> int:
    return int(unit_hash(*parts) * count)
