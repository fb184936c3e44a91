"""The work of trials: what the reasoner is shown, what is revised, and that all of it follows from the event log."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from critic_engine.backends.scripted import unit_hash
from critic_engine.config.engine import parse_config
from critic_engine.episode.episode import Commit, Episode
from critic_engine.episode.node_state import NodeState, trajectory_of
from critic_engine.episode.trial import TrialRunner
from critic_engine.errors import GenerationError
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext
from critic_engine.types import Answer, Critique, Failure, Problem, TokenUsage, Trajectory
from search import Tree, Trial
from search.expansion import Growth, expand

PROBLEM = Problem("how many ?")
MAX_STEPS = 3


class Wanderer:
    """An expander whose steps hang on the seed and on what it is shown; a share of its rewrites fail."""

    def __init__(self, share_failing: float = 0.0) -> None:
        self._share_failing = share_failing
        self.calls: list[tuple[ExpansionContext, tuple[int, ...]]] = []

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        self.calls.append((context, seeds))
        await asyncio.sleep(0.002 * unit_hash("pause", seeds))
        if len(seeds) == 1 and unit_hash("fails", seeds) < self._share_failing:
            raise GenerationError("no answer")
        shown = [sibling.step for sibling in context.rejected]
        continuations = tuple(self._continuation(context.trajectory, unit_hash("step", seed, shown)) for seed in seeds)
        return Expansion(continuations, TokenUsage(10, 5 * len(seeds)))

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        return Expansion((), TokenUsage())

    def _continuation(self, base: Trajectory, draw: float) -> Continuation:
        is_finished = len(base.steps) + 1 == MAX_STEPS
        step = f"{'answer :' if is_finished else 'see'} {int(12 * draw)}"
        answer = step.split()[-1] if is_finished else None
        return Continuation(
            (step,), False, is_finished, answer, prior=0.5, texts=None if is_finished else (f" {step} ",)
        )


@dataclass
class Taste:
    """An evaluator whose value hangs on the last step alone; it cannot read a share of the steps."""

    share_unreadable: float = 0.0
    values: dict[str, float | None] = field(default_factory=dict)

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        await asyncio.sleep(0.002 * unit_hash("pause", seed))
        step = trajectory.steps[-1]
        if unit_hash("unreadable", step) < self.share_unreadable:
            self.values[step] = None
            return Evaluation(None, None, TokenUsage(20, 2), num_unreadable=1)
        value = self.values[step] = unit_hash("value", step)
        critique = Critique(f"so much of {step}", "right" if value > 0.5 else "wrong", value)
        return Evaluation(value, critique, TokenUsage(20, 2))


def config(*, trials_in_flight: int = 1, **expander: object) -> dict[str, Any]:
    if expander.get("max_revisions"):
        expander = {"revise_below": 0.7, **expander}
    return {
        "strategy": {"kind": "mcts", "num_proposals": 2, "max_proposals": 6},
        "expander": {"max_steps": MAX_STEPS, **expander},
        "budget": {"max_simulations": 24},
        "run": {"trials_in_flight": trials_in_flight},
    }


@dataclass
class Run:
    answer: Answer
    episode: Episode
    expander: Wanderer
    evaluator: Taste
    events: list[dict[str, Any]]
    num_events: list[int]
    """How many events there were after each commit."""
    failures: list[Failure]

    @property
    def told(self) -> list[dict[str, Any]]:
        return [proposal for event in self.events if event["event"] == "told" for proposal in event["proposals"]]


def seeds_of(call: tuple[ExpansionContext, tuple[int, ...]]) -> tuple[int, ...]:
    return call[1]


def run(
    document: Mapping[str, Any],
    *,
    expander: Wanderer | None = None,
    evaluator: Taste | None = None,
    log: list[dict[str, Any]] | None = None,
) -> Run:
    commits: list[Commit] = []
    expander, evaluator = expander or Wanderer(), evaluator or Taste()
    episode = Episode(
        PROBLEM, parse_config(document), expanders=(expander,), evaluator=evaluator, on_commit=commits.append
    )
    events = list(log or [])
    num_events = [len(events)]
    episode.restore(events)
    answer = asyncio.run(episode.run())
    for commit in commits:
        events += commit.events
        num_events.append(len(events))
    failures = [failure for commit in commits for failure in commit.failures]
    return Run(answer, episode, expander, evaluator, events, num_events, failures)


@dataclass
class Dear(Taste):
    """The same evaluator, whose judgement costs as much as eight steps."""

    num_calls: int = 0

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        self.num_calls += 1
        return replace(await super().evaluate(problem, trajectory, seed=seed), usage=TokenUsage(20, 40))


def guided_config() -> dict[str, Any]:
    return config() | {"strategy": {"kind": "guided"}, "budget": {"max_simulations": 40}}


def test_steps_before_a_dear_judgement_are_not_judged_and_that_is_no_failure() -> None:
    evaluator = Dear()
    done = run(guided_config(), evaluator=evaluator)
    asked = {event["trial"]: event.get("is_judged", True) for event in done.events if event["event"] == "asked"}
    told = [
        (asked[event["trial"]], proposal)
        for event in done.events
        if event["event"] == "told"
        for proposal in event["proposals"]
    ]
    unjudged = [proposal for is_judged, proposal in told if not is_judged and "is_terminal" not in proposal]
    assert unjudged
    assert all("value" not in proposal for proposal in unjudged)
    assert all("value" in proposal for is_judged, proposal in told if is_judged or "is_terminal" in proposal)
    assert done.failures == []
    assert sum(event.get("judging_cost", 0) for event in done.events) == 40 * evaluator.num_calls


def test_search_with_unjudged_steps_that_is_cut_goes_on_as_it_did() -> None:
    done = run(guided_config(), evaluator=Dear())
    for cut in done.num_events[1::5]:
        again = run(guided_config(), evaluator=Dear(), log=done.events[:cut])
        assert again.events == done.events


def test_step_that_is_judged_when_it_is_drawn_again_shows_its_critique() -> None:
    evaluator, expander = Taste(), Wanderer()
    runner = TrialRunner(PROBLEM, parse_config(guided_config()), expanders=(expander,), evaluator=evaluator)
    tree = Tree(NodeState())
    growth = Growth(None, is_refining=False, backup="mean")
    for is_judged in (False, True):
        trial = Trial(0, tree.root, 1, is_judged=is_judged)
        told = asyncio.run(runner.run(trial, runner.ask_at(tree, tree.root, arm=0))).proposals
        (node,) = expand(tree, tree.root, told, growth=growth)
        runner.learn(0, told, is_judged=is_judged)
        assert (node.value is not None) == is_judged
        assert (runner.ask_at(tree, node, arm=0).critique is not None) == is_judged
    assert len(tree) == 2


def test_the_reasoner_goes_on_from_the_exact_text() -> None:
    done = run(config())
    prefixes = {context.trajectory.prefix for context, _ in done.expander.calls}
    assert "" in prefixes
    assert len(prefixes) > 3
    for prefix in prefixes - {""}:
        assert prefix == "".join(f" see {number} " for number in prefix.split()[1::2])


def test_every_sibling_shown_was_told_before_at_the_same_place() -> None:
    done = run(config(trials_in_flight=4))
    rejected: dict[int, list[str]] = {}
    asked: dict[int, int] = {}
    calls = iter(done.expander.calls)
    shown = 0
    for event in done.events:
        if event["event"] == "asked":
            asked[event["trial"]] = event["node"]
            context, _ = next(calls)
            assert context.trajectory == trajectory_of(done.episode.tree.path(done.episode.tree.nodes[event["node"]]))
            assert [sibling.step for sibling in context.rejected] == rejected.get(event["node"], [])[-2:]
            shown += len(context.rejected)
        elif event["event"] == "told":
            steps = rejected.setdefault(asked[event["trial"]], [])
            for proposal in event["proposals"]:
                (step,) = proposal["state"]["steps"]
                if proposal["value"] < 0.5 and step not in steps:
                    steps.append(step)
    assert shown > 5


@pytest.mark.parametrize(("value", "is_rejected"), [(0.5, False), (0.49, True)])
def test_a_step_is_rejected_only_if_its_value_is_below_the_threshold(value: float, is_rejected: bool) -> None:
    class Even(Taste):
        async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
            return Evaluation(value, Critique("so so", "wrong", value), TokenUsage(20, 2))

    done = run(config(reject_below=0.5), evaluator=Even())
    assert any(context.rejected for context, _ in done.expander.calls) is is_rejected


def test_revised_steps_are_worth_more_than_what_they_replaced() -> None:
    done = run(config(max_revisions=3))
    revised = [proposal for proposal in done.told if "revised_from" in proposal["state"]]
    assert len(revised) > 3
    for proposal in revised:
        before = [done.evaluator.values[each["step"]] for each in proposal["state"]["revised_from"]]
        (step,) = proposal["state"]["steps"]
        values = [*before, done.evaluator.values[step]]
        assert values == sorted(values)
        assert len(set(values)) == len(values)
        assert values[-2] < 0.7


def test_revisions_are_bounded_and_never_add_a_proposal() -> None:
    plain, revised = run(config()), run(config(max_revisions=2))
    num_rewrites = len(revised.expander.calls) - 24
    assert len(plain.expander.calls) == 24
    assert 0 < num_rewrites <= 2 * len(revised.told)
    assert all(len(event["proposals"]) <= 2 for event in revised.events if event["event"] == "told")
    assert all(len(seeds) == 1 for _, seeds in revised.expander.calls if len(seeds) != 2)


def test_all_tokens_of_all_tries_are_counted() -> None:
    class Counting(Taste):
        num_calls = 0

        async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
            self.num_calls += 1
            return await super().evaluate(problem, trajectory, seed=seed)

    evaluator = Counting()
    done = run(config(max_revisions=2), evaluator=evaluator)
    num_written = sum(len(seeds) for _, seeds in done.expander.calls)
    assert done.answer.num_tokens == 5 * num_written + 2 * evaluator.num_calls


def test_an_unreadable_critique_revises_nothing() -> None:
    done = run(config(max_revisions=3), evaluator=Taste(share_unreadable=1.0))
    assert len(done.expander.calls) == 24
    assert all("revised_from" not in proposal["state"] for proposal in done.told)


def test_why_a_critique_could_not_be_read_is_recorded_where_it_is_known() -> None:
    class Mumbler(Taste):
        async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
            return Evaluation(None, None, TokenUsage(), num_unreadable=2, unreadable=("no verdict: 'hm'",))

    done = run(config(), evaluator=Mumbler())
    reasons = [failure.reason for failure in done.failures if failure.kind == "critic_unreadable"]
    assert reasons[:2] == ["no verdict: 'hm'", "the text of a critique or verdict could not be read"]
    assert reasons == reasons[:2] * (len(reasons) // 2)


def test_a_rewrite_that_cannot_be_written_or_judged_leaves_the_step_and_is_counted() -> None:
    done = run(config(max_revisions=2), expander=Wanderer(share_failing=0.5), evaluator=Taste(share_unreadable=0.3))
    assert done.answer.failures["reasoner_error"] > 3
    assert done.answer.failures["critic_unreadable"] > 3
    assert done.answer.num_simulations == 24


def test_a_replaced_step_is_remembered_as_rejected_at_its_place() -> None:
    done = run(config(max_revisions=2, max_rejected=16))
    replaced = {each["step"] for proposal in done.told for each in proposal["state"].get("revised_from", [])}
    shown = {sibling.step for context, seeds in done.expander.calls if len(seeds) == 2 for sibling in context.rejected}
    assert replaced & shown
    for context, _ in done.expander.calls:
        assert len({(each.step, each.critique) for each in context.rejected}) == len(context.rejected)


@pytest.mark.parametrize("max_revisions", [0, 2])
def test_a_search_cut_anywhere_goes_on_as_it_would_have(max_revisions: int) -> None:
    whole = run(config(max_revisions=max_revisions))
    for num_events in whole.num_events:
        resumed = run(config(max_revisions=max_revisions), log=whole.events[:num_events])
        assert resumed.events == whole.events
        again = whole.expander.calls[len(whole.expander.calls) - len(resumed.expander.calls) :]
        # Two continuations of a trial are worked on at once, in no order.
        assert sorted(resumed.expander.calls, key=seeds_of) == sorted(again, key=seeds_of)


def test_what_is_shown_after_a_stop_is_what_was_shown_before_it() -> None:
    document = config(max_revisions=2, trials_in_flight=4, max_rejected=16)
    whole = run(document)
    first = [call for call in whole.expander.calls if len(call[1]) == 2]
    for num_events in whole.num_events[1:]:
        log = whole.events[:num_events]
        num_asked = sum(event["event"] == "asked" for event in log)
        settled = {event["trial"] for event in log if event["event"] != "asked"}
        pending = [trial for trial in range(num_asked) if trial not in settled]
        resumed = run(document, log=log)
        again = [call for call in resumed.expander.calls if len(call[1]) == 2]
        assert again[: len(pending)] == [first[trial] for trial in pending]


def test_a_thought_that_took_its_whole_limit_is_named_as_the_reason() -> None:
    class Thinker(Wanderer):
        async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
            return Expansion(
                (), TokenUsage(10, 5), num_unreadable=1, num_cut=1, cut_by=("reasoner.max_thought_tokens",)
            )

    answer = run(config(), expander=Thinker()).answer
    assert list(answer.failures) == ["reasoner_cut"]
    assert answer.error is not None
    assert "raise reasoner.max_thought_tokens, or set thinking to off" in answer.error
