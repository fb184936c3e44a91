"""Find the parts of a critic's text: the verdict that it states, its first wrong step, score and reason."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from critic_engine.parsing.critique_form import CritiqueForm, literally
from critic_engine.parsing.stated_numbers import probability_behind, step_behind
from critic_engine.parsing.statements import AFTER_SENTENCE_OR_QUOTATION, LETTER, MARKUP, STEP_HEADING, OwnWords
from critic_engine.types import Verdict

_Number = TypeVar("_Number", int, float)
_MAX_PASSAGE_CHARACTERS = 1000
_BETWEEN = rf"(?:{MARKUP}|\n)"
_SAME_LINE = r"[^\w\n]{0,6}"
_IN_FULL = r"(?:in|for|with) (?:all|every|each|high|full|no)\b"
_GOES_ON_WITH = (
    rf"(?:because|since|no|all|every|each|both|score|reason|explanation|confidence|none|there|it|this)\b|first wrong|"
    rf"as (?:all|every|each|the|it)\b|the (?:solution|steps?|reasoning|answer|final|trajectory)\b|{_IN_FULL}"
)
# Behind the verdict "right": what restricts it, or makes the word an adjective ("right side").
_IN_PART = re.compile(
    rf"{_SAME_LINE}\b(?:but|except|until|till|however|though|although|apart|save)\b|"
    rf"[^\w\n.!:;]{{0,6}}\b(?!{_IN_FULL})(?:only|up|not|yet|in|for|with)\b|"
    rf"[ \t]?\([^\w\n]{{0,2}}steps?\b|[ \t]{{1,3}}(?!{_GOES_ON_WITH})(?![0-9]){LETTER}",
    re.IGNORECASE,
)
_HEADING = r"^[^\w\n]{{0,8}}(?:\[(?:step )?{number}\]|{number}[.)]|step[ \t]?#?{number}(?![0-9]))"
_HAS_COLON = re.compile(r"[^\w\n]{0,6}[:=]")
_NAME_OF_REASON = re.compile(
    r"\A[*_#\s]{0,6}(?:reason(?:ing)?|explanation|justification|critique|why)[*_]{0,3}:[*_]{0,3}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FoundVerdict:
    """A verdict word in a text."""

    verdict: Verdict
    start: int
    """Index of its first character."""
    end: int
    """Index after its last character."""
    label_start: int
    """Index of the first character of its label, or of the word if it has none."""


@dataclass(frozen=True, slots=True)
class StatedNumber(Generic[_Number]):
    """A number behind a label in a text."""

    number: _Number | None
    """None if the statement holds no number that can be meant."""
    start: int
    """Index of the first character of the label."""
    end: int
    """Index after the last character of the number."""


@dataclass(frozen=True, slots=True)
class CritiqueParts:
    """A critic's text and the places of its parts."""

    own: OwnWords
    form: CritiqueForm
    verdict: FoundVerdict
    step: StatedNumber[int] | None
    score: StatedNumber[float] | None

    @classmethod
    def find(cls, text: str, form: CritiqueForm) -> "CritiqueParts | None":
        """Return the parts of ``text``; None if it states no verdict, or as its last one both words at once.

        Thoughts, quotations, code blocks and repeated steps of the solution state nothing. Statements within a line
        count only if none begins a line. A form without a label has its verdict at the beginning of the text.
        """
        own = OwnWords.of(text, first_label=literally(form.verdict_label))
        if not form.verdict_label:
            first = _first_word(own, form)
            return None if first is None else cls(own, form, first, _next_step(own, form, first.end), _score(own, form))
        verdict = _last_verdict(own, form)
        return None if verdict is None else cls(own, form, verdict, _last_step(own, form, verdict), _score(own, form))

    @property
    def reason(self) -> str:
        """The words behind the verdict without step number and score, in one line.

        If there are none behind the verdict that a path is wrong, they are the end of the words before it.
        """
        reason = self._reason_behind
        if reason or self.verdict.verdict == "right" or not self.form.verdict_label:
            return reason
        end = self.verdict.label_start
        end = self.own.line_start(end) if self.own.begins_line(end) else end
        before = self.own.visible[self._passage_start : end]
        heading = STEP_HEADING.match(before)
        return tidied(before if heading is None else before[heading.end() :])

    @property
    def useful_start(self) -> int:
        """Where the part begins that is of use to others: the verdict and its reason.

        Behind an examination of the steps this is the verdict's line. If no reason follows the verdict that a path is
        wrong, it is up to 1000 characters before, at the words on the step that it names.
        """
        if not self.form.verdict_label:
            return 0
        if self.verdict.verdict == "wrong" and not self._reason_behind:
            return self._passage_start
        return self.own.line_start(self.verdict.label_start)

    @property
    def is_concluded(self) -> bool:
        """Whether the verdict is surely the final one even if the text was cut behind it.

        It is if it begins the text, or if a step number or score follows. Any other may be that on a single step.
        """
        before = self.own.text[: self.own.line_start(self.verdict.label_start)]
        follows = (part is not None and part.start >= self.verdict.end for part in (self.step, self.score))
        return re.search(r"\w", before) is None or any(follows)

    @property
    def _reason_behind(self) -> str:
        text, start, kept = self.own.visible, self._behind_markup(self.verdict.end), []
        for part in sorted((each for each in (self.step, self.score) if each is not None), key=lambda each: each.start):
            if part.start >= start:
                begins_line = bool(self.form.verdict_label) and self.own.begins_line(part.start)
                begin = self.own.line_start(part.start) if begins_line else part.start
                kept.append(text[start : max(start, begin)].rstrip("*_"))
                start = self._behind_markup(part.end)
        words = tidied(" ".join([*kept, text[start:]]))
        if not self.form.verdict_label:
            return words
        return _NAME_OF_REASON.sub("", words).strip() if re.search(r"\w", words) else ""

    def _behind_markup(self, end: int) -> int:
        closing = "*_`)]}$" if self.form.verdict_label else "*_"
        behind = self.own.visible[end : end + 8]
        return end + len(behind) - len(behind.lstrip(closing))

    @property
    def _passage_start(self) -> int:
        text, end = self.own.text, self.verdict.label_start
        begin = max(0, end - _MAX_PASSAGE_CHARACTERS)
        if self.step is not None and self.step.number is not None:
            heading = _HEADING.format(number=self.step.number)
            if found := [*re.compile(heading, re.IGNORECASE | re.MULTILINE).finditer(text, begin, end)]:
                return found[-1].start()
        before = text[begin:end].rstrip()
        if not re.search(r"\w", before):
            return self.own.line_start(end)
        if breaks := [*re.finditer(r"\n[ \t]{0,8}\n", before)]:
            return begin + breaks[-1].end()
        sentence = re.search(r"[.!?。！？][ \t]{0,8}|\n", before) if begin else None
        return begin if sentence is None else begin + sentence.end()


