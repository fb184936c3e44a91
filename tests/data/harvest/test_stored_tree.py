"""A stored tree: its paths by outcome, and the critic's values of those that are right or wrong."""

import asyncio

import pytest

from critic_engine.config.engine import parse_config
from critic_engine.data.harvest.finding_kinds import PATHS
from critic_engine.data.harvest.paths import TreePaths
from critic_engine.data.harvest.stored_tree import StoredTree, TreeCount
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import Finding
from critic_engine.run.store import RunStore
from critic_engine.types import Problem, ProblemRow
from search import Asked, Proposal, Told, event_to_dict

ROW = ProblemRow(1, "a", Problem("1 + 1 ?"), ("2",))
STORED = TreePaths(num_right=7, num_wrong=0, num_unsure=0, num_unanswered=0, num_rollouts=0, reference=None)


def count(evaluator: str, *, is_harvested: bool) -> TreeCount | None:
    """Store a tree with a right path, a wrong one, one without a value and one without an answer, and count it."""
    config = parse_config(
        {
            "strategy": {"kind": "best_of_n", "num_samples": 4},
            "expander": {"kind": "solution"},
            "evaluator": {"kind": evaluator},
        }
    )
    ends = (("2", 0.8), ("3", 0.3), ("2", None), (None, 0.1))
    log = []
    for number, (answer, value) in enumerate(ends):
        state = {"steps": [f"path {number}"], "answer": answer}
        told = Proposal(state, value, is_terminal=True, key=str(number), outcome=answer)
        log += [event_to_dict(event, dict) for event in (Asked(number, 0, 1), Told(number, (told,), 1))]
    checker = Checker()
    with RunStore.temporary(checker=checker) as store:
        store.add_rows([ROW])
        store.append(0, 0, log)
        if is_harvested:
            store.findings.add(0, PATHS, Finding(STORED))
        return asyncio.run(StoredTree.read(store, 0, config)).count(config, checker)


@pytest.mark.parametrize("is_harvested", [False, True])
def test_values_are_those_of_the_critic_on_paths_that_are_right_or_wrong(is_harvested: bool) -> None:
    found = count("critic", is_harvested=is_harvested)
    assert found is not None
    assert found.values == ((0.8, True), (0.3, False))
    assert found.paths.num_right == (7 if is_harvested else 2)


def test_values_of_another_evaluator_are_no_figures_of_the_critic() -> None:
    found = count("reward_model", is_harvested=False)
    assert found is not None
    assert (found.values, found.paths.num_unanswered) == ((), 1)
