"""Read an answer once into a typed value."""

import functools
import re
from dataclasses import dataclass, replace

from critic_engine.parsing.answers.choosing import ChoiceText, pick_choice
from critic_engine.parsing.answers.groups import split_group
from critic_engine.parsing.answers.lexicon import spelled
from critic_engine.parsing.answers.markup import MAX_CHARACTERS, bare, final_line
from critic_engine.parsing.answers.moments import read_moments
from critic_engine.parsing.answers.quantities import read_quantities
from critic_engine.parsing.answers.question import QuestionForm
from critic_engine.parsing.answers.units import unit_named
from critic_engine.parsing.answers.values import Formula, Group, Measure, NamedChoice, Phrase, Quantity, Unclear, Value

_BRACKETED_WORD = re.compile(r"[(\[<{]{1,2}([^\W\d_]+)[)\]>}]{1,2}[.,:;?]?")
_HALF_BRACKETED_WORD = re.compile(r"([^\W\d_]+)[)\]]")
_EQUATION = re.compile(r"([^=∈<>≠,;]{1,40})([=∈])([^=∈<>≠]+)")
_VERDICT = re.compile(r"(yes|no|true|false)[,.;:!]+ (.+)", re.IGNORECASE)
_AGAINST = re.compile(r"\b(?:yes|no|true|false|but|however|unless|if|depends|although)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(?:what time|when|clock|o'clock)\b", re.IGNORECASE)
_ORDINAL = re.compile(r"[0-9]+(?:st|nd|rd|th)", re.IGNORECASE)
_SIGN = r"=<>()\[\]{};:/*^°≠"
# Without its space "3, 400" would be the number 3,400.
_IDLE_SPACE = re.compile(
    rf" (?=[{_SIGN}]|[+-] |,(?![0-9]{{3}}(?![0-9])))|(?:(?<=[{_SIGN}])|(?<= [+-])) |(?<=,) (?![0-9]{{3}}(?![0-9]))"
    r"|(?<=[0-9]) (?=[^\W\d_])|(?<=[^\W\d_]) (?=[0-9])"
)
_LETTERS_ONLY = re.compile(r"[^\W\d_]+(?:[ '’.,;:?!-]+[^\W\d_]+)*[.,;:?]*")
_SHOUTED = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]+)*!+")
_PROSE = re.compile(r"(?<![\\^\W\d_])(?<!\\)\b[^\W\d_]{3,}\b")
_FUNCTIONS = frozenset({"sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "lim", "max", "min", "sqrt", "frac"})
_ASKS = re.compile(
    r"\b(?:what is|what's|find|value of|compute|calculate|determine|evaluate|solve for)\b[^.?!,;]{0,80}", re.IGNORECASE
)
_ASKS_YEAR = re.compile(r"\b(?:year|when)\b", re.IGNORECASE)
_YEAR = re.compile(r"(?:(?:in|during|the|year|of) ){1,4}([12][0-9]{3})", re.IGNORECASE)
_ASKS_RATIO = re.compile(r"\b(?:ratio|odds|proportion|scale)\b", re.IGNORECASE)
_RATIO = re.compile(r"([0-9]{1,9}) to ([0-9]{1,9})")
_RESULTS = frozenset({"answer", "result", "total", "ans"})
_MAX_DEPTH = 2


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An answer, read for its question."""

    value: Value
    """The value that it most likely is."""
    others: tuple[Value, ...] = ()
    """The values that it could be instead; two answers differ only if no two of their values may be one."""

    @property
    def key(self) -> str:
        """The value's key."""
        return self.value.key


def read_answer(text: str, question: QuestionForm) -> ReadAnswer:
    """Return an answer's value, as the question asks for it.

    The answer of a whole solution is that behind its last ``####`` at the start of a line (GSM8K's form).
    """
    line = final_line(text)
    return _read(line, question) if len(line) > MAX_CHARACTERS else _read_and_keep(line, question)


def _read(text: str, question: QuestionForm) -> ReadAnswer:
    plain = bare(text)
    if not question.choices or len(plain) > MAX_CHARACTERS:
        return read_open_answer(plain, question)
    question, choices = _read_choices(question)
    own = read_open_answer(plain, question)
    pick = pick_choice(plain, own.key, choices)
    if pick is None or pick.index is None:
        return ReadAnswer(Unclear(own.key))
    chosen, *others = (NamedChoice(index, choices[index].key) for index in (pick.index, *pick.others))
    return ReadAnswer(chosen, tuple(others))


_read_and_keep = functools.lru_cache(maxsize=8192)(_read)


@functools.lru_cache(maxsize=256)
def _read_choices(question: QuestionForm) -> tuple[QuestionForm, tuple[ChoiceText, ...]]:
    """Return the choices, and the question with the unit that they share."""
    texts = [bare(choice) for choice in question.choices]
    units = {value.unit if isinstance(value, Quantity) and not value.is_bare else None
             for value in (read_open_answer(text, question).value for text in texts)}  # fmt: skip
    unit = units.pop() if len(units) == 1 else None
    question = question if unit is None else replace(question, unit=unit)
    return question, tuple(ChoiceText(text, read_open_answer(text, question).key) for text in texts)


def read_open_answer(text: str, question: QuestionForm, depth: int = 0) -> ReadAnswer:
    """Return the value of an answer without markup, whatever the choices are."""
    if not text or len(text) > MAX_CHARACTERS:
        return ReadAnswer(Unclear(text.casefold()))
    text = _as_asked(text, question)
    moments = read_moments(text, is_time=_CLOCK.search(question.text) is not None)
    if moments:
        return ReadAnswer(moments[0], moments[1:])
    quantities = read_quantities(text, question)
    if quantities:
        return ReadAnswer(quantities[0], quantities[1:])
    return _equation(text, question, depth) or _group(text, question, depth) or ReadAnswer(_text_value(text, question))


def _as_asked(text: str, question: QuestionForm) -> str:
    """Return a year without the words before it, and a ratio with its colon, where the question asks for one."""
    year = _YEAR.fullmatch(text)
    if year and _ASKS_YEAR.search(question.text):
        return year[1]
    ratio = _RATIO.fullmatch(text)
    return f"{ratio[1]}:{ratio[2]}" if ratio and _ASKS_RATIO.search(question.text) else text


def _equation(text: str, question: QuestionForm, depth: int) -> ReadAnswer | None:
    """Return the value on the right of "x = 7" if the left is what the question asks for."""
    match = _EQUATION.fullmatch(text) if depth <= _MAX_DEPTH else None
    if match is None or not (match[2] == "∈" or _is_asked(match[1].strip(), question)):
        return None
    right = read_open_answer(match[3].strip(), question, depth)
    return right if isinstance(right.value, Quantity | Group) else None


def _is_asked(left: str, question: QuestionForm) -> bool:
    if left.lower() in _RESULTS:
        return True
    if len(left) == 1 and left.isalpha():
        if not question.variables:
            return left in "xX"  # by custom the unknown
        asks = rf"(?:find|for|of|is|compute|determine|what's) \$?{left}(?!\w)\$?(?! ?(?:and|,|\(|[+*/^=-]))"
        return question.variables == {left} or re.search(asks, question.text, re.IGNORECASE) is not None
    squeezed = _squeezed(left)
    return len(squeezed) > 1 and any(squeezed in _squeezed(asks) for asks in _ASKS.findall(question.text))


def _squeezed(text: str) -> str:
    return "".join(text.replace("\\", "").replace("∠", "angle").replace("$", "").split())


def _group(text: str, question: QuestionForm, depth: int) -> ReadAnswer | None:
    split = split_group(text) if depth <= _MAX_DEPTH else None
    if split is None and text[0] == "±":
        split = ("", [text[1:].strip(), f"-{text[1:].strip()}"])
    if split is None:
        return None
    brackets, texts = split
    items = tuple(read_open_answer(item, question, depth + 1).value for item in texts)
    is_mathematics = not any(isinstance(item, Phrase) for item in items)
    if not is_mathematics and not brackets and not (question.is_set and not depth):
        return None
    if brackets == "{}" and len(items) == 1:
        return ReadAnswer(items[0])
    return ReadAnswer(Group("{}" if question.is_set and not brackets and not depth else brackets, items))


def _text_value(text: str, question: QuestionForm) -> Value:
    word = _BRACKETED_WORD.fullmatch(text) or _HALF_BRACKETED_WORD.fullmatch(text)
    if word:
        return _phrase(word[1], question)
    verdict = _VERDICT.fullmatch(text)
    if verdict and not _AGAINST.search(verdict[2]):
        return _phrase(verdict[1], question)
    unit = unit_named(text)
    if unit is not None:
        return Measure(unit)
    if _ORDINAL.fullmatch(text):
        return Phrase((text.lower(),))
    is_prose = "\\" not in text and any(word not in _FUNCTIONS for word in _PROSE.findall(text))
    if _LETTERS_ONLY.fullmatch(text) or _SHOUTED.fullmatch(text) or is_prose:
        return _phrase(text, question)
    return Formula(_IDLE_SPACE.sub("", text))


def _phrase(text: str, question: QuestionForm) -> Phrase:
    is_letter = len(text) == 1 and {text.lower(), text.upper()} <= question.variables
    return Phrase((text,) if is_letter else spelled(text), question.kind)
