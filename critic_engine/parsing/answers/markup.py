"""Take an answer out of its markup: marks of emphasis, quotes, mathematics' delimiters and LaTeX's many spellings."""

import re
import unicodedata

MAX_CHARACTERS = 2000
"""Length up to which an answer is read; a longer one is compared as it is written."""

_FINAL = re.compile(r"(?:^|\n)[ \t]{0,8}####[ \t]{0,8}([^\n#][^\n]*)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_VULGAR = {mark: unicodedata.normalize("NFKC", mark).replace("⁄", "/") for mark in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_VULGAR_MARK = re.compile(rf"([0-9]?) ?([{''.join(_VULGAR)}])")
_MINUS = str.maketrans({"−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/"})
_CURLY_QUOTES = str.maketrans("“”‘’„«»′″", '""\'\'"""\'"')
# The spellings of LaTeX that mean nothing, or the same as a plainer one.
_LATEX = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\\(?:text|mathrm|mathbf|mathit|mathsf|textbf|textit|textrm|mbox|hbox|operatorname|emph|bm)\*? ?\{([^{}]*)\}",
         r"\1"),
        (r"\\(?:left|right|displaystyle|textstyle|limits|big|Big|bigg|Bigg)(?![A-Za-z])\.?", ""),
        (r"\\!", ""),
        (r" ?\\\\ ?", r"\\\\"),
        (r"\\(begin|end)\{bmatrix\}", r"\\\1{pmatrix}"),
        (r"\\(?:[,;: ]|quad(?![A-Za-z])|qquad(?![A-Za-z]))|(?<=\S)~", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac ?([0-9]) ?([0-9])(?![0-9])", r"\\frac{\1}{\2}"),
        (r"\\frac ?([0-9]) ?\{", r"\\frac{\1}{"),
        (r"\\frac ?(\{[^{}]*\}) ?([0-9a-z])", r"\\frac\1{\2}"),
        (r"\\frac \{", r"\\frac{"),
        (r"\\sqrt ?([0-9a-z])", r"\\sqrt{\1}"),
        (r"\{,\}", ","),
        (r" ?& ?(?=.*\\end)", "&"),
        (r"([_^])\{ ?([0-9A-Za-z]) ?\}", r"\1\2"),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", "*"),
        (r"\\div(?![A-Za-z])", "/"),
        (r"\\(?:leqslant|leq|le)(?![A-Za-z])|≤", "<="),
        (r"\\(?:geqslant|geq|ge)(?![A-Za-z])|≥", ">="),
        (r"\\(?:neq|ne)(?![A-Za-z])", "≠"),
        (r"\\pm(?![A-Za-z])", "±"),
        (r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])", "°"),
        (r"\\infty(?![A-Za-z])", "∞"),
        (r"\\pi(?![A-Za-z])", "π"),
        (r"\\theta(?![A-Za-z])", "θ"),
        (r"\\cup(?![A-Za-z])", "∪"),
        (r"\\in(?![A-Za-z])", "∈"),
        (r"\\angle(?![A-Za-z]) ?", "∠"),
        (r"\\triangle(?![A-Za-z]) ?", "△"),
        (r"\\(?:emptyset|varnothing)(?![A-Za-z])", "∅"),
        (r"\\mathbb ?\{?([A-Z])(?![A-Za-z])\}?", r"\1"),
        (r"\\([%$#&{}_])", r"\1"),
        (r"√ ?([0-9a-z]+)", r"\\sqrt{\1}"),
        (r"√ ?\(([^()]*)\)", r"\\sqrt{\1}"),
    )
)  # fmt: skip
# Names of numbers in words, where no other words stand.
_NUMBER_NAMES = tuple(
    (re.compile(pattern, flags), plain)
    for pattern, plain, flags in (
        (r"\b(?:negative |minus )(?=inf)", "-", re.IGNORECASE),
        (r"\b(?:positive |plus )(?=inf)|\+(?=inf|∞)", "", re.IGNORECASE),
        (r"(?<![A-Za-z\\])(?:infinity|inf)(?![A-Za-z])", "∞", re.IGNORECASE),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", "π", 0),
    )
)
_WORDS = re.compile(
    r"(?<![\\A-Za-z])(?!(?:infinity|inf|positive|negative|plus|minus|sqrt)(?![A-Za-z]))[A-Za-z]{3,}", re.IGNORECASE
)
_COMPOUND = re.compile(
    r"(?=[^_^]{1,20}[_^])(?:(?:[A-Z][a-z]?|\((?:[A-Z][a-z]?(?:_?[0-9]{1,3}|_\{[0-9]{1,3}\})?){1,4}\))"
    r"(?:_?[0-9]{1,3}|_\{[0-9]{1,3}\})?){1,12}(?:\^(?:[0-9]?[+-]|\{[0-9]?[+-]\}))?"
)
_NEEDS_LATEX = re.compile(r"[\\√~≤≥]|[_^]\{|\{,")
_PAIRS = (
    ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ('"', '"'), ("'", "'"), ("$$", "$$"), ("$", "$"),
    (r"\(", r"\)"), (r"\[", r"\]"), ("\\boxed{", "}"), ("\\fbox{", "}"), ("<answer>", "</answer>"),
)  # fmt: skip
_UNPAIRED = ("**", "__", "`")
_MAX_LAYERS = 12
_ABBREVIATION = re.compile(r"(?:^|[ .])[^\W\d_]\.$")


