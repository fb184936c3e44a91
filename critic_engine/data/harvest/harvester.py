"""From one labelled tree to its findings: pairs, critiques with their lift, step labels, injected errors."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.collect import CollectConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.data.harvest.critique_lift import CritiqueRecord, LiftMeter, base_of
from critic_engine.data.harvest.error_detection import InjectionResult, InjectionRoles, inject_and_detect
from critic_engine.data.harvest.finding_kinds import (
    CRITIQUES,
    INJECTION,
    LABELS,
    PAIRS,
    PATHS,
    SEARCH,
    baseline_key,
    refined_key,
    value_key,
)
from critic_engine.data.harvest.labels import (
    FailedSearch,
    SearchedPath,
    StepLabel,
    first_error,
    tree_labels,
)
from critic_engine.data.harvest.pair_checks import (
    best_first,
    divergence_fault,
    parting_steps,
    reference_fault,
    support_fault,
)
from critic_engine.data.harvest.pairs import Pair, errors, make_pairs
from critic_engine.data.harvest.paths import (
    FinishedPath,
    ReferencePath,
    count_outcomes,
    distinct,
    read_paths,
    right_paths,
)
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.node_state import NodeState
from critic_engine.errors import GenerationError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Expander
from critic_engine.roles.annotator import Annotation, Annotator
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.run.findings import HARVEST_DONE, Finding, SearchedProblem
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory
from search import Tree

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvester:
    """Makes the findings of labelled trees, of many side by side."""

    config: EngineConfig
    """The run's configuration."""
    collect: CollectConfig
    """Its section ``collect``, or the defaults of that."""
    checker: Checker
    expander: Expander
    """Completes paths."""
    family: PromptFamily
    """The prompt family in which critiques are written."""
    annotators: Sequence[Annotator]
    meter: LiftMeter
    critic: Critic | None
    """Values right paths and the steps where pairs part; None checks nothing."""
    injection: InjectionRoles | None

    async def __call__(self, task: SearchedProblem) -> None:
        """Put all findings of the task's tree into its ledger."""
        splitter = StepSplitter(self.config.expander)
        tree = logged_tree(self.config, task.problem, task.events)
        await self.checker.settle(task.problem, (end.state.answer for end in (*tree.finished, *tree.rollouts)))
        paths = read_paths(tree, task.problem, checker=self.checker, splitter=splitter)
        references = await self._references(task, tree, paths)
        await task.ledger.once(PATHS, lambda: _at_once(count_outcomes(paths, _reference(references))))
        right = [
            path
            for path, value in references
            if self.critic is None or reference_fault(value, self.collect.pairs) is None
        ]
        # Pairs with a doubted reference path are made too, so that they are counted; none of them is believed.
        against = right or [path for path, _ in references[:1]]
        found = await task.ledger.once(
            PAIRS,
            lambda: _at_once(make_pairs(tree, paths, against, options=self.collect.pairs, splitter=splitter)),
        )
        work: list[Coroutine[Any, Any, Any]] = [self._annotate_believed(task, found.pairs)] if right else []
        if self.collect.labels.kind != "none":
            options = self.collect.labels
            work.append(task.ledger.once(LABELS, lambda: _at_once(tree_labels(paths, options, splitter=splitter))))
        if self.collect.labels.kind == "binary_search":
            wrong = distinct(path for path in paths if path.is_right is False)
            searched = wrong[: self.collect.labels.max_searched]
            work += [self._search(task, number, path) for number, path in enumerate(searched)]
        if self.injection is not None and self.collect.injection is not None:
            injected = right[: self.collect.injection.max_injected]
            work += [self._inject(task, number, path, self.injection) for number, path in enumerate(injected)]
        await gather_or_cancel(work)
        await task.ledger.once(HARVEST_DONE, lambda: _at_once(True))

    async def _references(
        self, task: SearchedProblem, tree: Tree[NodeState], paths: Sequence[FinishedPath]
    ) -> list[tuple[FinishedPath, float | None]]:
        """Return right paths with the critic's values, the reference path first; values are None without a critic."""
        right, critic = right_paths(tree, paths), self.critic
        if critic is None:
            return [(path, None) for path in right]
        looked_at = right[: self.collect.pairs.max_references]
        values = await gather_or_cancel(self._value(task, critic, path.steps) for path in looked_at)
        return best_first(tree, looked_at, values, self.collect.pairs)

    async def _annotate_believed(self, task: SearchedProblem, pairs: Sequence[Pair]) -> None:
        """Check pairs, and annotate the errors of those that are believed and divergent."""
        checked = [number for number, pair in enumerate(pairs) if pair.kind != "sibling"]
        verdicts = await gather_or_cancel(self._is_believed(task, pairs[number]) for number in checked)
        believed = [number for number, is_believed in zip(checked, verdicts, strict=True) if is_believed]
        await gather_or_cancel(
            self._annotate_by(task, annotator, number=number, pair=pairs[number], place=place)
            for number in errors(pairs, believed)[: self.collect.pairs.max_annotated]
            for place, annotator in enumerate(self.annotators)
        )

    async def _is_believed(self, task: SearchedProblem, pair: Pair) -> bool:
        """Return whether the tree, and the critic if there is one, confirm that the pair parts at an error."""
        options, critic = self.collect.pairs, self.critic
        if support_fault(pair, options) is not None:
            return False
        if critic is None:
            return True
        chosen, rejected = await gather_or_cancel(self._value(task, critic, steps) for steps in parting_steps(pair))
        return divergence_fault(chosen, rejected, options) is None

    async def _value(self, task: SearchedProblem, critic: Critic, steps: tuple[str, ...]) -> float | None:
        key = value_key(steps)

        async def work() -> Finding[float | None]:
            seed = self._seed(task.problem, key.name)
            try:
                evaluation = await critic.evaluate(task.problem, Trajectory(steps), seed=seed)
            except GenerationError as error:
                return Finding(None, error.usage)
            return Finding(evaluation.value, evaluation.usage)

        return await task.ledger.once(key, work)

    async def _annotate_by(
        self, task: SearchedProblem, annotator: Annotator, *, number: int, pair: Pair, place: int
    ) -> None:
        async def work() -> Finding[tuple[CritiqueRecord, ...]]:
            seed = self._seed(task.problem, "annotator", number, place)
            annotated = await annotator.annotate(task.problem, pair.parting, seed=seed, extras=task.extras)
            records = tuple(
                CritiqueRecord(number, annotator.name, each, self._words(each)) for each in annotated.annotations
            )
            return Finding(records, annotated.usage)

        records = await task.ledger.once(CRITIQUES.at(f"{number:04}", f"{place:02}"), work)
        words = {record.words: None for record in records if record.words}
        if words and self.collect.lift.num_refinements:
            rounds = (False, True) if self.collect.lift.num_fresh else (False,)
            given: list[tuple[str | None, bool]] = [(None, is_fresh) for is_fresh in rounds]
            given += [(each, is_fresh) for each in words for is_fresh in rounds]
            await gather_or_cancel(self._lift(task, number, pair, *each) for each in given)

    async def _lift(self, task: SearchedProblem, number: int, pair: Pair, words: str | None, is_fresh: bool) -> None:
        """Draw with a critique of a pair, or without one where ``words`` is None."""
        if words is None:
            key = baseline_key(base_of(pair, self.collect.lift), is_fresh=is_fresh)
        else:
            key = refined_key(number, words, is_fresh=is_fresh)
        seed = self._seed(task.problem, key.name)
        await task.ledger.once(key, lambda: self.meter.draw(task.problem, pair, words, seed=seed, is_fresh=is_fresh))

    def _words(self, annotation: Annotation) -> str:
        step, family = annotation.first_wrong_step, self.family
        if step is not None and annotation.reason:
            return family.written_critique(step=step, reason=annotation.reason)
        return family.written_critique(step=None) if annotation.fault == "misses_error" else ""

    async def _search(self, task: SearchedProblem, number: int, path: FinishedPath) -> None:
        async def work() -> Finding[SearchedPath | FailedSearch]:
            usage = TokenUsage()

            async def count_right(num_steps: int) -> StepLabel:
                nonlocal usage
                if num_steps == len(path.steps):
                    return StepLabel.hard(is_right=False)
                verdicts, spent = await self._draw(task.problem, path, num_steps, number)
                usage += spent
                if not verdicts:
                    raise GenerationError("no completion could be told right or wrong")
                return StepLabel.soft(sum(verdicts), len(verdicts))

            try:
                found = await first_error(len(path.steps), count_right)
            except GenerationError as error:
                return Finding(FailedSearch(str(error)), usage + error.usage)
            labelled = SearchedPath(path.steps, found.first_wrong_step, found.step_labels)
            return Finding(labelled, usage)

        await task.ledger.once(SEARCH.at(f"{number:04}"), work)

    async def _draw(
        self, problem: Problem, path: FinishedPath, num_steps: int, number: int
    ) -> tuple[list[bool], TokenUsage]:
        """Return whether each completion of the path's first steps is right, of those that can be told.

        Raises:
            GenerationError: none could be drawn.
        """
        base = Trajectory(path.steps[:num_steps], texts=path.pieces[:num_steps])
        numbers = range(self.collect.labels.num_rollouts)
        seeds = tuple(self._seed(problem, "label", number, num_steps, draw) for draw in numbers)
        expansion = await self.expander.finish(problem, base, seeds=seeds)
        await self.checker.settle(problem, (each.answer for each in expansion.continuations))
        verdicts = [self.checker.is_right(problem, each.answer) for each in expansion.continuations]
        known = [verdict for verdict in verdicts if verdict is not None] + [False] * expansion.num_unreadable
        return known, expansion.usage

    async def _inject(self, task: SearchedProblem, number: int, path: FinishedPath, roles: InjectionRoles) -> None:
        async def work() -> Finding[InjectionResult]:
            seed = self._seed(task.problem, "injection", number)
            found = await inject_and_detect(
                task.problem, Trajectory(path.steps), roles=roles, seed=seed, extras=task.extras
            )
            return Finding(found, found.usage)

        await task.ledger.once(INJECTION.at(f"{number:04}"), work)

    def _seed(self, problem: Problem, *parts: int | str) -> int:
        return derive_seed(self.config.run.seed, problem.problem_id, *parts)


async def _at_once(content: _T) -> Finding[_T]:
    return Finding(content)


def _reference(references: Sequence[tuple[FinishedPath, float | None]]) -> ReferencePath | None:
    if not references:
        return None
    path, value = references[0]
    return ReferencePath(path.steps, "".join(path.pieces), value)