def _first_word(own: OwnWords, form: CritiqueForm) -> FoundVerdict | None:
    words = _words(form)
    echo = rf"(?!\s{{0,3}}(?:/|\||or\b)[\W_]{{0,4}}(?:{words})(?!\w))"
    match = re.match(rf"[\W_]*({words})(?!\w){echo}", own.visible, re.IGNORECASE)
    return None if match is None else FoundVerdict(_verdict(match[1], form), *match.span(1), match.start(1))


def _last_verdict(own: OwnWords, form: CritiqueForm) -> FoundVerdict | None:
    label, words = literally(form.verdict_label), _words(form)
    stated = re.compile(
        rf"(?<!{LETTER}){label}{_BETWEEN}{{0,12}}(?:(?:is|was|would be)\b{_BETWEEN}{{1,4}})?({words})(?!{LETTER})",
        re.IGNORECASE,
    )
    other = rf"(?:{label}{_SAME_LINE})?(?:{words})(?!{LETTER})"
    taken_back = re.compile(
        rf"{_SAME_LINE}(?:(?:/|\||&|->|→|=>|\bor\b|\band\b|\bvs\b){_SAME_LINE}{other}|{other}{_SAME_LINE}(?:\n|\Z)|"
        rf"\?|\b(?:or|when|if|otherwise|unless|in case)\b)|-{LETTER}",
        re.IGNORECASE,
    )
    matches = own.statements(stated)
    verdicts = [_verdict(match[1], form) for match in matches]
    if not matches or taken_back.match(own.text, matches[-1].end()):
        return None
    if verdicts[-1] == "right" and _IN_PART.match(own.text, matches[-1].end()):
        return None
    if len(set(verdicts)) > 1 and all(own.is_below_heading(match.start()) for match in matches):
        return None  # Each is the verdict on one step.
    return FoundVerdict(verdicts[-1], *matches[-1].span(1), matches[-1].start())


def _next_step(own: OwnWords, form: CritiqueForm, start: int) -> StatedNumber[int] | None:
    """Return the first number behind the label from ``start`` on."""
    label = literally(form.step_label)
    stated = rf"[*_]{{0,3}}(?<!\w){label}(?:[^\w\n]|_){{0,12}}([0-9]{{1,6}})(?![0-9])"
    match = re.compile(stated, re.IGNORECASE).search(own.visible, start)
    return None if match is None else StatedNumber(int(match[1]), *match.span())


def _last_step(own: OwnWords, form: CritiqueForm, verdict: FoundVerdict) -> StatedNumber[int] | None:
    """Return the last statement behind the verdict; without one, the last before it."""
    for start in (verdict.end, 0):
        if stated := _last_number(own, form.step_label, step_behind, start=start):
            return stated
    return None


def _score(own: OwnWords, form: CritiqueForm) -> StatedNumber[float] | None:
    return _last_number(own, form.score_label, probability_behind) if form.score_label else None


def _last_number(
    own: OwnWords, label: str, read: Callable[[str, int], tuple[_Number | None, int]], *, start: int = 0
) -> StatedNumber[_Number] | None:
    """Return the last number stated behind ``label``; a statement without one goes on to the end of its line."""

    def is_statement(match: re.Match[str]) -> bool:
        return read(own.text, match.end())[1] > match.end() or _HAS_COLON.match(own.text, match.end()) is not None

    form = re.compile(rf"(?<!{LETTER}){literally(label)}(?!{LETTER})", re.IGNORECASE)
    stated = own.statements(form, start=start, accepts=is_statement, before_quoted=AFTER_SENTENCE_OR_QUOTATION)
    if not stated:
        return None
    number, end = read(own.text, stated[-1].end())
    if number is None:
        line_end = own.text.find("\n", end)
        end = len(own.text) if line_end < 0 else line_end
    return StatedNumber(number, stated[-1].start(), end)


def _words(form: CritiqueForm) -> str:
    words = sorted((*form.right_words, *form.wrong_words), key=len, reverse=True)
    return "|".join(literally(word) for word in words)


def _verdict(word: str, form: CritiqueForm) -> Verdict:
    is_right = any(re.fullmatch(literally(each), word, re.IGNORECASE) for each in form.right_words)
    return "right" if is_right else "wrong"


def tidied(words: str) -> str:
    """Return ``words`` in one line, without the punctuation around them."""
    # A sign or point that begins a number belongs to it.
    return re.sub(r"\A(?:[ :;,]|[.-](?!\.?[0-9]))+", "", " ".join(words.split())).rstrip(" :;,.-")
