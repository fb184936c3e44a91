"""Critiques of wrong paths and their lift: how much each of them helps the reasoner."""

from dataclasses import dataclass

from critic_engine.config.collect import LiftConfig
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.pairs import Pair
from critic_engine.errors import GenerationError
from critic_engine.roles.annotator import Annotation
from critic_engine.roles.checker import Checker
from critic_engine.roles.reasoner import Reasoner
from critic_engine.run.findings import Finding
from critic_engine.seeds import derive_seed
from critic_engine.statistics.intervals import Interval, difference
from critic_engine.types import Critique, Problem, Trajectory


@dataclass(frozen=True, slots=True)
class DrawCounts:
    """Outcomes of several draws from one place."""

    num_right: int
    num_wrong: int
    """Draws with a wrong answer, or with none."""
    num_unsure: int = 0
    """Draws whose answer the checker cannot tell; no label, and left out of the lift."""

    @property
    def num_known(self) -> int:
        """Draws that came out right or wrong."""
        return self.num_right + self.num_wrong


@dataclass(frozen=True, slots=True)
class DrawResult:
    """The result of several draws from one place."""

    tally: DrawCounts | None = None
    """None when nothing could be drawn."""
    corrected: str | None = None
    """The whole text of the first right draw, from the beginning of the solution; None when there is none."""
    error: str | None = None


def lift(refined: DrawCounts | None, baseline: DrawCounts | None) -> Interval | None:
    """Return the success rate with a critique less that without one, in [-1, 1]; None when either is unknown."""
    if refined is None or baseline is None or not refined.num_known or not baseline.num_known:
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
    """The critique as critics of its prompt family write it; set for a faulty annotation too if that has a text."""
    refined: DrawCounts | None = None
    """Outcomes of the refinements with it; None when it was not measured."""
    corrected: str | None = None
    """A right solution that it led to."""


def base_of(pair: Pair, options: LiftConfig) -> Trajectory:
    """Return the steps that draws with and without a critique of ``pair`` both continue."""
    return pair.trajectory() if options.refine_from == "node" else Trajectory()


@dataclass(frozen=True, slots=True)
class LiftMeter:
    """Draws solutions from where a pair parts, with a critique and without."""

    reasoner: Reasoner
    checker: Checker
    options: LiftConfig
    expander: ExpanderConfig

    async def draw(
        self, problem: Problem, pair: Pair, words: str | None, *, seed: int, is_fresh: bool = False
    ) -> Finding[DrawResult]:
        """Return the outcomes of draws with a critique of the rejected path, or with none where ``words`` is None.

        Those with a critique are refinements: MMC, arXiv 2504.11009, stage 3. They are ``num_refinements``, or
        ``num_fresh`` fresh ones.
        """
        num = self.options.num_fresh if is_fresh else self.options.num_refinements
        seeds, base = tuple(derive_seed(seed, number) for number in range(num)), base_of(pair, self.options)
        try:
            if words is None:
                expansion = await self.reasoner.finish(problem, base, seeds=seeds, options=self.expander)
            else:
                former, critique = pair.trajectory(pair.rejected), Critique(words, "wrong", None)
                expansion = await self.reasoner.rewrite(
                    problem, former, critique, base=base, seeds=seeds, options=self.expander
                )
        except GenerationError as error:
            return Finding(DrawResult(error=str(error)), error.usage)
        await self.checker.settle(problem, (continuation.answer for continuation in expansion.continuations))
        verdicts = [self.checker.is_right(problem, continuation.answer) for continuation in expansion.continuations]
        counts = DrawCounts(
            num_right=sum(verdict is True for verdict in verdicts),
            num_wrong=sum(verdict is False for verdict in verdicts) + expansion.num_unreadable,
            num_unsure=sum(verdict is None for verdict in verdicts),
        )
        right = [each for each, verdict in zip(expansion.continuations, verdicts, strict=True) if verdict]
        corrected = None
        if right:
            rest = Trajectory(right[0].steps, texts=right[0].texts).prefix
            corrected = (base.prefix + rest).strip()
        return Finding(DrawResult(counts, corrected), expansion.usage)
