"""The smallest difference that some problems could show, and how many problems would show a difference."""

import math
from statistics import NormalDist

from critic_engine.statistics.paired import Discordance


def smallest_difference(
    num_problems: int, *, discordance: Discordance, level: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest true difference that a two-sided paired test of ``num_problems`` finds with this power.

    The inverse of ``num_to_show``: ``x * size * max(sqrt(share), x)``, where ``x`` solves
    ``sqrt(n) * x = z(1 - level / 2) + z(power) * sqrt(1 - x**2)``. Where ``sqrt(share)`` is below ``x``, methods that
    differ on so few problems cannot differ enough, and the result is for methods that differ on more, all to one side.
    It is 1 where nothing could be shown, as when ``n`` problems that all fall to one side, with a p-value of
    ``2**(1 - n)``, do not reach the level.
    """
    z_level, z_power = _quantile(1 - level / 2), _quantile(power)
    root = num_problems - z_level**2 + z_power**2
    if root < 0 or 2.0 ** (1 - num_problems) > level:
        return 1.0
    x = (z_level * math.sqrt(num_problems) + z_power * math.sqrt(root)) / (num_problems + z_power**2)
    return min(1.0, x * discordance.size * max(math.sqrt(discordance.share), x))


def num_to_show(difference: float, *, discordance: Discordance, level: float = 0.05, power: float = 0.8) -> int | None:
    """Return how many problems a two-sided paired test needs to find this true difference; None for a difference of 0.

    ``(z(1 - level / 2) * sqrt(s) + z(power) * sqrt(s - difference**2))**2 / difference**2``, where ``s`` is the mean
    square of a problem's difference, ``share * size**2`` (Connor, 1987, Biometrics 43, 207-211, where ``size`` is 1).
    """
    if difference == 0:
        return None
    square = max(discordance.share * discordance.size**2, difference**2)
    under_null = _quantile(1 - level / 2) * math.sqrt(square)
    return math.ceil(((under_null + _quantile(power) * math.sqrt(square - difference**2)) / difference) ** 2)


def num_to_rule_out(
    margin: float, *, difference: float, discordance: Discordance, level: float = 0.05, power: float = 0.8
) -> int | None:
    """Return how many problems bring the interval of this true difference within ``+-margin``; None if none could.

    ``(s - difference**2) * ((z(1 - level / 2) + z((1 + power) / 2)) / (margin - abs(difference)))**2``, the two
    one-sided tests of equivalence (Schuirmann, 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680).
    """
    room = margin - abs(difference)
    if room <= 0:
        return None
    variance = max(discordance.share * discordance.size**2 - difference**2, 0.0)
    return math.ceil(variance * ((_quantile(1 - level / 2) + _quantile((1 + power) / 2)) / room) ** 2)


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)
