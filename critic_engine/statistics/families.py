"""Several tests at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values, in the order given (Holm, 1979, Scandinavian Journal of Statistics 6, 65-70).

    The k-th smallest of ``m`` becomes the largest of ``(m - j + 1) * p_j`` over ``j <= k``, at most 1. Calling those at
    most 0.05 significant errs in one or more true null hypotheses of the family at most 5 % of the time.

    Raises:
        ValueError: a p-value lies outside [0, 1].
    """
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise ValueError(f"a p-value is {p_value}; it must lie in [0, 1]")
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
