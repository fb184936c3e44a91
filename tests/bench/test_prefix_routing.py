"""Requests routed by problem keep the prefix cache of one replica, and the load even."""

import asyncio
from pathlib import Path

from bench.prefix_routing import ONE, PrefixCache, compare_simulated, lines_of
from critic_engine.config.engine import load_config
from critic_engine.data.problems import read_problems
from critic_engine.pocket.problems import write_problems
from critic_engine.types import ProblemRow


def test_two_replicas_have_nine_tenths_of_the_hits_of_one_and_an_even_load(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_problems(path, split="dev", num=16, seed=3)
    rows = [row for row in read_problems(path) if isinstance(row, ProblemRow)]
    config = load_config(
        "mcts", ["reasoner.backend=scripted", "critic.backend=scripted", "budget={max_simulations: 8}"]
    )
    found = asyncio.run(compare_simulated(config, rows, [2]))
    for role, by_problem in found["2, by problem"].items():
        least_loaded, one = found["2, least loaded"][role], found[ONE][role]
        assert least_loaded.hit_rate < by_problem.hit_rate
        assert by_problem.hit_rate > 0.9 * one.hit_rate
        assert by_problem.most_load < 1.5
    assert len(lines_of(found)) == 2 + 3 * 2


def test_prefix_cache_holds_whole_blocks_and_reads_the_last_word_always() -> None:
    cache = PrefixCache()
    words = [str(number) for number in range(40)]
    assert cache.num_held(words) == 0
    cache.add(words)
    assert cache.num_held(words) == 32
    assert cache.num_held(words[:32]) == 16
    assert cache.num_held([*words[:20], "else", *words]) == 16
    assert cache.num_held(["else", *words]) == 0
