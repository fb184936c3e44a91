"""What ``Mcts`` must do, worked out anew from its whole event log at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from search import Asked, Event, MctsOptions
from tests.search.references import Past, Place, added, ask


class MctsReference:
    """``Mcts``."""

    def __init__(self, options: MctsOptions, rng: numpy.random.Generator) -> None:
        """Draw ties from ``rng``."""
        self.options, self.rng = options, rng

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        options = self.options
        return Past(events, is_merging=True, backup=options.backup, rate=options.backup_rate, is_joint=True)

    def goal(self, past: Past) -> None:
        """Return None: there is none."""

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        return self.is_open(past.root)

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        place = past.root
        while place.children and (child := self.choose(place)) is not None:
            place = child
        wanted = min(self.options.num_proposals, self.options.max_proposals - place.num_asked)
        return ask(place, past, wanted)

    def may_ask(self, place: Place) -> bool:
        """Return whether more proposals may be asked for at ``place``."""
        options = self.options
        is_ended = place.is_terminal and not options.is_refining
        is_deepest = options.max_depth is not None and place.depth >= options.max_depth
        return (
            not is_ended
            and not is_deepest
            and place.num_asked < options.max_proposals
            and len(place.pending) < options.max_pending
            and place.num_abandons < options.max_abandons
            and self.prior_left(place) >= options.min_prior_left
        )

    def prior_left(self, place: Place) -> float:
        """Return the mass that the children's priors leave over: all of it where one is unknown."""
        priors = [child.prior for child in place.children]
        return 1.0 if None in priors else max(0.0, 1.0 - added([prior or 0.0 for prior in priors]))

    def is_open(self, place: Place) -> bool:
        """Return whether a trial can start at ``place`` or below it."""
        is_waiting = self.options.selection == "greedy_value" and place.num_pending > 0
        may_ask = self.may_ask(place) and not is_waiting
        return may_ask or any(self.is_open(child) for child in place.children)

    def choose(self, place: Place) -> Place | None:
        """Return the child to go on to, or None to ask at ``place``."""
        children = [child for child in place.children if self.is_open(child)]
        rule, exploration = self.options.selection, self.options.exploration
        if not children or (rule == "uct" and self.may_ask(place)):
            return None
        fallback = 0.0 if place.q is None else place.q
        values = [fallback if child.q is None else child.q for child in children]
        if rule == "greedy_value":
            return children[tied(values, self.rng)]
        if rule == "uct":
            scale = exploration * math.sqrt(math.log(observed(place)))
            pairs = zip(values, map(observed, children), strict=True)
            # a child of which nothing is known goes first
            return children[tied([q + scale / math.sqrt(n) if n else math.inf for q, n in pairs], self.rng)]
        scores = self.puct_scores(place, children, values)
        best = tied(scores, self.rng)
        return children[best] if best < len(children) else None

    def puct_scores(self, place: Place, children: Sequence[Place], values: Sequence[float]) -> list[float]:
        """Return the scores of ``children`` and then, if it may be asked, of ``place`` itself."""
        is_known = all(child.prior is not None for child in place.children)
        share = 1.0 / self.options.max_proposals
        scale = self.options.exploration * math.sqrt(place.num_visits + place.num_pending)
        scores = []
        for child, value in zip(children, values, strict=True):
            prior = child.prior if is_known and child.prior is not None else share
            scores.append(value + scale * prior / (1 + child.num_visits + child.num_pending))
        if self.may_ask(place):
            rest = self.prior_left(place) if is_known else 1.0 - place.num_told / self.options.max_proposals
            scores.append(0.0 + scale * rest / (1 + place.num_asked - len(place.children)))
        return scores


def observed(place: Place) -> int:
    """Return N of UCT."""
    return place.num_visits + place.num_pending + (place.value is not None)


def tied(scores: Sequence[float], rng: numpy.random.Generator) -> int:
    """Return the index of the highest score, one of them drawn if there are several."""
    best = [index for index, score in enumerate(scores) if score == max(scores)]
    return best[0] if len(best) == 1 else best[int(rng.random() * len(best))]
