"""The public façade: ``solve`` searches one problem, ``solve_many`` searches many and keeps a run directory."""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from critic_engine.actors.model_pools import RayHost
from critic_engine.actors.search_pool import RemoteSearch
from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.concurrency import LoopThread, Stream
from critic_engine.config.compare import first_difference, without_hosting_and_limits
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.data.filters.contamination import Guard, guarded
from critic_engine.data.given_problems import GivenProblem, given_problem, given_rows
from critic_engine.data.harvest.factory import make_harvester
from critic_engine.data.harvest.harvester import Harvester
from critic_engine.data.harvest.stored_tree import StoredTree
from critic_engine.data.selection.selected_findings import summarise
from critic_engine.episode.episode import Episode, SearchEvent
from critic_engine.episode.solution_budget import BudgetWarning
from critic_engine.errors import ConfigError, RunError
from critic_engine.models.metering import ModelFigures, merged
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.models.shared_models import SharedModels
from critic_engine.pocket.scope import ScopeWarning
from critic_engine.protocols import Generator as ModelGenerator
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic_gate import with_gate
from critic_engine.roles.factory import make_roles, with_critique_tokens
from critic_engine.roles.given_models import is_shipped, with_given
from critic_engine.run.database import check_free, explain_write_errors
from critic_engine.run.plan_draws import plan_search
from critic_engine.run.problem_search import ProblemSearch, Search, alone, local_search
from critic_engine.run.report import RunOutputs
from critic_engine.run.runner import Progress, Runner
from critic_engine.run.search_plan import SearchPlan
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, Problem

OnEvent: TypeAlias = Callable[[SearchEvent], None] | None


