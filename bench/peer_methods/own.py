"""Our own methods: the presets as they ship, at the budget."""

from bench.peer_methods.sessions import Session, Solution
from critic_engine.episode.episode import Episode
from critic_engine.episode.node_state import trajectory_of
from critic_engine.roles.evaluators.factory import Roles, make_evaluator
from critic_engine.roles.expanders import make_expander
from search.decision import path_log_prior


async def search(session: Session) -> str | None:
    """Return the answer of the preset in the session's configuration, by its own decision rule."""
    config = session.config
    expander = make_expander(config.expander, session.reasoner)
    evaluator = make_evaluator(config.evaluator, Roles(expander, session.critic))
    episode = Episode(session.problem, config, expanders=(expander,), evaluator=evaluator)
    answer = await episode.run()
    tree = episode.tree
    for node in (*tree.rollouts, *tree.finished):
        steps = trajectory_of(tree.path(node)).steps
        session.solutions.append(Solution(steps, node.state.answer, node.value, path_log_prior(tree, node)))
    kinds = ("reasoner_unreadable", "reasoner_cut", "critic_unreadable")
    session.count.num_unreadable += sum(answer.failures.get(kind, 0) for kind in kinds)
    return answer.answer
