"""The texts between a search and a program that expects a plain model: questions of chats, completions of answers."""

from collections.abc import Iterable, Mapping, Sequence

from critic_engine.evaluation.harnesses.method_arguments import CompletionForm
from critic_engine.types import Answer

ADVICE = "to change how a method samples, set its config by --model_args"
"""The way to options of generation in the command lines of lm-eval and lmms-eval."""


def question_of(turns: Sequence[tuple[str, str]]) -> str:
    """Return the question that holds the turns of a chat, in their order.

    System texts and a single turn of the user stand one after the other, a blank line between them. Where the user or
    the assistant spoke before, each turn begins with the name of its role.

    Args:
        turns: Role (``system``, ``user`` or ``assistant``) and text of each turn.

    Raises:
        ValueError: another role, or the last turn is not the user's.
    """
    roles = [role for role, _ in turns]
    for role in roles:
        if role not in ("system", "user", "assistant"):
            raise ValueError(f"a message has the role {role!r}; a search answers system, user and assistant messages")
    if not roles or roles[-1] != "user":
        raise ValueError("the last message is not the user's; a search answers a question and continues no other text")
    is_chat = len(roles) - roles.count("system") > 1
    return "\n\n".join(
        f"{role.capitalize()}: {text}" if is_chat and role != "system" else text for role, text in turns if text.strip()
    )


def completion_of(answer: Answer, form: CompletionForm, *, stop: Iterable[str] = ()) -> str:
    """Return an answer as the text of a plain model, which ends before the first of the strings ``stop``.

    A failed answer has no text.
    """
    if answer.answer is None:
        return ""
    text = answer.answer if form == "answer" else _solution(answer, answer.answer)
    return text[: min((text.find(each) for each in stop if each and each in text), default=len(text))]


def read_until(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """Return the stop strings ``until`` among a task's arguments of generation: one string, or a list."""
    until = arguments.get("until") or ()
    return tuple(map(str, until)) if isinstance(until, list | tuple) else (str(until),)


def without_until(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return a task's other arguments of generation, which are for a plain model."""
    return {name: value for name, value in arguments.items() if name != "until"}


def _solution(answer: Answer, final: str) -> str:
    text, line = "\n".join(answer.steps), f"ANSWER: {final}"
    is_there = text.rpartition("\n")[2].strip().casefold() == line.casefold()
    return text if is_there else f"{text}\n{line}".lstrip("\n")
