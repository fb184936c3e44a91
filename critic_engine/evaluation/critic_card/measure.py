"""The measurement of a critic or reward model: draw or read solutions, have them judged, and make the card."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.compare import first_difference, without_hosting_and_limits
from critic_engine.config.critic_card import CriticCard
from critic_engine.config.engine import EngineConfig, dump_config, load_config
from critic_engine.data.given_problems import GivenProblem
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError, RunError
from critic_engine.evaluation.critic_card.card_figures import CardSubject, make_card
from critic_engine.evaluation.critic_card.card_options import CardOptions, drawing_config, judging_config
from critic_engine.evaluation.critic_card.judge_models import GivenModels, JudgeModels
from critic_engine.evaluation.critic_card.judgement_log import JudgementLog
from critic_engine.evaluation.critic_card.judging import SolutionJudge, checked_positions
from critic_engine.evaluation.critic_card.labelled_solutions import SolutionReader, SolvedProblem, UnlabelledRow
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generator
from critic_engine.roles.checker import Checker
from critic_engine.roles.factory import with_critique_tokens
from critic_engine.roles.given_models import with_given
from critic_engine.run.database import holds_run
from critic_engine.run.runner import Progress
from critic_engine.run.store import RunStore
from critic_engine.types import TokenUsage

SOLUTIONS = "solutions"
"""The folder of the run with the solutions that were drawn."""
JUDGEMENTS = "judgements.jsonl"
_PLAN = "measurement.json"

OnProgress = Callable[[Progress], None]


def evaluate_critic(
    source: Path | Iterable[GivenProblem],
    config: EngineConfig,
    out: Path,
    *,
    task: str = "",
    options: CardOptions | None = None,
    reasoner: Generator | None = None,
    critic: Generator | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> "Measurement":
    """Measure the critic or the reward model that the evaluator of ``config`` asks, on labelled solutions.

    The solutions are drawn from the reasoner, or are the finished paths of a labelled run. Only the checker, which
    labels them, holds reference answers; the critic is never shown one. What a stopped call has drawn and judged is
    kept in ``out``, and the same call goes on from there.

    Args:
        source: The folder of a labelled run, or problems with reference answers, as ``Engine.solve_many`` takes them.
        config: Names the models, their hosting, and how solutions are split into steps.
        out: The folder of the measurement; new, empty, or that of the same measurement.
        task: The name of the problems; by default that of the run's folder.
        options: The size of the measurement.
        reasoner: A generator to use instead of the reasoner that ``config`` names.
        critic: The same for the critic.
        on_progress: Called for each problem whose solutions were drawn, then for each whose solutions were judged.

    Raises:
        ConfigError: the evaluator asks no critic and no reward model, or models contradict each other.
        RunError: ``out`` holds something else, or the run cannot be read or has no reference answers.
        ModelLoadError: a model cannot be loaded.
        ReplicaLostError: a model is lost for good; the same call goes on.
    """
    options = options or CardOptions()
    given = GivenModels(reasoner, critic)
    config = _resolved(config, given)
    run = source if isinstance(source, Path) else None
    plan = {"task": task or (run.resolve().name if run else "problems"), "run": None if run is None else str(run)}
    _begin(out, config, {**plan, **asdict(options)})
    if run is None and not isinstance(source, Path):
        draw_solutions(source, drawing_config(config, options), out / SOLUTIONS, given, on_progress)
    with (
        RunStore.view(run or out / SOLUTIONS) as store,
        JudgementLog.open(out / JUDGEMENTS) as log,
        JudgeModels(config, given, has_reasoner=_asks_reasoner(config, options)) as models,
    ):
        measurement = Measurement(config, options, str(plan["task"]), log, is_of_run=run is not None)
        models.load()
        models.loop.call(measurement.judge(store, models, on_progress))
        return measurement


def _resolved(config: EngineConfig, given: GivenModels) -> EngineConfig:
    config = with_given(
        judging_config(config), has_reasoner=given.reasoner is not None, has_critic=given.critic is not None
    )
    role = "critic" if config.needs_critic else "reward_model"
    judged = config.critic if config.needs_critic else config.reward_model
    if judged.is_pocket and not config.reasoner.is_pocket:
        raise ConfigError(
            f"the pocket {role.replace('_', ' ')} cannot read what {config.reasoner.model} writes; name another one by "
            f"--{role.replace('_', '-')} or {role}.model",
            field=f"{role}.model",
        )
    return with_critique_tokens(config)


def _asks_reasoner(config: EngineConfig, options: CardOptions) -> bool:
    has_words = config.needs_critic and options.num_rewrites > 0
    return options.num_checked > 0 and (has_words or options.num_rollouts > 0)


def _begin(out: Path, config: EngineConfig, plan: dict[str, Any]) -> None:
    """Note the plan and the configuration in the folder, or check that they are those of an earlier call.

    Raises:
        RunError: the folder holds another measurement or anything else.
    """
    plan_path, config_path = out / _PLAN, out / "config.yaml"
    if plan_path.is_file() and config_path.is_file():
        _check_same(out, config, plan)
    elif out.exists() and (not out.is_dir() or any(each.name != config_path.name for each in out.iterdir())):
        raise RunError(f"{out} exists and is not the folder of such a measurement; name a new one")
    out.mkdir(parents=True, exist_ok=True)
    config_path.write_text(dump_config(config), encoding="utf-8")
    plan_path.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")


def _check_same(out: Path, config: EngineConfig, plan: dict[str, Any]) -> None:
    try:
        former = json.loads((out / _PLAN).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{out / _PLAN} cannot be read: {error}; name a new folder") from error
    for name, value in plan.items():
        if former.get(name) != value:
            raise RunError(
                f"{out} holds a measurement with another {name}: it was {former.get(name)!r} and is {value!r}; name a "
                "new folder"
            )
    configs = (load_config(out / "config.yaml"), config)
    difference = first_difference(*map(without_hosting_and_limits, configs))
    if difference is not None:
        raise RunError(f"{out} holds a measurement of another configuration: {difference}; name a new folder")


def draw_solutions(
    problems: Iterable[GivenProblem],
    config: EngineConfig,
    folder: Path,
    given: GivenModels,
    on_progress: OnProgress,
) -> None:
    """Draw the solutions of all problems into a labelled run in ``folder``, or go on where it was stopped."""
    if holds_run(folder):
        with RunStore.view(folder) as store:
            if sum(1 for _ in store.answers()) == store.num_rows:
                return
    with Engine(config, reasoner=given.reasoner, checker=Checker()) as engine:
        if holds_run(folder):
            answers = engine.resume(folder, on_progress=on_progress)
        else:
            answers = engine.solve_many(problems, run=folder, on_progress=on_progress)
        with contextlib.closing(answers):
            for _ in answers:
                pass


@dataclass(slots=True)
class Measurement:
    """What was measured so far."""

    config: EngineConfig
    options: CardOptions
    task: str
    """The name of the problems."""
    log: JudgementLog
    is_of_run: bool
    """Whether the solutions are those of a run that existed, and so the paths of its search."""
    unlabelled: list[UnlabelledRow] = field(default_factory=list)
    """Rows without labelled solutions."""
    num_unsure: int = 0
    """Solutions left out because the checker cannot tell whether their answer is right."""
    problem_ids: list[str] = field(default_factory=list)
    """Of the problems with labelled solutions."""

    async def judge(self, store: RunStore, models: JudgeModels, on_progress: OnProgress) -> None:
        """Judge all solutions that are not in the log yet, those of many problems side by side."""
        seed = self.config.run.seed
        reader = SolutionReader(store, num_solutions=self.options.num_solutions, seed=seed)
        judge = SolutionJudge(
            evaluator=models.evaluator,
            greedy=models.greedy,
            family=_judge_family(self.config),
            reasoner=models.reasoner,
            expander=self.config.expander,
            checker=reader.checker,
            options=self.options,
            seed=seed,
        )
        checked = checked_positions(store.num_rows, self.options, seed=seed)
        pace = _JudgingPace(store.num_rows, on_progress)
        running: set[asyncio.Task[None]] = set()
        try:
            for position in range(store.num_rows):
                solved = await reader.read(position)
                if isinstance(solved, UnlabelledRow):
                    self.unlabelled.append(solved)
                    pace.count_failed()
                    continue
                self.num_unsure += solved.num_unsure
                self.problem_ids.append(solved.problem.problem_id)
                work = self._judge_problem(judge, solved, pace, is_checked=position in checked)
                running.add(asyncio.create_task(work))
                running = await _room(running, self.config.run.problems_in_flight)
            await _room(running, 1)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _judge_problem(
        self, judge: SolutionJudge, solved: SolvedProblem, pace: "_JudgingPace", *, is_checked: bool
    ) -> None:
        async def one(number: int) -> None:
            row = await judge.judge(solved, number, is_checked=is_checked and number == 0)
            self.log.add(row)
            pace.usage += TokenUsage(row.critic_prompt_tokens, row.critic_tokens + row.reasoner_tokens)

        numbers = range(len(solved.solutions))
        await gather_or_cancel(one(number) for number in numbers if (solved.position, number) not in self.log.judged)
        pace.count_done()

    def card(self) -> CriticCard:
        """Return the card.

        Raises:
            ConfigError: prompts cannot be loaded.
        """
        digest = hashlib.sha256("\n".join(sorted(set(self.problem_ids))).encode()).hexdigest()[:16]
        left_out = Counter(row.fault for row in self.unlabelled) + Counter(unsure_solution=self.num_unsure)
        subject = CardSubject(
            config=self.config,
            task=f"{self.task} {digest}",
            is_of_search=self.is_of_run,
            num_rollouts=self.options.num_rollouts,
            left_out=dict(left_out),
        )
        return make_card(self.log.rows(), subject)


async def _room(running: set[asyncio.Task[None]], limit: int) -> set[asyncio.Task[None]]:
    """Return the tasks still running once they are fewer than ``limit``; raise the failure of one that failed."""
    while len(running) >= limit:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    return running


def _judge_family(config: EngineConfig) -> str:
    return PromptFamily.for_model(config.critic if config.needs_critic else config.reward_model).name


@dataclass(slots=True)
class _JudgingPace:
    """Counts judged problems and reports them."""

    num_total: int
    on_progress: OnProgress
    num_done: int = 0
    num_failed: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    began_s: float = field(default_factory=time.monotonic)

    def count_failed(self) -> None:
        """Count a problem without labelled solutions."""
        self.num_failed += 1
        self.count_done()

    def count_done(self) -> None:
        """Count a problem and report."""
        self.num_done += 1
        tokens, elapsed_s = self.usage.generated_tokens, time.monotonic() - self.began_s
        self.on_progress(Progress(self.num_done, self.num_failed, self.num_total, tokens, elapsed_s, self.usage))
