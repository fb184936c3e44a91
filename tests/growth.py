"""Proof that work is linear in its text: by how its processor time grows, which no slow or busy machine changes."""

import time
from collections.abc import Callable

MAX_GROWTH = 40
"""Ten times the text takes linear work about 10 times as long and quadratic work 100 times."""


def assert_linear(work: Callable[[str], object], text: str) -> None:
    """Fail when the work on the whole text takes far more than ten times that on its first tenth, three times over."""
    growths = []
    for _ in range(3):
        tenth_s, whole_s = (processor_s(work, part) for part in (text[: len(text) // 10], text))
        growths.append(whole_s / max(tenth_s, 0.001))  # below a millisecond a clock's steps count
        if growths[-1] < MAX_GROWTH:
            return
    raise AssertionError(f"ten times the text took {min(growths):.0f} times the processor time")


def processor_s(work: Callable[[str], object], text: str) -> float:
    start_s = time.thread_time()
    work(text)
    return time.thread_time() - start_s
