"""Read model texts of error injection: a solution with injected errors, a list of detected errors, a grade.

Lists of steps and errors have the same form in every prompt family, one item a line: the number of a step in brackets,
then words. Further lines belong to the item; a blank line ends an error. Nothing is read from a thought.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from critic_engine.errors import ParseError
from critic_engine.parsing.thoughts import visible

MAX_INJECTED = 5
"""Most errors injected into one solution, as in Critic-V (arXiv 2411.18203); at least 1 is."""
MAX_GRADE = 10
_MAX_DESCRIPTION_CHARACTERS = 2000
_refusal = ParseError.quoting

_ITEM = re.compile(r"[ \t*_#>-]{0,8}\[(?:step )?([0-9]{1,4})\][*_]{0,3}:?[*_]{0,3}[ \t]*(.*)", re.IGNORECASE)
_SOLUTION = re.compile(r"[\W_]{0,12}solution[\W_]{0,12}", re.IGNORECASE)
_ERRORS = re.compile(r"[\W_]{0,12}errors[\W_]{0,12}(none|no errors)?[\W_]{0,12}", re.IGNORECASE)
_NONE = re.compile(r"[\W_]{0,12}(?:none|no errors)[\W_]{0,12}", re.IGNORECASE)
_BEFORE_NUMBER = r"[\s:=*_`\[]{1,12}"
_MATCHES = re.compile(
    rf"[#*_\s-]{{0,12}}matches{_BEFORE_NUMBER}([0-9]{{1,4}})(?: ?(?:/|of|out of) ?[0-9]{{1,4}})?[\]*_`.\s]{{0,12}}",
    re.IGNORECASE,
)
_SCORE = re.compile(
    rf"[#*_\s-]{{0,12}}score{_BEFORE_NUMBER}([0-9]{{1,2}})(?: ?(?:/|of|out of) ?10)?[\]*_`.\s]{{0,12}}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class InjectedError:
    """One injected or detected error in a solution."""

    step: int | None
    """1-based; None if no step is named."""
    description: str
    """Description of the error, in one line."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A solution with injected errors."""

    steps: tuple[str, ...]
    errors: tuple[InjectedError, ...]
    """One to five errors, at least one for each step that differs from the original."""

    def __post_init__(self) -> None:
        """Refuse too few or too many errors, and an error in a step that does not exist."""
        if not 1 <= len(self.errors) <= MAX_INJECTED:
            raise ValueError(f"errors holds {len(self.errors)}; there must be 1 to {MAX_INJECTED}")
        for error in self.errors:
            if error.step is not None and not 1 <= error.step <= len(self.steps):
                raise ValueError(f"errors names step {error.step}; there are {len(self.steps)} steps")


@dataclass(frozen=True, slots=True)
class ReadGrade:
    """A grade of detected errors, as read."""

    num_matched: int
    """Number of injected errors that were found, each counted once."""
    grade: int
    """In [0, 10]."""


def written_errors(errors: Iterable[InjectedError]) -> str:
    """Return the errors as a prompt lists them, one a line; ``none`` without errors."""
    lines = [f"[{'?' if error.step is None else error.step}] {one_line(error.description)}" for error in errors]
    return "\n".join(lines) or "none"


def one_line(text: str) -> str:
    """Return ``text`` with single spaces between its words."""
    return " ".join(text.split())