class Engine:
    """Test-time search with a critic, over one pair of models.

    With a ``checker`` the engine labels: the evaluator may ask whether an answer is right, a run keeps the reference
    answers of its rows and counts right and wrong paths, and the config section ``collect`` turns trees into pairs and
    critiques. Without a checker no part of the engine can reach a reference answer.

    Calls may come from any thread, notebooks included: the engine's work runs on an event loop of its own. Use it as a
    context manager, or ``close`` it.

    Example:
        >>> with Engine("guided") as engine:  # doctest: +SKIP
        ...     print(engine.solve(Problem("how many red shapes ?", images=(board,))).answer)
    """

    def __init__(
        self,
        config: EngineConfig | str | Path | Sequence[str | Path] = "guided",
        *,
        overrides: Sequence[str] = (),
        reasoner: ModelGenerator | None = None,
        critic: ModelGenerator | None = None,
        checker: Checker | None = None,
        shared: SharedModels | None = None,
    ) -> None:
        """Choose the method and the models; nothing is loaded yet.

        Args:
            config: A configuration; or the path of its YAML file, the name of a preset, or several of these, where
                each later one overrides the fields it names.
            overrides: ``section.field=value`` changes to a config that is read from a file or preset.
            reasoner: The generator to reason with; its owner closes it. None makes the one that the configuration
                names. With ``reasoner.prompts: auto`` it gets the plain prompts, never those of the pocket models.
            critic: The generator of the critic, likewise; made only when the evaluator needs one. It may be the same
                as ``reasoner``.
            checker: Holds reference answers; the engine adds those of the rows it is given.
            shared: Models that other engines use too, each loaded once, which outlive this engine. Models in Ray's
                actors are not shared.

        Raises:
            ConfigError: the configuration is wrong, needs reference answers and there is no ``checker``, pairs another
                model with a pocket model that nobody named or with another's card, or Ray cannot be reached.
            ModelLoadError: a model's folder holds no model.
        """
        config = config if isinstance(config, EngineConfig) else load_config(config, overrides)
        config = with_given(config, has_reasoner=reasoner is not None, has_critic=critic is not None)
        self.config = with_critique_tokens(with_gate(config, reasoner=reasoner, critic=critic))
        self._checker = checker
        if self.config.ray.num_search_workers and (reasoner or critic):
            raise ConfigError(
                "ray.num_search_workers is set, and other processes cannot reach a generator of this process; set it "
                "to 0",
                field="ray.num_search_workers",
            )
        self._streams: set[Stream[Answer]] = set()
        self._budget_warning = BudgetWarning()
        self._scope_warning = ScopeWarning(is_on=reasoner is None and is_shipped(self.config.reasoner))
        with contextlib.ExitStack() as on_error:
            self._ray = None if self.config.ray.address is None else RayHost(self.config)
            if self._ray is not None:
                on_error.callback(self._ray.close)
            makers = ModelMakers(make_generator, make_scorer) if self._ray is None else self._ray.makers
            self._models = Models(makers if shared is None or self._ray is not None else shared.makers)
            self._roles = make_roles(self.config, self._models, reasoner=reasoner, critic=critic, checker=checker)
            self._harvest = self._make_harvester(reasoner, critic)
            self._workers = None if self._ray is None else self._ray.workers(self.config, checker)
            on_error.pop_all()
        self._loop = LoopThread() if shared is None else shared.loop
        self._is_loop_shared = shared is not None
        self._is_closed = False

    def load(self) -> None:
        """Load the models now instead of at the first problem; a second call does nothing.

        Raises:
            ModelLoadError: a model cannot be loaded.
            RuntimeError: the engine is closed.
        """
        self._check_open()
        self._loop.call(self._load())

    def solve(self, problem: GivenProblem, *, on_event: OnEvent = None) -> Answer:
        """Return the answer to one problem; ``status`` says whether there is one.

        Args:
            problem: A problem, the text of a question, or a mapping with ``question`` and optionally ``images``,
                ``choices`` and ``id``. Images of a mapping are whatever ``load_image`` takes; their paths may lead
                anywhere on this machine, so read files from elsewhere by ``read_problems``.
            on_event: Called, from the engine's thread, for each proposal told to the tree.

        Raises:
            ProblemError: it is no problem, or exceeds the limits of the config section ``run``.
            RuntimeError: the engine is closed.
            ModelLoadError: a model cannot be loaded.
            ReplicaLostError: all replicas of a model are lost and could not be restarted.
        """
        self._check_open()
        return self._loop.call(self._solve(given_problem(problem, self.config.run), on_event))

    async def asolve(self, problem: GivenProblem, *, on_event: OnEvent = None, seed: int | None = None) -> Answer:
        """Return one answer off the caller's event loop; many calls may be in flight. ``seed`` is for ``run.seed``."""
        self._check_open()
        search = self._solve(given_problem(problem, self.config.run), on_event, seed)
        return await asyncio.wrap_future(self._loop.submit(search))

    def solve_many(
        self,
        problems: Iterable[GivenProblem],
        *,
        run: str | Path | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Generator[Answer, None, None]:
        """Yield one answer a problem, in input order.

        Args:
            problems: The problems, each as ``solve`` takes it, or the rows of a problems file. Of a mapping, ``answer``
                is the reference answer, which only an engine with a ``checker`` keeps.
            run: A new folder for the run, so that it can be resumed; None keeps nothing on disk.
            on_progress: Called, from the engine's thread, whenever tokens were generated or a problem ended.

        Raises:
            RunError: the folder is not empty.
            RuntimeError: the engine is closed.
            ProblemError: an evaluation set that training data is guarded against cannot be read.
            ModelLoadError: a model cannot be loaded.
        """
        self._check_open()
        checker = self._checker
        rows = map(self._scope_warning.checked, given_rows(problems, self.config.run, is_labelled=checker is not None))
        folder = None if run is None else Path(run)
        if folder is not None:
            check_free(folder)
        guard = self._guard()
        self.load()
        with contextlib.ExitStack() as on_error:
            on_error.enter_context(explain_write_errors(folder))
            create = RunStore.temporary if folder is None else functools.partial(RunStore.create, folder, self.config)
            store = create(checker=checker)
            on_error.callback(store.close)
            store.add_rows(rows if guard is None else guarded(rows, guard))
            on_error.pop_all()
        return self._run(store, on_progress)

    def resume(
        self, run: str | Path, *, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> Generator[Answer, None, None]:
        """Continue a stopped run inside its unfinished trees; yield all its answers, earlier ones included.

        Raises:
            RunError: the folder holds no run, or one that was started with another configuration, or it is labelled
                and the engine has no checker, or the reverse.
            RuntimeError: the engine is closed.
            ModelLoadError: a model cannot be loaded.
        """
        self._check_open()
        with contextlib.ExitStack() as on_error:
            store = on_error.enter_context(RunStore.open(Path(run), checker=self._checker))
            self._check_same(store)
            self.load()
            on_error.pop_all()
        return self._run(store, on_progress)

    def plan(self, problems: Iterable[GivenProblem]) -> SearchPlan:
        """Return what the budget of one search buys, by a few draws about each of ``problems``; raises as ``solve``."""
        self.load()
        given = [given_problem(problem, self.config.run) for problem in problems]
        return self._loop.call(plan_search(given, self.config, self._roles))

    def figures(self) -> dict[str, ModelFigures]:
        """Return the requests, tokens and failures of each model so far, by model name."""
        of_workers = {} if self._workers is None else self._workers.model_figures()
        return merged([self._models.figures(), of_workers])

    def close(self) -> None:
        """Release the models and stop the engine's thread; a second call does nothing."""
        if self._is_closed:
            return
        for stream in tuple(self._streams):
            self._loop.call(stream.close())
        self._is_closed = True
        with contextlib.ExitStack() as in_order:
            # An exit stack runs its callbacks from the last to the first.
            if self._ray is not None:
                in_order.callback(self._ray.close)
            if not self._is_loop_shared:
                in_order.callback(self._loop.close)
            in_order.callback(lambda: self._loop.call(self._models.aclose()))
            if self._workers is not None:
                in_order.callback(self._loop.call, self._workers.aclose())

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the engine is closed; make another one, or call it inside its `with` block")

    def _make_harvester(self, reasoner: ModelGenerator | None, critic: ModelGenerator | None) -> Harvester | None:
        if self.config.collect is None:
            return None
        if self._checker is None:
            raise ConfigError(
                "collect is set, which needs reference answers, and only `critic-engine collect` has them; use that "
                "command, or leave the section out",
                field="collect",
            )
        return make_harvester(self.config, self._models, checker=self._checker, reasoner=reasoner, critic=critic)

    def _guard(self) -> Guard | None:
        sets = [] if self.config.collect is None else self.config.collect.filters.evaluation_sets
        return Guard(sets, limits=self.config.run, reading=self.config.problems) if sets else None

    def _check_same(self, store: RunStore) -> None:
        """Refuse to continue a run that was started with another configuration or mode."""
        field = first_difference(*map(without_hosting_and_limits, (store.config(), self.config)))
        if field is not None:
            raise RunError(
                f"{store.folder} was started with another configuration: {field}; put its config.yaml back as it was "
                "and use that one"
            )
        if store.checker is not None and self._checker is None:
            raise RunError(f"{store.folder} is a labelled run; give the engine a checker to continue it")
        if store.checker is None and self._checker is not None:
            raise RunError(f"{store.folder} is no labelled run; continue it with an engine without a checker")

    async def _load(self) -> None:
        await self._models.load()
        if self._workers is not None:
            await self._workers.load()

    def _begin(self, task: ProblemSearch) -> Search:
        if self._workers is not None:
            return RemoteSearch(task, self._workers)
        return local_search(task, self.config, self._roles)

    async def _solve(self, problem: Problem, on_event: OnEvent, seed: int | None = None) -> Answer:
        self._scope_warning.check(problem)
        await self._load()
        episode = Episode(
            problem,
            alone(self.config, seed=seed),
            expanders=self._roles.expanders,
            evaluator=self._roles.evaluator,
            max_tokens=self.config.run.max_tokens,
            on_commit=lambda commit: self._budget_warning.check(commit.failures),
            on_event=on_event or (lambda event: None),
        )
        return await episode.run()

    def _run(self, store: RunStore, on_progress: Callable[[Progress], None]) -> Generator[Answer, None, None]:
        # Findings are stored in the run's folder; without one there is nobody to read them.
        harvest = None if store.folder is None else self._harvest
        with store, contextlib.ExitStack() as at_end:
            outputs = at_end.enter_context(store.outputs())
            runner = Runner(
                store, self.config, begin=self._begin, harvest=harvest, on_answer=outputs.add, on_progress=on_progress
            )
            at_end.callback(lambda: outputs.set_end(self.figures(), cut_by=runner.cut_reason))
            stream = at_end.enter_context(self._streaming(runner.answers()))
            for position in itertools.count():
                self._check_open()
                answer = self._loop.call(stream.next())
                if answer is None:
                    if self._harvest is not None and store.folder is not None:
                        outputs.collection = summarise(store.folder)
                    return
                self._count_tree(outputs, store, position)
                outputs.put_in_order(answer)
                yield answer

    @contextlib.contextmanager
    def _streaming(self, answers: AsyncGenerator[Answer, None]) -> Iterator[Stream[Answer]]:
        """End the search on leaving, unless ``close`` has ended it."""
        stream = Stream(answers)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            if not self._is_closed:
                self._loop.call(stream.close())

    def _count_tree(self, outputs: RunOutputs, store: RunStore, position: int) -> None:
        """Count the tree of a problem in a labelled run's report."""
        if self._checker is None:
            return
        # The loop's thread alone uses the store while a run goes on.
        count = self._loop.call(StoredTree.read(store, position, self.config)).count(self.config, self._checker)
        if count is not None:
            paths = count.paths
            has_right, has_wrong = paths.num_right > 0, paths.num_wrong > 0
            outputs.count_tree(has_right=has_right, has_wrong=has_wrong, num_rollouts=paths.num_rollouts or 0)
            outputs.judged.append(count.values)
