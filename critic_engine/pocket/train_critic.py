"""Train the pocket critic, from a reasoner's weights, on the reasoner's own solutions and on made slips.

Run it as ``python -m critic_engine.pocket.train_critic --reasoner runs/reasoner --attempts runs/attempts.jsonl
--out runs/critic``.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Callable
from pathlib import Path

from critic_engine.pocket import lessons
from critic_engine.pocket.attempts import read_attempts
from critic_engine.pocket.measuring import critic_scores, partial, solve_all
from critic_engine.pocket.model import save_checkpoint
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.training import Schedule, scaled, train

logger = logging.getLogger("critic_engine.pocket.train_critic")

_JUDGING = Schedule(num_steps=5000, verdict_weight=3.0)
_DEV_SEED = 12
_SAVE_EVERY = 250


def draw_judging(own: list[lessons.Attempt]) -> Callable[[random.Random], lessons.Lesson]:
    """Return what draws a lesson: mostly on the reasoner's own solutions, a third on slips, some practice."""

    def draw(rng: random.Random) -> lessons.Lesson:
        kind = rng.choices(("own", "slip", "right", "practice"), (55 if own else 0, 27, 8, 10))[0]
        if kind == "practice":
            return lessons.practice_lesson(rng)
        if kind == "right":
            return lessons.judging_lesson(rng, lessons.right_attempt)
        return lessons.judging_lesson(rng, lessons.slip_attempt if kind == "slip" else lambda draws: draws.choice(own))

    return draw


def main() -> None:
    """Train, log and save; every 250 steps a checkpoint goes to a folder of its own."""
    import torch
    from transformers import AutoModelForImageTextToText

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reasoner", type=Path, required=True, help="whose solutions the critic is measured on")
    parser.add_argument("--start", type=Path, help="the weights to start from; the reasoner's when not given")
    parser.add_argument("--attempts", type=Path, help="the reasoner's own solutions; without them, only made slips")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=_JUDGING.num_steps)
    parser.add_argument("--rate", type=float, default=1.0, help="a factor on the learning rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    own = read_attempts(options.attempts) if options.attempts else []
    problems = make_problems("dev", num=512, seed=_DEV_SEED)
    reasoner = AutoModelForImageTextToText.from_pretrained(options.reasoner)
    solutions = solve_all(reasoner, problems, temperature=0.7, seed=_DEV_SEED)
    model = AutoModelForImageTextToText.from_pretrained(options.start or options.reasoner)

    def on_log(step: int) -> None:
        if step % _SAVE_EVERY == 0:
            logger.info("step %d dev whole %s", step, critic_scores(model, problems, solutions))
            logger.info("step %d dev partial %s", step, critic_scores(model, problems, partial(solutions, seed=0)))
            save_checkpoint(model, options.out / f"step_{step}")

    schedule = scaled(_JUDGING, num_steps=options.steps, rate=options.rate)
    train(model, draw_judging(own), schedule, seed=options.seed + 2, on_log=on_log)
    save_checkpoint(model, options.out)


if __name__ == "__main__":
    main()
