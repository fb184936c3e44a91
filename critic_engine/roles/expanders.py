"""Expanders: extend a trajectory by one step, or by a whole solution."""

from dataclasses import dataclass, replace

from critic_engine.config.search import ExpanderConfig
from critic_engine.protocols import Expander, Expansion, ExpansionContext
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class StepExpander:
    """Extends a trajectory by one step. If ``is_critic_guided``, the reasoner sees the critiques in the context.

    A trajectory that is finished or has ``max_steps`` steps gets no continuations.
    """

    reasoner: Reasoner
    options: ExpanderConfig

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one next step for each seed."""
        if context.trajectory.is_finished or len(context.trajectory.steps) >= self.options.max_steps:
            return Expansion((), TokenUsage())
        return await self.reasoner.next_steps(problem, context, seeds=seeds, options=self.options)

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        """Return the remaining steps, at most one continuation for each seed."""
        return await self.reasoner.finish(problem, trajectory, seeds=seeds, options=self.options)


@dataclass(frozen=True, slots=True)
class SolutionExpander:
    """Writes whole solutions: fresh ones at the root, and below it rewrites guided by the critique.

    Below the root, a solution without a critique is replaced by fresh ones.
    """

    reasoner: Reasoner
    options: ExpanderConfig
    """How a solution is split into steps."""

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one solution for each seed."""
        former, critique = context.trajectory, context.critique
        if former.steps and critique is not None:
            expansion = await self.reasoner.rewrite(
                problem,
                former,
                critique,
                base=Trajectory(),
                seeds=seeds,
                options=self.options,
                is_repeated=context.is_repeated,
            )
        else:
            # Below the root, this is what the root was asked.
            is_repeated = context.is_repeated or bool(former.steps)
            expansion = await self.reasoner.solve(problem, seeds=seeds, options=self.options, is_repeated=is_repeated)
        is_rewrite = bool(former.steps)
        continuations = tuple(replace(continuation, is_rewrite=is_rewrite) for continuation in expansion.continuations)
        return replace(expansion, continuations=continuations)

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one fresh solution for each seed; a solution cut by the token limit is not continued.

        The root was asked for the same before.
        """
        return await self.expand(problem, ExpansionContext(trajectory, is_repeated=True), seeds=seeds)


def make_expander(options: ExpanderConfig, reasoner: Reasoner) -> Expander:
    """Return the expander that ``options.kind`` names."""
    if options.kind == "solution":
        return SolutionExpander(reasoner, options)
    return StepExpander(reasoner, options)
