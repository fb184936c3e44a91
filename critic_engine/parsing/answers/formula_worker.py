"""The program of the process that compares formulas: a line with two of them in, a line with the verdict out.

It is run by its path and imports nothing of this package.
"""

import contextlib
import json
import random
import re
import resource
import signal
import sys
from types import FrameType
from typing import Any

_PROCESSOR_LIMIT_S = 4.0
_MAX_BYTES = 6 * 2**30
_DIGITS = 40
_NUM_POINTS = 4
_CLEAR = 0.02
"""Relative distance from which two numbers surely differ; below it one may be the other rounded."""
_EXACT = 1e-25
# math-verify takes the "ab" of "2ab" for a unit and drops it; "2{a}b" it reads as a product.
_PRODUCT = re.compile(r"([0-9})] ?)([A-Za-z])( ?[A-Za-z])(?![A-Za-z])")


class OutOfTime(BaseException):
    """The comparison took too long; no handler of ordinary exceptions stops it."""


def main() -> None:
    """ReadAnswer each line until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the program that asks
    signal.signal(signal.SIGPROF, _stop)
    with contextlib.suppress(ValueError, OSError):  # not every system limits memory
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    _load()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_verdict(*json.loads(line))), flush=True)


def _load() -> None:
    _formula("x+1")


def _stop(signum: int, frame: FrameType | None) -> None:
    raise OutOfTime


def _verdict(left: str, right: str, verb: str = "compare") -> bool | str | None:
    signal.setitimer(signal.ITIMER_PROF, _PROCESSOR_LIMIT_S)
    try:
        return _verify(left, right) if verb == "verify" else _compare(_formula(left), _formula(right))
    except OutOfTime:
        return "late"
    except Exception:
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _verify(reference: str, answer: str) -> bool | None:
    """Return math-verify's verdict; None if it reads nothing in one of them."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    forms = [LatexExtractionConfig(), ExprExtractionConfig()]
    read = [parse(text, extraction_config=forms, parsing_timeout=None) for text in (reference, answer)]
    return bool(verify(read[0], read[1], timeout_seconds=None)) if all(read) else None


def _formula(text: str) -> Any:
    """Return the expression, with its decimals as exact fractions; None if it cannot be read."""
    import sympy
    from math_verify import LatexExtractionConfig, parse

    text = _PRODUCT.sub(r"\1{\2}\3", text)
    found = parse(f"${text}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    if not found or not isinstance(found[0], sympy.Basic):
        return None
    return sympy.nsimplify(found[0], rational=True) if found[0].atoms(sympy.Float) else found[0]


def _compare(left: Any, right: Any) -> bool | None:
    import sympy
    from math_verify import verify

    if left is None or right is None or isinstance(left, sympy.Expr) != isinstance(right, sympy.Expr):
        return None
    if isinstance(left, sympy.Expr):
        if left.free_symbols != right.free_symbols:
            return None
        # Numbers at a few points tell most formulas apart at once; only equal ones need to be proved.
        distances = [_distance(left, right, seed) for seed in range(_NUM_POINTS if left.free_symbols else 1)]
        known = [distance for distance in distances if distance is not None]
        if not known:
            return None
        if max(known) > _EXACT:
            return False if len(known) == len(distances) and min(known) > _CLEAR else None
    is_equal = verify(left, right, timeout_seconds=None) and verify(right, left, timeout_seconds=None)
    return True if is_equal else None


def _distance(left: Any, right: Any, seed: int) -> float | None:
    """Return the relative distance of two expressions at a random point; None where they have no number there."""
    import sympy

    drawn = random.Random(seed)
    symbols = sorted(left.free_symbols, key=str)
    point = {symbol: sympy.Rational(drawn.randint(101, 999), 97) for symbol in symbols}
    numbers = [sympy.N(side.subs(point), _DIGITS, maxn=400) for side in (left, right)]
    if not all(number.is_number and number.is_finite for number in numbers):
        return None
    size = max(abs(number) for number in numbers)
    return float(abs(numbers[0] - numbers[1]) / size) if size else 0.0


if __name__ == "__main__":
    main()
