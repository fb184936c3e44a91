"""What repeats: a search is its log, whatever ran at once when it was written and whatever does when it is replayed."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator, unit_hash
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.engine import Engine
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.node_state import NodeState, encode_state
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.run.store import RunStore
from critic_engine.types import Problem
from search import Tree

PROBLEMS = [Problem(f"how many stars are in sky {number} ?") for number in range(4)]
TREES = ["mcts", "ab_mcts", "beam", "dvts", "particle", "guided", "mctsr", "llama_berry", "lats", "rstar"]


class Jittery(ScriptedGenerator):
    """Answers after a time that hangs on the seeds, so that trials end in another order than they began."""

    async def generate(self, request: GenerationRequest) -> Generation:
        await asyncio.sleep(0.004 * unit_hash("pause", request.seeds, request.prefix))
        return await super().generate(request)


def searched(preset: str, run: Path, *, trials_in_flight: int) -> EngineConfig:
    overrides = [f"run.trials_in_flight={trials_in_flight}", "budget.max_simulations=30", "budget.max_tokens=null"]
    prompts = ["reasoner.prompts=pocket", "critic.prompts=pocket"]
    config = load_config(preset, [*overrides, *prompts, "reward_model.backend=scripted"])
    with Engine(config, reasoner=Jittery(scripted_reasoner()), critic=Jittery(scripted_critic())) as engine:
        assert all(answer.status == "answered" for answer in engine.solve_many(PROBLEMS, run=run))
    return config


def logs(run: Path) -> list[list[dict[str, Any]]]:
    store = RunStore.open(run)
    found = [store.events(position) for position in range(len(PROBLEMS))]
    store.close()
    return found


def written(tree: Tree[NodeState]) -> bytes:
    """Return every field of every node, rollouts included, as bytes."""
    nodes: list[Mapping[str, Any]] = [
        {
            "id": node.node_id,
            "parent": None if node.parent is None else node.parent.node_id,
            "state": encode_state(node.state),
            "numbers": [node.value, node.prior, node.search_value, node.value_sum, node.value_count],
            "counts": [node.visit_count, node.pending_count, node.num_asked, node.num_told],
            "ends": [node.is_terminal, node.key, node.outcome, node.is_open],
        }
        for node in (*tree.nodes, *tree.rollouts)
    ]
    return json.dumps(nodes).encode()


@pytest.mark.parametrize("preset", TREES)
def test_a_log_of_many_trials_in_flight_replays_to_the_byte_whatever_the_concurrency(
    preset: str, tmp_path: Path
) -> None:
    config = searched(preset, tmp_path / "run", trials_in_flight=8)
    for problem, events in zip(PROBLEMS, logs(tmp_path / "run"), strict=True):
        trees = {
            written(logged_tree(config.model_copy(update={"run": run}), problem, events))
            for run in (config.run.model_copy(update={"trials_in_flight": number}) for number in (1, 3, 8))
        }
        assert len(trees) == 1


@pytest.mark.parametrize("preset", TREES)
def test_two_runs_with_one_trial_in_flight_write_the_same_log(preset: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        searched(preset, tmp_path / name, trials_in_flight=1)
    assert json.dumps(logs(tmp_path / "first")).encode() == json.dumps(logs(tmp_path / "second")).encode()


def test_answers_of_a_finished_run_are_the_same_when_it_is_resumed_with_other_concurrency(tmp_path: Path) -> None:
    config = searched("mcts", tmp_path / "run", trials_in_flight=8)
    before = (tmp_path / "run" / "answers.jsonl").read_bytes()
    with Engine(config, reasoner=Jittery(scripted_reasoner()), critic=Jittery(scripted_critic())) as engine:
        list(engine.resume(tmp_path / "run"))
    assert (tmp_path / "run" / "answers.jsonl").read_bytes() == before
