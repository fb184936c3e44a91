"""Labelled runs: what the engine does with a checker, what is reported, and that it goes on after a stop."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_reasoner
from critic_engine.config.engine import load_config, parse_config
from critic_engine.config.search import CriticConfig, ExpanderConfig, RewardModelConfig
from critic_engine.data.harvest.paths import TreePaths, count_outcomes, read_paths
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.node_state import NodeState
from critic_engine.errors import ConfigError, RunError
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.parsing.steps import StepSplitter
from critic_engine.pocket.problems import write_problems
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Evaluation
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.roles.evaluators.reward_model import VerdictTokenEvaluator
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow, Trajectory
from search import Asked, Proposal, Told, event_to_dict

SCRIPTED = ["reasoner.backend=scripted", "critic.backend=scripted", "reward_model.backend=scripted"]
ROLLOUTS = {"kind": "rollout", "against": "reference", "num_rollouts": 4}
COLLECT = {
    "strategy": {"kind": "mcts", "selection": "greedy_value", "num_proposals": 2, "max_proposals": 2},
    "expander": {"is_critic_guided": False},
    "evaluator": ROLLOUTS,
    "decision": {"rule": "best_value"},
    "budget": {"max_simulations": 3},
    "reasoner": {"backend": "scripted"},
}
PROBLEMS = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(6)]


def usual_answers() -> list[str]:
    with Engine("majority", overrides=SCRIPTED) as engine:
        return [str(engine.solve(problem).answer) for problem in PROBLEMS]


@pytest.fixture(scope="module")
def rows() -> list[ProblemRow | FailedRow]:
    """Four problems the scripted reasoner can get right, one it cannot, and one without a reference answer."""
    references = [*usual_answers()[:4], "99", None]
    return [
        ProblemRow(number, problem.name, problem, () if reference is None else (reference,), {"source": number})
        for number, (problem, reference) in enumerate(zip(PROBLEMS, references, strict=True), start=1)
    ]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> ProblemRow:
    """A pocket problem with its picture and reference answer."""
    path = tmp_path_factory.mktemp("pocket") / "problems.jsonl"
    write_problems(path, split="dev", num=1, seed=2)
    (row,) = read_problems(path)
    assert isinstance(row, ProblemRow)
    return row


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(parse_config(COLLECT), checker=Checker()) as engine:
        yield engine


def stable(answer: Answer) -> dict[str, object]:
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__ if name != "wall_s"}


def labelling(run: Path) -> dict[str, int]:
    report: dict[str, dict[str, int]] = json.loads((run / "report.json").read_text())
    return report["labelling"]


def test_report_counts_the_problems_whose_paths_can_be_told_apart(rows: Sequence[ProblemRow], tmp_path: Path) -> None:
    reasoner = ScriptedGenerator(scripted_reasoner(), is_recording=True)
    with Engine(parse_config(COLLECT), reasoner=reasoner, checker=Checker()) as engine:
        answers = list(engine.solve_many(rows, run=tmp_path / "run"))
    assert [answer.status for answer in answers] == ["answered"] * 5 + ["failed"]
    assert "no reference answer" in str(answers[5].error)
    completions = [request for request in reasoner.requests if len(request.seeds) == 4]
    assert completions
    assert labelling(tmp_path / "run") == {
        "num_with_right": 4,
        "num_with_wrong": 5,
        "num_with_both": 4,
        "num_rollouts": 4 * len(completions),
    }


def test_finished_run_is_counted_by_its_findings_without_its_logs(rows: Sequence[ProblemRow], tmp_path: Path) -> None:
    with Engine(parse_config({**COLLECT, "collect": {"annotators": []}}), checker=Checker()) as engine:
        list(engine.solve_many(rows, run=tmp_path / "run"))
        found = labelling(tmp_path / "run")
        with closing(sqlite3.connect(tmp_path / "run/run.sqlite")) as connection, connection:
            connection.execute("UPDATE events SET event = '{}'")
        assert len(list(engine.resume(tmp_path / "run"))) == 6
    assert labelling(tmp_path / "run") == found
    with Engine(parse_config(COLLECT), checker=Checker()) as engine:
        list(engine.solve_many(rows, run=tmp_path / "plain"))
    assert labelling(tmp_path / "plain") == found


def test_runs_that_did_not_store_the_number_of_rollouts_are_counted_by_their_logs(
    rows: Sequence[ProblemRow], tmp_path: Path
) -> None:
    with Engine(parse_config({**COLLECT, "collect": {"annotators": []}}), checker=Checker()) as engine:
        list(engine.solve_many(rows, run=tmp_path / "run"))
        found = labelling(tmp_path / "run")
        with closing(sqlite3.connect(tmp_path / "run/run.sqlite")) as connection, connection:
            connection.execute(
                "UPDATE findings SET finding = json_remove(finding, '$.num_rollouts') WHERE name = 'paths'"
            )
        list(engine.resume(tmp_path / "run"))
    assert labelling(tmp_path / "run") == found
    assert found["num_rollouts"] > 0


def test_stopped_run_goes_on_to_what_it_would_have_been(
    engine: Engine, rows: Sequence[ProblemRow], tmp_path: Path
) -> None:
    whole = [stable(answer) for answer in engine.solve_many(rows, run=tmp_path / "whole")]
    started = engine.solve_many(rows, run=tmp_path / "run")
    next(started)
    started.close()
    with Engine(tmp_path / "run" / "config.yaml", checker=Checker()) as other:
        assert [stable(answer) for answer in other.resume(tmp_path / "run")] == whole
    assert labelling(tmp_path / "run") == labelling(tmp_path / "whole")


def test_run_is_gone_on_with_in_the_mode_it_was_begun_in(
    engine: Engine, rows: Sequence[ProblemRow], tmp_path: Path
) -> None:
    plain = load_config("majority", SCRIPTED)
    with Engine(plain) as inference, Engine(plain, checker=Checker()) as labels:
        list(inference.solve_many(rows, run=tmp_path / "solved"))
        list(labels.solve_many(rows, run=tmp_path / "labelled"))
        with pytest.raises(RunError, match="is a labelled run"):
            inference.resume(tmp_path / "labelled")
        with pytest.raises(RunError, match="is no labelled run"):
            labels.resume(tmp_path / "solved")
        assert "labelling" not in json.loads((tmp_path / "solved/report.json").read_text())
        assert labelling(tmp_path / "labelled")["num_rollouts"] == 0
        assert len(list(labels.resume(tmp_path / "labelled"))) == 6


def test_problems_known_to_the_checker_need_no_rows(rows: Sequence[ProblemRow]) -> None:
    with Engine(parse_config(COLLECT), checker=Checker(rows)) as engine:
        answer = engine.solve(PROBLEMS[0])
        many = list(engine.solve_many(PROBLEMS[:1]))
    assert answer.value is not None
    assert stable(many[0]) == stable(answer)


def test_rows_that_disagree_have_both_failed(engine: Engine) -> None:
    rows = [
        ProblemRow(1, "a", PROBLEMS[0], ("1",)),
        ProblemRow(2, "b", PROBLEMS[0], ("2",)),
        ProblemRow(3, "c", PROBLEMS[1], ("1",)),
    ]
    answers = list(engine.solve_many(rows))
    assert [answer.status for answer in answers] == ["failed", "failed", "answered"]
    assert {answer.stop_reason for answer in answers[:2]} == {"unreadable_row"}


@pytest.mark.parametrize(
    ("evaluator", "field"),
    [
        (ROLLOUTS, "evaluator.against"),
        ({"kind": "checker"}, "evaluator.kind"),
        ({"kind": "blend", "parts": [{"evaluator": {"kind": "critic"}}, {"evaluator": ROLLOUTS}]}, "evaluator.parts.1"),
    ],
)
def test_reference_answers_are_asked_in_labelling_mode_only(evaluator: dict[str, Any], field: str) -> None:
    config = parse_config({**COLLECT, "evaluator": evaluator, "critic": {"backend": "scripted"}})
    with pytest.raises(ConfigError, match="only `critic-engine collect` has") as caught:
        Engine(config)
    assert caught.value.field.startswith(field)
    with Engine(config, checker=Checker([ProblemRow(1, "a", PROBLEMS[0], ("1",))])) as engine:
        assert engine.solve(PROBLEMS[0]).num_simulations == 3


def test_paths_without_an_answer_are_neither_right_nor_wrong() -> None:
    problem, answers = PROBLEMS[0], ("1", "2", None)
    rollouts = tuple(
        Proposal(NodeState(("r",), answer=answer), is_terminal=True, key=str(number))
        for number, answer in enumerate((*answers, "1"))
    )
    told = [Proposal(NodeState(("open",)), 0.5, key="open", rollouts=rollouts)]
    told += [Proposal(NodeState((str(a),), answer=a), 0.5, is_terminal=True, key=a, outcome=a) for a in answers]
    config = parse_config({**COLLECT, "strategy": {"kind": "mcts", "num_proposals": 4}})
    log = [
        event_to_dict(event, lambda state: {"steps": list(state.steps), "answer": state.answer})
        for event in (Asked(0, 0, 4), Told(0, tuple(told), 0))
    ]
    tree = logged_tree(config, problem, log)
    checker = Checker([ProblemRow(1, "a", problem, ("1",))])
    counts: dict[str, Any] = {"num_unanswered": 2, "num_rollouts": 4, "reference": None}
    for known, expected in (
        (checker, TreePaths(num_right=3, num_wrong=2, num_unsure=0, **counts)),
        (Checker(), TreePaths(num_right=0, num_wrong=0, num_unsure=5, **counts)),
    ):
        paths = read_paths(tree, problem, checker=known, splitter=StepSplitter(ExpanderConfig(split="delimiter")))
        assert count_outcomes(paths) == expected


def test_reward_model_values_without_words() -> None:
    config = load_config("best_of_n", [*SCRIPTED, "evaluator.kind=reward_model"])
    with Engine(config) as engine:
        events: list[Any] = []
        answer = engine.solve(PROBLEMS[0], on_event=events.append)
    with Engine("best_of_n", overrides=SCRIPTED) as engine:
        judged: list[Any] = []
        engine.solve(PROBLEMS[0], on_event=judged.append)
    assert answer.value is not None
    assert all(event.critique is None for event in events)
    assert [event.value for event in events] == [event.value for event in judged]


def test_pocket_reward_model_gives_the_pocket_critics_values_with_one_token(board: ProblemRow) -> None:
    models = Models(ModelMakers(make_generator, make_scorer))
    generator = models.generator(RewardModelConfig(device="cpu"), "critic")
    assert generator is models.generator(CriticConfig(device="cpu"), "critic")
    trajectory = Trajectory(("row 1 : a1 red circle", "answer : 1"), is_finished=True, answer="1")

    async def work() -> tuple[Evaluation, Evaluation]:
        try:
            critic = Critic(generator, PromptFamily.load("pocket"), CriticConfig())
            reward_model = VerdictTokenEvaluator(generator, PromptFamily.for_model(RewardModelConfig()))
            return (
                await critic.evaluate(board.problem, trajectory, seed=0),
                await reward_model.evaluate(board.problem, trajectory, seed=0),
            )
        finally:
            await generator.aclose()

    judged, valued = asyncio.run(work())
    assert valued.value == pytest.approx(judged.value, abs=1e-4)
    assert (valued.critique, valued.usage.generated_tokens) == (None, 1)


def test_pocket_models_label_a_pocket_problem(board: ProblemRow, tmp_path: Path) -> None:
    overrides = ["budget.max_tokens=300", "reasoner.device=cpu", "run.seed=1"]
    with Engine("mmc_collect", overrides=overrides, checker=Checker()) as engine:
        (answer,) = engine.solve_many([board], run=tmp_path / "run")
    found = labelling(tmp_path / "run")
    assert answer.num_simulations >= 1
    assert found["num_rollouts"] >= 4
    assert found["num_with_right"] + found["num_with_wrong"] >= 1


def test_labelled_run_says_how_well_its_critic_tells_right_from_wrong(
    rows: Sequence[ProblemRow], tmp_path: Path
) -> None:
    samples = {"strategy": {"kind": "best_of_n", "num_samples": 6}, "expander": {"kind": "solution"}}
    critic = {"critic": {"backend": "scripted"}, "evaluator": {"kind": "critic"}}
    config = parse_config({**COLLECT, **samples, **critic, "collect": {"annotators": []}})
    with Engine(config, checker=Checker()) as engine:
        list(engine.solve_many(rows, run=tmp_path / "run"))
        found: dict[str, Any] = dict(labelling(tmp_path / "run"))
        list(engine.resume(tmp_path / "run"))
    assert labelling(tmp_path / "run") == found
    auroc = found["critic_auroc"]
    assert auroc["num_paths"] > 0
    assert auroc["estimate"] is None or 0 <= auroc["low"] <= auroc["estimate"] <= auroc["high"] <= 1
