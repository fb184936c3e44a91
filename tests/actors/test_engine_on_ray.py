"""The engine with its models, and its searches, in Ray actors: the same answers, whatever is killed meanwhile."""

import io
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import PIL.Image
import pytest

from critic_engine.actors.cluster import Cluster
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.critic_card import CardModel, CriticCard
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError, ModelLoadError
from critic_engine.images.loading import load_image
from critic_engine.roles.checker import Checker
from critic_engine.run.runner import Progress
from critic_engine.types import Answer, Problem, ProblemRow

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("cluster")]

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=400"]
ON_RAY = ["ray.address=local", "reasoner.actor.num_cpus=0.5", "critic.actor.num_cpus=0.5"]
WORKERS = ["ray.num_search_workers=2", "ray.num_cpus_per_worker=0.5"]
PROBLEMS = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(120)]


def solve(*overrides: str, on_progress: Callable[[Progress], None] = lambda _: None, run: Path | None = None) -> Any:
    with Engine("mcts", overrides=[*SCRIPTED, *overrides]) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=run, on_progress=on_progress))
        return answers, engine.figures()


def found(answers: list[Answer]) -> list[tuple[str, str | None, tuple[str, ...], int]]:
    return [(answer.id, answer.answer, answer.steps, answer.num_tokens) for answer in answers]


def count(answers: list[Answer], kind: str) -> int:
    return sum(answer.failures.get(kind, 0) for answer in answers)


class Killer:
    """Kills two processes of a kind one after the other, as soon as so many tokens were generated.

    On a busy machine one of them may not have begun to work; the other then has all of it.
    """

    def __init__(self, title: str, *, on_kill: Callable[[], None] = lambda: None) -> None:
        self._title = title
        self._at_tokens = [10_000, 20_000]
        self._pids: list[int] = []
        self._on_kill = on_kill

    @property
    def has_killed(self) -> bool:
        return not self._at_tokens

    def __call__(self, progress: Progress) -> None:
        if self.has_killed or progress.num_tokens < self._at_tokens[0]:
            return
        self._at_tokens.pop(0)
        self._pids = self._pids or pids(self._title)
        self._on_kill()
        os.kill(self._pids.pop(), signal.SIGKILL)


