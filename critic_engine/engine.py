"""The public façade: one call solves one problem, another solves many and keeps a run directory."""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from critic_engine.backends.loading import GeneratorKey, make_generator
from critic_engine.background import LoopThread, Stream
from critic_engine.config import EngineConfig, load_config
from critic_engine.critic import Critic
from critic_engine.episode import Episode, SearchEvent
from critic_engine.errors import RunError
from critic_engine.evaluators import make_evaluator
from critic_engine.expanders import make_expander
from critic_engine.protocols import Evaluator, Expander
from critic_engine.protocols import Generator as ModelGenerator
from critic_engine.reasoner import Reasoner
from critic_engine.runner import Progress, Runner
from critic_engine.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow


class Engine:
    """Test-time search with a critic, over one pair of models.

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
    ) -> None:
        """Choose the method and the models; nothing is loaded yet.

        Args:
            config: A configuration, the path of its YAML file, or the name of a preset.
            overrides: ``section.field=value`` changes to a config that is read from a file or preset.
            reasoner: The generator to reason with, which stays its owner's to close; None makes the one the
                configuration names.
            critic: The same for the critic; made only when the evaluator needs one.

        Raises:
            ConfigError: the configuration is wrong.
            ModelLoadError: a model's folder is plainly not one.
        """
        self.config = config if isinstance(config, EngineConfig) else load_config(config, overrides)
        # Roles that name the same model share it.
        self._models: dict[GeneratorKey, ModelGenerator] = {}
        self._expander, self._evaluator = self._make_roles(reasoner, critic)
        self._loop = LoopThread()
        self._is_closed = False

    def load(self) -> None:
        """Load the models now instead of at the first problem; a second time it does nothing.

        Raises:
            ModelLoadError: a model cannot be loaded.
        """
        for generator in self._models.values():
            load = getattr(generator, "load", None)
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
            RunStore.check_free(Path(run))
        self.load()
        store = RunStore.temporary() if run is None else RunStore.create(Path(run), self.config)
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
            RunError: no run there, or one that was started with another configuration than this engine's.
        """
        store = RunStore.open(Path(run))
        with contextlib.ExitStack() as on_error:
            on_error.callback(store.close)
            is_same = _what_decides(store.config()) == _what_decides(self.config)
            on_error.pop_all()
        if not is_same:
            store.close()
            raise RunError(
                f"{run} was started with another configuration; put its config.yaml back as it was and use that one"
            )
        return self._run(store, on_progress)

    def close(self) -> None:
        """Release the models and stop the engine's thread; a second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for generator in self._models.values():
            self._loop.call(generator.aclose())
        self._loop.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _make_roles(self, reasoner: ModelGenerator | None, critic: ModelGenerator | None) -> tuple[Expander, Evaluator]:
        config = self.config
        reasoner = reasoner or make_generator(config.reasoner, "reasoner", shared=self._models)
        expander = make_expander(config.expander, Reasoner.from_config(reasoner, config.reasoner))
        if config.evaluator.kind == "none":
            return expander, make_evaluator(config.evaluator, None)
        critic = critic or make_generator(config.critic, "critic", shared=self._models)
        return expander, make_evaluator(config.evaluator, Critic.from_config(critic, config.critic))

    def _episode(self, problem: Problem, on_event: Callable[[SearchEvent], None] | None) -> Episode:
        return Episode(
            problem, self.config, expander=self._expander, evaluator=self._evaluator, on_event=on_event or _ignore
        )

    def _run(self, store: RunStore, on_progress: Callable[[Progress], None]) -> Generator[Answer, None, None]:
        runner = Runner(store, self.config, expander=self._expander, evaluator=self._evaluator, on_progress=on_progress)
        stream = Stream(runner.answers())
        try:
            with store.outputs() as outputs:
                while (answer := self._loop.call(stream.next())) is not None:
                    outputs.write(answer)
                    yield answer
        finally:
            try:
                self._loop.call(stream.close())
            finally:
                store.close()


def _ignore(event: SearchEvent) -> None:
    pass


def _row(number: int, problem: Problem | ProblemRow | FailedRow) -> ProblemRow | FailedRow:
    if isinstance(problem, Problem):
        return ProblemRow(row=number, id=problem.name or str(number), problem=problem)
    return problem


def _what_decides(config: EngineConfig) -> EngineConfig:
    """Return the configuration without what only says where models run and how much at once."""
    placement = {"device": "auto", "dtype": "auto", "max_batch_size": 1}
    return config.model_copy(
        update={
            "reasoner": config.reasoner.model_copy(update=placement),
            "critic": config.critic.model_copy(update=placement),
            "run": config.run.model_copy(update={"problems_in_flight": 1}),
        }
    )
