"""One logged search as events of inspect_ai: a span a simulation, in it the texts of the reasoner and the critic.

The input of a text is the question and the steps before it; a run's log keeps no prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.episode.logged_usage import logged_usage
from critic_engine.episode.node_state import NodeState, decode_state, trajectory_of
from critic_engine.errors import RunError
from critic_engine.types import Answer, Failure, Problem, TokenUsage
from search import Proposal, ReplayError, Told, event_from_dict

if TYPE_CHECKING:
    from inspect_ai.event import Event, ModelEvent
    from inspect_ai.model import ModelUsage


@dataclass(frozen=True, slots=True)
class LoggedSearch:
    """The log of one search, as a run keeps it."""

    problem: Problem
    answer: Answer
    events: Sequence[Mapping[str, Any]]
    failures: Sequence[Failure]
    begun_at: datetime
    """The time that all events get, for a run's log has none of its own."""


def transcript_of(search: LoggedSearch, config: EngineConfig) -> list[Event]:
    """Return the events of a search in the order of its log; a trial that was never settled has none.

    Raises:
        RunError: the log is of another version.
    """
    return _Transcript(search, config).events()


def usage_of_role(usage: TokenUsage, *, is_critic: bool) -> ModelUsage:
    """Return the tokens of the critic or of all other roles, as inspect_ai counts them."""
    from inspect_ai.model import ModelUsage

    prompt, generated, cached = usage.critic_prompt_tokens, usage.critic_generated_tokens, usage.critic_cached_tokens
    if not is_critic:
        prompt, generated = usage.prompt_tokens - prompt, usage.generated_tokens - generated
        cached = usage.cached_tokens - cached
    return ModelUsage(
        input_tokens=prompt - cached,
        input_tokens_cache_read=cached,
        output_tokens=generated,
        total_tokens=prompt + generated,
    )