def final_line(text: str) -> str:
    """Return the answer behind the last ``####`` at the start of a line, GSM8K's mark; ``text`` if there is none."""
    if "####" not in text:
        return text
    lines = _FINAL.findall(text)
    return lines[-1] if lines else text


def bare(text: str) -> str:
    """Return an answer in one line, without markup around it and in the plain spelling of its mathematics.

    Case stays, and marks that may mean something do: the prime of f', the star of z*, the inch of 6", three dots.
    """
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(text) > MAX_CHARACTERS:
        return text
    text = _unwrapped(_plain_characters(text))
    if _NEEDS_LATEX.search(text):
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
        text = _unwrapped(" ".join(text.split()), is_math=True)
    if _COMPOUND.fullmatch(text):
        return re.sub(r"\^(?=[+-])", "", re.sub(r"[_{}]", "", text))
    if not _WORDS.search(text):
        for pattern, plain in _NUMBER_NAMES:
            text = pattern.sub(plain, text)
    return text


def _plain_characters(text: str) -> str:
    if text.isascii():
        return text
    text = _VULGAR_MARK.sub(lambda mark: f"{mark[1]}{' ' if mark[1] else ''}{_VULGAR[mark[2]]}", text)
    text = _RAISED.sub(lambda raised: "^" + raised[0].translate(_SUPERSCRIPTS), text)
    text = text.translate(_MINUS).translate(_CURLY_QUOTES)
    return "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")


def _unwrapped(text: str, *, is_math: bool = False) -> str:
    for _ in range(_MAX_LAYERS):
        before = text
        text = _without_end(text.strip())
        for opening, closing in _PAIRS:
            # A dollar left behind LaTeX's delimiters is money.
            if not (is_math and opening == "$") and _is_around(text, opening, closing):
                text = text[len(opening) : len(text) - len(closing)].strip()
        for mark in _UNPAIRED:
            if text.count(mark) == 1 and len(text) > len(mark):
                text = text.removeprefix(mark).removesuffix(mark)
        if text == before:
            break
    return text


def _is_around(text: str, opening: str, closing: str) -> bool:
    """Return whether both marks are around the whole text, and belong together."""
    if len(text) <= len(opening) + len(closing) or not text.startswith(opening) or not text.endswith(closing):
        return False
    inner = text[len(opening) : len(text) - len(closing)]
    if closing != "}":
        return opening not in inner and closing not in inner
    depth = 0
    for character in inner:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _without_end(text: str) -> str:
    """Return the text without the mark that ends its sentence; an abbreviation and three dots keep theirs."""
    if text.endswith((",", ";", ":")):
        return text[:-1].rstrip()
    is_end = text.endswith(".") and not text.endswith("..") and not _ABBREVIATION.search(text[-4:-1] + ".")
    return text[:-1].rstrip() if is_end or (text.endswith(".") and len(text) == 2) else text
