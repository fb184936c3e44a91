"""Find the thoughts in a model's text: what it wrote for itself, which nothing is read from.

A thought stands between two markers of one style. Every style of the models in use is known here:

=====================================  ===============================================================================
markers                                written by
=====================================  ===============================================================================
``<think>`` ``</think>``               DeepSeek-R1, Qwen3, QwQ, GLM, MiMo, InternVL; also ``thinking``, ``thought``, ...
``[THINK]`` ``[/THINK]``               Magistral, Ministral
``<|channel|>analysis<|message|>``     gpt-oss: every channel but ``final`` is a thought
``<|channel>thought`` ``<channel|>``   Gemma 4; MedGemma has ``<unused94>`` and ``<unused95>``
``◁think▷`` ``◁/think▷``               Kimi-VL
``<|START_THINKING|>``                 Command A; OpenThinker has ``<|begin_of_thought|>``, Apertus ``<|inner_prefix|>``
``Here is my thought process:``        Granite, at the beginning of a text, up to ``Here is my response:``
=====================================  ===============================================================================
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from critic_engine.protocols import Sample

Span: TypeAlias = tuple[int, int]
MASK = "\ue000"
"""Stands for each character of a thought in ``Thoughts.masked``: neither a letter nor white space."""

_TAG = r"(?ai:seed:think|think|thinking|thoughts?|scratchpad|antthinking)"
_HARMONY = (
    r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>{}[^<]{{0,200}}(?:<\|constrain\|>[a-z]{{0,20}})?<\|message\|>"
)
_NAMED_TAG = re.compile(rf"<[ ]?({_TAG})[ ]?>")


@dataclass(frozen=True, slots=True)
class _Style:
    opening: str
    """Pattern of the marker before a thought."""
    closing: str
    """Pattern of the marker behind it."""
    literal: str
    """The closing marker as it is usually written."""
    nests: bool = True
    """Whether an opening inside a thought needs a closing of its own."""
    may_open_unseen: bool = True
    """Whether a chat template may write the opening, so that a text has the closing alone."""


_STYLES = {
    "tag": _Style(rf"<[ ]?{_TAG}[ ]?>", rf"</[ ]?{_TAG}[ ]?>", "</think>"),
    "bracket": _Style(r"\[THINK\]", r"\[/THINK\]", "[/THINK]"),
    "harmony": _Style(
        _HARMONY.format("(?!final)[a-z]{1,40}(?![a-z])"), _HARMONY.format("final"), "<|channel|>final<|message|>", False
    ),
    # gpt-oss as an endpoint shows it that drops the special tokens.
    "bare_harmony": _Style(r"\Aanalysis(?=[A-Z])", r"assistantfinal", "assistantfinal", nests=False),
    "gemma": _Style(r"<\|channel>thought", r"<channel\|>", "<channel|>"),
    "medgemma": _Style(r"<unused94>", r"<unused95>", "<unused95>"),
    "kimi": _Style(r"◁think▷", r"◁/think▷", "◁/think▷"),
    "command": _Style(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", "<|END_THINKING|>"),
    "open_thinker": _Style(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>", "<|end_of_thought|>"),
    "apertus": _Style(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", "<|inner_suffix|>"),
    "s1": _Style(r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b", "<|im_start|>answer", nests=False),
    "granite": _Style(
        r"\A\s{0,8}Here(?: is|['’]s) my thought process:",
        r"Here(?: is|['’]s) my response:",
        "Here is my response:",
        nests=False,
        may_open_unseen=False,
    ),
}
# Around a reply, or at its end: markers without a thought.
_WRAPPER = r"<\|(?:end|return|call|(?:START|END)_(?:RESPONSE|TEXT)|(?:begin|end)_of_solution)\|>"
# A text that speaks of a marker, "`<think>`", does not think.
_MENTIONED = rf"</?[ ]?{_TAG}[ ]?>|\[/?THINK\]"
_MENTION = rf"[`\"'“‘«](?:{_MENTIONED})(?:[^<\n`\"'”’»]{{0,30}}(?:{_MENTIONED}))?[`\"'”’»]"
# A text without any of these, in lower case, holds no marker.
_SIGNS = ("think", "thought", "scratchpad", "<|", "channel|>", "<unused9", "analysis", "assistantfinal")


def _marker_pattern() -> str:
    """Return the pattern of all markers; most characters begin none, and are passed without trying each."""
    patterns = {f"open_{name}": style.opening for name, style in _STYLES.items()}
    patterns |= {f"close_{name}": style.closing for name, style in _STYLES.items()}
    patterns["wrapper"] = _WRAPPER
    special = {name: pattern for name, pattern in patterns.items() if pattern.startswith((r"<\|", r"(?:<\|"))}
    others = {name: pattern for name, pattern in patterns.items() if name not in special}
    either, other = ("|".join(f"(?P<{name}>{pattern})" for name, pattern in each.items()) for each in (special, others))
    # What a marker begins with; Granite's may have white space before it.
    return (
        rf"(?=[`\"'“‘«][<\[])(?P<mention>{_MENTION})|(?=<\|[a-zA-Z])(?:{either})"
        rf"|(?=<[ ]?/?[ ]?[a-zA-Z]|\[/?THINK|◁|assistantfinal|Here|\A(?:analysis|\s))(?:{other})"
    )


_MARKER = re.compile(_marker_pattern())
# Styles whose markers stand as they are in chat templates and vocabularies.
_IN_TEMPLATES = ("tag", "bracket", "kimi", "command", "open_thinker", "apertus")
_OPENING = re.compile("|".join(rf"(?P<{name}>{_STYLES[name].opening})" for name in _IN_TEMPLATES))


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Where the thoughts of a text are."""

    text: str
    spans: tuple[Span, ...]
    """Begin and end of each thought with its markers, and of each marker without a thought; in order, not touching."""
    closing: str | None = None
    """The marker that would close the thought in which the text ends; None if it does not end in one."""

    def visible(self, start: int = 0, end: int | None = None) -> str:
        """Return the text from ``start`` to ``end`` without thoughts; one inside a line becomes a line break."""
        stop = len(self.text) if end is None else end
        if not self.spans:
            return self.text[start:stop]
        kept: list[str] = []
        for begin, close in self._outside(start, stop):
            if kept and not kept[-1].endswith("\n") and not self.text.startswith("\n", begin):
                kept.append("\n")
            kept.append(self.text[begin:close])
        return "".join(kept)

    def masked(self) -> str:
        """Return the text with ``MASK`` in the place of each character of a thought; every place stays what it is."""
        parts, place = [], 0
        for begin, end in self.spans:
            parts += [self.text[place:begin], MASK * (end - begin)]
            place = end
        return "".join((*parts, self.text[place:]))

    def _outside(self, start: int, stop: int) -> Iterator[Span]:
        """Yield the parts of the text from ``start`` to ``stop`` that hold no thought, without empty ones."""
        first = bisect_right(self.spans, start, key=itemgetter(1))
        for begin, close in self.spans[first : bisect_left(self.spans, stop, key=itemgetter(0))]:
            if start < begin:
                yield start, begin
            start = close
        if start < stop:
            yield start, stop


