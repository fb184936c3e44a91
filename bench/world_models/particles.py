"""Particle filtering as its_hub has it: a peer's method in the worlds.

Puri et al. (2025, arXiv 2502.01618): the weight of a particle is the logit of its latest value, all particles are drawn
anew in proportion to ``exp(weight)`` after each step, and the one with the highest weight at the end gives the answer.
"""

import math
import random

from bench.world_models.problems import EMPTY, Text, World
from bench.world_models.searches import Desk, Result, ended
from critic_engine.seeds import derive_seed

_SMALLEST = 1e-7


def filtered(world: World, *, num_particles: int, max_tokens: int, seed: int) -> Result:
    """Return what particle filters give, one after another until the budget is spent.

    The request that crosses the budget is the last; the paths finished by all of them vote.
    """
    desk = Desk(world, random.Random(derive_seed("draws", world.name, seed)))
    best: tuple[float, Text] = (-math.inf, EMPTY)
    while desk.spent.tokens < max_tokens:
        particles: list[tuple[Text, float]] = [(EMPTY, 0.0)] * num_particles
        while desk.spent.tokens < max_tokens and not all(text.is_finished for text, _ in particles):
            particles = _resampled([_moved(desk, *each, max_tokens) for each in particles], desk.rng)
            best = max([best, *((weight, text) for text, weight in particles)], key=lambda each: each[0])
    num_finished = len(desk.written)
    if not desk.written:
        desk.read(best[1], known=best[1])
        desk.keep(desk.completed(best[1]), None)
    chosen = max(desk.written, key=lambda each: -1.0 if each.value is None else each.value)
    return ended(desk, world.answer(chosen.text), num_finished)


def _moved(desk: Desk, text: Text, weight: float, max_tokens: int) -> tuple[Text, float]:
    if text.is_finished or desk.spent.tokens >= max_tokens:
        return text, weight
    desk.read(text, known=text)
    new = desk.step(text)
    if new is None:
        return text, weight
    value = desk.judge(new, known=text)
    if new.is_finished:
        desk.keep(new, value)
    return new, 0.0 if value is None else _logit(value)


def _resampled(particles: list[tuple[Text, float]], rng: random.Random) -> list[tuple[Text, float]]:
    highest = max(weight for _, weight in particles)
    return rng.choices(particles, [math.exp(weight - highest) for _, weight in particles], k=len(particles))


def _logit(value: float) -> float:
    value = min(1 - _SMALLEST, max(_SMALLEST, value))
    return math.log(value / (1 - value))
