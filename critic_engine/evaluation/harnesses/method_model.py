"""A method behind the interface that harnesses give a model: problems in, answers and their texts out, usage summed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from critic_engine.concurrency import LoopThread, gather_or_cancel
from critic_engine.engine import Engine
from critic_engine.evaluation.harnesses.completions import completion_of
from critic_engine.evaluation.harnesses.method_arguments import OF_BATCHES, MethodSetting, read_arguments
from critic_engine.run.report import SPENT
from critic_engine.types import Answer, Problem

_logger = logging.getLogger(__name__)


class MethodModel:
    """One engine, its answers as texts, and the sums of what they cost."""

    def __init__(self, setting: MethodSetting) -> None:
        """Make the engine; its models are loaded at the first problem.

        Raises:
            ConfigError: the configuration needs reference answers, or pairs models that do not go together.
        """
        self.config = setting.config
        self._form = setting.form
        self._engine = Engine(setting.config)
        self._totals: Counter[str] = Counter()
        self._left_out: dict[str, object] = {}

    @classmethod
    def of_program(cls, arguments: Mapping[str, object]) -> "MethodModel":
        """Return the model of the arguments of lm-eval or lmms-eval: those of ``read_arguments``, and ``OF_BATCHES``.

        Raises:
            ConfigError: an argument that a search does not have, or a wrong value.
        """
        return cls(read_arguments({name: value for name, value in arguments.items() if name not in OF_BATCHES}))

    async def answer(self, problem: Problem, *, draw: int = 0) -> Answer:
        """Return the answer to one problem; many calls may be in flight, from one event loop.

        Args:
            problem: The problem.
            draw: The number of the draw, from 0; another draw of one problem has another seed, ``run.seed + draw``.
        """
        answer = await self._engine.asolve(problem, seed=self.config.run.seed + draw)
        self._totals.update(
            num_problems=1, num_failed=int(answer.status == "failed"), **{name: getattr(answer, name) for name in SPENT}
        )
        return answer

    def answers(
        self,
        problems: Sequence[Problem],
        *,
        on_answer: Callable[[int, Answer], None] = lambda position, answer: None,
        is_quiet: bool = False,
    ) -> list[Answer]:
        """Return the answers in the order of the problems, ``run.problems_in_flight`` at a time.

        A problem that stands there again is drawn again, with another seed.

        Args:
            problems: The problems.
            on_answer: Called with the position and the answer of each problem as it ends, from another thread.
            is_quiet: Whether the bar that counts the answers is left out.
        """
        from tqdm import tqdm

        loop = LoopThread()
        with tqdm(total=len(problems), desc="Searches", disable=is_quiet) as bar:

            def report(position: int, answer: Answer) -> None:
                on_answer(position, answer)
                bar.update(1)

            try:
                return loop.call(self._answers(problems, report))
            finally:
                loop.close()

    def completion(self, answer: Answer, *, stop: Iterable[str] = ()) -> str:
        """Return the text of an answer, cut before the first of the strings ``stop``; a failed answer has none."""
        return completion_of(answer, self._form, stop=stop)

    def leave_out(self, options: dict[str, object], *, advice: str) -> None:
        """Say once for each option and value that a task asks for it of a plain model, and that a search has its own.

        Args:
            options: The options that have no effect, by name.
            advice: How the user gives the engine such an option.
        """
        new = {name: value for name, value in options.items() if self._left_out.get(name) != value}
        self._left_out |= new
        if new:
            listed = ", ".join(f"{name}={value!r}" for name, value in new.items())
            _logger.warning("the task's %s has no effect, for a method samples as its config says; %s", listed, advice)

    def figures(self) -> dict[str, object]:
        """Return the sums over all answers so far, and the options of tasks that had no effect."""
        return {**self._totals, "options_without_effect": dict(self._left_out)}

    def close(self) -> None:
        """Release the models; a second call does nothing."""
        self._engine.close()

    async def _answers(self, problems: Sequence[Problem], on_answer: Callable[[int, Answer], None]) -> list[Answer]:
        room = asyncio.Semaphore(self.config.run.problems_in_flight)

        async def answer(position: int, problem: Problem, draw: int) -> Answer:
            async with room:
                found = await self.answer(problem, draw=draw)
            if found.answer is None:
                _logger.warning("search %d of %d found no answer: %s", position + 1, len(problems), found.error)
            on_answer(position, found)
            return found

        seen: Counter[str] = Counter()
        work = []
        for position, problem in enumerate(problems):
            work.append(answer(position, problem, seen[problem.problem_id]))
            seen[problem.problem_id] += 1
        return await gather_or_cancel(work)
