"""Read a critic's text: its verdict, first wrong step and score."""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from critic_engine.errors import ParseError
from critic_engine.types import Verdict

_NUMBER = r"[\s:=*_]{0,12}([0-9]{1,3}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})(?!\.?[0-9e])[ ]?(%|/[ ]?[0-9]{1,4})?"


class CritiqueForm(BaseModel):
    """The form of one prompt family's critiques; case, markup and punctuation around the words do not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    verdict_label: str
    """Text before the verdict word; empty if a critique begins with the word itself."""
    right: str = Field(min_length=1)
    """Verdict word of a trajectory without a wrong step."""
    wrong: str = Field(min_length=1)
    """Verdict word of any other trajectory."""
    step_label: str = Field(min_length=1)
    """Text before the number of the first wrong step."""
    score_label: str = ""
    """Text before a score, ``0.7``, ``70%`` or ``7/10``; empty if critics write none."""

    @model_validator(mode="after")
    def _check_words(self) -> "CritiqueForm":
        if self.right.casefold() == self.wrong.casefold():
            raise ValueError(f"right and wrong are both {self.right!r}; the verdict words must differ")
        return self


@dataclass(frozen=True, slots=True)
class ReadCritique:
    """A critic's text as read."""

    verdict: Verdict
    first_wrong_step: int | None
    """1-based; None if the verdict is right, no step is named, or the step does not exist."""
    score: float | None
    """Probability in [0, 1] that every step is right; None if none is given or it contradicts the verdict."""


@dataclass(frozen=True, slots=True)
class FoundVerdict:
    """A verdict word in a text."""

    verdict: Verdict
    start: int
    """Index of its first character."""
    end: int
    """Index after its last character."""


def parse_critique(text: str, form: CritiqueForm, *, num_steps: int) -> ReadCritique:
    """Return the critique in ``text`` of a trajectory of ``num_steps`` steps.

    A step number out of range is ignored; the verdict is kept.

    Raises:
        ParseError: the text has no verdict.
    """
    found = find_verdict(text, form)
    if found is None:
        where = f"behind {form.verdict_label!r}" if form.verdict_label else "at its beginning"
        raise ParseError.quoting(f"critique has neither {form.right!r} nor {form.wrong!r} {where}", text)
    step = _first_wrong_step(text[found.end :], form, num_steps) if found.verdict == "wrong" else None
    score = _score(text, form.score_label)
    contradicts = score is not None and (score < 0.5 if found.verdict == "right" else score > 0.5)
    return ReadCritique(found.verdict, step, None if contradicts else score)


def find_verdict(text: str, form: CritiqueForm) -> FoundVerdict | None:
    """Return the first verdict in ``text``; None if there is none, or only both words side by side."""
    words = f"{_literally(form.right)}|{_literally(form.wrong)}"
    before = rf"(?<!\w){_literally(form.verdict_label)}[\W_]{{0,12}}" if form.verdict_label else r"\A[\W_]*"
    echo = rf"(?!\s{{0,3}}(?:/|\||or\b)[\W_]{{0,4}}(?:{words})(?!\w))"
    match = re.search(rf"{before}({words})(?!\w){echo}", text, re.IGNORECASE)
    if match is None:
        return None
    is_right = re.fullmatch(_literally(form.right), match[1], re.IGNORECASE) is not None
    return FoundVerdict("right" if is_right else "wrong", match.start(1), match.end(1))


def reason_of(text: str, form: CritiqueForm) -> str:
    """Return a critic's text without its verdict, step number and score, in one line."""
    found = find_verdict(text, form)
    rest = text if found is None else text[found.end :]
    rest = re.sub(r"\A[*_]{1,3}", "", rest)
    step = rf"[*_]{{0,3}}(?<!\w){_literally(form.step_label)}(?:[^\w\n]|_){{0,12}}[0-9]{{1,6}}(?![0-9])[*_]{{0,3}}"
    rest = re.sub(step, " ", rest, count=1, flags=re.IGNORECASE)
    if form.score_label:
        score = rf"[*_]{{0,3}}(?<!\w){_literally(form.score_label)}{_NUMBER}[*_]{{0,3}}"
        *_, last = [None, *re.finditer(score, rest, re.IGNORECASE)]
        rest = rest if last is None else f"{rest[: last.start()]} {rest[last.end() :]}"
    # A sign or point that begins a number belongs to it.
    return re.sub(r"\A(?:[ :;,]|[.-](?!\.?[0-9]))+", "", " ".join(rest.split())).rstrip(" :;,.-")


def _first_wrong_step(text: str, form: CritiqueForm, num_steps: int) -> int | None:
    label = _literally(form.step_label)
    match = re.search(rf"(?<!\w){label}(?:[^\w\n]|_){{0,12}}([0-9]{{1,6}})(?![0-9])", text, re.IGNORECASE)
    number = int(match[1]) if match else 0
    return number if 1 <= number <= num_steps else None


def _score(text: str, label: str) -> float | None:
    if not label:
        return None
    scores = re.findall(rf"(?<!\w){_literally(label)}{_NUMBER}", text, re.IGNORECASE)
    if not scores:
        return None
    number, unit = scores[-1]
    whole = 100.0 if unit == "%" else float(unit.removeprefix("/") or 1)
    return float(number) / whole if 0 <= float(number) <= whole and whole > 0 else None


def _literally(words: str) -> str:
    """Return a pattern for ``words`` separated by 1 to 4 white space characters."""
    return r"\s{1,4}".join(re.escape(word) for word in words.rstrip(" :").split())