def visible(text: str) -> str:
    """Return ``text`` without its thoughts and their markers.

    A thought without its opening, which a chat template may have written, begins with the text; one that never closes
    ends with it. One inside a line becomes a line break. White space around thoughts stays.
    """
    return find_thoughts(text).visible()


def split_thought(text: str, *, is_open: bool = False) -> tuple[str, str]:
    """Return what a model wrote as its thought and its text, which joined are ``text``.

    The thought ends behind its closing marker and the white space there. A thought behind the first visible word
    stays in the text.

    Args:
        text: All that the model wrote.
        is_open: Whether the prompt opened the thought; without a closing marker, all of ``text`` is then the thought.
    """
    end = 0
    for begin, close in find_thoughts(text, is_open=is_open).spans:
        if text[end:begin].strip():
            break
        end = close
    num_text = len(text[end:].lstrip()) if end else len(text)
    return text[: len(text) - num_text], text[len(text) - num_text :]


def marked_thought(thought: str, behind: str = "") -> str:
    """Return a thought as ``visible`` knows it behind the text ``behind``: as it is, or with ``<think>`` markers."""
    if not thought:
        return ""
    seen = visible(behind).split()
    for form in (thought, f"<think>\n{thought}"):
        thoughts = find_thoughts(behind + form)
        if thoughts.closing is None and thoughts.visible().split() == seen:
            return form
    return f"<think>\n{thought.strip()}\n</think>\n\n"


