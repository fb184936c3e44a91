"""The runs of an evaluation: what is done stays done, and only what is missing is searched."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from critic_engine.config.engine import load_config
from critic_engine.data.problems import read_problems
from critic_engine.errors import ProblemError, RunError
from critic_engine.evaluation.campaign import Campaign, KeptModels, model_keys
from critic_engine.evaluation.graders.named_graders import make_grader
from critic_engine.evaluation.method_runs import read_method_runs
from critic_engine.evaluation.problem_set import read_problem_set
from critic_engine.evaluation.scoring import Scorekeeper
from critic_engine.run.store import RunStore
from tests.evaluation.conftest import SCRIPTED, Watched

Make = Callable[..., Campaign]
KEEPER = Scorekeeper(make_grader("relation"))


def begin(campaign: Campaign) -> None:
    with campaign.begun():
        pass


def run(campaign: Campaign) -> list[str]:
    """Return the names of the runs that were searched."""
    watched = Watched()
    with campaign.begun():
        campaign.run_missing(watched)
    return watched.names


def test_only_what_is_missing_is_searched_when_a_method_a_budget_or_a_seed_is_added(make_campaign: Make) -> None:
    assert run(make_campaign("greedy", "majority", budgets=(60.0,))) == ["greedy, seed 0", "majority @60, seed 0"]
    assert run(make_campaign("greedy", "majority", budgets=(60.0,))) == []
    assert run(make_campaign("greedy", "majority", "mcts", budgets=(60.0,))) == ["mcts @60, seed 0"]
    assert run(make_campaign("greedy", "mcts", budgets=(60.0, 90.0))) == ["mcts @90, seed 0"]
    assert run(make_campaign("greedy", budgets=(60.0,), seeds=(0, 1))) == ["greedy, seed 1"]
    other = make_campaign("greedy", budgets=(60.0,), overrides=("reasoner.max_tokens=900",))
    assert run(other) == ["greedy, seed 0"]


def test_rows_without_a_reference_are_left_out_and_no_run_holds_a_reference(make_campaign: Make) -> None:
    campaign = make_campaign("greedy")
    run(campaign)
    problems = campaign.problems
    assert [(row.row, row.id, row.fault) for row in problems.left_out] == [
        (3, "open", "no_reference_answer"),
        (5, "broken", "unreadable"),
    ]
    assert problems.num_without_reference == 1
    assert all(not row.reference_answers for row in problems.rows())
    (planned,) = campaign.plan.runs()
    with RunStore.view(campaign.run_folder(planned)) as store:
        assert (store.num_rows, store.checker) == (6, None)


def test_stopped_run_goes_on_where_it_was(make_campaign: Make) -> None:
    whole = make_campaign("majority", budgets=(60.0,), overrides=("run.problems_in_flight=1",))
    (planned,) = whole.plan.runs()

    class StopError(Exception):
        """Ends the process's work at a row."""

    with contextlib.suppress(StopError), whole.begun(), KeptModels() as kept, kept.engine(planned.config) as engine:
        for number, _ in enumerate(engine.solve_many(whole.problems.rows(), run=whole.run_folder(planned))):
            if number == 2:
                raise StopError
    assert not whole.is_done(planned)
    with RunStore.view(whole.run_folder(planned)) as store:
        before = dict(store.answers())
    assert 3 <= len(before) < 6
    assert run(whole) == ["majority @60, seed 0"]
    with RunStore.view(whole.run_folder(planned)) as store:
        after = dict(store.answers())
    assert {position: after[position] for position in before} == before
    assert whole.is_done(planned)
    assert whole.wall_s(planned) > 0


