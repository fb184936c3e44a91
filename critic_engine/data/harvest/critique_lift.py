"""Critiques of wrong paths, and how much each of them helps: the measured lift."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from critic_engine.config.collect import LiftConfig
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.pairs import Pair
from critic_engine.errors import GenerationError
from critic_engine.protocols import Expansion
from critic_engine.roles.annotator import Annotation
from critic_engine.roles.checker import Checker
from critic_engine.roles.reasoner import Reasoner
from critic_engine.seeds import derive_seed
from critic_engine.statistics import Interval, difference
from critic_engine.types import Critique, Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class Tally:
    """How draws from one place came out."""

    num_right: int
    num_wrong: int
    """Those that answer wrong, or not at all."""
    num_unsure: int = 0
    """Those whose answer the checker cannot tell; no label, and left out of the rate."""

    @property
    def num_known(self) -> int:
        """Draws that came out right or wrong."""
        return self.num_right + self.num_wrong

    @property
    def rate(self) -> float | None:
        """The share of right ones, in [0, 1]; None without any that can be told."""
        return self.num_right / self.num_known if self.num_known else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of drawing from one place."""

    tally: Tally | None
    """None when nothing could be drawn."""
    corrected: str | None
    """The text of the first right one, from its beginning to its end; None when there is none."""
    usage: TokenUsage
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is kept of it, as what JSON can hold."""
        return {
            "tally": None if self.tally is None else asdict(self.tally),
            "corrected": self.corrected,
            "error": self.error,
        }


def lift(refined: Tally, baseline: Tally) -> Interval | None:
    """Return the success rate with a critique less that without one, in [-1, 1]; None when either is unknown."""
    if refined.rate is None or baseline.rate is None:
        return None
    return difference((refined.num_right, refined.num_known), (baseline.num_right, baseline.num_known))


@dataclass(frozen=True, slots=True)
class CritiqueRecord:
    """One critique of the rejected side of one pair."""

    pair: int
    """The number of its pair among the problem's, from 0."""
    annotator: str
    annotation: Annotation
    words: str
    """As the family's critics write; of a faulty annotation too, where it says anything."""
    refined: Tally | None = None
    """How refinements with it came out; None when it was not measured."""
    corrected: str | None = None
    """A right solution that it brought about."""


def critique_to_dict(record: CritiqueRecord) -> dict[str, Any]:
    """Return the record as what JSON can hold."""
    return asdict(record)


def critique_from_dict(data: Mapping[str, Any]) -> CritiqueRecord:
    """Return the record that ``critique_to_dict`` made ``data`` of."""
    return CritiqueRecord(
        **{**data, "annotation": Annotation(**data["annotation"]), "refined": tally_of(data["refined"])}
    )


def tally_of(data: Mapping[str, Any] | None) -> Tally | None:
    """Return the tally that ``dataclasses.asdict`` made ``data`` of."""
    return None if data is None else Tally(**data)


def base_of(pair: Pair, options: LiftConfig) -> Trajectory:
    """Return what draws with a critique of ``pair`` and draws without one both go on from."""
    return pair.trajectory() if options.refine_from == "node" else Trajectory()


class LiftMeter:
    """Draws from where a pair parts, with a critique and without."""

    def __init__(self, reasoner: Reasoner, checker: Checker, *, options: LiftConfig, expander: ExpanderConfig) -> None:
        """Take who refines, who knows what is right, how much is drawn, and what a step is."""
        self._reasoner = reasoner
        self._checker = checker
        self._options = options
        self._expander = expander

    def base(self, pair: Pair) -> Trajectory:
        """Return what both sides of the comparison go on from."""
        return base_of(pair, self._options)

    async def refine(self, problem: Problem, pair: Pair, words: str, *, seed: int, is_fresh: bool = False) -> Measured:
        """Return how ``words`` on the rejected path come out: MMC's refinements, arXiv 2504.11009, stage 3.

        As many are drawn as ``num_refinements`` says, of fresh ones as ``num_fresh`` does.
        """
        num = self._options.num_fresh if is_fresh else self._options.num_refinements
        critique = Critique(words, "wrong", None)
        base, former = self.base(pair), pair.trajectory(pair.rejected)
        try:
            expansion = await self._reasoner.refine(
                problem, former, critique, base=base, seeds=_seeds(seed, num), options=self._expander
            )
        except GenerationError as error:
            return Measured(None, None, TokenUsage(), str(error))
        return self._measured(problem, base, expansion)

    async def baseline(self, problem: Problem, base: Trajectory, *, seed: int, is_fresh: bool = False) -> Measured:
        """Return how ``base`` comes out, in as many draws, when nothing is said of it."""
        seeds = _seeds(seed, self._options.num_fresh if is_fresh else self._options.num_refinements)
        try:
            expansion = await self._reasoner.finish(problem, base, seeds=seeds, options=self._expander)
        except GenerationError as error:
            return Measured(None, None, TokenUsage(), str(error))
        return self._measured(problem, base, expansion)

    def _measured(self, problem: Problem, base: Trajectory, expansion: Expansion) -> Measured:
        verdicts = [self._checker.is_right(problem, continuation.answer) for continuation in expansion.continuations]
        tally = Tally(
            num_right=sum(verdict is True for verdict in verdicts),
            num_wrong=sum(verdict is False for verdict in verdicts) + expansion.num_unreadable,
            num_unsure=sum(verdict is None for verdict in verdicts),
        )
        right = [each for each, verdict in zip(expansion.continuations, verdicts, strict=True) if verdict]
        corrected = None
        if right:
            rest = Trajectory(right[0].steps, texts=right[0].texts).prefix
            corrected = (base.prefix + rest).strip()
        return Measured(tally, corrected, expansion.usage)


def _seeds(seed: int, num: int) -> tuple[int, ...]:
    return tuple(derive_seed(seed, number) for number in range(num))
