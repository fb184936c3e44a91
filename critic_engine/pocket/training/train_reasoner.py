"""Train the pocket reasoner in three phases: seeing, reasoning with and without critiques, its own mistakes.

Run it as ``python -m critic_engine.pocket.training.train_reasoner --out runs/first``, and for the last phase with
``--start runs/first --attempts runs/attempts.jsonl``.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from critic_engine.pocket.dialects import DIALECTS, TERSE, Dialect
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.training import training_rows
from critic_engine.pocket.training.generation import dialect_of
from critic_engine.pocket.training.loop import Schedule, begin, train
from critic_engine.pocket.training.metrics import reasoner_scores, solve_all
from critic_engine.pocket.training.model import ModelSize, build_model, save_checkpoint, with_words_of
from critic_engine.pocket.training.sample_attempts import flawed, read_attempts

logger = logging.getLogger("critic_engine.pocket.training.train_reasoner")

_SEEING = Schedule(num_steps=600)
_REASONING = Schedule(num_steps=5000)
_DEV_SEED = 11


def draw_reasoning(dialect: Dialect = TERSE) -> training_rows.DrawRow:
    """Return a function that draws rows of the second phase: practice and solving."""

    def draw(rng: random.Random) -> training_rows.TrainingRow:
        kind = rng.choices(("practice", "solve", "name"), (50, 47, 3))[0]
        if kind == "name":
            return training_rows.naming_row(rng)
        return (training_rows.practice_row if kind == "practice" else training_rows.solving_row)(rng, dialect)

    return draw


def draw_heeding(own: Sequence[training_rows.Attempt], dialect: Dialect = TERSE) -> training_rows.DrawRow:
    """Return a function that draws rows of the last phase: heed critiques, and solve no better without one.

    The critiques are of the reasoner's ``own`` flawed solutions: it sees through generated slips without a critique,
    and would not learn to heed one. A third of the rows repeat its own solutions, right and wrong, which keeps its
    accuracy without a critique as it is.
    """
    flaws = flawed(own)

    def draw_attempt(rng: random.Random) -> training_rows.Attempt:
        if rng.random() < 0.9:
            return rng.choice(flaws)
        return rng.choice((training_rows.slip_attempt, training_rows.right_attempt))(rng, dialect)

    def draw(rng: random.Random) -> training_rows.TrainingRow:
        kind = rng.choices(("repeat", "rewrite", "next"), (34, 36, 30))[0]
        if kind == "repeat":
            return training_rows.repeating_row(rng.choice(own), dialect)
        make_row = training_rows.rewriting_row if kind == "rewrite" else training_rows.next_step_row
        return make_row(rng, draw_attempt, dialect)

    return draw


def main() -> None:
    """Train, log and save, with a checkpoint in a folder of its own every 250 steps."""
    from transformers import AutoModelForImageTextToText

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, help="checkpoint to continue from; a new model learns to see first")
    parser.add_argument("--attempts", type=Path, help="solutions by the reasoner, from sample_attempts")
    parser.add_argument(
        "--dialect", choices=tuple(DIALECTS), help="terse or the start's; a terse start gets the words of prose"
    )
    parser.add_argument("--steps", type=int, default=_REASONING.num_steps)
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    options = begin(parser)
    problems = make_problems("dev", num=256, seed=_DEV_SEED)
    own = read_attempts(options.attempts) if options.attempts else []
    dialect = DIALECTS[options.dialect or "terse"]
    if options.start:
        model = AutoModelForImageTextToText.from_pretrained(options.start)
        dialect = DIALECTS[options.dialect] if options.dialect else dialect_of(model)
        model = with_words_of(model, dialect)
    else:
        model = build_model(ModelSize(), dialect)
        train(model, training_rows.naming_row, _SEEING, seed=options.seed)

    def on_save(step: int) -> None:
        solutions = solve_all(model, problems, temperature=0.0, seed=0)
        logger.info("step %d dev %s", step, reasoner_scores(problems, solutions))
        save_checkpoint(model, options.out / f"step_{step}")

    rates = [options.rate * rate for rate in (_REASONING.learning_rate, _REASONING.matrix_rate)]
    schedule = replace(_REASONING, num_steps=options.steps, learning_rate=rates[0], matrix_rate=rates[1])
    draw = draw_heeding(own, dialect) if own else draw_reasoning(dialect)
    train(model, draw, schedule, seed=options.seed + 1, on_save=on_save)
    save_checkpoint(model, options.out)


if __name__ == "__main__":
    main()
