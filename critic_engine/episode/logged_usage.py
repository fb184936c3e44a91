"""Usage as logs hold it: the generated tokens in a place of their own, the other fields as plain values beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from critic_engine.types import TokenUsage

_SETTLED = ("told", "abandoned")


def usage_fields(usage: TokenUsage) -> dict[str, int]:
    """Return the fields of ``usage`` that are not 0, without the generated tokens."""
    return {name: number for name, number in asdict(usage).items() if number and name != "generated_tokens"}


def log_usage(events: Iterable[dict[str, Any]], usage: TokenUsage) -> None:
    """Put a trial's ``usage`` into its event, the one among ``events`` that settles a trial.

    The generated tokens stand in the event already, as its cost, unless the budget counts prompts too.
    """
    for event in events:
        if event["event"] in _SETTLED:
            fields = usage_fields(usage)
            if event.get("cost", 0) != usage.generated_tokens:
                fields["generated_tokens"] = usage.generated_tokens
            if fields:
                event["usage"] = fields


def logged_usage(events: Iterable[Mapping[str, Any]]) -> TokenUsage:
    """Return the usage of all settled trials of a logged search."""
    settled = (event for event in events if event["event"] in _SETTLED)
    found = (TokenUsage(**{"generated_tokens": event.get("cost", 0), **event.get("usage", {})}) for event in settled)
    return sum(found, TokenUsage())
