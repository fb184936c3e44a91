"""One simulated problem: what a reasoner writes of it, and what a critic says of that."""

import math
import random
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from bench.world_models.regimes import Regime
from critic_engine.seeds import derive_seed

NUM_RARE = 40
"""Rare wrong claims of a place, equally likely."""
RIGHT, COMMON, FILLER = 0, 1, -1
"""Claims that are not rare wrong ones."""

_SIZE = 1 << 16
_MASK = _SIZE - 1
_draws = np.random.default_rng(0)
_NORMAL: list[float] = _draws.standard_normal(_SIZE).tolist()
_UNIFORM: list[float] = _draws.random(_SIZE).tolist()


class Text(NamedTuple):
    """A beginning of a solution, or a whole one."""

    claims: tuple[int, ...] = ()
    """One a step."""
    key: int = 0
    """Hash of all its claims and wordings."""
    place: int = 0
    """Steps of those the problem needs that are taken."""
    wrongs: int = 0
    """Hash of the wrong claims and their places; 0 where all are right."""
    noise: float = 0.0
    """The critic's noise, of variance 1."""
    tokens: int = 0
    log_prior: float = 0.0
    """Logarithm of the probability that log-probabilities give for it."""
    last_log_prior: float = 0.0
    """The same of its last step."""
    is_finished: bool = False


EMPTY = Text()


class Drawn(NamedTuple):
    """A step to be added to a text."""

    claim: int
    wording: int
    log_prior: float
    """Of the claim alone, right and wrong swapped where log-probabilities mislead."""


