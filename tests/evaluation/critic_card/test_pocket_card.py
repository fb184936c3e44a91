"""The card of the shipped critic is that of its model card, ``pocket/weights/critic/README.md``."""

from pathlib import Path

import pytest

from critic_engine.config.critic_card import Measured
from critic_engine.config.engine import load_config
from critic_engine.evaluation.critic_card.card_options import CardOptions
from critic_engine.evaluation.critic_card.measure import evaluate_critic
from critic_engine.pocket.problems import make_problems


def covers(measured: Measured, figure: float) -> bool:
    assert measured.low is not None
    assert measured.high is not None
    return measured.low <= figure <= measured.high


@pytest.mark.slow
def test_shipped_critic_has_the_figures_of_its_model_card(tmp_path: Path) -> None:
    rows = [problem.row() for problem in make_problems("test", num=200, seed=7)]
    options = CardOptions(num_solutions=1, num_checked=10, num_rewrites=0)
    card = evaluate_critic(rows, load_config("best_of_n"), tmp_path / "card", options=options).card()
    assert (card.critic.name, card.num_problems, card.left_out) == ("pocket", 200, {})
    assert card.steps is not None
    assert card.steps_auroc is not None
    assert card.first_wrong_step is not None
    assert covers(card.steps_auroc, 0.920)
    assert covers(card.answer_auroc, 0.859)
    assert covers(card.steps.base_rate, 0.489)
    assert covers(card.first_wrong_step.exact, 0.714)
    assert card.steps.scaling is not None
    assert card.steps.scaling.error_after.low is not None
    assert card.steps.scaling.error_after.low < 0.05
    assert {each.kind: each.flip_share.estimate for each in card.flips}["again"] == 0
