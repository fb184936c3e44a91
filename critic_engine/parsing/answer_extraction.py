"""Find the answer in a solution."""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.parsing.answer_labels import MAX_LABELS, MAX_LEAD_CHARACTERS, find_labels, is_opening
from critic_engine.parsing.answer_values import (
    MARKUP,
    is_plain_value,
    read_boxed,
    read_last_line,
    read_value,
    tidied,
)
from critic_engine.parsing.thoughts import visible

__all__ = ["MARKUP", "announces_answer", "ending_answer", "extract_answer", "stated_answer", "tidied"]

_BOX_OR_BRACE = re.compile(
    r"\\(?:f?boxed|fbox)[ \t]{0,4}(?:(?P<open>\{)|(?P<bare>-?[0-9][0-9.,]{0,20}(?<![.,])|[A-Z]\b))|\\[\\{}]|[{}]"
)
_BETWEEN_BOXES = re.compile(r"[\s$,\\()]{0,8}(?P<word>and|or|und|et|y|和|或)?[\s$,\\()]{0,8}")
_NEGATION = re.compile(r"(?:\b(?:not|never|rather than|instead of)|n['’]t(?: be)?)[\s$\\(*]{0,6}\Z", re.IGNORECASE)
_BOX_ENDS_LINE = re.compile(r"[\s$\\)\]}*_.,!。]{0,12}(?:[^\W\d_]{1,20}[\s.,!$)\\*_]{0,6}){0,2}\Z")
_TAG = re.compile(r"(?<![`\"'])<(?P<slash>/?)(?:answer|final[_ ]?answer|conclusion)>", re.IGNORECASE)
_JSON = re.compile(
    r"[{,]\s{0,40}[\"'](?:final[_ ]?|correct[_ ]?)?answer[\"']\s{0,8}:\s{0,8}"
    r"(?:\"(?P<double>(?:[^\"\\\n]|\\.){0,500})\"|'(?P<single>[^'\n]{0,500})'"
    r"|(?P<bare>-?[0-9][0-9.,eE+-]{0,40}(?<![,])"
    r"|true|false|\[[^\]\n]{0,200}\]))",
    re.IGNORECASE,
)
_HASHES = re.compile(
    r"^####[ \t]{1,4}(?P<value>[-+−]?[$€£]?[0-9][0-9,./:]{0,30}(?:[ ]?%|[ ][^\W\d_]{1,20})?|[A-J])[ \t.]{0,4}$",
    re.MULTILINE,
)
_GLM_BOX = re.compile(r"<\|begin_of_box\|>(?P<value>[^<\n]{0,500})<\|end_of_box\|>")
_CHOSEN = re.compile(
    r"\b(?:I|we|so|thus|therefore)(?:['’]d|['’]ll| would| will)?[ ,]{1,2}(?:I |we )?(?:choose|pick|select"
    r"|go with|opt for)"
    r"[ ](?:the )?(?:option |choice |answer )?[*_]{0,2}[(\[]?(?P<chosen>[A-Z])[)\]]?(?![\w'’])"
    r"|(?<!\w)[*_]{0,2}[(\[]?(?P<right>[A-Z])[)\]]?[*_]{0,2} is (?:the |thus |therefore |indeed )?(?:correct"
    r"|right|best|answer)\b"
)
_CHOSEN_IN_CHINESE = re.compile(r"(?:故选|故應選|应选|选择|選擇|选)[择擇]?[:： ]{0,2}(?P<chosen>[A-H])(?![A-Za-z])")
_NEXT_QUESTION = re.compile(
    r"^\W{0,6}(?:Question|Problem|Human|User|Q)[ \t]?[0-9]{0,3}[ \t]?[*_]{0,2}[:：]", re.MULTILINE
)
_HTML = re.compile(r"</?(?:b|strong|i|em|p|span|u)>|<br ?/?>")
_STARS = re.compile(r"\*{1,3}")
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)
_BLANK_OR_OPENING_LINE = re.compile(r"[ \t]*(?:\$\$|\\\[|\\\(|```[a-z]{0,12}|~~~|[*_]{1,3})?[ \t]*\n")
_SECOND_THOUGHTS = re.compile(
    r"\s*(?:wait|hmm|actually|no,|but\b|however|hold on|let me (?:re|check|double|verify)|let['’]s (?:re|check"
    r"|double|verify))",
    re.IGNORECASE,
)
_Force: TypeAlias = Literal["stated", "said", "mentioned"]


