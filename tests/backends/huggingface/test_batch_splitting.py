"""Batches that fail are split in half."""

import threading

from critic_engine.backends.huggingface.batch_splitting import run_splitting_on_failure
from critic_engine.backends.huggingface.row_feed import RowFeed


def test_failure_behind_the_last_outcome_ends_the_batch() -> None:
    outcomes: list[object] = []
    feed = RowFeed(["a", "b"], lambda row, outcome: outcomes.append((row, outcome)), is_closing=threading.Event())
    num_runs = 0

    def run(part: RowFeed) -> None:
        nonlocal num_runs
        num_runs += 1
        assert num_runs < 10, "it is split for ever"
        for row in part.rows:
            part.settle(row, row.upper())
        raise RuntimeError("too late")

    run_splitting_on_failure(feed, run)
    assert outcomes == [("a", "A"), ("b", "B")]
    assert num_runs == 1
