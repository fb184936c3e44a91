"""One problem searched, with the shipped scripted generator in place of models."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.episode.episode import Commit, Episode, SearchEvent
from critic_engine.episode.node_state import NodeState
from critic_engine.errors import GenerationError
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext, Rollout
from critic_engine.seeds import derive_seed
from critic_engine.types import Answer, Critique, Problem, TokenUsage, Trajectory

PROBLEM = Problem("how many ?")
STEP_MCTS: dict[str, Any] = {
    "strategy": {"kind": "mcts", "num_proposals": 1, "max_proposals": 3},
    "budget": {"max_simulations": 20},
}
CHAIN: dict[str, Any] = {
    "strategy": {"kind": "chain", "max_rounds": 3},
    "stop": {"value_threshold": 0.9},
    "expander": {"kind": "solution"},
    "decision": {"rule": "last"},
}


class Stairs:
    """An expander whose steps count up and then answer; the seed decides between two wordings of each."""

    def __init__(self, failing: frozenset[int] = frozenset(), num_steps: int = 3) -> None:
        self._num_steps = num_steps
        self.contexts: list[ExpansionContext] = []
        self._failing = failing

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        self.contexts.append(context)
        if len(self.contexts) in self._failing:
            raise GenerationError("no answer")
        depth = len(context.trajectory.steps)
        answer = str(seeds[0] % 2) if depth == self._num_steps else None
        step = f"answer : {answer}" if answer else f"step {depth} {seeds[0] % 2}"
        continuation = Continuation(
            (step,), is_rewrite=False, is_finished=depth == self._num_steps, answer=answer, prior=0.4
        )
        return Expansion((continuation,), TokenUsage(10, 5))

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        if self._failing:
            raise GenerationError("no answer")
        continuation = Continuation(
            ("the rest", "answer : 7"), is_rewrite=False, is_finished=True, answer="7", prior=0.1
        )
        return Expansion((continuation,), TokenUsage(10, 9))


class Wary:
    """An evaluator that holds a trajectory wrong from the first step that ends in 1."""

    def __init__(self) -> None:
        self.num_calls = 0

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        self.num_calls += 1
        wrong = [number for number, step in enumerate(trajectory.steps, start=1) if step.endswith("1")]
        value = 0.1 if wrong else 0.95
        words = f"wrong step {wrong[0]} : odd" if wrong else "right"
        critique = Critique(words, "wrong" if wrong else "right", value, wrong[0] if wrong else None)
        return Evaluation(value, critique, TokenUsage(20, 2))


class Silent:
    """An evaluator that can never tell."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        return Evaluation(None, None, TokenUsage(0, 3), num_unreadable=2)


def run(
    document: Mapping[str, Any], *, expander: Any = None, evaluator: Any = None, log: list[Commit] | None = None
) -> tuple[Answer, Episode]:
    commits = [] if log is None else log
    episode = Episode(
        PROBLEM,
        parse_config(document),
        expanders=(expander or Stairs(),),
        evaluator=evaluator or Wary(),
        on_commit=commits.append,
    )
    return asyncio.run(episode.run()), episode


def shape(episode: Episode) -> list[tuple[int, int | None, NodeState, float | None, int]]:
    return [
        (node.node_id, node.parent.node_id if node.parent else None, node.state, node.value, node.visit_count)
        for node in episode.tree.nodes
    ]


def test_search_answers_along_the_steps_the_critic_holds_right() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 8}
    answer, _ = run({"strategy": wide, "budget": {"max_simulations": 60}, "decision": {"rule": "best_value"}})
    assert (answer.status, answer.answer, answer.value) == ("answered", "0", 0.95)
    assert answer.steps == ("step 0 0", "step 1 0", "step 2 0", "answer : 0")


def test_all_generated_tokens_are_counted_and_merged_proposals_are_not_judged_again() -> None:
    evaluator = Wary()
    answer, episode = run(STEP_MCTS, evaluator=evaluator)
    assert evaluator.num_calls == len(episode.tree.nodes) - 1
    assert answer.num_tokens == 5 * answer.num_simulations + 2 * evaluator.num_calls


