"""Particle filtering through the engine, with scripted models that repeat their words, fail and cannot be read."""

from contextlib import closing
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator, unit_hash
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.engine import Engine
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.node_state import NodeState
from critic_engine.errors import GenerationError
from critic_engine.protocols import GenerationRequest
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, Problem
from search import Tree

PROBLEMS = [Problem(f"how many stars are in sky {number} ?") for number in range(5)]
OVERRIDES = (
    *(
        "strategy.num_rounds=2",
        "strategy.num_particles=8",
        "budget.max_tokens=null",
        "evaluator.kind=critic",
        "reward_model.backend=scripted",
    ),
    *("run.trials_in_flight=8", "reasoner.max_attempts=1", "critic.max_attempts=1"),
)


def write(request: GenerationRequest, seed: int) -> str:
    """Count well in three of eight solutions, which then end in 1, and badly in the others, which end in 2."""
    lines = request.prefix.split("\n")[:-1]
    if not lines:
        lines = [f"I count {'well' if seed % 8 < 3 else 'badly'}"]
        written = lines
    else:
        written = []
    while len(lines) < 4:
        written = [*written, f"I look once more, step {len(lines)}"]
        lines = [*lines, written[-1]]
    return "\n".join([*written, f"answer: {1 if 'well' in lines[0] else 2}"])


def criticise(request: GenerationRequest, seed: int) -> str:
    if "count well" in request.messages[-1].text:
        return "Verdict: right\nScore: 0.9"
    return "Verdict: wrong\nFirst wrong step: 1\nIt was not counted well.\nScore: 0.2"


def searched(
    run: Path, reasoner: ScriptedGenerator, critic: ScriptedGenerator, *overrides: str
) -> tuple[list[Answer], list[Tree[NodeState]]]:
    """Return the answers and trees of a run of ``PROBLEMS``."""
    config: EngineConfig = load_config("particle", [*OVERRIDES, *overrides])
    with Engine(config, reasoner=reasoner, critic=critic) as engine:
        answers = list(engine.solve_many(PROBLEMS, run=run))
    with closing(RunStore.open(run)) as store:
        trees = [logged_tree(config, problem, store.events(position)) for position, problem in enumerate(PROBLEMS)]
    return answers, trees


def test_the_better_particles_take_the_place_of_the_commoner_ones(tmp_path: Path) -> None:
    answers, trees = searched(tmp_path / "run", ScriptedGenerator(write), ScriptedGenerator(criticise))
    assert [answer.answer for answer in answers] == ["1"] * len(PROBLEMS)
    for tree in trees:
        assert sum(node.votes for node in tree.finished) == pytest.approx(16)
        # Equal words are one node, so all particles share few of them.
        assert len(tree) <= 11


def test_values_left_out_leave_the_common_answer(tmp_path: Path) -> None:
    models = ScriptedGenerator(write), ScriptedGenerator(criticise)
    answers, _ = searched(tmp_path / "run", *models, "strategy.tempering=0")
    assert sum(answer.answer == "2" for answer in answers) >= 3


def test_failures_are_counted_and_no_particle_is_lost_by_them(tmp_path: Path) -> None:
    def flaky(request: GenerationRequest, seed: int) -> str:
        if unit_hash("fails", seed, request.prefix) < 0.1:
            raise GenerationError("no reasoner today")
        return write(request, seed)

    def mumbling(request: GenerationRequest, seed: int) -> str:
        return "hm" if unit_hash("mumbles", seed) < 0.3 else criticise(request, seed)

    answers, trees = searched(tmp_path / "run", ScriptedGenerator(flaky), ScriptedGenerator(mumbling))
    assert {answer.status for answer in answers} == {"answered"}
    assert sum(answer.failures["reasoner_error"] for answer in answers) > 5
    assert sum(answer.failures["critic_unreadable"] for answer in answers) > 5
    for tree in trees:
        assert sum(node.votes for node in tree.finished) == pytest.approx(16)


def test_a_reasoner_that_always_fails_leaves_the_problem_unanswered(tmp_path: Path) -> None:
    def broken(request: GenerationRequest, seed: int) -> str:
        raise GenerationError("no reasoner at all")

    answers, _ = searched(tmp_path / "run", ScriptedGenerator(broken), ScriptedGenerator(criticise))
    assert {(answer.status, answer.stop_reason) for answer in answers} == {("failed", "exhausted")}
