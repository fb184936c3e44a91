"""Verdicts on pairs of methods: a word, and the numbers that it rests on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from critic_engine.statistics.families import holm
from critic_engine.statistics.intervals import Interval
from critic_engine.statistics.paired import clustered_difference, discordance, mean_differences, sign_flip_test
from critic_engine.statistics.power import num_to_rule_out, num_to_show, smallest_difference

FEWEST_PROBLEMS = 20

Verdict = Literal["better", "worse", "no_difference", "inconclusive"]


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """The verdict on two methods over the same problems."""

    ours: str
    theirs: str
    num_problems: int
    difference: Interval
    """Accuracy of ours minus theirs, in [-1, 1]."""
    p_value: float
    """Two-sided, of the exact paired test over problems."""
    adjusted_p_value: float
    """Holm's, over all pairs judged together."""
    smallest_effect: float
    """The smallest true difference that this many problems show with 80 % power; 1 where none could be shown."""
    num_needed: int | None
    """How many problems would settle an inconclusive pair with 80 % power, if the true difference is the one seen."""
    verdict: Verdict

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.num_problems < FEWEST_PROBLEMS:
            return (
                f"inconclusive: with fewer than {FEWEST_PROBLEMS} problems ({self.num_problems}), "
                "neither a difference nor its absence can be concluded"
            )
        if self.verdict == "no_difference":
            return f"no difference larger than {max(abs(self.difference.low), abs(self.difference.high)):.3f}"
        if self.verdict != "inconclusive":
            return self.verdict
        if self.num_needed is None:
            return "inconclusive"
        return f"inconclusive: {self.num_needed:,} problems would be needed"


def judge_pairs(
    outcomes: Mapping[str, Sequence[Sequence[float]]],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    seed: int,
    margin: float = 0.02,
    level: float = 0.05,
) -> tuple[PairVerdict, ...]:
    """Return the verdict of each of ``pairs``, (ours, theirs); None is every pair of ``outcomes``, the earlier as ours.

    ``outcomes`` holds for each method a sequence a problem, the same problems in the same order, and in it an outcome
    in [0, 1] a seed. A pair is

    - ``better`` or ``worse`` when Holm's adjusted p-value is at most ``level`` and the 95 % interval of the difference
      lies wholly above or below 0;
    - else ``no_difference`` when the interval lies within ``+-margin``;
    - else ``inconclusive``, as is every pair with fewer than 20 problems.

    The smallest effect and the number needed are those at ``level`` divided by the number of pairs, the level at which
    Holm's procedure shows a first difference.

    Raises:
        ValueError: ``margin`` is negative, ``level`` is not in (0, 1), or see ``clustered_difference``.
    """
    if not margin >= 0 or not 0 < level < 1:
        raise ValueError(f"margin is {margin} and level {level}; margin must not be negative and level lie in (0, 1)")
    pairs = list(combinations(outcomes, 2)) if pairs is None else pairs
    p_values = [sign_flip_test(outcomes[ours], outcomes[theirs]) for ours, theirs in pairs]
    verdicts = []
    for (ours, theirs), p_value, adjusted in zip(pairs, p_values, holm(p_values), strict=True):
        differences = mean_differences(outcomes[ours], outcomes[theirs])
        spread, pair_level = discordance(differences), level / len(pairs)
        interval = clustered_difference(outcomes[ours], outcomes[theirs], seed=seed)
        verdict = _verdict(interval, adjusted, len(differences), margin=margin, level=level)
        ways = (
            num_to_show(interval.estimate, discordance=spread, level=pair_level),
            num_to_rule_out(margin, difference=interval.estimate, discordance=spread),
        )
        verdicts.append(
            PairVerdict(
                ours=ours,
                theirs=theirs,
                num_problems=len(differences),
                difference=interval,
                p_value=p_value,
                adjusted_p_value=adjusted,
                smallest_effect=smallest_difference(len(differences), discordance=spread, level=pair_level),
                num_needed=_fewest(ways, more_than=len(differences)) if verdict == "inconclusive" else None,
                verdict=verdict,
            )
        )
    return tuple(verdicts)


def _fewest(ways: Iterable[int | None], *, more_than: int) -> int | None:
    fewest = min((number for number in ways if number is not None), default=None)
    return None if fewest is None else max(fewest, more_than + 1, FEWEST_PROBLEMS)


def _verdict(
    difference: Interval, adjusted_p_value: float, num_problems: int, *, margin: float, level: float
) -> Verdict:
    if num_problems < FEWEST_PROBLEMS:
        return "inconclusive"
    if adjusted_p_value <= level and difference.low > 0:
        return "better"
    if adjusted_p_value <= level and difference.high < 0:
        return "worse"
    if -margin <= difference.low and difference.high <= margin:
        return "no_difference"
    return "inconclusive"
