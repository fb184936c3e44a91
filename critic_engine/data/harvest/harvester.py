"""From one labelled tree to its findings: pairs, critiques with their lift, step labels, injected errors.

========================  =============================================================================================
finding                   holds
========================  =============================================================================================
``value/DIGEST``          the critic's value of a right path, or of the beginning of one or a wrong one
``paths``                 how many paths are right, wrong, unsure and unanswered, and the reference path
``pairs``                 the pairs, in the order that gives each its number
``critique/PAIR/WHO``     the critiques of one pair by one annotator
``baseline/DIGEST``       how the place where pairs part comes out when nothing is said of it
``fresh_baseline/DIGEST`` the same in further draws, for reports and preferences
``refined/PAIR/DIGEST``   how it comes out with a critique
``fresh/PAIR/DIGEST``     how it comes out with it in further draws, for reports and preferences
``labels``                the steps of finished paths with their labels
``search/NUMBER``         the first wrong step of a wrong path, found by binary search
``injection/NUMBER``      a right path with errors put in, and what detectors found
``done``                  that there is no more to find
========================  =============================================================================================
"""

import hashlib
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.collect import CollectConfig
from critic_engine.config.engine import EngineConfig
from critic_engine.data.harvest.critique_lift import CritiqueRecord, LiftMeter, critique_to_dict
from critic_engine.data.harvest.error_detection import InjectionRoles, inject_and_detect
from critic_engine.data.harvest.labels import FirstError, StepLabel, first_error, labels_from_search, tree_labels
from critic_engine.data.harvest.pair_checks import (
    best_first,
    doubt_of_parting,
    doubt_of_reference,
    doubt_of_support,
    parting_steps,
)
from critic_engine.data.harvest.pairs import Pair, errors, make_pairs, pair_from_dict, pair_to_dict
from critic_engine.data.harvest.paths import FinishedPath, distinct, read_paths, right_paths
from critic_engine.episode.node_state import NodeState
from critic_engine.episode.replay import logged_tree
from critic_engine.errors import GenerationError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Expander
from critic_engine.roles.annotator import Annotator
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.run.findings import HARVEST_DONE, Finding, SearchedProblem
from critic_engine.seeds import derive_seed
from critic_engine.types import Problem, TokenUsage, Trajectory
from search import Tree


@dataclass(frozen=True, slots=True)
class HarvestRoles:
    """Whom a harvest asks."""

    checker: Checker
    expander: Expander
    """Completes paths."""
    family: PromptFamily
    """In which critiques are written."""
    annotators: Sequence[Annotator]
    meter: LiftMeter
    critic: Critic | None
    """Looks at right paths and at where pairs part; None looks at nothing."""
    injection: InjectionRoles | None