def test_rejected_siblings_reach_the_expander_with_the_critics_words() -> None:
    expander = Stairs()
    run(STEP_MCTS, expander=expander)
    shown = [sibling for context in expander.contexts for sibling in context.rejected]
    assert shown
    assert all(sibling.critique.words.startswith("wrong step") for sibling in shown)


def test_token_budget_stops_the_search_with_the_trial_that_crosses_it() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 30}
    answer, _ = run({"strategy": wide, "budget": {"max_tokens": 40}}, expander=Stairs(num_steps=0))
    assert 40 <= answer.num_tokens < 40 + 7
    assert answer.stop_reason == "tokens"


def test_a_search_that_ends_before_any_path_does_writes_its_best_path_to_the_end() -> None:
    evaluator = Wary()
    answer, episode = run({**STEP_MCTS, "budget": {"max_simulations": 2}}, evaluator=evaluator)
    assert not episode.tree.finished
    assert (answer.status, answer.answer, answer.value) == ("answered", "7", None)
    assert answer.steps[-2:] == ("the rest", "answer : 7")
    assert answer.num_tokens == 2 * 5 + 2 * evaluator.num_calls + 9


def test_unreadable_critiques_leave_values_unknown_and_are_counted() -> None:
    answer, episode = run(STEP_MCTS, evaluator=Silent())
    assert all(node.value is None for node in episode.tree.nodes)
    assert answer.value is None
    assert answer.status == "answered"
    assert answer.failures == {"critic_unreadable": 2 * (len(episode.tree.nodes) - 1)}


def test_failed_generation_is_recorded_and_the_search_goes_on() -> None:
    answer, _ = run(STEP_MCTS, expander=Stairs(failing=frozenset({2, 5})))
    assert answer.status == "answered"
    assert answer.failures == {"reasoner_error": 2}


def test_a_reasoner_that_always_fails_ends_the_search_with_the_reason() -> None:
    answer, _ = run(STEP_MCTS, expander=Stairs(failing=frozenset(range(100))))
    assert answer.status == "failed"
    assert answer.answer is None
    assert answer.error is not None
    assert "reasoner_error" in answer.error
    assert answer.error.endswith("the last failure: no answer")


def test_events_tell_every_proposal_with_its_parent() -> None:
    events: list[SearchEvent] = []
    episode = Episode(PROBLEM, parse_config(STEP_MCTS), expanders=(Stairs(),), evaluator=Wary(), on_event=events.append)
    answer = asyncio.run(episode.run())
    assert len(events) == answer.num_simulations
    fresh = [event for event in events if not event.is_duplicate]
    assert [event.node_id for event in fresh] == list(range(1, len(episode.tree.nodes)))
    assert {event.parent_id for event in events} <= {0} | {event.node_id for event in events}


def test_chain_rewrites_until_the_critic_is_satisfied() -> None:
    class Drafts:
        async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
            number = 1 if not context.trajectory.steps else 0
            steps = ("think", f"answer : {number}")
            return Expansion((Continuation(steps, bool(context.critique), True, str(number), None),), TokenUsage(0, 4))

    answer, episode = run(CHAIN, expander=Drafts())
    assert answer.answer == "0"
    assert answer.stop_reason == "value_threshold"
    assert len(episode.tree.nodes) == 3
    assert answer.steps == ("think", "answer : 0")


def resume(document: Mapping[str, Any], log: list[Commit]) -> tuple[Answer, Episode, list[dict[str, Any]]]:
    rest: list[Commit] = []
    episode = Episode(PROBLEM, parse_config(document), expanders=(Stairs(),), evaluator=Wary(), on_commit=rest.append)
    episode.restore(events_of(log))
    return asyncio.run(episode.run()), episode, events_of(log) + events_of(rest)


def events_of(log: list[Commit]) -> list[dict[str, Any]]:
    return [event for commit in log for event in commit.events]


def test_a_log_cut_anywhere_goes_on_to_the_same_tree() -> None:
    log: list[Commit] = []
    whole, episode = run(STEP_MCTS, log=log)
    for num_commits in range(len(log) + 1):
        answer, resumed, events = resume(STEP_MCTS, log[:num_commits])
        assert shape(resumed) == shape(episode)
        assert (answer.answer, answer.num_tokens) == (whole.answer, whole.num_tokens)
        assert events == events_of(log)


