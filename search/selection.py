"""Select: descend from the root to the node to ask at next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy

from search.selection_formulas import puct_scale, puct_score, uct_scale, uct_score
from search.tree import Node, S, Tree

SelectionRule: TypeAlias = Literal["puct", "uct", "greedy_value"]


@dataclass(frozen=True, slots=True)
class SelectionTerms:
    """The constants of a selection rule."""

    exploration: float
    """c, not negative."""
    max_proposals: int
    """Number of proposals that one node may receive."""


def select(root: Node[S], rule: SelectionRule, terms: SelectionTerms, rng: numpy.random.Generator) -> Node[S]:
    """Return the node to ask at next; ``root`` must be open. Ties are broken by ``rng``."""
    choose = SELECTION_RULES[rule]
    node = root
    while node.children:
        child = choose(node, terms, rng)
        if child is None:
            return node
        node = child
    return node


def renew_open(tree: Tree[S], node: Node[S], rule: SelectionRule | None = None) -> None:
    """Renew ``is_open`` of ``node`` after a change of its flags or its children's, and of the nodes above it.

    ``greedy_value`` alone keeps a node shut while a trial is pending at it or below it, save for its open children.
    """
    place: Node[S] | None = node
    while place is not None:
        is_waiting = rule == "greedy_value" and place.pending_count > 0
        is_open = place.num_open_children > 0 or (place.is_expandable and not is_waiting)
        if place.is_open and is_open:
            return  # so are all nodes above it
        tree.set_open(place, is_open)
        place = place.parent


def choose_puct(node: Node[S], terms: SelectionTerms, rng: numpy.random.Generator) -> Node[S] | None:
    """Return the open child with the highest PUCT score, or None to ask for new proposals at ``node``.

    While ``node`` may receive proposals, asking for them competes with the children as one unvisited action does in
    AlphaGo Zero (Silver et al., 2017): Q = 0, P = the mass that the children's priors leave over, N = the proposals
    asked for here that are not a child (merged, missing or pending). If a child's prior is unknown, every child has
    P = 1 / max_proposals, and asking has the share of max_proposals not yet told.
    """
    children = [child for child in node.children if child.is_open]
    if not children:
        return None
    scale = puct_scale(terms.exploration, node.visit_count + node.pending_count)
    default = _first_play_value(node)
    mass = node.prior_mass
    scores = [
        puct_score(
            default if child.search_value is None else child.search_value,
            1.0 / terms.max_proposals if mass is None or child.prior is None else child.prior,
            visit_count=child.visit_count + child.pending_count,
            scale=scale,
        )
        for child in children
    ]
    if node.is_expandable:
        rest = 1.0 - (node.num_told / terms.max_proposals if mass is None else mass)
        num_lost = node.num_asked - len(node.children)
        scores.append(puct_score(0.0, max(0.0, rest), visit_count=num_lost, scale=scale))
    best = _argmax(scores, rng)
    return children[best] if best < len(children) else None


def choose_uct(node: Node[S], terms: SelectionTerms, rng: numpy.random.Generator) -> Node[S] | None:
    """Return the open child with the highest UCT score; None, to ask at ``node``, as long as it may receive proposals.

    Full expansion first, as in UCT (Kocsis and Szepesvari, 2006): an action never tried goes before any other.
    """
    if node.is_expandable:
        return None
    children = [child for child in node.children if child.is_open]
    scale = uct_scale(terms.exploration, _num_observed(node))
    default = _first_play_value(node)
    scores = [
        uct_score(
            default if child.search_value is None else child.search_value,
            visit_count=_num_observed(child),
            scale=scale,
        )
        for child in children
    ]
    return children[_argmax(scores, rng)]


def choose_greedy_value(node: Node[S], terms: SelectionTerms, rng: numpy.random.Generator) -> Node[S] | None:
    """Return the open child with the highest Q; None, to ask at ``node`` once more, when every child is exhausted.

    ``argmax_j V(s_ij)`` with no exploration term: MMC (arXiv 2504.11009, Figure 2).
    """
    children = [child for child in node.children if child.is_open]
    if not children:
        return None
    default = _first_play_value(node)
    return children[_argmax([default if c.search_value is None else c.search_value for c in children], rng)]


SELECTION_RULES = {"puct": choose_puct, "uct": choose_uct, "greedy_value": choose_greedy_value}


def _first_play_value(node: Node[S]) -> float:
    """Return the Q of a child that has none: its parent's, or 0 where that is unknown as well.

    First-play urgency (Gelly and Wang, 2006), with the parent's value as the urgency.
    """
    return 0.0 if node.search_value is None else node.search_value


def _num_observed(node: Node[S]) -> int:
    """Return N of UCT: told and pending trials, and one for the node's own evaluation."""
    return node.visit_count + node.pending_count + (node.value is not None)


def _argmax(scores: list[float], rng: numpy.random.Generator) -> int:
    """Return the place of the highest score, drawn evenly among equals."""
    highest = max(scores)
    if scores.count(highest) == 1:
        return scores.index(highest)
    places = [place for place, score in enumerate(scores) if score == highest]
    return places[int(rng.random() * len(places))]