def pids(title: str) -> list[int]:
    """Return the processes of that title which this one's Ray has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(title.encode()) and is_of_ours(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def is_of_ours(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return False


def are_gone(*titles: str) -> bool:
    for _ in range(100):
        if not any(pids(title) for title in titles):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def undisturbed() -> list[Answer]:
    answers: list[Answer] = solve()[0]
    return answers


@pytest.mark.parametrize("more", [[], WORKERS], ids=["one driver", "search workers"])
def test_answers_are_those_of_a_run_without_ray(more: list[str], undisturbed: list[Answer], tmp_path: Path) -> None:
    answers, figures = solve(*ON_RAY, *more, run=tmp_path / "run")
    assert found(answers) == found(undisturbed)
    assert count(answers, "worker_lost") == 0
    assert sum(each.usage.generated_tokens for each in figures.values()) == sum(each.num_tokens for each in answers)
    assert are_gone("ray::ModelHost", "ray::SearchWorker")


def test_search_workers_do_without_a_critic_that_its_card_does_not_trust(tmp_path: Path) -> None:
    model = CardModel(name="scripted:pocket", prompts="pocket")
    figures: dict[str, Any] = {"task": "t", "num_problems": 9, "num_solutions": 9, "answer_auroc": {"estimate": 0.5}}
    card = tmp_path / "card.json"
    card.write_text(CriticCard(critic=model, reasoner=model, **figures).model_dump_json(), encoding="utf-8")
    gated = [f"critic.health={card}", "budget.max_tokens=100"]
    answers, figures = solve(*ON_RAY, *WORKERS, *gated, run=tmp_path / "run")
    assert found(answers) == found(solve(*gated)[0])
    assert {tuple(answer.failures.items()) for answer in answers} == {(("critic_gated", 1),)}
    assert len(figures) == 1
    card.unlink()
    with Engine(tmp_path / "run" / "config.yaml") as engine:
        assert found(list(engine.resume(tmp_path / "run"))) == found(answers)


@pytest.mark.parametrize("more", [[], WORKERS], ids=["one driver", "search workers"])
def test_killed_model_actor_costs_retries_and_changes_no_answer(more: list[str], undisturbed: list[Answer]) -> None:
    killer = Killer("ray::ModelHost")
    answers, _ = solve(*ON_RAY, *more, "reasoner.actor.num_replicas=2", on_progress=killer)
    assert killer.has_killed
    assert found(answers) == found(undisturbed)
    assert count(answers, "reasoner_retried") + count(answers, "critic_retried") > 0


def test_killed_search_worker_loses_nothing_that_was_acknowledged(undisturbed: list[Answer], tmp_path: Path) -> None:
    acknowledged: list[tuple[int, int, str]] = []
    run = tmp_path / "run"
    killer = Killer("ray::SearchWorker", on_kill=lambda: acknowledged.extend(logged(run)))
    answers, _ = solve(*ON_RAY, *WORKERS, on_progress=killer, run=run)
    assert killer.has_killed
    assert found(answers) == found(undisturbed)
    assert count(answers, "worker_lost") > 0
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(logged(run))


def logged(run: Path) -> list[tuple[int, int, str]]:
    with sqlite3.connect(run / "run.sqlite") as connection:
        rows = connection.execute("SELECT position, sequence, event FROM events").fetchall()
    connection.close()
    return rows


def test_labelled_run_is_the_same_in_search_workers() -> None:
    rows = [ProblemRow(number, problem.name, problem, ("3",)) for number, problem in enumerate(PROBLEMS[:20], start=1)]
    found = []
    for overrides in ([], [*ON_RAY, *WORKERS]):
        with Engine("mmc_collect", overrides=[*SCRIPTED, *overrides], checker=Checker()) as engine:
            found.append([(each.answer, each.value, each.num_tokens) for each in engine.solve_many(rows)])
    assert found[0] == found[1]


def test_run_that_is_interrupted_goes_on_with_other_workers(undisturbed: list[Answer], tmp_path: Path) -> None:
    with Engine("mcts", overrides=[*SCRIPTED, *ON_RAY, *WORKERS]) as engine:
        started = engine.solve_many(PROBLEMS, run=tmp_path / "run")
        for _ in range(10):
            next(started)
        started.close()
    with Engine("mcts", overrides=SCRIPTED) as engine:
        assert found(list(engine.resume(tmp_path / "run"))) == found(undisturbed)


def test_limit_of_the_run_reaches_the_workers() -> None:
    answers, _ = solve(*ON_RAY, *WORKERS, "run.max_tokens=5000", "run.problems_in_flight=16")
    assert {answer.stop_reason for answer in answers} >= {"run_tokens"}
    assert sum(answer.num_tokens for answer in answers) < 15_000


def test_limit_reaches_searches_whose_beginning_is_large_and_still_on_its_way() -> None:
    noise = numpy.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=numpy.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, "PNG")
    image = load_image(file.getvalue())
    problems = [Problem(f"how many of kind {number} ?", images=(image,)) for number in range(16)]
    overrides = ["run.max_tokens=100", "budget.max_tokens=100000", "budget.max_simulations=2000"]
    with Engine("mcts", overrides=[*SCRIPTED, *ON_RAY, *WORKERS, *overrides]) as engine:
        answers = list(engine.solve_many(problems))
    assert {answer.stop_reason for answer in answers} == {"run_tokens"}


def test_search_that_is_lost_again_and_again_can_be_resumed(undisturbed: list[Answer], tmp_path: Path) -> None:
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        for pid in pids("ray::SearchWorker") if progress.num_tokens > 2000 and len(killed) < 4 else []:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    workers = ["ray.num_search_workers=1", "ray.num_cpus_per_worker=0.5"]
    answers, _ = solve(*ON_RAY, *workers, on_progress=kill, run=tmp_path / "run")
    assert len(killed) == 4
    lost = [answer for answer in answers if answer.status == "failed"]
    assert lost
    assert all("resume the run" in (answer.error or "") for answer in lost)
    with Engine("mcts", overrides=SCRIPTED) as engine:
        assert found(list(engine.resume(tmp_path / "run"))) == found(undisturbed)


def test_engine_that_is_closed_in_the_middle_of_a_run_leaves_it_to_be_resumed(
    undisturbed: list[Answer], tmp_path: Path
) -> None:
    engine = Engine("mcts", overrides=[*SCRIPTED, *ON_RAY, *WORKERS])
    started = engine.solve_many(PROBLEMS, run=tmp_path / "run")
    next(started)
    engine.close()
    started.close()
    with Engine("mcts", overrides=SCRIPTED) as other:
        assert found(list(other.resume(tmp_path / "run"))) == found(undisturbed)


def test_generators_of_this_process_cannot_serve_search_workers() -> None:
    with pytest.raises(ConfigError, match="other processes cannot reach a generator of this process"):
        Engine("mcts", overrides=[*SCRIPTED, *ON_RAY, *WORKERS], reasoner=ScriptedGenerator(["answer : 1"]))


def test_models_that_cannot_be_loaded_in_an_actor_fail_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    overrides = [f"reasoner.model={tmp_path}", "critic.backend=scripted", "reasoner.prompts=plain", "ray.address=local"]
    with Engine("mcts", overrides=overrides) as engine, pytest.raises(ModelLoadError, match=str(tmp_path)):
        engine.load()


def test_cluster_that_is_not_there_is_a_configuration_error(cluster: Cluster) -> None:
    import ray

    ray.shutdown()
    try:
        with pytest.raises(ConfigError, match=r"ray\.address"):
            Engine("mcts", overrides=[*SCRIPTED, "ray.address=127.0.0.1:1"])
    finally:
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