def check_unicode(text: str, what: str) -> None:
    """Refuse text that cannot be encoded as UTF-8.

    Raises:
        ParseError: it holds half a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refusal(f"{what} holds half a surrogate pair, which is no character", text) from error


def parse_injection(text: str, original: Sequence[str]) -> Injected:
    """Return the changed solution in ``text`` and the errors that it lists.

    A step that differs from the original only in spaces, surrounding markup or its last dot counts as unchanged.

    Raises:
        ParseError: the text lacks one of its two parts, or has another number of steps than the original; it lists no
            error or more than five, an error in a step that does not exist or did not change, or no error in a step
            that did change.
    """
    check_unicode(text, "the injection")
    lines = visible(text).splitlines()
    start = _find(_SOLUTION, lines, 0)
    end = None if start is None else _find(_ERRORS, lines, start + 1)
    if start is None or end is None:
        raise _refusal(f"the injection has no line {'Solution:' if start is None else 'Errors:'!r}", text)
    steps = _read_steps(lines[start + 1 : end], original, text)
    errors = _read_errors(lines[end + 1 :], len(original), text)
    if not 1 <= len(errors) <= MAX_INJECTED:
        raise _refusal(f"the injection lists {len(errors)} errors; it may list 1 to {MAX_INJECTED}", text)
    changed = {number for number, (new, old) in enumerate(zip(steps, original, strict=True), 1) if new != old}
    named = {error.step for error in errors}
    if unchanged := sorted(step for step in named if step is not None and step not in changed):
        raise _refusal(f"the injection names an error in step {unchanged[0]}, which it left as it was", text)
    if unnamed := sorted(changed - named):
        raise _refusal(f"the injection changes step {unnamed[0]} and names no error in it", text)
    return Injected(steps, errors)


def parse_detection(text: str, *, num_steps: int) -> tuple[InjectedError, ...]:
    """Return the errors that ``text`` lists for a solution of ``num_steps`` steps; the line ``Errors:`` is optional.

    Raises:
        ParseError: it is neither a list of errors nor ``none``, or names a step that does not exist.
    """
    check_unicode(text, "the detection")
    lines = visible(text).splitlines()
    start = _find(_ERRORS, lines, 0)
    heading = None if start is None else _ERRORS.fullmatch(lines[start])
    told = [line for line in lines[0 if start is None else start + 1 :] if not _is_fence(line)]
    says_none = heading is not None and heading[1] is not None
    if not says_none and _NONE.fullmatch("".join(told)):
        says_none, told = True, []
    errors = _read_errors(told, num_steps, text)
    if says_none and errors:
        raise _refusal("the detection says 'none' and lists errors", text)
    if not says_none and not errors:
        raise _refusal("the detection lists no error and does not say 'none'", text)
    return errors


def parse_grade(text: str, *, num_errors: int, num_found: int) -> ReadGrade:
    """Return the number of matches and the grade in ``text``; each may be repeated.

    Raises:
        ParseError: one of them is missing, contradicts itself or is out of range: more matches than injected or
            detected errors, or a grade above 10.
    """
    num_matched = _only_number(_MATCHES, "matches: N", text)
    if num_matched > min(num_errors, num_found):
        raise _refusal(f"the grader matches {num_matched} errors; {num_errors} are there, {num_found} were found", text)
    grade = _only_number(_SCORE, "### score: S", text)
    if grade > MAX_GRADE:
        raise _refusal(f"the grade is {grade}; it must be 0 to {MAX_GRADE}", text)
    return ReadGrade(num_matched, grade)


def _read_steps(lines: Sequence[str], original: Sequence[str], text: str) -> tuple[str, ...]:
    steps: list[list[str]] = []
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item and int(item[1]) != len(steps) + 1:
            raise _refusal(f"the injection has step {item[1]} where step {len(steps) + 1} was due", text)
        if item:
            steps.append([item[2]])
        elif steps:
            steps[-1].append(line)
        elif line.strip() and not _is_fence(line):
            raise _refusal("the injection's first step does not begin with [1]", text)
    if len(steps) != len(original):
        raise _refusal(f"the injection has {len(steps)} steps, and the original {len(original)}", text)
    written = ["\n".join(line for line in step if not _is_fence(line)).strip() for step in steps]
    if not all(written):
        raise _refusal(f"step {written.index('') + 1} of the injection is empty", text)
    return tuple(old if _bare(new) == _bare(old) else new for new, old in zip(written, original, strict=True))


def _read_errors(lines: Sequence[str], num_steps: int, text: str) -> tuple[InjectedError, ...]:
    errors: list[InjectedError] = []
    is_open = False
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item:
            errors.append(InjectedError(_existing(int(item[1]), num_steps, text), one_line(item[2])))
        elif line.strip() and not _is_fence(line):
            if not is_open:
                raise _refusal(f"the line {line[:80]!r} is no error, which begins with a step's number, [K]", text)
            errors[-1] = InjectedError(errors[-1].step, f"{errors[-1].description} {one_line(line)}".strip())
        is_open = bool(errors) and bool(line.strip())
        if is_open and len(errors[-1].description) > _MAX_DESCRIPTION_CHARACTERS:
            raise _refusal(f"an error is described in more than {_MAX_DESCRIPTION_CHARACTERS} characters", text)
    if mute := next((error for error in errors if not error.description), None):
        raise _refusal(f"nothing is said of the error in step {mute.step}", text)
    return tuple(errors)


def _existing(step: int, num_steps: int, text: str) -> int:
    if 1 <= step <= num_steps:
        return step
    raise _refusal(f"step {step} is named, and the solution has {num_steps} steps", text)


def _only_number(form: re.Pattern[str], asked_for: str, text: str) -> int:
    found = {int(match[1]) for line in visible(text).splitlines() if (match := form.fullmatch(line))}
    if len(found) != 1:
        problem = f"more than one: {', '.join(map(str, sorted(found)))}" if found else "none"
        raise _refusal(f"the grader must write one line {asked_for!r} and wrote {problem}", text)
    return found.pop()


def _find(heading: re.Pattern[str], lines: Sequence[str], start: int) -> int | None:
    return next((at for at in range(start, len(lines)) if heading.fullmatch(lines[at])), None)


def _is_fence(line: str) -> bool:
    return line.strip().startswith("```")


def _bare(step: str) -> str:
    return one_line(step).strip("*_. ")