class Harvester:
    """Makes the findings of one tree after another; many may be in the making at once."""

    def __init__(self, config: EngineConfig, collect: CollectConfig, roles: HarvestRoles) -> None:
        """Take the run's configuration, its section ``collect``, and whom to ask."""
        self._config = config
        self._collect = collect
        self._roles = roles
        self._splitter = StepSplitter.from_config(config.expander)

    async def __call__(self, task: SearchedProblem) -> None:
        """Put all findings of the task's tree into its ledger."""
        tree = logged_tree(self._config, task.problem, task.events)
        paths = read_paths(tree, task.problem, checker=self._roles.checker, splitter=self._splitter)
        references = await self._references(task, tree, paths)
        await task.ledger.once("paths", lambda: _at_once(_count(paths, references)))
        right = [path for path, value in references if self._is_reference(value)]
        found = await task.ledger.once("pairs", lambda: _at_once(self._pairs(tree, paths, right, references)))
        pairs = [pair_from_dict(pair) for pair in found["pairs"]]
        # Of pairs against a doubted reference path none is believed.
        work: list[Coroutine[Any, Any, Any]] = [self._annotate_believed(task, pairs)] if right else []
        if self._collect.labels.kind != "none":
            work.append(task.ledger.once("labels", lambda: _at_once(self._labels(paths))))
        if self._collect.labels.kind == "binary_search":
            wrong = distinct(path for path in paths if path.is_right is False)
            searched = wrong[: self._collect.labels.max_searched]
            work += [self._search(task, number, path) for number, path in enumerate(searched)]
        if self._roles.injection is not None and self._collect.injection is not None:
            injected = right[: self._collect.injection.max_injected]
            work += [self._inject(task, number, path, self._roles.injection) for number, path in enumerate(injected)]
        await gather_or_cancel(work)
        await task.ledger.once(HARVEST_DONE, lambda: _at_once(True))

    async def _references(
        self, task: SearchedProblem, tree: Tree[NodeState], paths: Sequence[FinishedPath]
    ) -> list[tuple[FinishedPath, float | None]]:
        """Return right paths, the reference path first, with the critic's values; None for all where nobody looks."""
        right, critic = right_paths(tree, paths), self._roles.critic
        if critic is None:
            return [(path, None) for path in right]
        looked_at = right[: self._collect.pairs.max_references]
        values = await gather_or_cancel(self._value(task, critic, path.steps) for path in looked_at)
        return best_first(tree, looked_at, values, self._collect.pairs)

    def _is_reference(self, value: float | None) -> bool:
        return self._roles.critic is None or doubt_of_reference(value, self._collect.pairs) is None

    def _pairs(
        self,
        tree: Tree[NodeState],
        paths: Sequence[FinishedPath],
        right: Sequence[FinishedPath],
        references: Sequence[tuple[FinishedPath, float | None]],
    ) -> dict[str, Any]:
        # Of a doubted reference path there are pairs too, which are counted as such.
        against = right or [path for path, _ in references[:1]]
        found = make_pairs(tree, paths, against, options=self._collect.pairs, splitter=self._splitter)
        return {
            "pairs": [pair_to_dict(pair) for pair in found.pairs],
            "num_over_limit": found.num_over_limit,
            "num_others_over_limit": found.num_others_over_limit,
        }

    async def _annotate_believed(self, task: SearchedProblem, pairs: Sequence[Pair]) -> None:
        """Have pairs checked, and the errors of those annotated that are believed and divergent."""
        checked = [number for number, pair in enumerate(pairs) if pair.kind != "sibling"]
        verdicts = await gather_or_cancel(self._is_believed(task, pairs[number]) for number in checked)
        believed = [number for number, is_believed in zip(checked, verdicts, strict=True) if is_believed]
        await gather_or_cancel(
            self._annotate_by(task, annotator, number=number, pair=pairs[number], who=who)
            for number in errors(pairs, believed)[: self._collect.pairs.max_annotated]
            for who, annotator in enumerate(self._roles.annotators)
        )

    async def _is_believed(self, task: SearchedProblem, pair: Pair) -> bool:
        """Return whether the tree, and the critic where one looks, bear out that the pair parts at an error."""
        options, critic = self._collect.pairs, self._roles.critic
        if doubt_of_support(pair, options) is not None:
            return False
        if critic is None:
            return True
        chosen, rejected = await gather_or_cancel(self._value(task, critic, steps) for steps in parting_steps(pair))
        return doubt_of_parting(chosen, rejected, options) is None

    async def _value(self, task: SearchedProblem, critic: Critic, steps: tuple[str, ...]) -> float | None:
        name = value_name(steps)

        async def work() -> Finding:
            seed = self._seed(task.problem, name)
            try:
                evaluation = await critic.evaluate(task.problem, Trajectory(steps), seed=seed)
            except GenerationError:
                return Finding(None)
            return Finding(evaluation.value, evaluation.usage.generated_tokens)

        value: float | None = await task.ledger.once(name, work)
        return value

    async def _annotate_by(
        self, task: SearchedProblem, annotator: Annotator, *, number: int, pair: Pair, who: int
    ) -> None:
        async def work() -> Finding:
            seed = self._seed(task.problem, "annotator", number, who)
            annotated = await annotator.annotate(task.problem, pair.parting, seed=seed, extras=task.extras)
            records = [
                CritiqueRecord(
                    number, annotator.name, each, self._words(each.first_wrong_step, each.reason, each.fault)
                )
                for each in annotated.annotations
            ]
            return Finding([critique_to_dict(record) for record in records], annotated.usage.generated_tokens)

        records = await task.ledger.once(f"critique/{number:04}/{who:02}", work)
        words = {record["words"]: None for record in records if record["words"]}
        if words and self._collect.lift.num_refinements:
            rounds = (False, True) if self._collect.lift.num_fresh else (False,)
            draws = [self._baseline(task, pair, is_fresh=is_fresh) for is_fresh in rounds]
            for each in words:
                draws += [self._refine(task, pair, (number, each), is_fresh=is_fresh) for is_fresh in rounds]
            await gather_or_cancel(draws)

    def _words(self, step: int | None, reason: str, fault: str | None) -> str:
        if step is not None and reason:
            return self._roles.family.written_critique(step=step, reason=reason)
        return self._roles.family.written_critique(step=None) if fault == "misses_error" else ""

    async def _refine(self, task: SearchedProblem, pair: Pair, critique: tuple[int, str], *, is_fresh: bool) -> None:
        number, words = critique
        name = refined_name(number, words, is_fresh=is_fresh)

        async def work() -> Finding:
            seed = self._seed(task.problem, name)
            measured = await self._roles.meter.refine(task.problem, pair, words, seed=seed, is_fresh=is_fresh)
            return Finding(measured.to_dict(), measured.usage.generated_tokens)

        await task.ledger.once(name, work)

    async def _baseline(self, task: SearchedProblem, pair: Pair, *, is_fresh: bool) -> None:
        base = self._roles.meter.base(pair)
        name = baseline_name(base, is_fresh=is_fresh)

        async def work() -> Finding:
            seed = self._seed(task.problem, name)
            measured = await self._roles.meter.baseline(task.problem, base, seed=seed, is_fresh=is_fresh)
            return Finding(measured.to_dict(), measured.usage.generated_tokens)

        await task.ledger.once(name, work)

    def _labels(self, paths: Sequence[FinishedPath]) -> dict[str, Any]:
        return asdict(tree_labels(paths, self._collect.labels, splitter=self._splitter))

    async def _search(self, task: SearchedProblem, number: int, path: FinishedPath) -> None:
        async def work() -> Finding:
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
                return Finding({"error": str(error)}, usage.generated_tokens)
            return Finding(_searched(path, found), usage.generated_tokens)

        await task.ledger.once(f"search/{number:04}", work)

    async def _draw(
        self, problem: Problem, path: FinishedPath, num_steps: int, number: int
    ) -> tuple[list[bool], TokenUsage]:
        """Return whether each completion of the path's first steps is right, of those that can be told.

        Raises:
            GenerationError: none could be drawn.
        """
        base = Trajectory(path.steps[:num_steps], texts=path.pieces[:num_steps])
        numbers = range(self._collect.labels.num_rollouts)
        seeds = tuple(self._seed(problem, "label", number, num_steps, draw) for draw in numbers)
        expansion = await self._roles.expander.finish(problem, base, seeds=seeds)
        verdicts = [self._roles.checker.is_right(problem, each.answer) for each in expansion.continuations]
        known = [verdict for verdict in verdicts if verdict is not None] + [False] * expansion.num_unreadable
        return known, expansion.usage

    async def _inject(self, task: SearchedProblem, number: int, path: FinishedPath, roles: InjectionRoles) -> None:
        async def work() -> Finding:
            seed = self._seed(task.problem, "injection", number)
            found = await inject_and_detect(
                task.problem, Trajectory(path.steps), roles=roles, seed=seed, extras=task.extras
            )
            return Finding(found.to_dict(), found.usage.generated_tokens)

        await task.ledger.once(f"injection/{number:04}", work)

    def _seed(self, problem: Problem, *what: int | str) -> int:
        return derive_seed(self._config.run.seed, problem.problem_id, *what)


