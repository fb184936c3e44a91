"""Progress: done and total, tokens a second, time left."""

import io

import pytest
from rich.console import Console

from critic_engine.cli.command import Interrupted
from critic_engine.cli.progress import load_models, progress_bar
from critic_engine.cli.text import printable
from critic_engine.run.runner import Progress
from critic_engine.types import TokenUsage


def shown(*steps: Progress) -> str:
    screen = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with progress_bar(screen) as update:
        for step in steps:
            update(step)
    return printable(screen.file.getvalue()).strip().splitlines()[-1]


def test_bar_shows_problems_tokens_pace_and_time_left() -> None:
    steps = (Progress(0, 0, 100, 10, 0.1), Progress(25, 2, 100, 5000, 10.0))
    assert shown(*steps).endswith("25/100 2 failed, 5,000 tokens, 500 tokens/s, 30 s left")


def test_requests_are_shown_where_they_are_counted() -> None:
    step = Progress(25, 0, 100, 5000, 10.0, TokenUsage(90_000, 5000, num_requests=1200))
    assert "5,000 tokens, 500 tokens/s, 1,200 requests" in shown(step)


def test_time_left_counts_only_what_this_session_did() -> None:
    steps = (Progress(90, 0, 200, 0, 0.1), Progress(90, 0, 200, 10, 0.2), Progress(100, 0, 200, 5000, 10.0))
    assert "1 min 40 s left" in shown(*steps)


def test_nothing_is_foretold_before_anything_is_done() -> None:
    assert "left" not in shown(Progress(0, 0, 10, 100, 5.0))


class Loading:
    """An engine whose user has no patience."""

    def load(self) -> None:
        raise KeyboardInterrupt


def test_interrupt_while_the_models_are_loaded_says_that_nothing_is_lost() -> None:
    with pytest.raises(Interrupted, match="while the models were loaded; run the same command again"):
        load_models(Loading())  # type: ignore[arg-type]
