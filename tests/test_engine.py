"""The façade, over scripted models."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.config.engine import load_config
from critic_engine.engine import Engine
from critic_engine.episode.episode import SearchEvent
from critic_engine.errors import GenerationError, ParseError, ReplicaLostError, RunError
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.run.runner import Progress
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow
from tests.rounds import Rounds, RoundsGenerator

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=1000"]
PROBLEMS = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(12)]


def stable(answer: Answer) -> dict[str, object]:
    return {name: value for name, value in vars_of(answer).items() if name != "wall_s"}


def vars_of(answer: Answer) -> dict[str, object]:
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("mcts", overrides=SCRIPTED) as engine:
        yield engine


def test_one_problem_is_answered_and_its_tree_is_watched(engine: Engine) -> None:
    events: list[SearchEvent] = []
    answer = engine.solve(PROBLEMS[0], on_event=events.append)
    assert answer.status == "answered"
    assert answer.id == "p0"
    assert [event.num_tokens for event in events] == sorted(event.num_tokens for event in events)
    assert 0 < events[-1].num_tokens <= answer.num_tokens


def test_equal_seeds_give_equal_answers_and_other_seeds_other_searches() -> None:
    answers = []
    for seed in (0, 0, 1):
        with Engine("mcts", overrides=[*SCRIPTED, f"run.seed={seed}"]) as engine:
            answers.append(stable(engine.solve(PROBLEMS[0])))
    assert answers[0] == answers[1] != answers[2]


def test_asolve_runs_beside_the_callers_own_event_loop(engine: Engine) -> None:
    async def both() -> list[Answer]:
        return await asyncio.gather(*(engine.asolve(problem) for problem in PROBLEMS[:3]))

    assert [answer.id for answer in asyncio.run(both())] == ["p0", "p1", "p2"]


def test_seed_of_asolve_draws_as_that_of_the_run_does(engine: Engine) -> None:
    with Engine("mcts", overrides=[*SCRIPTED, "run.seed=1"]) as other:
        expected = stable(other.solve(PROBLEMS[0]))
    assert stable(asyncio.run(engine.asolve(PROBLEMS[0], seed=1))) == expected
    assert stable(asyncio.run(engine.asolve(PROBLEMS[0]))) != expected


def test_solve_works_where_an_event_loop_is_running_already(engine: Engine) -> None:
    async def as_in_a_notebook() -> Answer:
        return engine.solve(PROBLEMS[0])

    assert asyncio.run(as_in_a_notebook()).status == "answered"


def test_answers_come_in_input_order_and_do_not_depend_on_how_many_are_in_flight() -> None:
    answers = []
    for in_flight in (1, 5):
        with Engine("mcts", overrides=[*SCRIPTED, f"run.problems_in_flight={in_flight}"]) as engine:
            answers.append([stable(answer) for answer in engine.solve_many(PROBLEMS)])
    assert [answer["id"] for answer in answers[0]] == [problem.name for problem in PROBLEMS]
    assert answers[0] == answers[1]


def test_a_run_directory_holds_answers_report_and_configuration(engine: Engine, tmp_path: Path) -> None:
    rows = [
        ProblemRow(1, "a", PROBLEMS[0]),
        FailedRow(2, "b", "image x.png is missing"),
        ProblemRow(3, "c", PROBLEMS[0]),
    ]
    progress: list[Progress] = []
    answers = list(engine.solve_many(rows, run=tmp_path / "run", on_progress=progress.append))
    assert [(answer.id, answer.status) for answer in answers] == [("a", "answered"), ("b", "failed"), ("c", "answered")]
    assert answers[1].error == "image x.png is missing"
    written = [json.loads(line) for line in (tmp_path / "run/answers.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in written] == [answer.answer for answer in answers]
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert (report["num_answered"], report["num_failed"], report["duplicates"]) == (2, 1, [["a", "c"]])
    assert report["num_tokens"] == sum(answer.num_tokens for answer in answers) == progress[-1].num_tokens
    assert (progress[-1].num_done, progress[-1].num_failed, progress[-1].num_total) == (3, 1, 3)
    assert load_config(tmp_path / "run/config.yaml") == engine.config


def test_an_abandoned_iteration_is_gone_on_with_from_where_it_stood(engine: Engine, tmp_path: Path) -> None:
    whole = [stable(answer) for answer in engine.solve_many(PROBLEMS)]
    started = engine.solve_many(PROBLEMS, run=tmp_path / "run")
    first = [stable(next(started)) for _ in range(3)]
    started.close()
    assert not json.loads((tmp_path / "run/report.json").read_text())["is_complete"]
    assert [stable(answer) for answer in engine.resume(tmp_path / "run")] == whole
    assert whole[:3] == first
    assert json.loads((tmp_path / "run/report.json").read_text())["is_complete"]


def test_a_run_is_not_gone_on_with_under_another_method(engine: Engine, tmp_path: Path) -> None:
    list(engine.solve_many(PROBLEMS[:1], run=tmp_path / "run"))
    with (
        Engine("mcts", overrides=[*SCRIPTED, "run.seed=9"]) as other,
        pytest.raises(RunError, match="another configuration"),
    ):
        list(other.resume(tmp_path / "run"))
    with Engine("mcts", overrides=[*SCRIPTED, "run.problems_in_flight=3"]) as same:
        assert len(list(same.resume(tmp_path / "run"))) == 1


def test_a_run_whose_config_file_was_edited_is_not_gone_on_with(engine: Engine, tmp_path: Path) -> None:
    list(engine.solve_many(PROBLEMS[:1], run=tmp_path / "run"))
    path = tmp_path / "run/config.yaml"
    path.write_text(path.read_text().replace("num_proposals: 1", "num_proposals: 2"))
    with Engine(path) as edited, pytest.raises(RunError, match="another configuration"):
        list(edited.resume(tmp_path / "run"))


class Poisoned:
    """A generator that breaks in its own way on one problem."""

    def __init__(self, inner: ScriptedGenerator, error: Exception) -> None:
        self.name = "poisoned"
        self._inner = inner
        self._error = error

    async def generate(self, request: GenerationRequest) -> Generation:
        if "kind 3" in request.messages[0].text:
            raise self._error
        return await self._inner.generate(request)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("error", [GenerationError("out of memory"), RuntimeError("a bug"), ParseError("hm", text="x")])
def test_one_problem_that_fails_is_recorded_and_does_not_stop_the_others(error: Exception) -> None:
    reasoner = Poisoned(ScriptedGenerator(scripted_reasoner()), error)
    with Engine("mcts", overrides=SCRIPTED, reasoner=reasoner) as engine:
        answers = list(engine.solve_many(PROBLEMS))
    assert [answer.id for answer in answers if answer.status == "failed"] == ["p3"]
    assert answers[3].error is not None


def test_a_problem_that_breaks_still_says_what_was_spent_on_it(tmp_path: Path) -> None:
    class Breaks(ScriptedGenerator):
        num_calls = 0

        async def generate(self, request: GenerationRequest) -> Generation:
            self.num_calls += 1
            if self.num_calls == 4:
                raise RuntimeError("a bug")
            return await super().generate(request)

    with Engine("mcts", overrides=SCRIPTED, reasoner=Breaks(scripted_reasoner())) as engine:
        (answer,) = engine.solve_many(PROBLEMS[:1], run=tmp_path / "run")
    assert (answer.status, answer.stop_reason, answer.num_simulations) == ("failed", "error", 3)
    assert answer.error == "RuntimeError: a bug"
    assert answer.num_tokens > 0


def test_a_log_that_does_not_fit_ends_the_run_and_is_kept(engine: Engine, tmp_path: Path) -> None:
    run = tmp_path / "run"
    started = engine.solve_many(PROBLEMS, run=run)
    next(started)
    started.close()
    with sqlite3.connect(run / "run.sqlite") as connection:
        connection.execute("DELETE FROM answers WHERE position = 0")
        connection.execute(
            """UPDATE events SET event = '{"event":"asked","trial":0,"node":7,"num":1}' WHERE sequence = 0"""
        )
    connection.close()
    with pytest.raises(RunError, match="row 1 is not of this version"):
        list(engine.resume(run))
    with sqlite3.connect(run / "run.sqlite") as connection:
        assert connection.execute("SELECT COUNT(*) FROM answers WHERE position = 0").fetchone() == (0,)
    connection.close()


def test_a_progress_callback_that_fails_ends_nothing(engine: Engine) -> None:
    def closed_pipe(progress: Progress) -> None:
        raise BrokenPipeError

    answers = list(engine.solve_many(PROBLEMS[:2], on_progress=closed_pipe))
    assert [answer.status for answer in answers] == ["answered", "answered"]


def test_failures_after_the_search_are_counted_once_however_often_it_is_resumed(tmp_path: Path) -> None:
    class Dead(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            raise GenerationError("no engine")

    run = tmp_path / "run"
    with Engine("mcts", overrides=SCRIPTED, reasoner=Dead(["x"])) as engine:
        (whole,) = engine.solve_many(PROBLEMS[:1], run=run)
        with sqlite3.connect(run / "run.sqlite") as connection:
            connection.execute("DELETE FROM answers")
        connection.close()
        (again,) = engine.resume(run)
    assert stable(again) == stable(whole)
    assert whole.failures == {"reasoner_error": 4}
    assert whole.error is not None
    assert "4 reasoner_error" in whole.error


def test_half_a_surrogate_pair_from_a_model_is_written_escaped(tmp_path: Path) -> None:
    with Engine("greedy", overrides=SCRIPTED, reasoner=ScriptedGenerator(["odd \ud83d\nanswer : 1"])) as engine:
        (answer,) = engine.solve_many(PROBLEMS[:1], run=tmp_path / "run")
    assert answer.answer == "1"
    (row,) = (tmp_path / "run/answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row)["answer"] == "1"


def test_rows_that_cannot_be_read_in_leave_the_folder_free(engine: Engine, tmp_path: Path) -> None:
    def broken() -> Iterator[Problem]:
        yield PROBLEMS[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        engine.solve_many(broken(), run=tmp_path / "run")
    assert len(list(engine.solve_many(PROBLEMS[:1], run=tmp_path / "run"))) == 1


def test_an_unreadable_critic_leaves_answers_without_a_value() -> None:
    with Engine("mcts", overrides=SCRIPTED, critic=ScriptedGenerator(["Lovely weather."])) as engine:
        answer = engine.solve(PROBLEMS[0])
    assert answer.value is None
    assert answer.failures["critic_unreadable"] > 0


def test_problems_are_searched_side_by_side() -> None:
    overrides = [*SCRIPTED, "budget.max_tokens=60"]
    rounds = Rounds()
    reasoner, critic = RoundsGenerator(scripted_reasoner(), rounds), RoundsGenerator(scripted_critic(), rounds)
    with Engine("best_of_n", overrides=overrides, reasoner=reasoner, critic=critic) as engine:
        answers = list(engine.solve_many(PROBLEMS))
    assert rounds.num_calls >= 2 * sum(answer.num_simulations for answer in answers)
    assert rounds.num_rounds < rounds.num_calls / 2


def test_closing_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with Engine("greedy", overrides=SCRIPTED) as engine:
        engine.solve(PROBLEMS[0])
    assert threading.active_count() == before


def test_every_event_of_a_run_is_in_its_log_once(engine: Engine, tmp_path: Path) -> None:
    answers = list(engine.solve_many(PROBLEMS[:2], run=tmp_path / "run"))
    with sqlite3.connect(tmp_path / "run/run.sqlite") as connection:
        events = [json.loads(event) for (event,) in connection.execute("SELECT event FROM events WHERE position = 0")]
    connection.close()
    told = [event for event in events if event["event"] == "told"]
    assert len(told) == answers[0].num_simulations
    assert sum(event.get("cost", 0) for event in told) >= 1000


def test_requests_that_had_to_be_sent_again_are_counted_and_change_no_answer() -> None:
    busy = GenerationError("busy", is_retryable=True)
    with Engine("mcts", overrides=SCRIPTED, reasoner=ScriptedGenerator(scripted_reasoner())) as engine:
        undisturbed = engine.solve(PROBLEMS[0])
    reasoner = ScriptedGenerator(scripted_reasoner(), faults={0: busy, 2: busy})
    critic = ScriptedGenerator(scripted_critic(), faults={1: busy})
    with Engine("mcts", overrides=SCRIPTED, reasoner=reasoner, critic=critic) as engine:
        answer = engine.solve(PROBLEMS[0])
        figures = engine.figures()
    assert answer.failures == {"reasoner_retried": 2, "critic_retried": 1}
    assert (answer.answer, answer.steps, answer.num_tokens) == (
        undisturbed.answer,
        undisturbed.steps,
        undisturbed.num_tokens,
    )
    assert figures["scripted"].num_failed == 2


def test_engine_that_is_closed_in_the_middle_of_a_run_leaves_it_to_be_resumed(tmp_path: Path) -> None:
    engine = Engine("mcts", overrides=SCRIPTED)
    started = engine.solve_many(PROBLEMS, run=tmp_path / "run")
    next(started)
    engine.close()
    started.close()
    with Engine("mcts", overrides=SCRIPTED) as other:
        assert [answer.status for answer in other.resume(tmp_path / "run")] == ["answered"] * len(PROBLEMS)


class Fading(ScriptedGenerator):
    """Answers a hundred requests, and is gone."""

    async def generate(self, request: GenerationRequest) -> Generation:
        self.num_asked = getattr(self, "num_asked", 0) + 1
        if self.num_asked > 100:
            raise ReplicaLostError("no replica is left")
        return await super().generate(request)


@pytest.mark.parametrize(
    "models", [{"reasoner": scripted_reasoner}, {"critic": scripted_critic}], ids=["reasoner", "critic"]
)
def test_run_whose_model_is_gone_for_good_is_gone_on_with_by_a_resume(models: dict[str, Any], tmp_path: Path) -> None:
    with Engine("mcts", overrides=SCRIPTED) as engine:
        undisturbed = [stable(answer) for answer in engine.solve_many(PROBLEMS)]
    fading = {role: Fading(script()) for role, script in models.items()}
    with Engine("mcts", overrides=SCRIPTED, **fading) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=tmp_path / "run"))
        with pytest.raises(ReplicaLostError):
            engine.solve(PROBLEMS[0])
    lost = [answer for answer in answers if answer.status == "failed"]
    assert lost
    assert all("resume the run: no replica is left" in (answer.error or "") for answer in lost)
    with Engine("mcts", overrides=SCRIPTED) as engine:
        assert [stable(answer) for answer in engine.resume(tmp_path / "run")] == undisturbed


def test_texts_and_rows_are_solved_as_problems_are(engine: Engine) -> None:
    expected = stable(engine.solve(Problem("how many of kind 3 ?", name="1")))
    assert stable(engine.solve("how many of kind 3 ?")) == expected
    assert stable(engine.solve({"question": "how many of kind 3 ?", "answer": "9"})) == expected
    answers = list(engine.solve_many(["how many of kind 3 ?", {"question": "  ", "id": "empty"}]))
    assert stable(answers[0]) == expected
    assert (answers[1].id, answers[1].status, answers[1].stop_reason) == ("empty", "failed", "unreadable_row")


def test_closed_engine_says_so() -> None:
    with Engine("mcts", overrides=SCRIPTED) as engine:
        unfinished = engine.solve_many(PROBLEMS)
        next(unfinished)
    for call in (
        lambda: engine.solve("how many ?"),
        lambda: engine.solve_many(["how many ?"]),
        lambda: asyncio.run(engine.asolve("how many ?")),
        lambda: engine.resume("nowhere"),
        engine.load,
        lambda: list(unfinished),
    ):
        with pytest.raises(RuntimeError, match="the engine is closed"):
            call()


def test_answers_of_a_run_reach_its_file_while_an_early_problem_is_slow(tmp_path: Path) -> None:
    class Waits(ScriptedGenerator):
        async def generate(self, request: GenerationRequest) -> Generation:
            if PROBLEMS[0].question in request.messages[-1].text:
                while len(rows()) < len(PROBLEMS) - 1:
                    await asyncio.sleep(0.01)
            return await super().generate(request)

    def rows() -> list[dict[str, Any]]:
        lines = (tmp_path / "run" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    with Engine("mcts", overrides=SCRIPTED, reasoner=Waits(scripted_reasoner())) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=tmp_path / "run"))
    assert [row["id"] for row in rows()] == [answer.id for answer in answers] == [f"p{n}" for n in range(len(PROBLEMS))]
    assert [row["row"] for row in rows()] == list(range(1, len(PROBLEMS) + 1))