def test_a_log_of_many_trials_in_flight_goes_on_with_each_trial_settled_once() -> None:
    document = {**STEP_MCTS, "run": {"trials_in_flight": 4}}
    log: list[Commit] = []
    run(document, log=log)
    for num_commits in range(len(log) + 1):
        answer, _, events = resume(document, log[:num_commits])
        assert answer.num_simulations == 20
        for kind in ("asked", "told"):
            assert sorted(event["trial"] for event in events if event["event"] == kind) == list(range(20))


def test_work_done_again_sees_the_tree_as_it_was_when_it_was_asked() -> None:
    document = {**STEP_MCTS, "run": {"trials_in_flight": 4}}
    log: list[Commit] = []
    first = Stairs()
    run(document, expander=first, log=log)
    again = Stairs()
    episode = Episode(PROBLEM, parse_config(document), expanders=(again,), evaluator=Wary())
    episode.restore(events_of(log[:2]))
    num_settled, num_asked = 2, sum(event["event"] == "asked" for event in events_of(log[:2]))
    asyncio.run(episode.run())
    assert again.contexts[: num_asked - num_settled] == first.contexts[num_settled:num_asked]


class Slow(Stairs):
    """Stairs on which some attempts never return."""

    def __init__(self, hanging: frozenset[int], num_steps: int = 3) -> None:
        super().__init__(num_steps=num_steps)
        self._hanging = hanging

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        expansion = await super().expand(problem, context, seeds=seeds)
        await asyncio.sleep(3600 if len(self.contexts) in self._hanging else 0)
        return expansion


def test_time_that_is_up_cuts_what_is_in_flight_and_the_best_path_so_far_answers() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 8}
    document = {"strategy": wide, "budget": {"max_wall_s": 2, "max_simulations": 99}, "run": {"trials_in_flight": 4}}
    log: list[Commit] = []
    answer, episode = run(document, expander=Slow(frozenset({40, 41, 42, 43})), log=log)
    assert (answer.status, answer.stop_reason) == ("answered", "seconds")
    assert 2 <= answer.wall_s < 60
    assert answer.num_simulations == 39 + episode.tree.root.pending_count
    assert [event["event"] for event in events_of(log)[-5:]] == ["stopped", *["abandoned"] * 4]


def test_time_is_up_though_trials_never_stop_coming_back() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 10_000}
    answer, _ = run({"strategy": wide, "budget": {"max_wall_s": 0.2}}, expander=Stairs(num_steps=1))
    assert answer.stop_reason == "seconds"
    assert answer.wall_s < 60


def test_time_that_is_up_ends_the_wait_for_trials_that_outlast_the_tokens() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 8}
    document = {"strategy": wide, "budget": {"max_wall_s": 0.4, "max_tokens": 60}, "run": {"trials_in_flight": 2}}
    answer, _ = run(document, expander=Slow(frozenset({2})))
    assert answer.stop_reason == "seconds"
    assert 0.4 <= answer.wall_s < 60


class Overtaken(Stairs):
    """Stairs whose second attempt returns when the fortieth has begun, and no sooner."""

    def __init__(self) -> None:
        super().__init__()
        self._is_overtaken = asyncio.Event()

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        expansion = await super().expand(problem, context, seeds=seeds)
        if len(self.contexts) == 2:
            await self._is_overtaken.wait()
        elif len(self.contexts) == 40:
            self._is_overtaken.set()
        return expansion


def test_one_trial_that_does_not_return_does_not_hold_up_the_others() -> None:
    wide = {"kind": "mcts", "num_proposals": 1, "max_proposals": 8}
    document = {"strategy": wide, "budget": {"max_wall_s": 60, "max_simulations": 40}, "run": {"trials_in_flight": 2}}
    answer, _ = run(document, expander=Overtaken())
    assert (answer.num_simulations, answer.stop_reason) == (40, "simulations")


