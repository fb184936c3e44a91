"""Record and replay: events as plain dicts, and a search rebuilt from its events, half-way through too."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar, overload

from search.budget import StopReason
from search.errors import ReplayError
from search.events import Abandoned, Asked, Event, Stopped, Told
from search.strategy import Strategy, Trial, asked_of
from search.tree import Proposal, S

T = TypeVar("T")


def replay(strategy: Strategy[S], events: Iterable[Event[S]]) -> None:
    """Bring a fresh ``strategy`` to the state of the one that recorded ``events``.

    It must have the options, seed, root and budget of the recorded one. Trials that were in flight are left in
    ``strategy.pending``, in the order asked, to be run again. Raises ``ReplayError`` at the first event that does not
    fit; ``strategy`` is of no use then.
    """
    pending: dict[int, Trial[S]] = {}
    for index, event in enumerate(events):
        if isinstance(event, Asked):
            trial = _ask_again(strategy, event, index)
            pending[trial.trial_id] = trial
            continue
        if isinstance(event, Stopped):
            if strategy.stop_reason is not None:
                stands = f"the strategy has stopped for {strategy.stop_reason}"
                raise ReplayError(f"event {index} stops for {event.reason}, but {stands}", event_index=index)
            strategy.stop(event.reason)
            continue
        settled = pending.pop(event.trial_id, None)
        if settled is None:
            raise ReplayError(f"event {index} settles trial {event.trial_id}, not pending", event_index=index)
        try:
            if isinstance(event, Told):
                strategy.tell(settled, event.proposals, cost=event.cost, judging_cost=event.judging_cost)
            else:
                strategy.abandon(settled, cost=event.cost)
        except ValueError as error:
            raise ReplayError(f"event {index} is refused: {error}", event_index=index) from error


def _ask_again(strategy: Strategy[S], event: Asked, index: int) -> Trial[S]:
    trials = strategy.ask()
    if not trials:
        raise ReplayError(f"event {index} asks, but the strategy has nothing to ask", event_index=index)
    trial = trials[0]
    asked = asked_of(trial)
    if asked != event:
        raise ReplayError(f"event {index} is {event}, but the strategy asks {asked}", event_index=index)
    return trial


def event_to_dict(event: Event[S], encode_state: Callable[[S], object]) -> dict[str, object]:
    """Return ``event`` as a dict of plain values, fields at their default left out.

    It is ready for JSON if ``encode_state`` returns, and keys and outcomes are, what JSON can hold; tuples count, as
    ``event_from_dict`` makes tuples of lists.
    """
    if isinstance(event, Asked):
        rest: dict[str, object] = {"arm": event.arm} if event.arm else {}
        if not event.is_judged:
            rest["is_judged"] = False
        return {"event": "asked", "trial": event.trial_id, "node": event.node_id, "num": event.num_proposals, **rest}
    if isinstance(event, Stopped):
        return {"event": "stopped", "reason": event.reason.value}
    cost: dict[str, object] = {"cost": event.cost} if event.cost else {}
    if isinstance(event, Abandoned):
        return {"event": "abandoned", "trial": event.trial_id, **cost}
    if event.judging_cost:
        cost["judging_cost"] = event.judging_cost
    proposals = [_proposal_to_dict(proposal, encode_state) for proposal in event.proposals]
    return {"event": "told", "trial": event.trial_id, "proposals": proposals, **cost}


def event_from_dict(data: Mapping[str, object], decode_state: Callable[[object], S]) -> Event[S]:
    """Return the event that ``event_to_dict`` made ``data`` of; ``ReplayError`` if it did not."""
    kind = _field(data, "event", str)
    if kind == "stopped":
        return Stopped(_stop_reason(_field(data, "reason", str)))
    trial_id = _field(data, "trial", int)
    if kind == "asked":
        return Asked(
            trial_id,
            _field(data, "node", int),
            _field(data, "num", int),
            _field(data, "arm", int, 0),
            _field(data, "is_judged", bool, True),
        )
    cost = _field(data, "cost", int, 0)
    if kind == "abandoned":
        return Abandoned(trial_id, cost)
    if kind == "told":
        proposals = _field(data, "proposals", list)
        told = tuple(_proposal_from_dict(proposal, decode_state) for proposal in proposals)
        return Told(trial_id, told, cost, _field(data, "judging_cost", int, 0))
    raise ReplayError(f"event must be asked, told, abandoned or stopped, got {kind!r}")


def _stop_reason(name: str) -> StopReason:
    try:
        return StopReason(name)
    except ValueError as error:
        raise ReplayError(f"reason must be a reason to stop, got {name!r}") from error


def _proposal_to_dict(proposal: Proposal[S], encode_state: Callable[[S], object]) -> dict[str, object]:
    data: dict[str, object] = {"state": encode_state(proposal.state)}
    if proposal.is_terminal:
        data["is_terminal"] = True
    for name in ("value", "prior", "key", "outcome"):
        if (content := getattr(proposal, name)) is not None:
            data[name] = content
    if proposal.rollouts:
        data["rollouts"] = [_proposal_to_dict(rollout, encode_state) for rollout in proposal.rollouts]
    return data


def _proposal_from_dict(data: object, decode_state: Callable[[object], S]) -> Proposal[S]:
    if not isinstance(data, Mapping) or "state" not in data:
        raise ReplayError(f"a proposal must be a mapping with a state, got {data!r}")
    try:
        return Proposal(
            decode_state(data["state"]),
            _number(data, "value"),
            _number(data, "prior"),
            _field(data, "is_terminal", bool, False),
            _frozen(data.get("key")),
            _frozen(data.get("outcome")),
            tuple(_proposal_from_dict(rollout, decode_state) for rollout in _field(data, "rollouts", list, [])),
        )
    except ValueError as error:
        raise ReplayError(f"a proposal cannot be read: {error}") from error


def _number(data: Mapping[str, object], name: str) -> float | None:
    number = data.get(name)
    if number is None or (isinstance(number, int | float) and not isinstance(number, bool)):
        return number
    raise ReplayError(f"{name} must be a number, got {number!r}")


def _frozen(content: object) -> Hashable | None:
    """Return ``content`` with tuples for the lists that JSON made of them."""
    if isinstance(content, list | tuple):
        return tuple(_frozen(item) for item in content)
    return content


@overload
def _field(data: Mapping[str, object], name: str, kind: type[T]) -> T: ...
@overload
def _field(data: Mapping[str, object], name: str, kind: type[T], default: T) -> T: ...
def _field(data: Mapping[str, object], name: str, kind: type[T], default: T | None = None) -> T:
    """Return the field ``name``, which must be a ``kind``; without a default it must be there."""
    content = data.get(name, default)
    if not isinstance(content, kind) or (kind is int and isinstance(content, bool)):
        raise ReplayError(f"{name} must be {kind.__name__}, got {content!r}")
    return content