@dataclass(frozen=True, slots=True)
class _Found:
    """A place where an answer may be."""

    start: int
    raw: str
    """The text of the value."""
    force: _Force
    """``stated``: it ends a solution. ``said``: it is the answer unless another is stated behind it."""
    kind: Literal["label", "copula", "box", "exact"]
    end: int


def extract_answer(
    text: str | Sequence[str], choices: Sequence[str] = (), *, further_words: Sequence[str] = ()
) -> str | None:
    """Return the answer in a text or its steps, without markup; None if there is none.

    The last one that is announced or boxed counts, and what corrects it; without one, the last that is mentioned.
    Thoughts are not read, nor questions, negations, and what a prompt has in the place of an answer.

    Args:
        text: The solution, or its steps.
        choices: The problem's choices; with them a letter is one, and a last line that names one is the answer.
        further_words: Words for "answer" beside ``answer_labels.ANSWER_WORDS``.
    """
    seen = _seen(text)
    found = _all_found(seen, choices, further_words)
    if found is None:
        return None
    for is_mention in (False, True):
        for each in reversed(found):
            if (each.force == "mentioned") == is_mention:
                answer = _read(each, choices)
                if answer is not None:
                    return answer
    return read_last_line(seen, choices)


def stated_answer(
    text: str | Sequence[str], choices: Sequence[str] = (), *, further_words: Sequence[str] = ()
) -> str | None:
    r"""Return the last answer in one of the forms that end a solution; None if there is none.

    The forms are ``answer: X``, ``final answer is X`` and their like at the start of a line, ``\boxed{X}`` at the end
    of one, ``<answer>X</answer>``, ``#### X`` and ``{"answer": X}``; outside thoughts, quotes and code.
    """
    seen = _seen(text)
    stated: _Found | None = None
    answer = None
    for each in _all_found(seen, choices, further_words) or ():
        is_same_line = stated is not None and "\n" not in seen[stated.end : each.start]
        if each.force == "mentioned" or (each.force == "said" and not is_same_line):
            continue
        read = _read(each, choices)
        if each.force == "stated":
            stated = each
        if read is not None:
            answer, stated = read, each
    if stated is None or answer is None or _SECOND_THOUGHTS.match(seen, stated.end):
        return None
    return answer


def ending_answer(
    steps: Sequence[str], choices: Sequence[str] = (), *, further_words: Sequence[str] = ()
) -> str | None:
    """Return the answer that the last step states, or that it gives below the label that ends the step before it."""
    if len(steps) > 1:
        labels = list(find_labels(steps[-2] + "\n", further_words))
        if labels and labels[-1].force != "mentioned" and not steps[-2][labels[-1].end :].strip(MARKUP + ":"):
            return stated_answer(steps[-2:], choices, further_words=further_words)
    return stated_answer(steps[-1:], choices, further_words=further_words)


def announces_answer(text: str) -> bool:
    """Return whether a text gives an answer away: in a form that ends a solution, at any place in it."""
    found = _all_found(_seen(text), (), ()) or ()
    return any(_read(each, ()) is not None for each in found if each.kind != "copula" or each.force == "stated")


def _seen(text: str | Sequence[str]) -> str:
    return _HTML.sub("", visible(text if isinstance(text, str) else "\n".join(text)))


def _read(found: _Found, choices: Sequence[str]) -> str | None:
    if found.kind == "box":
        return read_boxed(found.raw, choices)
    answer = read_value(found.raw, choices, is_said=found.kind == "copula")
    if found.force == "mentioned" and found.kind == "label" and not is_plain_value(answer or ""):
        return None
    return answer


def _all_found(text: str, choices: Sequence[str], further_words: Sequence[str]) -> list[_Found] | None:
    """Return all places where an answer may be, in order; None if the last box was never closed."""
    boxes = _boxes(text)
    if boxes is None:
        return None
    fences = [match.start() for match in _FENCE.finditer(text)]
    found = [*_labelled(text, further_words), *boxes, *_tagged(text)]
    for pattern in (_JSON, _HASHES, _GLM_BOX):
        for match in deque(pattern.finditer(text), MAX_LABELS):
            raw = next(group for group in match.groups() if group is not None)
            found.append(_Found(match.start(), raw, "stated", "exact", match.end()))
    if choices:
        for match in deque(_CHOSEN.finditer(text), MAX_LABELS):
            found.append(_Found(match.start(), match["chosen"] or match["right"], "mentioned", "exact", match.end()))
        for match in deque(_CHOSEN_IN_CHINESE.finditer(text), MAX_LABELS):
            found.append(_Found(match.start(), match["chosen"], "said", "exact", match.end()))
    is_json = {match.start() for match in _JSON.finditer(text)}
    # Behind an odd number of fences a text is code.
    in_order = _of_one_question(text, sorted(found, key=lambda each: (each.start, each.end)))
    return [
        _mentioned(each) if bisect_right(fences, each.start) % 2 and each.start not in is_json else each
        for each in in_order
    ]