def value_name(steps: tuple[str, ...]) -> str:
    """Return the name of the finding that holds the critic's value of ``steps``."""
    return f"value/{_digest(*steps)}"


def refined_name(pair: int, words: str, *, is_fresh: bool = False) -> str:
    """Return the name of the finding that holds how a critique of pair number ``pair`` came out."""
    return f"{'fresh' if is_fresh else 'refined'}/{pair:04}/{_digest(words)}"


def baseline_name(base: Trajectory, *, is_fresh: bool = False) -> str:
    """Return the name of the finding that holds how ``base`` comes out on its own."""
    return f"{'fresh_baseline' if is_fresh else 'baseline'}/{_digest(base.prefix)}"


def _digest(*texts: str) -> str:
    # What a model wrote may hold half a surrogate pair.
    return hashlib.sha256("\x00".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]


async def _at_once(content: Any) -> Finding:
    return Finding(content)


def _count(paths: Sequence[FinishedPath], references: Sequence[tuple[FinishedPath, float | None]]) -> dict[str, Any]:
    counts = Counter(
        "unanswered"
        if path.node.state.answer is None
        else {True: "right", False: "wrong", None: "unsure"}[path.is_right]
        for path in paths
    )
    reference = None
    if references:
        path, value = references[0]
        reference = {"steps": list(path.steps), "text": "".join(path.pieces), "value": value}
    return {
        **{f"num_{name}": counts[name] for name in ("right", "wrong", "unsure", "unanswered")},
        "reference": reference,
    }


def _searched(path: FinishedPath, found: FirstError) -> dict[str, Any]:
    labels = labels_from_search(found, len(path.steps))
    return {
        "steps": list(path.steps),
        "first_wrong_step": found.first_wrong_step,
        "labels": [None if label is None else asdict(label) for label in labels],
    }
