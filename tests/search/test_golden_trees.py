"""The trees that fixed seeds give, held as JSON in ``golden/``.

After a change that is meant to alter them, write them anew and read the difference:

    REGENERATE_GOLDEN=1 python -m pytest tests/search/test_golden_trees.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from search import Budget, Strategy

GOLDEN = Path(__file__).parent / "golden"


def described(strategy: Strategy[int]) -> dict[str, object]:
    """Return what a person would look at, one short list a node."""
    columns = ["parent", "state", "value", "visit_count", "search_value", "is_terminal", "outcome"]
    nodes = [
        [
            None if node.parent is None else node.parent.node_id,
            node.state,
            node.value,
            node.visit_count,
            node.search_value,
            node.is_terminal,
            node.outcome,
        ]
        for node in strategy.tree.nodes
    ]
    return {"stop_reason": strategy.stop_reason, "cost": strategy.usage.cost, "columns": columns, "nodes": nodes}


def as_text(tree: dict[str, object]) -> str:
    """Return JSON with one node a line."""
    nodes = tree["nodes"]
    assert isinstance(nodes, list)
    head = {name: content for name, content in tree.items() if name != "nodes"}
    lines = ",\n".join(f"    {json.dumps(node)}" for node in nodes)
    return json.dumps(head)[:-1] + ', "nodes": [\n' + lines + "\n]}\n"


def test_the_tree_is_the_golden_one(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, seed=11, budget=Budget(max_simulations=25))
    world.drive(strategy, seed=12, abandon_share=0.1)
    text = as_text(described(strategy))
    file = GOLDEN / f"{strategy_name}.json"
    if os.environ.get("REGENERATE_GOLDEN"):
        file.write_text(text)
    assert json.loads(text) == json.loads(file.read_text())


def test_every_golden_tree_has_its_strategy(world: Any) -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(world.names)