def test_a_search_cut_before_any_path_ended_writes_none_and_says_why() -> None:
    answer, _ = run({**STEP_MCTS, "budget": {"max_wall_s": 0.05}}, expander=Slow(frozenset({1})))
    assert (answer.status, answer.answer, answer.stop_reason) == ("failed", None, "seconds")
    assert "raise budget.max_wall_s" in str(answer.error)


def test_a_log_that_ends_with_a_cut_is_not_searched_on() -> None:
    document = {**STEP_MCTS, "budget": {"max_wall_s": 0.2}}
    log: list[Commit] = []
    whole, episode = run(document, expander=Slow(frozenset({9})), log=log)
    answer, resumed, events = resume(document, log)
    assert events == events_of(log)
    assert shape(resumed) == shape(episode)
    assert (answer.answer, answer.stop_reason) == (whole.answer, "seconds")


def test_rollouts_reach_the_tree_and_take_part_in_the_decision() -> None:
    class Completing(Wary):
        async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
            evaluation = await super().evaluate(problem, trajectory, seed=seed)
            rest = Continuation(("answer : 9",), is_rewrite=False, is_finished=True, answer="9", prior=0.5)
            return replace(evaluation, rollouts=(Rollout(rest, 0.7), Rollout(rest, 0.7)))

    log: list[Commit] = []
    document = {**STEP_MCTS, "decision": {"rule": "majority"}}
    answer, episode = run(document, evaluator=Completing(), log=log)
    assert answer.answer == "9"
    assert len(episode.tree.rollouts) == 2 * (len(episode.tree) - 1)
    assert answer.steps[-1] == "answer : 9"
    _, resumed, _ = resume(document, log)
    assert [end.state for end in resumed.tree.rollouts] == [end.state for end in episode.tree.rollouts]


def test_seeds_depend_on_every_part_and_on_nothing_else() -> None:
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2)
    assert len({derive_seed(1, "a", 2), derive_seed(2, "a", 2), derive_seed(1, "b", 2), derive_seed(1, "a", 3)}) == 4
    assert all(0 <= derive_seed(0, number) < 2**63 for number in range(1000))


def test_default_configuration_needs_a_budget_for_a_tree() -> None:
    with pytest.raises(Exception, match="budget is empty"):
        EngineConfig()


def test_a_majority_counts_answers_that_mean_the_same_together() -> None:
    class Spellings:
        spelled = ("1/2", "3", "0.5", "3", r"\frac12")

        def __init__(self) -> None:
            self._rest = list(self.spelled)

        async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
            answers = [self._rest.pop(0) for _ in seeds]
            continuations = (Continuation((f"answer : {each}",), False, True, each, None) for each in answers)
            return Expansion(tuple(continuations), TokenUsage(0, 4))

    majority = {"strategy": {"kind": "best_of_n", "num_samples": 5}, "expander": {"kind": "solution"},
                "decision": {"rule": "majority"}}  # fmt: skip
    answer, episode = run(majority, expander=Spellings())
    assert answer.answer in Spellings.spelled[::2]
    assert {node.outcome for node in episode.tree.finished} == {"0.5", "3"}


def test_a_log_of_formulas_goes_on_with_the_classes_of_its_answers() -> None:
    class Roots:
        async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
            answer = (r"\sqrt{8}", r"2\sqrt{2}", "3")[seeds[0] % 3]
            return Expansion((Continuation((f"answer : {answer}",), False, True, answer, None),), TokenUsage(0, 4))

    def outcomes(episode: Episode) -> list[tuple[str | None, object]]:
        return [(node.state.answer, node.outcome) for node in episode.tree.nodes]

    document = {"strategy": {"kind": "best_of_n", "num_samples": 6}, "expander": {"kind": "solution"}}
    log: list[Commit] = []
    _, whole = run(document, expander=Roots(), log=log)
    assert len({outcome for _, outcome in outcomes(whole)} - {None}) == 2
    for cut in range(len(log)):
        episode = Episode(
            PROBLEM, parse_config(document), expanders=(Roots(),), evaluator=Wary(), on_commit=lambda commit: None
        )
        episode.restore(events_of(log[:cut]))
        asyncio.run(episode.run())
        assert outcomes(episode) == outcomes(whole)
