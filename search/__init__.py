"""Tree search with a critic: the pure core, which asks for proposals at a node and is told the results.

It knows no text, image, model, clock, file, process or event loop: states are opaque, and cost is in the caller's
unit. The strategies, which share ``ask`` / ``tell`` / ``abandon``, are ``Mcts``, ``AbMcts``, ``Beam``, ``Dvts``,
``ParticleFilter``, ``Guided``, ``BestOfN`` and ``Chain``.
"""

from search.ab_mcts import AbMcts, AbMctsOptions
from search.backup import BackupRule
from search.beam import Beam, BeamOptions
from search.best_of_n import BestOfN, BestOfNOptions
from search.budget import NO_LIMIT, Budget, StopReason, Usage
from search.chain import Chain, ChainOptions
from search.decision import Aggregation, Decision, DecisionRule, decide, path_log_prior
from search.divergence import DivergentPair, reference_order, sibling_pairs, worst_order
from search.dvts import Dvts, DvtsOptions
from search.errors import ReplayError, SearchError, UnknownTrialError
from search.event_log import event_from_dict, event_to_dict, replay
from search.events import Abandoned, Asked, Event, Stopped, Told
from search.guided import Guided, GuidedOptions
from search.mcts import Mcts, MctsOptions
from search.particle import ParticleFilter, ParticleOptions
from search.particle_weights import ResamplingRule
from search.posterior import PriorRule
from search.selection import SelectionRule
from search.stopping import NEVER, StopOptions
from search.strategy import NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, Tree

__all__ = [
    "NEVER",
    "NO_LIMIT",
    "NO_LIMITS",
    "AbMcts",
    "AbMctsOptions",
    "Abandoned",
    "Aggregation",
    "Asked",
    "BackupRule",
    "Beam",
    "BeamOptions",
    "BestOfN",
    "BestOfNOptions",
    "Budget",
    "Chain",
    "ChainOptions",
    "Decision",
    "DecisionRule",
    "DivergentPair",
    "Dvts",
    "DvtsOptions",
    "Event",
    "Guided",
    "GuidedOptions",
    "Limits",
    "Mcts",
    "MctsOptions",
    "Node",
    "ParticleFilter",
    "ParticleOptions",
    "PriorRule",
    "Proposal",
    "ReplayError",
    "ResamplingRule",
    "SearchError",
    "SelectionRule",
    "StopOptions",
    "StopReason",
    "Stopped",
    "Strategy",
    "Told",
    "Tree",
    "Trial",
    "UnknownTrialError",
    "Usage",
    "decide",
    "event_from_dict",
    "event_to_dict",
    "path_log_prior",
    "reference_order",
    "replay",
    "sibling_pairs",
    "worst_order",
]
