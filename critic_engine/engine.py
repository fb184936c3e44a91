"""The public façade: one call solves one problem, another solves many and keeps a run directory."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from critic_engine.backends.loading import GeneratorKey, make_generator, make_scorer
from critic_engine.background import LoopThread, Stream
from critic_engine.checker import Checker
from critic_engine.config import EngineConfig, load_config
from critic_engine.critic import Critic
from critic_engine.episode import Episode, SearchEvent
from critic_engine.errors import RunError
from critic_engine.evaluators import Roles, ScorerEvaluator, VerdictTokenEvaluator, make_evaluator
from critic_engine.expanders import make_expander
from critic_engine.labelling import count_paths, logged_tree
from critic_engine.options import RunConfig
from critic_engine.outputs import PathCounts
from critic_engine.protocols import Evaluator, Expander, Scorer
from critic_engine.protocols import Generator as ModelGenerator
from critic_engine.reasoner import Reasoner
from critic_engine.run_folder import check_free
from critic_engine.runner import Progress, Runner
from critic_engine.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow
from search import ReplayError


class Engine:
    """Test-time search with a critic, over one pair of models.

    With a ``checker`` it labels: the evaluator may ask whether an answer is right, and a run keeps the reference
    answers of its rows and reports what was found. Without one no part of it can reach a reference answer.

    Calls may come from any thread, notebooks included: the engine's work runs on an event loop of its own. Use it as a
    context manager, or ``close`` it.

    Example:
        >>> with Engine("mcts") as engine:  # doctest: +SKIP
        ...     print(engine.solve(Problem("how many red shapes are there ?", images=(board,))).answer)
    """

    def __init__(
        self,
        config: EngineConfig | str | Path = "mcts",
        *,
        overrides: Sequence[str] = (),
        reasoner: ModelGenerator | None = None,
        critic: ModelGenerator | None = None,
        checker: Checker | None = None,
    ) -> None:
        """Choose the method and the models; nothing is loaded yet.

        Args:
            config: A configuration, the path of its YAML file, or the name of a preset.
            overrides: ``section.field=value`` changes to a config that is read from a file or preset.
            reasoner: The generator to reason with, which stays its owner's to close; None makes the one the
                configuration names.
            critic: The same for the critic; made only when the evaluator needs one.
            checker: Holds reference answers, and takes up those of the rows that the engine is given.

        Raises:
            ConfigError: the configuration is wrong, or its evaluator asks reference answers without a ``checker``.
            ModelLoadError: a model's folder is plainly not one.
        """
        self.config = config if isinstance(config, EngineConfig) else load_config(config, overrides)
        # Roles that name the same model share it.
        self._models: dict[GeneratorKey, ModelGenerator] = {}
        self._scorers: list[Scorer] = []
        self._checker = checker
        self._expanders = self._make_expanders(reasoner)
        self._evaluator = self._make_evaluator(critic)
        self._loop = LoopThread()
        self._is_closed = False

    def load(self) -> None:
        """Load the models now instead of at the first problem; a second time it does nothing.

        Raises:
            ModelLoadError: a model cannot be loaded.
        """
        for model in self._opened:
            load = getattr(model, "load", None)
            if load is not None:
                load()

    def solve(self, problem: Problem, *, on_event: Callable[[SearchEvent], None] | None = None) -> Answer:
        """Return the answer to one problem; ``status`` says whether there is one.

        Args:
            problem: What to solve.
            on_event: Called, from the engine's thread, for each proposal told to the tree.
        """
        self.load()
        return self._loop.call(self._episode(problem, on_event).run())

    async def asolve(self, problem: Problem, *, on_event: Callable[[SearchEvent], None] | None = None) -> Answer:
        """Return the answer to one problem without blocking the caller's event loop; many calls may be in flight."""
        await asyncio.to_thread(self.load)
        return await asyncio.wrap_future(self._loop.submit(self._episode(problem, on_event).run()))

    def solve_many(
        self,
        problems: Iterable[Problem | ProblemRow | FailedRow],
        *,
        run: str | Path | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Generator[Answer, None, None]:
        """Yield one answer a problem, in input order.

        Args:
            problems: The problems, or the rows of a problems file.
            run: A new folder to keep the run in, so that it can be resumed; None keeps nothing.
            on_progress: Called, from the engine's thread, whenever tokens were generated or a problem ended.

        Raises:
            RunError: the folder holds something already.
        """
        if run is not None:
            check_free(Path(run))
        self.load()
        checker = self._checker
        store = (
            RunStore.temporary(checker=checker)
            if run is None
            else RunStore.create(Path(run), self.config, checker=checker)
        )
        with contextlib.ExitStack() as on_error:
            on_error.callback(store.close)
            store.add_rows(_row(number, problem) for number, problem in enumerate(problems, start=1))
            on_error.pop_all()
        return self._run(store, on_progress)

    def resume(
        self, run: str | Path, *, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> Generator[Answer, None, None]:
        """Go on with a run that was stopped, inside its trees; yield all its answers, the earlier ones too.

        Raises:
            RunError: no run there, one that was started with another configuration than this engine's, or a labelled
                run where the engine does not label, or the other way round.
        """
        store = RunStore.open(Path(run), checker=self._checker)
        with contextlib.ExitStack() as on_error:
            on_error.callback(store.close)
            self._check_same(store)
            on_error.pop_all()
        return self._run(store, on_progress)

    def close(self) -> None:
        """Release the models and stop the engine's thread; a second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for model in self._opened:
            self._loop.call(model.aclose())
        self._loop.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    @property
    def _opened(self) -> Sequence[ModelGenerator | Scorer]:
        """The models this engine made, which are its own to load and to close."""
        return (*self._models.values(), *self._scorers)

    def _make_expanders(self, reasoner: ModelGenerator | None) -> tuple[Expander, ...]:
        config = self.config
        generators = [reasoner or make_generator(config.reasoner, "reasoner", shared=self._models)]
        generators += [make_generator(each, "reasoner", shared=self._models) for each in config.other_reasoners]
        return tuple(
            make_expander(config.expander, Reasoner.from_config(generator, sampling))
            for generator, sampling in zip(generators, (config.reasoner, *config.other_reasoners), strict=True)
        )

    def _make_evaluator(self, critic: ModelGenerator | None) -> Evaluator:
        config = self.config
        roles = Roles(
            expander=self._expanders[0],
            critic=self._make_critic(critic) if config.needs_critic else None,
            reward_model=self._make_reward_model() if config.needs_reward_model else None,
            checker=self._checker,
        )
        return make_evaluator(config.evaluator, roles)

    def _make_critic(self, critic: ModelGenerator | None) -> Critic:
        generator = critic or make_generator(self.config.critic, "critic", shared=self._models)
        return Critic.from_config(generator, self.config.critic)

    def _make_reward_model(self) -> Evaluator:
        config = self.config.reward_model
        if config.head == "verdict_token":
            generator = make_generator(config, "critic", shared=self._models)
            return VerdictTokenEvaluator.from_config(generator, config)
        scorer = make_scorer(config)
        self._scorers.append(scorer)
        return ScorerEvaluator.from_config(scorer, config)

    def _check_same(self, store: RunStore) -> None:
        """Refuse to go on with a run that this engine would not have begun."""
        if _what_decides(store.config()) != _what_decides(self.config):
            raise RunError(
                f"{store.folder} was started with another configuration; put its config.yaml back as it was and use "
                "that one"
            )
        if store.checker is not None and self._checker is None:
            raise RunError(f"{store.folder} is a labelled run; give the engine a checker to go on with it")
        if store.checker is None and self._checker is not None:
            raise RunError(f"{store.folder} is no labelled run; go on with it in an engine without a checker")

    def _episode(self, problem: Problem, on_event: Callable[[SearchEvent], None] | None) -> Episode:
        return Episode(
            problem,
            _alone(self.config),
            expanders=self._expanders,
            evaluator=self._evaluator,
            on_event=on_event or _ignore,
        )

    def _run(self, store: RunStore, on_progress: Callable[[Progress], None]) -> Generator[Answer, None, None]:
        runner = Runner(
            store, self.config, expanders=self._expanders, evaluator=self._evaluator, on_progress=on_progress
        )
        stream = Stream(runner.answers())
        try:
            with store.outputs() as outputs:
                for position in itertools.count():
                    answer = self._loop.call(stream.next())
                    if answer is None:
                        return
                    outputs.write(answer, self._paths(store, position))
                    yield answer
        finally:
            try:
                self._loop.call(stream.close())
            finally:
                store.close()

    def _paths(self, store: RunStore, position: int) -> PathCounts | None:
        """Return what the tree of a problem holds, by the checker; None without a checker or a tree."""
        if self._checker is None:
            return None
        row, events = self._loop.call(_log_of(store, position))
        if isinstance(row, FailedRow):
            return None
        try:
            return count_paths(logged_tree(self.config, row.problem, events), row.problem, self._checker)
        except ReplayError as error:
            raise RunError(f"the log of row {position + 1} is not of this version: {error}") from error


async def _log_of(store: RunStore, position: int) -> tuple[ProblemRow | FailedRow, list[dict[str, Any]]]:
    """Read on the loop's thread, which alone uses the store while a run goes on."""
    return store.row(position), store.events(position)


def _ignore(event: SearchEvent) -> None:
    pass


def _row(number: int, problem: Problem | ProblemRow | FailedRow) -> ProblemRow | FailedRow:
    if isinstance(problem, Problem):
        return ProblemRow(row=number, id=problem.name or str(number), problem=problem)
    return problem


def _alone(config: EngineConfig) -> EngineConfig:
    """Return the configuration of one search that is a whole run: the run's limits are its own."""
    pairs = ((config.budget.max_tokens, config.run.max_tokens), (config.budget.max_wall_s, config.run.max_wall_s))
    max_tokens, max_wall_s = (min((limit for limit in pair if limit is not None), default=None) for pair in pairs)
    return config.model_copy(
        update={"budget": config.budget.model_copy(update={"max_tokens": max_tokens, "max_wall_s": max_wall_s})}
    )


def _what_decides(config: EngineConfig) -> EngineConfig:
    """Return the configuration without what only says where models run, how much at once, and how far a run goes."""
    placement = {"device": "auto", "dtype": "auto", "max_batch_size": 1}
    return config.model_copy(
        update={
            "reasoner": config.reasoner.model_copy(update=placement),
            "other_reasoners": tuple(each.model_copy(update=placement) for each in config.other_reasoners),
            "critic": config.critic.model_copy(update=placement),
            "reward_model": config.reward_model.model_copy(update=placement),
            "run": RunConfig(seed=config.run.seed, max_image_pixels=config.run.max_image_pixels),
        }
    )
