"""Train the pocket reasoner: first to see, then to reason and to use a critique.

Run it as ``python -m critic_engine.pocket.train_reasoner --out runs/reasoner``.
"""

from __future__ import annotations

import argparse
import logging
import random
from pathlib import Path

from critic_engine.pocket import lessons
from critic_engine.pocket.measuring import reasoner_scores, solve_all
from critic_engine.pocket.model import ModelSize, build_model, save_checkpoint
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.training import Schedule, train

logger = logging.getLogger("critic_engine.pocket.train_reasoner")

_SEEING = Schedule(num_steps=500)
_REASONING = Schedule(num_steps=5000)
_DEV_SEED = 11
_SAVE_EVERY = 250


def draw_seeing(rng: random.Random) -> lessons.Lesson:
    """Return a lesson of the first phase."""
    return lessons.naming_lesson(rng)


def draw_reasoning(rng: random.Random) -> lessons.Lesson:
    """Return a lesson of the second phase: mostly solving, a third of it with critiques."""
    kind = rng.choices(("solve", "rewrite", "next", "name"), (60, 20, 15, 5))[0]
    if kind == "solve":
        return lessons.solving_lesson(rng)
    if kind == "rewrite":
        return lessons.rewriting_lesson(rng, lessons.slip_attempt)
    return lessons.next_step_lesson(rng) if kind == "next" else lessons.naming_lesson(rng)


def main() -> None:
    """Train, log and save; the newest checkpoint is always in ``--out``."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = build_model(ModelSize())
    logger.info("%d parameters", sum(weight.numel() for weight in model.parameters()))
    problems = make_problems("dev", num=256, seed=_DEV_SEED)

    def on_log(step: int) -> None:
        if step % _SAVE_EVERY == 0:
            solutions = solve_all(model, problems, temperature=0.0, seed=0)
            logger.info("step %d dev %s", step, reasoner_scores(problems, solutions))
            save_checkpoint(model, options.out / f"step_{step}")

    train(model, draw_seeing, _SEEING, seed=options.seed, on_log=lambda step: None)
    train(model, draw_reasoning, _REASONING, seed=options.seed + 1, on_log=on_log)
    save_checkpoint(model, options.out)


if __name__ == "__main__":
    main()
