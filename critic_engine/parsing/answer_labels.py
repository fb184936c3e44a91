"""Find where a text announces an answer: "answer:", "the correct option is", "Réponse :", "答案：", in any markup."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

ANSWER_WORDS = (
    *("answer", "ans", "antwort", "lösung", "respuesta", "réponse", "reponse", "resposta", "risposta"),
    *("antwoord", "svar", "vastaus", "odpowiedź", "odpověď", "răspuns", "cevap", "yanıt", "jawaban", "đáp án"),
    *("câu trả lời", "ответ", "відповідь", "απάντηση", "الإجابة", "الجواب", "إجابة", "جواب", "پاسخ", "תשובה"),
    *("उत्तर", "जवाब", "উত্তর", "பதில்", "คำตอบ", "答案", "答", "解答", "答え", "回答", "정답", "답", "답변"),
)
"""What models write for "answer"; a prompt family may add more."""

Force: TypeAlias = Literal["stated", "said", "mentioned"]
"""``stated``: as asked, where a line begins. ``said``: at the start of a line or clause. ``mentioned``: elsewhere."""

_MARKUP = r"(?:[^\w\n\"'“‘`«「>()\[\]{}<?$\\:;,.!。，]|_)"
_KIND = (
    r"(?:(?:final|correct|right|best|short|overall|numerical|required|chosen|selected|predicted|likely|most|"
    r"numeric|exact|complete|finale?|finales|correcte|correcta|correta|corretta|richtige|endgültige|правильный|"
    r"окончательный|итоговый|最终|最終|最后|正确|正確|正解|올바른|최종"
    r"|الصحيحة|النهائية|सही|अंतिम|cuối cùng)的?[ \t*_]{0,4})"
)
_FORCEFUL = re.compile(
    r"final|correct|corr?et|right|best|chosen|richtig|endgültig|правильн|итогов|最终|最終|最后|正确|正確|최종",
    re.IGNORECASE,
)
_COPULA = (
    r"(?:(?<=[ \t*_`])(?:is|are|was|must be|should be|would be|will be|equals?|es|son|est|ist|lautet|è|é|là|adalah)\b"
    r"|является\b|應該是|应该是|应为|是|为|為|選|选|は|은|는)"
)
_OPENING = re.compile(
    rf"(?:{_MARKUP}|[=-]{{1,2}}>|<(?:answer|conclusion)>|[0-9]{{1,2}}[.)][ \t]"
    rf"|step[ \t][0-9]{{1,3}}[:.][ \t*]{{0,4}})*"
    r"(?:(?:so|thus|therefore|hence|finally|then|now|and|ok|okay|well|overall|conclusion|in conclusion|in summary|"
    r"to conclude|to sum up|in short|as a result|consequently|accordingly|summary|final|verification|result|"
    r"also|por lo tanto|por tanto|portanto|quindi|donc|ainsi|daher|somit|итак|следовательно|таким образом|vậy|"
    r"所以|因此|故|综上所述|综上|よって|したがって"
    r"|따라서|그러므로|इसलिए|إذن)(?![^\W\d_])[ \t]{0,3}[,:，、]?[ \t*_]{0,6}){0,2}"
    r"(?:(?:the|my|our|an?|la|le|l['’]|el|die|der|o|a|il)[ \t]{1,3})?[*_]{0,3}",
    re.IGNORECASE,
)
_CLAUSE_OPENING = re.compile(
    rf"{_MARKUP}{{0,20}}(?!(?:if|when|once|before|after|should|whether|unless|suppose"
    rf"|to)\b)[^,:;.!?\"“”`\n]{{1,80}}[,，][ \t]"
    r"{0,3}(?:so |thus |therefore |hence )?(?:(?:the|my|our)[ \t])?[*_]{0,3}",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"(?:[.,;:!?)\]}。，；$]|\b(?:so|then|thus|hence|therefore|and|get|gives?|is))[ \t*_]{1,6}(?:(?:so|then|thus|hence|"
    r"therefore|and)[ \t]{1,3}){0,2}(?:(?:the|my|our)[ \t]{1,3})?[*_]{0,3}\Z|[。，；][ \t]{0,3}\Z",
    re.IGNORECASE,
)
_BEHIND_COLON = re.compile(r"[:：][ \t*_]{0,6}(?:(?:the|my) )?\Z", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:whether|if|suppose|assum\w{1,4}|unless|what|not|cannot|doubt)\b[^.,;:!?]{0,30}\Z"
    r"|n['’]t\b[^.,;:!?]{0,30}\Z",
    re.IGNORECASE,
)
_KINDS_BEFORE = re.compile(rf"(?<![^\W_]){_KIND}{{1,3}}\Z", re.IGNORECASE)
# "reanswer" and "my_answer" are other words.
_IN_WORD = re.compile(r"[a-zà-ÿа-яё0-9]_?\Z", re.IGNORECASE)
_NOUNS = ("option", "choice")
MAX_LEAD_CHARACTERS = 160
"""Most characters of its line before an announcement that are looked at."""
_NUM_KINDS = 60
MAX_LABELS = 256
"""Most announcements of one form that are looked at, from the end of the text."""
_QUOTES = "'\"“‘`«「"


@dataclass(frozen=True, slots=True)
class AnswerLabel:
    """One announcement of an answer."""

    start: int
    end: int
    """Where the value begins, behind the label, its separator and their markup."""
    force: Force
    is_heading: bool
    """Whether nothing but the end of its line separates it from its value."""
    is_copula: bool
    """Whether it reads "is" and no colon."""


def find_labels(text: str, further_words: Sequence[str] = ()) -> Iterator[AnswerLabel]:
    """Yield each announcement of an answer in ``text``, without those in doubt, in quotes or in quoted lines."""
    word, label = _patterns(tuple(further_words))
    end = 0
    for place in deque((match.start() for match in word.finditer(text)), MAX_LABELS):
        match = label.match(text, place)
        kinds = _KINDS_BEFORE.search(text, max(0, place - _NUM_KINDS), place)
        start = place if kinds is None else kinds.start()
        if match is None or place < end or _IN_WORD.search(text, max(0, start - 2), start):
            continue
        end = match.end()
        before = text[max(0, start - MAX_LEAD_CHARACTERS) : start]
        begin = before.rfind("\n") + 1
        is_whole_line = begin > 0 or start <= MAX_LEAD_CHARACTERS
        line = before[begin:]
        if match["colon"] is not None and match["colon"][0] == "]":
            if line.strip("*_# \t") != "[":
                continue
            line = ""
        if line.lstrip().startswith(">"):
            continue
        is_copula, is_heading = match["copula"] is not None and match["colon"] is None, match["heading"] is not None
        if _HEDGE.search(line) or (is_heading and not _is_headed(line, text[start : match.end()])):
            continue
        is_forceful = _FORCEFUL.search(f"{text[start:place]} {match['kind_behind'] or ''}") is not None
        if match["noun"] and not is_forceful and (is_copula or is_heading):
            continue
        force = _force(line if is_whole_line else None, line, is_copula=is_copula, is_forceful=is_forceful)
        if line.rstrip("*_ ").endswith(tuple(_QUOTES)):
            if line.strip(_QUOTES + "*_ "):
                continue
            force = "mentioned"
        yield AnswerLabel(start, match.end(), force, is_heading, is_copula)


def _force(whole_line: str | None, line: str, *, is_copula: bool, is_forceful: bool) -> Force:
    """Return the force of a label behind ``line``; ``whole_line`` is None if the line begins further up."""
    if whole_line is not None and _OPENING.fullmatch(whole_line):
        return "said" if is_copula and not is_forceful else "stated"
    if whole_line is not None and is_forceful and _CLAUSE_OPENING.fullmatch(whole_line):
        return "stated"
    is_weak = is_copula and not is_forceful and not _BEHIND_COLON.search(line)
    return "mentioned" if is_weak or not _CLAUSE_END.search(line) else "said"


def _is_headed(line: str, label: str) -> bool:
    """Return whether a label without colon is a heading: alone in its line, in markup."""
    return not line.strip("#*_ \t") and ("#" in line or "*" in line + label or label[0].isupper())


@lru_cache(maxsize=16)
def _patterns(further_words: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the pattern that finds a word, and that of a whole announcement from its word on."""
    words = sorted({*ANSWER_WORDS, *further_words}, key=len, reverse=True)
    forms = {form: None for word in (*words, *_NOUNS) for form in (word, word.capitalize(), word.title(), word.upper())}
    any_word, any_noun = "|".join(map(re.escape, words)), "|".join(_NOUNS)
    label = (
        rf"(?:(?:{any_word})(?![a-z])|(?P<noun>{any_noun}))"
        rf"(?:[ \t]{{1,3}}(?:choice|option|letter|number)\b)?"
        rf"(?:[ \t*_]{{1,4}}(?P<kind_behind>{_KIND}))?"
        rf"(?:[ \t]{{1,3}}(?:to|of|for|in)[ \t][^:：\n.?!]{{1,60}}?)?"
        rf"(?:[ \t*_`]{{0,8}}(?P<copula>{_COPULA})"
        r"(?:[ \t]{1,3}(?:therefore|thus|hence|then|simply|just|indeed|clearly|actually|probably|likely)\b,?)?)?"
        r"(?:[ \t*_`]{0,8}(?P<colon>[:：=】→]|\]:?|[ \t][–—-](?=[ \t]))|(?(copula)"
        r"|(?P<heading>[*_ \t]{0,6}(?=\n))))[ \t*_:]{0,8}"
    )
    return re.compile("|".join(map(re.escape, forms))), re.compile(label, re.IGNORECASE)


def is_opening(line: str) -> bool:
    """Return whether ``line`` holds nothing but what may stand before an announced answer in its line."""
    return _OPENING.fullmatch(line) is not None
