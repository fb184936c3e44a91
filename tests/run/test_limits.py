"""Limits of a whole run: what is going on is cut and answers, what was not begun says so and can be resumed."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.config.engine import load_config
from critic_engine.engine import Engine
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.types import Answer, Problem

POCKET = ["reasoner.prompts=pocket", "critic.prompts=pocket"]
PROBLEMS = [Problem(f"how many stars are in sky {number} ?", name=str(number)) for number in range(12)]


def solve(overrides: Sequence[str], run: Path | None = None, *, is_new: bool = True) -> list[Answer]:
    reasoner, critic = ScriptedGenerator(scripted_reasoner()), ScriptedGenerator(scripted_critic())
    config = load_config("mcts", ["run.problems_in_flight=2", *POCKET, *overrides])
    with Engine(config, reasoner=reasoner, critic=critic) as engine:
        return list(engine.solve_many(PROBLEMS, run=run) if is_new else engine.resume(run))


def test_tokens_of_a_run_cut_what_is_going_on_and_put_off_the_rest(tmp_path: Path) -> None:
    answers = solve(["run.max_tokens=1000"], tmp_path / "run")
    assert [answer.stop_reason for answer in answers[:2]] == ["tokens", "tokens"]
    cut = [answer for answer in answers if answer.stop_reason == "run_tokens"]
    assert len(cut) == 10
    assert 1000 <= sum(answer.num_tokens for answer in answers) < 1100
    begun = [answer for answer in cut if answer.num_simulations]
    assert 1 <= len(begun) <= 2
    assert all("raise run.max_tokens" in str(answer.error) for answer in cut if not answer.num_simulations)


def test_what_was_cut_or_put_off_is_done_when_the_run_is_resumed_with_a_higher_limit(tmp_path: Path) -> None:
    first = solve(["run.max_tokens=1000"], tmp_path / "run")
    second = solve([], tmp_path / "run", is_new=False)
    whole = solve([], tmp_path / "whole")
    assert second[:2] == first[:2]
    assert timeless(second) == timeless(whole)
    assert all(answer.stop_reason == "tokens" for answer in second)


def test_a_search_cut_before_any_path_ended_goes_on_when_the_run_is_resumed(tmp_path: Path) -> None:
    first = solve(["run.max_tokens=20"], tmp_path / "run")
    assert [answer.status for answer in first] == ["failed"] * 12
    assert all("run.max_tokens in" in str(answer.error) for answer in first if not answer.num_simulations)
    assert timeless(solve([], tmp_path / "run", is_new=False)) == timeless(solve([], tmp_path / "whole"))


def test_a_search_that_ends_with_the_trial_that_reaches_the_runs_limit_is_not_cut(tmp_path: Path) -> None:
    answers = solve(["budget.max_tokens=20", "run.max_tokens=20", "run.problems_in_flight=1"], tmp_path / "run")
    assert (answers[0].status, answers[0].stop_reason) == ("answered", "tokens")
    assert {answer.stop_reason for answer in answers[1:]} == {"run_tokens"}
    assert solve(["budget.max_tokens=20"], tmp_path / "run", is_new=False)[0] == answers[0]


def test_tokens_of_earlier_sessions_count(tmp_path: Path) -> None:
    first = solve(["run.max_tokens=1000"], tmp_path / "run")
    assert timeless(solve(["run.max_tokens=1000"], tmp_path / "run", is_new=False)) == timeless(first)


def test_one_search_alone_keeps_to_the_limits_of_a_run() -> None:
    reasoner, critic = ScriptedGenerator(scripted_reasoner()), ScriptedGenerator(scripted_critic())
    with Engine("mcts", overrides=[*POCKET, "run.max_tokens=50"], reasoner=reasoner, critic=critic) as engine:
        answer = engine.solve(PROBLEMS[0])
    assert 50 <= answer.num_tokens < 100
    assert answer.stop_reason == "tokens"


def timeless(answers: Sequence[Answer]) -> list[Answer]:
    return [replace(answer, wall_s=0.0) for answer in answers]


class TiringGenerator(ScriptedGenerator):
    """Answers at once so many times, and then no more."""

    def __init__(self, script: Script, *, num_answers: int) -> None:
        super().__init__(script)
        self._num_left = num_answers

    async def generate(self, request: GenerationRequest) -> Generation:
        self._num_left -= 1
        if self._num_left < 0:
            await asyncio.Event().wait()
        return await super().generate(request)


def test_seconds_of_a_run_end_it_in_time(tmp_path: Path) -> None:
    # What is answered takes a fraction of the time, on a slow machine too; the rest would take for ever.
    overrides = ["run.problems_in_flight=2", "run.max_wall_s=3.0", "budget.max_tokens=20000"]
    config = load_config("mcts", [*POCKET, *overrides])
    reasoner = TiringGenerator(scripted_reasoner(), num_answers=200)
    with Engine(config, reasoner=reasoner, critic=ScriptedGenerator(scripted_critic())) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=tmp_path / "run"))
    assert {answer.stop_reason for answer in answers} == {"run_seconds"}
    begun = [answer for answer in answers if answer.num_simulations]
    assert [answer.status for answer in begun] == ["answered"] * 2
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["stop_reasons"] == {"run_seconds": 12}
