"""Budgets in multiples of one solution: what they come to, their replay, and the warning of one that is too small."""

import json
import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, dump_config, load_config, parse_config
from critic_engine.config.files import presets
from critic_engine.engine import Engine
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.node_state import NodeState
from critic_engine.episode.solution_budget import SolutionBudget
from critic_engine.errors import ConfigError
from critic_engine.protocols import GenerationRequest, Sample
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, Problem
from search import Proposal, StopReason, Tree

PROBLEMS = [Problem(f"how many stars are in sky {number} ?", name=str(number)) for number in range(4)]
NUM_STEPS, STEP = 10, "so I look at the next part of the sky and count all stars there once more "
ONE = 203
"""Tokens of one solution."""
CRITIQUES = [f"Verdict: right\nScore: 0.{digits}" for digits in (7, 9, 6, 8)]
OVERRIDES = ["reasoner.max_tokens=2000", "expander.max_step_tokens=500", "strategy.max_proposals=2"]


def write(request: GenerationRequest, seed: int) -> str:
    """Go on with a solution of ten steps and an answer, about 200 tokens in all."""
    num_before = request.prefix.count("\n")
    lines = [f"{STEP} {seed % 1000} {number}" for number in range(num_before, NUM_STEPS)]
    return "\n".join([*lines, f"answer: {seed % 3}"])


def solve(config: EngineConfig, problems: list[Problem] = PROBLEMS, run: Path | None = None) -> list[Answer]:
    reasoner, critic = ScriptedGenerator(write), ScriptedGenerator(CRITIQUES)
    with Engine(config, reasoner=reasoner, critic=critic if config.needs_critic else None) as engine:
        return list(engine.solve_many(problems, run=run))


def logged(run: Path) -> list[list[dict[str, Any]]]:
    with closing(RunStore.open(run)) as store:
        return [store.events(position) for position in range(store.num_rows)]


def overrides(preset: str) -> list[str]:
    return OVERRIDES if preset == "mcts" else OVERRIDES[:1]


@pytest.mark.parametrize("name", sorted(presets()))
def test_pocket_pair_keeps_the_tokens_that_its_figures_are_measured_with(name: str) -> None:
    expected = dict.fromkeys(("mcts", "ab_mcts", "beam", "dvts", "particle", "guided", "mctsr", "llama_berry"), 400)
    expected |= {"rstar": 1600, "lats": 1600, "mmc_collect": 9600}
    assert load_config(presets()[name]).max_cost == expected.get(name)


@pytest.mark.parametrize("preset", ["mcts", "ab_mcts", "guided", "mctsr", "llama_berry", "majority"])
def test_presets_spend_the_tokens_of_about_sixteen_solutions_whatever_one_takes(preset: str) -> None:
    answers = solve(load_config(preset, overrides(preset)))
    assert {answer.status for answer in answers} == {"answered"}
    for answer in answers:
        assert 15 * ONE <= answer.num_tokens <= 18 * ONE
        assert answer.failures == {}


def test_limit_is_part_of_the_log_and_a_replay_stops_there(tmp_path: Path) -> None:
    config = load_config("mcts", OVERRIDES)
    answers = solve(config, run=tmp_path / "run")
    assert {answer.stop_reason for answer in answers} == {"tokens"}
    store = RunStore.open(tmp_path / "run")
    for position, answer in enumerate(answers):
        events = store.events(position)
        assert events[-1] == {"event": "stopped", "reason": StopReason.COST.value}
        row = store.row(position)
        tree = logged_tree(store.config(), row.problem, events)  # type: ignore[union-attr]
        assert tree.root.visit_count == answer.num_simulations
    store.close()


@pytest.mark.parametrize("trials_in_flight", [1, 8])
def test_search_that_was_cut_anywhere_goes_on_to_the_same_end(trials_in_flight: int, tmp_path: Path) -> None:
    overrides = [*OVERRIDES, "run.problems_in_flight=1", f"run.trials_in_flight={trials_in_flight}"]
    config = load_config("mcts", overrides)
    whole = solve(config, run=tmp_path / "whole")
    cut = load_config("mcts", [*overrides, "run.max_tokens=4000"])
    solve(cut, run=tmp_path / "run")
    with Engine(config, reasoner=ScriptedGenerator(write), critic=ScriptedGenerator(CRITIQUES)) as engine:
        resumed = list(engine.resume(tmp_path / "run"))
    kept = ("id", "answer", "value", "num_tokens", "num_simulations", "stop_reason")
    assert [[getattr(each, name) for name in kept] for each in resumed] == [
        [getattr(each, name) for name in kept] for each in whole
    ]
    assert logged(tmp_path / "run") == logged(tmp_path / "whole")


