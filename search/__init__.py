"""Tree search with a critic: the pure core, which asks what to think about next and is told what came of it.

It knows no text, image, model, clock, file, process or event loop: states are opaque, and cost is in the caller's
unit. ``Mcts``, ``BestOfN`` and ``Chain`` are strategies with the same ``ask`` / ``tell`` / ``abandon``.
"""

from search.backup import BackupRule
from search.best_of_n import BestOfN, BestOfNOptions
from search.budget import NO_LIMIT, Budget, StopReason, Usage
from search.chain import Chain, ChainOptions
from search.decision import Aggregation, Decision, DecisionRule, decide, path_value
from search.divergence import DivergentPair, branch_pairs, reference_pairs
from search.errors import ReplayError, SearchError, UnknownTrialError
from search.events import Abandoned, Asked, Event, Told
from search.mcts import Mcts, MctsOptions
from search.record import event_from_dict, event_to_dict, replay
from search.selection import SelectionRule
from search.strategy import Strategy, Trial
from search.tree import Node, Proposal, Tree

__all__ = [
    "NO_LIMIT",
    "Abandoned",
    "Aggregation",
    "Asked",
    "BackupRule",
    "BestOfN",
    "BestOfNOptions",
    "Budget",
    "Chain",
    "ChainOptions",
    "Decision",
    "DecisionRule",
    "DivergentPair",
    "Event",
    "Mcts",
    "MctsOptions",
    "Node",
    "Proposal",
    "ReplayError",
    "SearchError",
    "SelectionRule",
    "StopReason",
    "Strategy",
    "Told",
    "Tree",
    "Trial",
    "UnknownTrialError",
    "Usage",
    "branch_pairs",
    "decide",
    "event_from_dict",
    "event_to_dict",
    "path_value",
    "reference_pairs",
    "replay",
]
