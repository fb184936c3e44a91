"""The figures of a card, made of judged solutions. A solution counts as often as it was drawn."""

import importlib.metadata
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from critic_engine.backends.huggingface.fingerprint import card_model
from critic_engine.config.critic_card import CardFirstStep, CriticCard
from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.evaluation.critic_card.check_figures import flips_of, lift_of, rollouts_of
from critic_engine.evaluation.critic_card.judgement_log import JudgedSolution
from critic_engine.evaluation.critic_card.outcome_figures import (
    auroc_of,
    measured_share,
    outcome_figures,
)


@dataclass(frozen=True, slots=True)
class CardSubject:
    """What a card is about."""

    config: EngineConfig
    """With the measured model as the evaluator."""
    task: str
    is_of_search: bool
    num_rollouts: int
    """Completions of each intermediate step."""
    left_out: Mapping[str, int]
    """Numbers of rows and solutions that have no label, by the fault."""

    @property
    def model(self) -> ModelConfig:
        """The model that was measured."""
        return self.config.critic if self.config.needs_critic else self.config.reward_model

    @property
    def temperature(self) -> float | None:
        """The critic's; None for a reward model."""
        return self.config.critic.temperature if self.config.needs_critic else None


def make_card(judged: Sequence[JudgedSolution], subject: CardSubject) -> CriticCard:
    """Return the card.

    Raises:
        ConfigError: a model's prompts cannot be loaded.
    """
    seed, config = subject.config.run.seed, subject.config
    answered = [row for row in judged if not row.judgement.failure or row.judgement.is_unreadable]
    readable = [row for row in answered if not row.judgement.failure]
    with_steps = [row for row in readable if row.are_steps_right is not None]
    return CriticCard(
        critic=card_model(subject.model),
        reasoner=card_model(config.reasoner),
        task=subject.task,
        num_problems=len({row.problem_id for row in judged}),
        num_solutions=_num(judged),
        answer_auroc=auroc_of(readable, _is_answer_right, seed=seed),
        steps_auroc=auroc_of(with_steps, _are_steps_right, seed=seed) if with_steps else None,
        kind="critic" if config.needs_critic else "reward_model",
        is_of_search=subject.is_of_search,
        temperature=subject.temperature,
        seed=seed,
        num_judged=len(judged),
        num_failed=_num(judged) - _num(answered),
        unreadable_share=measured_share(answered, lambda row: row.judgement.is_unreadable),
        num_without_value=_num(row for row in readable if row.judgement.value is None),
        left_out=dict(subject.left_out),
        answer=outcome_figures(readable, _is_answer_right, seed=seed),
        steps=outcome_figures(with_steps, _are_steps_right, seed=seed),
        first_wrong_step=_first_wrong_step(readable) if config.needs_critic else None,
        flips=flips_of(judged, temperature=subject.temperature),
        lift=lift_of(judged, seed=seed),
        rollouts=rollouts_of(judged, num_rollouts=subject.num_rollouts, seed=seed),
        critic_prompt_tokens=sum(row.critic_prompt_tokens for row in judged),
        critic_tokens=sum(row.critic_tokens for row in judged),
        reasoner_tokens=sum(row.reasoner_tokens for row in judged),
        version=importlib.metadata.version("critic-engine"),
    )


def _first_wrong_step(readable: Sequence[JudgedSolution]) -> CardFirstStep | None:
    wrong = [row for row in readable if row.labelled_first_wrong_step is not None]
    if not wrong:
        return None
    return CardFirstStep(
        num=_num(wrong),
        exact=measured_share(wrong, lambda row: _distance(row) == 0),
        within_one=measured_share(wrong, lambda row: _distance(row) <= 1),
    )


def _distance(row: JudgedSolution) -> float:
    """Return how many steps the critic is off; infinity if it names none."""
    named, labelled = row.judgement.first_wrong_step, row.labelled_first_wrong_step
    return math.inf if named is None or labelled is None else abs(named - labelled)


def _is_answer_right(row: JudgedSolution) -> bool:
    return row.is_answer_right


def _are_steps_right(row: JudgedSolution) -> bool:
    return row.are_steps_right is True


def _num(rows: Iterable[JudgedSolution]) -> int:
    return sum(row.num_drawn for row in rows)