def is_unfinished(sample: Sample) -> bool:
    """Return whether a sample ended inside its thought, before any text."""
    if not sample.thought or sample.text.strip():
        return False
    thoughts = find_thoughts(sample.thought)
    return thoughts.closing is not None or bool(thoughts.visible().strip())


def find_openings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the opening markers in a chat template or vocabulary: the place, the marker, and the one that closes it."""
    for match in _OPENING.finditer(text):
        yield match.start(), match[0], _closing(match[0], str(match.lastgroup))


def find_thoughts(text: str, *, is_open: bool = False) -> Thoughts:
    """Return where the thoughts of ``text`` are; ``is_open`` says that it begins inside one."""
    if not is_open and not _may_hold_marker(text):
        return Thoughts(text, ())
    spans: list[Span] = []
    position, begins_with_thought = 0, False
    if is_open:
        position = _end_of_open_thought(text)
        spans, begins_with_thought = [(0, position)] if text else [], True
    while match := _MARKER.search(text, position):
        begin, position = match.span()
        kind, _, name = str(match.lastgroup).partition("_")
        if kind == "open":
            end = _end_of_thought(text, position, name)
            if end is None:
                return Thoughts(text, _merged([*spans, (begin, len(text))]), _closing(match[0], name))
            position, begins_with_thought = end, begins_with_thought or not text[:begin].strip()
        elif kind == "close" and not begins_with_thought and _STYLES[name].may_open_unseen:
            spans, begin, begins_with_thought = [], 0, True
        elif kind == "mention" or (kind == "close" and not _STYLES[name].may_open_unseen):
            continue
        spans.append((begin, position))
    return Thoughts(text, _merged(spans))


def _may_hold_marker(text: str) -> bool:
    folded = text.lower()
    return any(sign in folded for sign in _SIGNS)


def _end_of_open_thought(text: str) -> int:
    """Return where a thought ends that the prompt opened; its style is that of the first closing marker."""
    for match in _MARKER.finditer(text):
        kind, _, name = str(match.lastgroup).partition("_")
        if kind == "close":
            return _end_of_thought(text, 0, name) or len(text)
    return len(text)


def _end_of_thought(text: str, position: int, name: str) -> int | None:
    """Return where the thought ends whose opening ends at ``position``; None if it never closes.

    It is closed when each opening inside it is closed too. If that never comes, the last closing closes it.
    """
    depth, last_close = 1, None
    for match in _MARKER.finditer(text, position):
        if match.lastgroup == f"close_{name}":
            depth, last_close = depth - 1, match.end()
        elif match.lastgroup == f"open_{name}" and _STYLES[name].nests:
            depth += 1
        if not depth:
            break
    return last_close


def _closing(opening: str, name: str) -> str:
    tag = _NAMED_TAG.fullmatch(opening)
    return _STYLES[name].literal if tag is None else f"</{tag[1]}>"


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for begin, end in spans:
        if merged and merged[-1][1] == begin:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return tuple(merged)
