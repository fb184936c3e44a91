"""The bench beside peers, with the shipped scripted generators in place of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import peers
from bench.peer_methods.methods import ALL_METHODS, METHODS, Method, with_budget
from bench.peer_methods.outcomes import Outcome, OutcomesFile
from bench.peer_methods.report import comparisons, table
from bench.peer_methods.sessions import Models, Session, Solution
from bench.peer_methods.tasks import Case, gym_cases
from bench.peer_methods.votes import vote_by_value, vote_by_value_and_probability
from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.engine import Engine
from critic_engine.errors import GenerationError
from critic_engine.types import Problem

PROBLEM = Problem("how many red shapes ?")
POCKET = ("reasoner.prompts=pocket", "critic.prompts=pocket")


def session(
    method: Method, budget: int, *, reasoner: Script | None = None, critic: Script | Sequence[str] | None = None
) -> Session:
    models = Models(ScriptedGenerator(reasoner or scripted_reasoner()), ScriptedGenerator(critic or scripted_critic()))
    config = with_budget(method, budget=budget, seed=3, overrides=POCKET)
    return Session(PROBLEM, models, budget, 3, config)


def searched(name: str, budget: int, **scripts: Script | Sequence[str]) -> tuple[Session, str | None]:
    method = ALL_METHODS[name]
    if method.package == "its_hub":
        pytest.importorskip("its_hub")
    ran = session(method, budget, **scripts)  # type: ignore[arg-type]
    return ran, asyncio.run(method.search(ran))


def failing(request: object, seed: int) -> str:
    raise GenerationError("the model is away")


def solution(answer: str | None, value: float | None, log_prior: float | None = None, step: str = "") -> Solution:
    return Solution((step or f"answer : {answer}",), answer, value, log_prior)


def outcome(method: str, problem: int, *, is_right: bool, seed: int = 0, budget: int = 100) -> Outcome:
    rules = ("own",) if method == "majority" else ("own", "value", "value x probability")
    return Outcome(
        method=method,
        budget=budget,
        seed=seed,
        problem=problem,
        answers=dict.fromkeys(rules, "1"),
        is_right=dict.fromkeys(rules, is_right),
        was_found=is_right,
        num_solutions=2,
        num_tokens=110,
        num_critic_tokens=10,
        num_prompt_tokens=300,
        num_failed=0,
        num_unreadable=0,
    )


def test_a_vote_by_value_counts_a_solution_each_time_it_was_written() -> None:
    solutions = [solution("2", 0.9), solution("1", 0.5), solution("1", 0.5)]

    assert vote_by_value(solutions, str) == "1"


def test_a_vote_by_value_and_probability_counts_a_solution_once() -> None:
    solutions = [solution("2", 0.9, -1.0), solution("1", 0.5, -1.0), solution("1", 0.5, -1.0)]

    assert vote_by_value_and_probability(solutions, str) == "2"


def test_a_likelier_solution_weighs_more_in_the_vote_by_value_and_probability() -> None:
    solutions = [solution("2", 0.9, -3.0), solution("1", 0.5, -1.0)]

    assert vote_by_value_and_probability(solutions, str) == "1"


def test_an_unknown_value_adds_nothing_to_a_vote() -> None:
    assert vote_by_value([solution("1", None), solution("1", None), solution("2", 0.1)], str) == "2"


def test_where_no_value_is_known_each_solution_counts_once() -> None:
    assert vote_by_value([solution("2", None), solution("1", None), solution("1", None)], str) == "1"


def test_a_vote_without_any_answer_has_none() -> None:
    assert vote_by_value([solution(None, 0.9)], str) is None


@pytest.mark.parametrize("name", METHODS)
def test_each_method_spends_its_budget_and_answers(name: str) -> None:
    ran, answer = searched(name, 150)

    assert answer is not None
    assert ran.count.num_tokens >= 150 or METHODS[name].package == "ours"


@pytest.mark.parametrize("name", ["treequest StandardMCTS", "treequest ABMCTSA", "its_hub BestOfN"])
def test_the_trial_that_crosses_the_budget_is_the_last(name: str) -> None:
    ran, _ = searched(name, 150)
    longest = max(sum(len(step.split()) + 1 for step in each.steps) for each in ran.solutions)

    assert ran.count.num_tokens < 150 + 2 * longest + 20


def test_a_preset_answers_as_the_engine_does_with_the_same_tokens() -> None:
    ran, answer = searched("mcts", 150)
    config = ran.config
    with Engine(
        config, reasoner=ScriptedGenerator(scripted_reasoner()), critic=ScriptedGenerator(scripted_critic())
    ) as engine:
        alone = engine.solve(PROBLEM)

    assert (answer, ran.count.num_tokens) == (alone.answer, alone.num_tokens)


@pytest.mark.parametrize("name", [*METHODS, "treequest StandardMCTS, steps"])
def test_a_model_that_fails_ends_every_method_without_an_answer(name: str) -> None:
    ran, answer = searched(name, 150, reasoner=failing)

    assert answer is None
    assert ran.count.num_failed > 0


@pytest.mark.parametrize("name", ["treequest StandardMCTS", "treequest ABMCTSA", "its_hub BestOfN"])
def test_a_value_that_is_unknown_is_counted_and_never_told_as_a_number(name: str) -> None:
    ran, answer = searched(name, 150, critic=["nothing to read"])

    assert ran.count.num_unreadable > 0
    assert all(each.value is None for each in ran.solutions)
    # Best-of-N needs no value of a sample that is alone.
    assert answer is None or METHODS[name].package == "its_hub"


def test_paths_that_are_cut_by_the_budget_are_completed_from_the_best_beginning() -> None:
    ran, answer = searched("its_hub ParticleFiltering, 8", 30)

    assert not ran.solutions
    assert answer is not None


def test_particles_that_end_early_start_again_until_the_budget_is_spent() -> None:
    ran, _ = searched("its_hub ParticleFiltering, 1", 300)

    assert len(ran.solutions) > 1


def test_a_search_by_steps_knows_the_probability_of_a_whole_solution() -> None:
    ran, _ = searched("treequest StandardMCTS, steps", 300)

    assert ran.solutions
    assert all(each.log_prior is not None and each.log_prior < 0 for each in ran.solutions)
    assert all(each.steps[-1].startswith("answer") for each in ran.solutions)


def test_an_interrupted_file_of_outcomes_goes_on_without_its_broken_last_line(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    OutcomesFile(path, {"num": 2}).add([outcome("mcts", 0, is_right=True), outcome("mcts", 1, is_right=True)])
    path.write_text(path.read_text()[:-9])

    file = OutcomesFile(path, {"num": 2})
    file.add([outcome("mcts", 1, is_right=False)])
    again = OutcomesFile(path, {"num": 2}).find("mcts", 100, 0, 1)

    assert file.find("mcts", 100, 0, 0) is not None
    assert file.find("mcts", 100, 0, 1) is None
    assert again is not None
    assert again.is_right["own"] is False


def test_outcomes_of_other_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    OutcomesFile(path, {"num": 2})

    with pytest.raises(SystemExit, match="other settings"):
        OutcomesFile(path, {"num": 3})


def test_the_report_begins_with_the_largest_loss_and_says_what_the_data_show() -> None:
    found = []
    for problem in range(30):
        for budget, ours in ((100, problem < 25), (200, problem < 10)):
            found.append(outcome("mcts", problem, is_right=ours, budget=budget))
            found.append(outcome("its_hub BestOfN", problem, is_right=problem < 20, budget=budget))
    lines = comparisons(found, METHODS, seed=0)

    first = next(line for line in lines if line.startswith("| 100") or line.startswith("| 200"))
    assert first.startswith("| 200 | mcts | own | its_hub BestOfN | own | -33.3")
    assert first.endswith("| worse |")
    assert any(line.startswith("- mcts @200 (own): found a right solution for 33.3 %") for line in lines)
    assert not any(line.startswith("- mcts @100") for line in lines)


def test_a_method_without_values_has_no_votes_in_the_table() -> None:
    (line,) = table([outcome("majority", 0, is_right=True)], METHODS)[-1:]

    assert line.split(" | ")[4:6] == ["-", "-"]


def test_answers_whose_grade_is_unsure_count_as_wrong_and_are_counted() -> None:
    unsure = replace(outcome("mcts", 0, is_right=True), is_right={"own": None, "value": None})
    (line,) = table([unsure], METHODS)[-1:]

    assert " | 0.0 (" in line
    assert line.endswith("| 1 |")


def test_a_resumed_bench_asks_nothing_again_and_reports_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
    sizes = ["--num", "3", "--seeds", "2", "--budgets", "60", "--methods", "mcts", "majority"]
    words = ["peers", *sizes, *scripted, "--folder", str(tmp_path), "--outcomes", str(tmp_path / "kept.jsonl")]
    monkeypatch.setattr("sys.argv", words)

    peers.main()
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = (tmp_path / "kept.jsonl").read_text()
    peers.main()
    second = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert first["results"] == second["results"]
    assert (tmp_path / "kept.jsonl").read_text() == kept
    assert len(kept.splitlines()) == 1 + 3 * 2 * 2


def test_a_text_problem_is_graded_by_the_score_of_its_own_data_set() -> None:
    gym = pytest.importorskip("reasoning_gym")
    (case,) = gym_cases(split="dev", num=1, seed=5, datasets=("chain_sum",))
    entry = gym.create_dataset("chain_sum", size=1, seed=1_000_005)[0]

    assert case.problem.question == entry["question"]
    assert case.is_right(entry["answer"]) is True
    assert case.is_right("no number") is False


def test_an_override_that_does_not_fit_a_method_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--methods", "weighted_majority", "--set", "expander.max_step_tokens=9"]
    monkeypatch.setattr("sys.argv", ["peers", *words])

    with pytest.raises(SystemExit, match=r"weighted_majority: .*max_step_tokens"):
        peers.main()


def test_a_right_answer_of_a_completed_beginning_counts_as_found() -> None:
    pytest.importorskip("its_hub")
    name = "its_hub ParticleFiltering, 8"
    models = Models(ScriptedGenerator(scripted_reasoner()), ScriptedGenerator(scripted_critic()))
    case = Case(PROBLEM, lambda answer: True)

    found = asyncio.run(peers.answer(name, case, 0, budget=30, seed=3, models=models, overrides=POCKET))

    assert found.num_solutions == 0
    assert found.was_found