def test_path_that_is_not_finished_counts_as_half_of_a_solution_up_to_the_most_that_one_may_take() -> None:
    tree = Tree(NodeState())
    budget = SolutionBudget(max_tokens=1000)
    assert budget.limit(16) == 16 * 64
    node = tree.root
    for num_tokens, one in ((100, 200), (500, 1000), (600, 1200)):
        node = tree.add_child(node, Proposal(NodeState(("see",), num_tokens=num_tokens)))
        budget.observe([node])
        assert budget.limit(16) == 16 * one
    budget.observe([tree.add_child(tree.root, Proposal(NodeState(answer="3", num_tokens=90), is_terminal=True))])
    assert budget.limit(16) == 16 * 90


@pytest.mark.parametrize("trials_in_flight", [1, 8])
def test_a_long_thought_that_is_lost_does_not_end_the_search(trials_in_flight: int, tmp_path: Path) -> None:
    first: list[int] = []

    def script(request: GenerationRequest, seed: int) -> Any:
        first.append(seed)
        if seed == first[0]:
            return Sample("", 8192, "length", thought="<think>let me see")
        return write(request, seed)

    config = load_config("mcts", [*OVERRIDES, f"run.trials_in_flight={trials_in_flight}"])
    with Engine(config, reasoner=ScriptedGenerator(script), critic=ScriptedGenerator(CRITIQUES)) as engine:
        (answer,) = engine.solve_many(PROBLEMS[:1], run=tmp_path / "run")
    assert answer.failures == {"reasoner_cut": 1}
    assert answer.status == "answered"
    assert answer.num_simulations > 1


@pytest.mark.parametrize("limit", ["16 solutions", "1 solution", "0.5 solutions", 400, None])
def test_limit_survives_the_file(limit: Any) -> None:
    document = {"budget": {"max_tokens": limit, "max_simulations": 9}}
    config = parse_config(document)
    assert config.budget.max_tokens == limit
    assert load_config_text(dump_config(config)) == config


def load_config_text(text: str) -> EngineConfig:
    import yaml

    return parse_config(yaml.safe_load(text))


@pytest.mark.parametrize(
    "limit", [0, -1, 1.5, True, "0 solutions", "many solutions", "16", "16 solution s", [], "-1 solutions"]
)
def test_other_limits_are_refused_in_one_line(limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"budget\.max_tokens: it must be a whole number of tokens") as caught:
        parse_config({"budget": {"max_tokens": limit}})
    assert caught.value.field == "budget.max_tokens"


def test_budget_too_small_for_one_path_is_said_once_with_what_a_path_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config("mcts", [*OVERRIDES, "budget.max_tokens=40"])
    with caplog.at_level(logging.WARNING, logger="critic_engine"):
        answers = solve(config, run=tmp_path / "run")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "before one path was finished" in said[0]
    assert "raise budget.max_tokens" in said[0]
    assert "\n" not in said[0]
    assert all(answer.failures == {"budget_too_small": 1} for answer in answers)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["failures"] == {"budget_too_small": 4}


def test_budget_of_one_path_is_said_too(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config("mctsr", ["budget.max_tokens=200"])
    with Engine(config, reasoner=ScriptedGenerator(write), critic=ScriptedGenerator(CRITIQUES)) as engine:
        answers = [engine.solve(problem) for problem in PROBLEMS]
    assert all(answer.failures == {"budget_too_small": 1} for answer in answers)
    assert [record.getMessage() for record in caplog.records if "a second path" in record.getMessage()]
    assert len(caplog.records) == 1


def test_budget_that_counts_prompts_is_not_said_to_be_of_generated_tokens(caplog: pytest.LogCaptureFixture) -> None:
    solve(load_config("mcts", [*OVERRIDES, "budget.max_tokens=40", "budget.prompt_weight=1"]), PROBLEMS[:1])
    (said,) = [record.getMessage() for record in caplog.records]
    assert " tokens and weighted prompt tokens in " in said


def test_budget_that_suffices_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    solve(load_config("mcts", OVERRIDES))
    assert not caplog.records
