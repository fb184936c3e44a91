"""The plan of an evaluation: which runs it makes of its methods, budgets and seeds."""

from pathlib import Path
from typing import Any

import pytest

from critic_engine.config.engine import load_config
from critic_engine.errors import ConfigError, RunError
from critic_engine.evaluation.plan import NUM_SAMPLES, EvaluationPlan, PlannedMethod, ProblemsSource


def planned(name: str, *overrides: str) -> PlannedMethod:
    return PlannedMethod(name=name, config=load_config(name, overrides))


def make_plan(*methods: PlannedMethod, **options: Any) -> EvaluationPlan:
    defaults: dict[str, Any] = {"seeds": (0,), "grader": "relation", "margin": 0.02}
    source = ProblemsSource(path="/problems.jsonl", digest="d" * 16)
    return EvaluationPlan(problems=source, methods=methods, **(defaults | options))


def test_every_method_runs_at_every_budget_with_every_seed_and_one_that_ends_on_its_own_without() -> None:
    plan = make_plan(
        *map(planned, ("greedy", "mmc", "majority", "beam", "mcts")), budgets=(300.0, 1000.0), seeds=(7, 8)
    )
    runs = [(run.method, run.budget, run.seed) for run in plan.runs()]
    alone = [(name, None, seed) for name in ("greedy", "mmc") for seed in (7, 8)]
    budgeted = [
        (name, budget, seed) for name in ("majority", "beam", "mcts") for budget in (300, 1000) for seed in (7, 8)
    ]
    assert runs == alone + budgeted
    assert [run.config.run.seed for run in plan.runs()] == [run.seed for run in plan.runs()]
    assert len({run.folder for run in plan.runs()}) == len(runs)


def test_budget_is_set_in_the_unit_of_the_match() -> None:
    mcts = planned("mcts")
    tokens, compute, seconds = (
        make_plan(mcts, budgets=(300.0,), match=match, prompt_weight=0.5).runs()[0].config.budget
        for match in ("tokens", "compute", "seconds")
    )
    assert (tokens.max_tokens, tokens.prompt_weight, tokens.max_wall_s) == (300, 0.0, None)
    assert (compute.max_tokens, compute.prompt_weight, compute.max_wall_s) == (300, 0.5, None)
    assert (seconds.max_tokens, seconds.prompt_weight, seconds.max_wall_s) == (None, 0.0, 300.0)


def test_sampling_method_goes_on_until_its_budget_is_spent_and_the_change_is_told(tmp_path: Path) -> None:
    plan = make_plan(planned("majority"), planned("greedy"), budgets=(300.0,))
    majority, greedy = plan.runs()
    assert majority.config.strategy.options.num_samples == NUM_SAMPLES
    assert majority.changes == (f"strategy.num_samples={NUM_SAMPLES}",)
    assert (greedy.config.strategy.options.num_samples, greedy.changes) == (1, ())
    plan.write(tmp_path)
    assert f"# runs/{majority.folder}: strategy.num_samples=1000\n" in (tmp_path / "evaluation.yaml").read_text()


def test_without_budgets_each_method_has_its_own() -> None:
    mcts, majority = make_plan(planned("mcts"), planned("majority")).runs()
    assert (mcts.budget, mcts.config.budget.max_tokens) == (None, "16 solutions")
    assert (majority.config.strategy.options.num_samples, majority.changes) == (16, ())


def test_folder_changes_with_the_problems_and_the_method_and_not_with_hosting() -> None:
    folder = make_plan(planned("mcts")).runs()[0].folder
    other = ProblemsSource(path="/problems.jsonl", digest="e" * 16)
    assert make_plan(planned("mcts", "reasoner.device=cuda", "run.problems_in_flight=2")).runs()[0].folder == folder
    assert make_plan(planned("mcts", "reasoner.temperature=0.5")).runs()[0].folder != folder
    assert make_plan(planned("mcts")).model_copy(update={"problems": other}).runs()[0].folder != folder


def test_method_of_a_file_has_a_folder_of_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "my search (new).yaml"
    path.write_text("budget: {max_tokens: 100}\n")
    (run,) = make_plan(PlannedMethod(name=str(path), config=load_config(path))).runs()
    assert (run.method, run.folder[:18]) == (str(path), "my-search-new-s0-" + run.folder[17])


def test_plan_reads_back_as_it_was_written(tmp_path: Path) -> None:
    plan = make_plan(
        *map(planned, ("lats", "majority", "beam")), budgets=(12.5,), seeds=(3,), match="seconds", gates=("lats > 0.5",)
    )
    plan.write(tmp_path)
    assert EvaluationPlan.read(tmp_path) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no evaluation; start one"),
        ("methods: []", "cannot be read: .*; correct it"),
        ("{", "cannot be read: .*; correct it"),
    ],
)
def test_folder_without_a_plan_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "evaluation.yaml").write_text(text)
    with pytest.raises(RunError, match=message):
        EvaluationPlan.read(tmp_path)


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        ([planned("mmc_collect")], {}, "method mmc_collect is told the reference answers"),
        ([planned("mcts"), planned("mcts")], {}, "named twice"),
        ([planned("mcts", "run.max_tokens=100")], {}, "sets run.max_tokens"),
        ([planned("mcts")], {"budgets": (1.5,)}, "tokens are counted whole"),
    ],
)
def test_methods_that_cannot_be_compared_are_refused(
    methods: list[PlannedMethod], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(*methods, **options).check()
