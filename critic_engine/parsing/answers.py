"""Finding the answer in a solution, and telling when two answers are the same."""

import decimal
import re
from collections.abc import Iterator, Sequence

_STATED = re.compile(
    r"\b(?:answer[ \t*_]{0,8}[:：]|final[ \t]{1,4}answer[ \t*_]{0,8}is\b)[ \t*_:]{0,8}\n?[ \t]{0,8}([^\n]+)",
    re.IGNORECASE,
)
_MENTIONED = re.compile(r"\banswer[ \t*_]{1,8}is\b[ \t*_:]{0,8}([^\n]+)", re.IGNORECASE)
_BOX_OR_BRACE = re.compile(r"\\boxed[ \t]{0,4}\{|\\[\\{}]|[{}]")
_MARKUP = "*_` "
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}")
_CHOICE_LETTER = re.compile(r"(?:(?:option|choice) )?(?:\(([a-z]{1,2})\)|([a-z]{1,2})(?=$|[.):]))(?:[.):]*$|[.):]* )")
_NUMBER = re.compile(r"([+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,2})?) ?(%?)")
_MAX_NUMBER_CHARACTERS = 64
_MAX_WORDS = 6


def extract_answer(text: str | Sequence[str]) -> str | None:
    """Return the answer that a text or its steps give, tidied; None when they give none.

    A stated answer comes first (see ``stated_answer``); without one, the last ``answer is X`` counts.
    """
    whole = _whole(text)
    stated = stated_answer(whole)
    return stated if stated is not None else _last(match[1] for match in _MENTIONED.finditer(whole))


def stated_answer(text: str | Sequence[str]) -> str | None:
    r"""Return the last answer in one of the forms that end a solution; None when there is none.

    The forms are ``answer : X``, ``final answer is X`` and ``\boxed{X}``; of two, the one that begins later counts.
    """
    whole = _whole(text)
    lines = [(match.start(), match[1]) for match in _STATED.finditer(whole)]
    boxes = [(start, whole[start:end]) for start, end in _last_box(whole)]
    return _last(found for _, found in sorted(lines + boxes))


def canonical_answer(answer: str, choices: Sequence[str] = ()) -> str:
    """Return the key that ``answer`` shares with every answer that means the same; a vote counts these.

    With choices, a letter ("B", "(b)", "B. two dogs") or a choice's own text becomes ``(B)``; "A dog" names no letter.
    Numbers are written plainly: "14.0" and "+14" are "14", "1,000" is "1000", "5%" is "0.05". Any other text is
    lower-cased, with single spaces and no dot at its end.
    """
    plain = _plain(answer)
    texts = [_plain(choice) for choice in choices]
    if plain in texts:
        return f"({choice_letter(texts.index(plain))})"
    index = _lettered_choice(_loosened(answer), len(choices))
    return plain if index is None else f"({choice_letter(index)})"


def answers_match(given: str | None, reference: str, choices: Sequence[str] = ()) -> bool:
    """Return whether ``given`` means the same as ``reference``; no answer matches nothing."""
    return given is not None and canonical_answer(given, choices) == canonical_answer(reference, choices)


def is_same_answer(given: str, reference: str, choices: Sequence[str] = ()) -> bool | None:
    """Return whether ``given`` means the same as ``reference``; None when that is not sure.

    It is not where ``given`` names none of the choices, where one of the two is a number and the other is none, where
    one holds the other's words and more, and where either has more than 6 words: what is told apart here may be labels.
    """
    key, wanted = canonical_answer(given, choices), canonical_answer(reference, choices)
    if key == wanted:
        return True
    if choices:
        letters = {f"({choice_letter(index)})" for index in range(len(choices))}
        return None if key not in letters or wanted not in letters else False
    if (_plain_number(key) is None) != (_plain_number(wanted) is None):
        return None
    words, wanted_words = key.split(), wanted.split()
    is_long = max(len(words), len(wanted_words)) > _MAX_WORDS
    return None if is_long or _holds(words, wanted_words) or _holds(wanted_words, words) else False


def choice_letter(index: int) -> str:
    """Return the letter of the 0-based ``index``: A to Z, then AA, AB and so on."""
    letters = ""
    index += 1
    while index:
        index, place = divmod(index - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def _holds(words: Sequence[str], fewer: Sequence[str]) -> bool:
    """Return whether ``fewer`` occur in ``words``, in a row."""
    return any(words[at : at + len(fewer)] == fewer for at in range(len(words) - len(fewer) + 1))


def _whole(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "\n".join(text)


def _last(found: Iterator[str]) -> str | None:
    answer = None
    for raw in found:
        answer = _tidied(raw) or answer
    return answer


def _tidied(raw: str) -> str:
    printable = "".join(character for character in " ".join(raw.split()) if character.isprintable())
    return printable.strip(_MARKUP).rstrip("." + _MARKUP)


def _last_box(text: str) -> list[tuple[int, int]]:
    r"""Return the span inside the last ``\boxed{...}`` whose braces balance, as a list of at most one."""
    opened: list[int | None] = []
    span: list[tuple[int, int]] = []
    for match in _BOX_OR_BRACE.finditer(text):
        if match[0].startswith("\\boxed"):
            opened.append(match.end())
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "}" and opened:
            start = opened.pop()
            span = span if start is None else [(start, match.start())]
    return span


def _plain(answer: str) -> str:
    loose = _loosened(answer)
    return _plain_number(loose) or loose


def _loosened(answer: str) -> str:
    bare = _tidied(answer).strip("$ ").replace("−", "-")
    bare = _TEXT_COMMAND.sub(r"\1", bare).replace(r"\%", "%").strip("\"'" + _MARKUP)
    return bare.casefold().rstrip(". ")


def _plain_number(text: str) -> str | None:
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER_CHARACTERS else None
    digits = match[1].replace(",", "") if match else ""
    if match is None or not any(character.isdigit() for character in digits.partition("e")[0]):
        return None
    number = decimal.Decimal(digits).scaleb(-2 if match[2] else 0, decimal.Context(prec=2 * _MAX_NUMBER_CHARACTERS))
    whole, _, fraction = format(number, "f").partition(".")
    plain = whole + ("." + fraction.rstrip("0") if fraction.rstrip("0") else "")
    return "0" if plain == "-0" else plain


def _lettered_choice(loose: str, num_choices: int) -> int | None:
    match = _CHOICE_LETTER.match(loose)
    if match is None:
        return None
    letter = (match[1] or match[2]).upper()
    return next((index for index in range(num_choices) if choice_letter(index) == letter), None)