class World:
    """A problem of a regime; all that is said of equal texts is equal."""

    def __init__(self, regime: Regime, name: str) -> None:
        """Draw the problem called ``name``."""
        self.regime = regime
        self.name = name
        self.problem_id = f"{regime.name} {name}"
        seed = derive_seed("world", regime.name, name)
        rng = random.Random(seed)
        self.depth = rng.randint(*regime.depth)
        self.p_right = [
            regime.p_hard if rng.random() < regime.share_hard else regime.p_right for _ in range(self.depth)
        ]
        self._salt = seed & 0xFFFFFFFF
        self.right_answer = _name(-1, self._salt)
        # The difference of two unit normals is right with this probability if their means are so far apart.
        apart = math.sqrt(2) * NormalDist().inv_cdf(regime.auroc)
        self._apart = -apart if regime.critic == "inverted" else apart
        self._claim_noise = math.sqrt(regime.shared_noise)
        self._word_noise = math.sqrt(1 - regime.shared_noise)
        self._fresh = math.sqrt(1 - regime.along_path**2)
        self._low_tokens = regime.step_tokens * (1 - regime.spread)
        self._range_tokens = regime.step_tokens * 2 * regime.spread + 1
        self._log_wordings = -math.log(regime.wordings) if regime.wordings else 0.0
        self._locate = max(0.0, 2 * regime.auroc - 1) if regime.critic == "plain" else 0.0
        self._log_chances = [_log_chances(p, regime.repeated, regime.prior_exponent) for p in self.p_right]

    def draw(self, text: Text, rng: random.Random) -> Drawn:
        """Return a step after ``text``."""
        regime = self.regime
        if regime.filler and rng.random() < regime.filler:
            claim = FILLER
        elif rng.random() < self.p_right[text.place]:
            claim = RIGHT
        elif rng.random() < regime.repeated:
            claim = COMMON
        else:
            claim = 2 + int(rng.random() * NUM_RARE)
        return self.worded(text.place, claim, rng)

    def worded(self, place: int, claim: int, rng: random.Random) -> Drawn:
        """Return a claim of ``place`` in a wording that is drawn."""
        wordings = self.regime.wordings
        wording = int(rng.random() * wordings) if wordings else rng.getrandbits(60)
        return Drawn(claim, wording, self._log_chance(place, claim))

    def _log_chance(self, place: int, claim: int) -> float:
        filler = self.regime.filler
        if claim == FILLER:
            return math.log(filler)
        right, common, rare = self._log_chances[place]
        if self.regime.log_probabilities == "misleading":
            right, common = common, right
        log = right if claim == RIGHT else common if claim == COMMON else rare
        return log + math.log(1 - filler) if filler else log

    def extended(self, text: Text, drawn: Drawn) -> Text:
        """Return ``text`` with one more step."""
        claim, wording, log_prior = drawn
        claims = (*text.claims, claim)
        key = hash((text.key, claim, wording))
        place = text.place + (claim != FILLER)
        is_wrong = claim > 0
        wrongs = hash((text.wrongs, place, claim)) if is_wrong else text.wrongs
        salt = self._salt
        size = self._low_tokens + self._range_tokens * _UNIFORM[hash((key, salt, 1)) & _MASK]
        tokens = max(1, int(size * self.regime.wrong_tokens if is_wrong else size))
        log_prior += self._log_wordings if self.regime.wordings else -self.regime.nats_a_token * tokens
        fresh = self._claim_noise * _NORMAL[hash((claims, salt, 2)) & _MASK]
        fresh += self._word_noise * _NORMAL[hash((key, salt, 3)) & _MASK]
        noise = self.regime.along_path * text.noise + self._fresh * fresh if text.claims else fresh
        return Text(
            claims,
            key,
            place,
            wrongs,
            noise,
            text.tokens + tokens,
            text.log_prior + log_prior,
            log_prior,
            place == self.depth,
        )

    def step(self, text: Text, rng: random.Random) -> Text:
        """Return ``text`` with a step that is drawn."""
        return self.extended(text, self.draw(text, rng))

    def complete(self, text: Text, rng: random.Random) -> Text:
        """Return ``text`` with all further steps drawn."""
        while not text.is_finished:
            text = self.extended(text, self.draw(text, rng))
        return text

    def rewrite(self, text: Text, rng: random.Random) -> Text:
        """Return a whole solution written with ``text`` and its critique in view.

        A critique that finds nothing has all claims kept, in other words. One that objects has the claims before the
        step it points at kept; that step is repaired with probability ``repair`` if it was wrong, and drawn anew with
        all that follow it otherwise.
        """
        pointed = self.objection(text)
        new = EMPTY
        for claim in text.claims[:pointed]:
            new = self.extended(new, self.worded(new.place, claim, rng))
        if pointed is not None and text.claims[pointed] > 0 and rng.random() < self.regime.repair:
            new = self.extended(new, self.worded(new.place, RIGHT, rng))
        return self.complete(new, rng)

    def objection(self, text: Text) -> int | None:
        """Return the step that the critique of a solution points at, counted from 0; None if it finds nothing.

        It objects where the critic's score, before any bias, speaks against the solution: a constant critic in half of
        the cases. Then it points at the first wrong step with probability ``2 AUROC - 1``, else at any step. The same
        solution has the same critique each time.
        """
        objects, locates, where = (_UNIFORM[hash((text.key, self._salt, use)) & _MASK] for use in (7, 8, 9))
        if objects >= 0.5 if self.regime.critic == "constant" else self._score(text) >= 0:
            return None
        anywhere = int(where * len(text.claims))
        if locates >= self._locate:
            return anywhere
        return next((place for place, claim in enumerate(text.claims) if claim > 0), anywhere)

    def answer(self, text: Text) -> int | None:
        """Return the answer of a finished text, the ``right_answer`` or another; None of an unfinished one."""
        if not text.is_finished:
            return None
        if not text.wrongs or _UNIFORM[hash((text.wrongs, self._salt, 4)) & _MASK] < self.regime.lucky:
            return self.right_answer
        number = self.regime.num_wrong_answers
        which = text.wrongs if number is None else hash((text.wrongs, self._salt, 5)) % number
        return _name(which, self._salt)

    def _score(self, text: Text) -> float:
        """Return the score that ranks a text as well as the AUROC says."""
        return text.noise + self._apart * (-0.5 if text.wrongs else 0.5)

    def value(self, text: Text) -> float:
        """Return the critic's value of a text, in [0, 1]."""
        regime = self.regime
        lowest, highest = regime.range
        if regime.critic == "constant":
            return (lowest + highest) / 2
        logit = regime.slope * self._score(text)
        if regime.length_bias:
            logit += regime.length_bias * (text.tokens / regime.step_tokens - len(text.claims))
        if not text.is_finished:
            logit += regime.unfinished_bias
        value = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
        return lowest + (highest - lowest) * value


def _name(which: int, salt: int) -> int:
    """Return the name of an answer, which does not tell the right one by its order."""
    return hash((which, salt, 6)) & 0xFFFFFFFFFFFF


@lru_cache(maxsize=1024)
def _log_chances(p_right: float, repeated: float, exponent: float) -> tuple[float, float, float]:
    """Return the logarithms of the probabilities of the right claim, the common wrong one and each rare one.

    Each is raised to ``exponent`` before all are made to sum to 1.
    """
    wrong = 1 - p_right
    chances = p_right, wrong * repeated, wrong * (1 - repeated) / NUM_RARE
    right, common, rare = (chance**exponent for chance in chances)
    total = right + common + NUM_RARE * rare
    return _log(right / total), _log(common / total), _log(rare / total)


def _log(probability: float) -> float:
    return math.log(probability) if probability else -math.inf