class _Transcript:
    def __init__(self, search: LoggedSearch, config: EngineConfig) -> None:
        self._search = search
        self._config = config
        try:
            self._tree = logged_tree(config, search.problem, search.events)
        except ReplayError as error:
            raise RunError(f"the log of problem {search.problem.name} is not of this version: {error}") from error
        self._reasons: dict[int, list[Failure]] = {}
        for failure in search.failures:
            self._reasons.setdefault(failure.trial_id, []).append(failure)

    def events(self) -> list[Event]:
        asked = {event["trial"]: event for event in self._search.events if event["event"] == "asked"}
        found: list[Event] = []
        for event in self._search.events:
            if event["event"] in ("told", "abandoned"):
                found += self._simulation(event, asked[event["trial"]])
        return [*found, *self._ending()]

    def _ending(self) -> Iterator[Event]:
        """Yield the completion of the best path, which is no simulation and stands in the answer alone."""
        from inspect_ai.event import SpanBeginEvent, SpanEndEvent

        answer, logged = self._search.answer, logged_usage(self._search.events)
        rest = TokenUsage(
            prompt_tokens=answer.prompt_tokens - logged.prompt_tokens,
            generated_tokens=answer.num_tokens - logged.generated_tokens,
            cached_tokens=answer.cached_tokens - logged.cached_tokens,
        )
        if rest.prompt_tokens <= 0 and rest.generated_tokens <= 0:
            return
        times, text = self._times("completion"), "\n".join(answer.steps)
        yield SpanBeginEvent(id="completion", name="completion of the best path", type="completion", **times)
        usage = usage_of_role(rest, is_critic=False)
        yield self._model_event("completion", "reasoner", self._config.reasoner, (), text, usage)
        yield SpanEndEvent(id="completion", **times)

    def _simulation(self, settled: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[Event]:
        from inspect_ai.event import SpanBeginEvent, SpanEndEvent

        number = settled["trial"]
        name = f"simulation-{number}"
        facts = {"node": asked["node"], "num_proposals": asked["num"], "event": settled["event"]}
        times = self._times(name)
        values = [each["value"] for each in settled.get("proposals", ()) if each.get("value") is not None]
        title = f"simulation {number}" + (f": value {max(values):.2f}" if values else "")
        yield SpanBeginEvent(id=name, name=title, type="simulation", metadata=facts, **times)
        yield from self._failures(number, name)
        usage = logged_usage([settled])
        if settled.get("proposals"):
            yield from self._proposals(settled, asked, usage)
        else:
            yield self._info(name, {"num_proposals": 0, **_plain_usage(usage)})
        yield SpanEndEvent(id=name, **times)

    def _failures(self, number: int, span: str) -> Iterable[Event]:
        for failure in self._reasons.get(number, ()):
            yield self._info(span, {"failure": failure.kind, "reason": failure.reason})

    def _proposals(self, settled: Mapping[str, Any], asked: Mapping[str, Any], usage: TokenUsage) -> Iterator[Event]:
        told = event_from_dict(settled, decode_state)
        span = f"simulation-{settled['trial']}"
        path = trajectory_of(self._tree.path(self._tree.nodes[asked["node"]]))
        reasoners = (self._config.reasoner, *self._config.other_reasoners)
        reasoner = reasoners[asked.get("arm", 0)]
        costs = [usage_of_role(usage, is_critic=False), usage_of_role(usage, is_critic=True)]
        for proposal in told.proposals if isinstance(told, Told) else ():
            state = proposal.state
            before = () if state.is_rewrite else path.steps
            yield self._model_event(span, "reasoner", reasoner, before, "\n".join(state.steps), costs[0])
            if state.critique is not None:
                steps = (*before, *state.steps)
                yield self._model_event(span, "critic", self._config.critic, steps, state.critique.whole, costs[1])
            yield self._info(span, _facts(proposal))
            # The tokens of a trial are counted once, at its first text of each role.
            costs = [None, costs[1] if state.critique is None else None]
        if costs[1] is not None and costs[1].total_tokens:
            # An evaluator without words, such as a reward model.
            read, written = usage.critic_prompt_tokens, usage.critic_generated_tokens
            yield self._info(span, {"critic_prompt_tokens": read, "critic_generated_tokens": written})

    def _model_event(
        self, span: str, role: str, model: ModelConfig, steps: Sequence[str], text: str, usage: ModelUsage | None
    ) -> ModelEvent:
        from inspect_ai.event import ModelEvent
        from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, GenerateConfig, ModelOutput

        output = ModelOutput.from_content(model.model, text)
        output.usage = usage
        question, before = self._search.problem.question, "\n".join(steps)
        if role == "critic":
            asked = [ChatMessageUser(content=f"{question}\n\n{before}")]
        else:
            asked = [ChatMessageUser(content=question), *([ChatMessageAssistant(content=before)] if steps else [])]
        return ModelEvent(
            model=model.model,
            role=role,
            input=asked,
            tools=[],
            tool_choice="none",
            config=GenerateConfig(),
            output=output,
            **self._times(span),
        )

    def _info(self, span: str, data: Mapping[str, object]) -> Event:
        from inspect_ai.event import InfoEvent

        return InfoEvent(source="critic_engine", data=dict(data), **self._times(span))

    def _times(self, span: str) -> dict[str, Any]:
        return {"span_id": span, "timestamp": self._search.begun_at, "working_start": 0.0}


def _facts(proposal: Proposal[NodeState]) -> dict[str, object]:
    critique = proposal.state.critique
    facts: dict[str, object] = {
        "value": proposal.value,
        "prior": proposal.prior,
        "is_finished": proposal.is_terminal,
        "answer": proposal.state.answer,
        "is_rewrite": proposal.state.is_rewrite,
    }
    if critique is not None:
        facts |= {"verdict": critique.verdict, "first_wrong_step": critique.first_wrong_step}
    if proposal.rollouts:
        facts["rollouts"] = [{"answer": each.state.answer, "value": each.value} for each in proposal.rollouts]
    return facts


def _plain_usage(usage: TokenUsage) -> dict[str, object]:
    return {"generated_tokens": usage.generated_tokens, "prompt_tokens": usage.prompt_tokens}
