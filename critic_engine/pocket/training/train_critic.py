"""Train the pocket critic, from a reasoner's weights, on the reasoner's own solutions and on generated slips.

Two phases: the reasoner's layers learn to predict each next word while they read a solution; then they are frozen, and
new layers on top learn to compare the predicted words with the written ones. Training all layers in the second phase
makes a worse critic. Run it as
``python -m critic_engine.pocket.training.train_critic --start runs/strong --reasoner runs/reasoner --attempts
runs/attempts.jsonl --out runs/critic``.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from critic_engine.pocket.dialects import Dialect
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.training import training_rows
from critic_engine.pocket.training.generation import dialect_of
from critic_engine.pocket.training.loop import Schedule, begin, train
from critic_engine.pocket.training.metrics import critic_scores, partial, solve_all
from critic_engine.pocket.training.model import deepened, save_checkpoint, take_layers
from critic_engine.pocket.training.sample_attempts import read_attempts

logger = logging.getLogger("critic_engine.pocket.training.train_critic")

_FORESEEING = Schedule(num_steps=200, learning_rate=3e-4, matrix_rate=1.5e-3, warm_up_steps=30)
_COMPARING = Schedule(num_steps=4700, verdict_weight=0.5)
_NUM_LAYERS = 7
_DEV_SEED = 12


def draw_from(
    own: list[training_rows.Attempt],
    make_row: Callable[[random.Random, training_rows.DrawAttempt, Dialect], training_rows.TrainingRow],
    dialect: Dialect,
) -> training_rows.DrawRow:
    """Return a function that draws rows: 60 % on ``own`` solutions, 30 % on slips, 10 % on right solutions."""

    def draw_attempt(rng: random.Random) -> training_rows.Attempt:
        kind = rng.choices(("own", "slip", "right"), (60, 30, 10))[0]
        if kind == "own":
            return rng.choice(own)
        return (training_rows.slip_attempt if kind == "slip" else training_rows.right_attempt)(rng, dialect)

    return lambda rng: make_row(rng, draw_attempt, dialect)


def freeze_below(model: Any, num_layers: int) -> None:
    """Freeze all weights but those of the layers from ``num_layers`` on, the last norm and the head."""
    for weight in model.parameters():
        weight.requires_grad_(False)
    language = model.model.language_model
    for part in (*language.layers[num_layers:], language.norm, model.lm_head):
        part.requires_grad_(True)


def main() -> None:
    """Train, log and save, with a checkpoint in a folder of its own every 250 steps."""
    from transformers import AutoModelForImageTextToText

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, required=True, help="reasoner to start from, or a critic to train on")
    parser.add_argument("--reasoner", type=Path, required=True, help="checkpoint that writes the solutions for scoring")
    parser.add_argument("--attempts", type=Path, required=True, help="solutions by that reasoner, from sample_attempts")
    parser.add_argument("--layers-of", type=Path, help="critic whose layers above the reasoner's begin this one's")
    parser.add_argument("--steps", type=int, default=_COMPARING.num_steps, help="batches of the second phase")
    options = begin(parser)
    own = read_attempts(options.attempts)
    problems = make_problems("dev", num=256, seed=_DEV_SEED)
    reasoner = AutoModelForImageTextToText.from_pretrained(options.reasoner)
    solutions = solve_all(reasoner, problems, temperature=0.7, seed=_DEV_SEED)
    model = AutoModelForImageTextToText.from_pretrained(options.start)
    dialect = dialect_of(model)
    num_layers = reasoner.config.text_config.num_hidden_layers

    def on_save(step: int) -> None:
        logger.info("step %d dev whole %s", step, critic_scores(model, problems, solutions))
        logger.info("step %d dev partial %s", step, critic_scores(model, problems, partial(solutions, seed=0)))
        save_checkpoint(model, options.out / f"step_{step}")

    if model.config.text_config.num_hidden_layers == num_layers:
        train(model, draw_from(own, training_rows.foreseeing_row, dialect), _FORESEEING, seed=options.seed)
        model = deepened(model, _NUM_LAYERS)
    if options.layers_of:
        take_layers(model, AutoModelForImageTextToText.from_pretrained(options.layers_of), num_layers)
    freeze_below(model, num_layers)
    comparing = replace(_COMPARING, num_steps=options.steps)
    train(model, draw_from(own, training_rows.judging_row, dialect), comparing, seed=options.seed + 1, on_save=on_save)
    save_checkpoint(model, options.out)


if __name__ == "__main__":
    main()