def _of_one_question(text: str, found: list[_Found]) -> list[_Found]:
    """Return what was found before a model began another question by itself."""
    first = next((each.end for each in found if each.force == "stated"), len(text))
    other = _NEXT_QUESTION.search(text, first)
    return found if other is None else [each for each in found if each.start < other.start()]


def _mentioned(found: _Found) -> _Found:
    return _Found(found.start, found.raw, "mentioned", found.kind, found.end)


def _labelled(text: str, further_words: Sequence[str]) -> Iterator[_Found]:
    labels = list(find_labels(text, further_words))
    for number, label in enumerate(labels, 1):
        next_start = labels[number].start if number < len(labels) else len(text)
        line_end = text.find("\n", label.end, next_start)
        end = next_start if line_end < 0 else line_end
        raw = text[label.end : end]
        if end == next_start and is_opening(raw):
            raw = ""
        elif not raw.strip(MARKUP + ":："):
            begin = _next_line(text, end)
            line_end = text.find("\n", begin)
            end = len(text) if line_end < 0 else line_end
            raw = text[begin:end].strip().removeprefix("- ") if begin <= next_start and next_start >= end else ""
        force = label.force
        begin = max(0, label.start - MAX_LEAD_CHARACTERS)
        lead = text[max(begin, text.rfind("\n", begin, label.start) + 1) : label.end]
        if len(_STARS.findall(lead)) % 2:
            is_bold_line = lead.startswith("**") and raw.rstrip(" .").endswith("**") and not text[end:].strip()
            raw = raw.rstrip(MARKUP + ".")
            force = "stated" if force == "said" and is_bold_line else force
        yield _Found(label.start, raw, force, "copula" if label.is_copula else "label", end)


def _next_line(text: str, place: int) -> int:
    """Return where the next line begins that is neither blank nor the opening of code or of a formula."""
    place = min(len(text), place + 1)
    for _ in range(4):
        match = _BLANK_OR_OPENING_LINE.match(text, place)
        if match is None:
            break
        place = match.end()
    return place


def _boxes(text: str) -> list[_Found] | None:
    r"""Return the outermost ``\boxed{...}``, those that belong together as one; None if the last is unclosed."""
    spans: list[tuple[int, int, str]] = []
    opened: list[int | None] = []
    num_open = 0
    for match in _BOX_OR_BRACE.finditer(text):
        if match["bare"] is not None and not num_open:
            spans.append((match.start(), match.end(), match["bare"]))
        elif match["open"] is not None:
            opened.append(match.start())
            num_open += 1
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "}" and opened:
            start = opened.pop()
            num_open -= start is not None
            if start is not None and not num_open:
                spans.append((start, match.end(), text[text.index("{", start) + 1 : match.start()]))
    if num_open:
        return None
    return list(_joined(text, spans[-MAX_LABELS:]))


def _joined(text: str, spans: Sequence[tuple[int, int, str]]) -> Iterator[_Found]:
    last: _Found | None = None
    for start, end, raw in spans:
        before = text[max(0, start - 40) : start]
        line_end = text.find("\n", end, end + 60)
        rest = text[end : line_end if line_end >= 0 else end + 60]
        if _NEGATION.search(before) or rest.lstrip(" $\\)].*").startswith("?"):
            continue
        is_end = _BOX_ENDS_LINE.fullmatch(rest) is not None
        is_quoted = before[-1:] in ('"', "`", "“", "'")
        found = _Found(start, raw, "mentioned" if is_quoted else "stated" if is_end else "said", "box", end)
        between = _BETWEEN_BOXES.fullmatch(text, last.end, start) if last and start - last.end < 24 else None
        if last is not None and between is not None and (between["word"] or "," in between[0]):
            joint = f" {between['word']} " if between["word"] else ", "
            found = _Found(last.start, f"{last.raw}{joint}{raw}", found.force, "box", end)
        elif last is not None:
            yield last
        last = found
    if last is not None:
        yield last


def _tagged(text: str) -> Iterator[_Found]:
    opened: re.Match[str] | None = None
    for match in deque(_TAG.finditer(text), MAX_LABELS):
        if not match["slash"]:
            opened = match
        elif opened is not None:
            yield _Found(opened.start(), text[opened.end() : match.start()], "stated", "exact", match.end())
            opened = None
    if opened is not None:
        yield _Found(opened.start(), text[opened.end() :], "said", "exact", len(text))
