"""Which values are mathematics that a prover can be asked about, and in which form."""

import re

from critic_engine.parsing.answers.values import Formula, Group, Quantity, Value, plain_number

_MAX_CHARACTERS = 200
_MAX_NUMBER_CHARACTERS = 40
_COMMANDS_TEXT = """
frac sqrt pi theta alpha beta gamma delta lambda mu sigma omega phi rho tau epsilon infty sin cos tan cot sec
csc arcsin arccos arctan sinh cosh tanh ln log exp binom cup cap
"""
_COMMANDS = frozenset(_COMMANDS_TEXT.split())
_SYMBOLS = {"π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ", "∪": r"\cup "}
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_FUNCTION = re.compile(r"(?<![A-Za-z\\])(?:arcsin|arccos|arctan|sin|cos|tan|ln|log|sqrt)(?![A-Za-z])")
_BARE_LOG = re.compile(r"\\log(?![A-Za-z]| ?_) ?")
_ROOT = re.compile(r"\\sqrt\(([^()]*)\)")
_PLAIN = re.compile(r"[0-9A-Za-z+*/^_{}()\[\]=,.|<> -]*")
# Names of segments and functions, bases of numerals, marks, dots, signs without an operand: a prover reads them as
# something else.
_MISREAD = re.compile(
    r"[A-Z]{2}|[A-Z][a-z]?[0-9]|[a-z]{3}|(?<![A-Za-z])[fghFGPCE]\(|[0-9}]_|\.\.|[+*/^_.,-]$|^[*/^_,]|[+*/^-]{2}|[<>]{2}|,|[<>=].*[<>=].*[<>=]"
)


def formula_of(value: Value) -> str | None:
    """Return the value in LaTeX for a prover; None if it is no mathematics, or could be misread."""
    if isinstance(value, Quantity):
        text = plain_number(value.amount)
        return (
            text
            if not value.unit.dimension and not value.unit.is_percent and len(text) <= _MAX_NUMBER_CHARACTERS
            else None
        )
    if not isinstance(value, Formula) or len(value.text) > _MAX_CHARACTERS:
        return None
    text = _FUNCTION.sub(lambda name: f"\\{name[0]}", value.text)
    text = _ROOT.sub(r"\\sqrt{\1}", text.replace("**", "^"))
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    commands = _COMMAND.findall(text)
    plain = _COMMAND.sub(" a ", text)
    if not _COMMANDS.issuperset(commands) or not _PLAIN.fullmatch(plain) or _MISREAD.search(plain.strip()):
        return None
    has_unknown = bool(commands) or any(character.isalpha() for character in plain)
    return text if has_unknown and _is_balanced(plain) else None


def in_both_logarithms(left: str, right: str) -> tuple[tuple[str, str], ...]:
    """Return a pair of formulas in each reading of a bare "log": the natural logarithm and that to the base 10."""
    if not _BARE_LOG.search(left + " " + right):
        return ((left, right),)
    return tuple((_BARE_LOG.sub(log, left), _BARE_LOG.sub(log, right)) for log in (r"\\ln ", r"\\log_{10} "))


def is_mathematics(value: Value) -> bool:
    """Return whether a prover can be asked about the value, or about one of its items."""
    return any(map(is_mathematics, value.items)) if isinstance(value, Group) else formula_of(value) is not None


def is_formula(value: Value) -> bool:
    """Return whether the value, or one of its items, is more than a number to a prover."""
    return (
        any(map(is_formula, value.items))
        if isinstance(value, Group)
        else (isinstance(value, Formula) and formula_of(value) is not None)
    )


def _is_balanced(text: str) -> bool:
    pairs, opened = {")": "(", "]": "[", "}": "{"}, []
    for character in text:
        if character in "([{":
            opened.append(character)
        elif character in pairs and (not opened or opened.pop() != pairs[character]):
            return False
    return not opened and text.count("|") % 2 == 0