def test_graded_answers_stand_by_problem_and_seed_with_their_samples_and_costs(make_campaign: Make) -> None:
    campaign = make_campaign("greedy", "majority", "best_of_n", budgets=(60.0,), seeds=(4, 5))
    run(campaign)
    greedy, majority, best = read_method_runs(campaign, KEEPER)
    assert [method.name for method in (greedy, majority, best)] == ["greedy", "majority @60", "best_of_n @60"]
    assert [len(problem) for problem in best.answers] == [2] * 6
    assert [problem[0].answer.id for problem in best.answers] == [f"p{number}" for number in range(6)]
    assert [Path(folder).name[:10] for folder in greedy.folders] == ["greedy-s4-", "greedy-s5-"]
    assert greedy.samples is None
    assert majority.samples is not None
    assert majority.sample_classes is not None
    first = campaign.plan.runs()[2]
    with RunStore.view(campaign.run_folder(first)) as store:
        told = [sum(event["event"] == "told" for event in store.events(position)) for position in range(6)]
    assert [len(grades) for grades in majority.samples] == told
    assert [len(classes) for classes in majority.sample_classes] == told
    assert sum(graded.answer.critic_tokens for problem in majority.answers for graded in problem) == 0
    assert sum(graded.answer.critic_tokens for problem in best.answers for graded in problem) > 0
    assert min(graded.answer.num_tokens for problem in best.answers for graded in problem) >= 60
    assert (greedy.usd, greedy.flops) == (None, None)


def test_folder_of_other_problems_or_of_something_else_is_refused(make_campaign: Make, problems_path: Path) -> None:
    campaign = make_campaign("greedy")
    begin(campaign)
    problems_path.write_text(
        problems_path.read_text() + '{"id": "more", "question": "how many more ?", "answer": "1"}\n'
    )
    with pytest.raises(RunError, match="evaluates other problems"):
        begin(make_campaign("greedy"))
    (campaign.folder / "evaluation.yaml").rename(campaign.folder / "evaluation.yaml.part")
    begin(campaign)
    (campaign.folder / "evaluation.yaml").unlink()
    (campaign.folder / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds no evaluation; name a new folder"):
        begin(campaign)
    assert sorted(path.name for path in campaign.folder.iterdir()) == ["notes.txt", "run.lock"]


def test_second_process_is_kept_out(make_campaign: Make) -> None:
    campaign = make_campaign("greedy")
    with campaign.begun(), pytest.raises(RunError, match="in use by another process"), campaign.begun():
        pass
    begin(campaign)


def test_file_without_any_reference_is_refused(problems_path: Path) -> None:
    problems_path.write_text('{"question": "how many ?"}\n')
    with pytest.raises(ProblemError, match="no row with a reference answer"):
        read_problem_set(read_problems(problems_path), name="problems.jsonl")


def test_lines_of_seconds_that_a_kill_cut_are_left_out(make_campaign: Make) -> None:
    campaign = make_campaign("greedy")
    begin(campaign)
    (planned,) = campaign.plan.runs()
    notes = [
        {"run": planned.folder, "session": session, "wall_s": wall_s} for session, wall_s in ((0, 1), (0, 4), (1, 2))
    ]
    text = "\n".join(map(json.dumps, notes))
    (campaign.folder / "sessions.jsonl").write_text(f'{text}\n{{"run": "{planned.folder}", "ses')
    assert campaign.wall_s(planned) == 6.0


def test_models_are_kept_for_the_next_method_where_one_of_the_two_uses_all_of_them() -> None:
    greedy, mcts, beam = (load_config(name) for name in ("greedy", "mcts", "beam"))
    other = load_config("greedy", ["reasoner.model=other"])
    assert model_keys(greedy) < model_keys(mcts) == model_keys(beam)
    assert not model_keys(other) & model_keys(mcts)
    with KeptModels() as kept:
        for name in ("mcts", "greedy", "critic_v"):
            with kept.engine(load_config(name, SCRIPTED)) as engine:
                assert engine.solve("how many ?").status == "answered"
                num_asked = [each.usage.num_requests for each in engine.figures().values()]
                # Each engine counts its own requests.
                assert num_asked == [1] if name == "greedy" else len(num_asked) == 2
