"""Train the pocket reasoner: first to see, then to reason and to use a critique, last on its own mistakes too.

Run it as ``python -m critic_engine.pocket.training.train_reasoner --out runs/first``, and for the last phase with
``--start runs/first --attempts runs/attempts.jsonl``.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.training import lessons
from critic_engine.pocket.training.attempts import flawed, read_attempts
from critic_engine.pocket.training.loop import Schedule, scaled, train
from critic_engine.pocket.training.metrics import reasoner_scores, solve_all
from critic_engine.pocket.training.model import ModelSize, build_model, save_checkpoint

logger = logging.getLogger("critic_engine.pocket.training.train_reasoner")

_SEEING = Schedule(num_steps=600)
_REASONING = Schedule(num_steps=5000)
_DEV_SEED = 11
_SAVE_EVERY = 250


def draw_seeing(rng: random.Random) -> lessons.Lesson:
    """Return a lesson of the first phase."""
    return lessons.naming_lesson(rng)


def draw_reasoning(rng: random.Random) -> lessons.Lesson:
    """Return a lesson of the second phase: practice and solving."""
    draw = rng.choices((lessons.practice_lesson, lessons.solving_lesson, lessons.naming_lesson), (50, 47, 3))[0]
    return draw(rng)


def draw_heeding(own: Sequence[lessons.Attempt]) -> Callable[[random.Random], lessons.Lesson]:
    """Return what draws a lesson of the last phase: to heed critiques, and to solve no better without one.

    The critiques are of the reasoner's ``own`` flawed solutions: through made slips it sees without a critique, and
    would not learn to heed it. A third of the lessons repeat its own solutions, right and wrong, which holds it where
    it is when there is no critique.
    """
    flaws = flawed(own)

    def draw_attempt(rng: random.Random) -> lessons.Attempt:
        return (
            rng.choice(flaws) if rng.random() < 0.9 else rng.choice((lessons.slip_attempt, lessons.right_attempt))(rng)
        )

    def draw(rng: random.Random) -> lessons.Lesson:
        kind = rng.choices(("repeat", "rewrite", "next"), (34, 36, 30))[0]
        if kind == "repeat":
            return lessons.repeating_lesson(rng.choice(own))
        return (lessons.rewriting_lesson if kind == "rewrite" else lessons.next_step_lesson)(rng, draw_attempt)

    return draw


def main() -> None:
    """Train, log and save; the newest checkpoint is always in ``--out``."""
    import torch
    from transformers import AutoModelForImageTextToText

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from; a new model learns to see first")
    parser.add_argument("--attempts", type=Path, help="the reasoner's own solutions, see `attempts`")
    parser.add_argument("--steps", type=int, default=_REASONING.num_steps)
    parser.add_argument("--rate", type=float, default=1.0, help="a factor on the learning rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    problems = make_problems("dev", num=256, seed=_DEV_SEED)
    own = read_attempts(options.attempts) if options.attempts else []
    if options.start:
        model = AutoModelForImageTextToText.from_pretrained(options.start)
    else:
        model = build_model(ModelSize())
        train(model, draw_seeing, _SEEING, seed=options.seed, on_log=lambda step: None)

    def on_log(step: int) -> None:
        if step % _SAVE_EVERY == 0:
            solutions = solve_all(model, problems, temperature=0.0, seed=0)
            logger.info("step %d dev %s", step, reasoner_scores(problems, solutions))
            save_checkpoint(model, options.out / f"step_{step}")

    schedule = scaled(_REASONING, num_steps=options.steps, rate=options.rate)
    draw = draw_heeding(own) if own else draw_reasoning
    train(model, draw, schedule, seed=options.seed + 1, on_log=on_log)
    save_checkpoint(model, options.out)


if __name__ == "__main__":
    main()
