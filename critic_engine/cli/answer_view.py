"""Printed answers: one row each, a summary, and the problems that failed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from critic_engine.cli.text import one_line, printable
from critic_engine.run.report import json_line
from critic_engine.types import Answer

_NUM_FAILED_SHOWN = 20
_WITHOUT_VALUE = ("critic_unreadable", "critic_error", "evaluator_unreadable", "evaluator_error")


@dataclass
class Tally:
    """Counts of answers and of failed model requests."""

    num_answered: int = 0
    num_failed: int = 0
    num_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    num_requests: int = 0
    critic_prompt_tokens: int = 0
    critic_cached_tokens: int = 0
    num_valued: int = 0
    """Answers that have a value."""
    failures: Counter[str] = field(default_factory=Counter)
    """Failed model requests by kind."""
    failed: list[str] = field(default_factory=list)
    """One line for each of the first failed problems: its id and the reason."""

    def count(self, answer: Answer) -> None:
        """Add one answer."""
        self.num_tokens += answer.num_tokens
        self.prompt_tokens += answer.prompt_tokens
        self.cached_tokens += answer.cached_tokens
        self.num_requests += answer.num_requests
        self.critic_prompt_tokens += answer.critic_prompt_tokens
        self.critic_cached_tokens += answer.critic_cached_tokens
        self.num_valued += answer.value is not None
        self.failures.update(answer.failures)
        if answer.status == "answered":
            self.num_answered += 1
            return
        self.num_failed += 1
        if self.num_failed <= _NUM_FAILED_SHOWN:
            self.failed.append(failed_line(answer.id, answer.error or ""))

    def report(self, *, where: Path | None) -> int:
        """Print the failed problems and a summary on stderr; return 1 when any problem failed, else 0.

        Args:
            where: The file that holds the rows; None when the rows went to stdout.
        """
        for line in failed_lines(self.failed, num=self.num_failed, where=str(where or "the rows")):
            click.echo(line, err=True)
        num_without_value = sum(self.failures[kind] for kind in _WITHOUT_VALUE)
        if num_without_value and self.num_answered and not self.num_valued:
            click.echo(
                f"warning: no answer has a value, for {num_without_value} evaluations failed or could not be read; "
                "-v shows why; raise critic.max_tokens if they were cut, name another --critic or --reward-model, or "
                "set evaluator.kind=none",
                err=True,
            )
        num, place = self.num_answered + self.num_failed, "" if where is None else f": {where}"
        counts = f"answered {self.num_answered} of {num}, {self.num_failed} failed, {_spent(self)}"
        click.echo(f"{counts}{_told(self.failures)}{place}", err=True)
        return int(self.num_failed > 0)

    def fields(self) -> dict[str, object]:
        """Return the counts for JSON output."""
        return {
            "num_answered": self.num_answered,
            "num_failed": self.num_failed,
            "num_tokens": self.num_tokens,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "num_requests": self.num_requests,
            "critic_prompt_tokens": self.critic_prompt_tokens,
            "critic_cached_tokens": self.critic_cached_tokens,
            "failures": dict(self.failures),
        }


def failed_line(row_id: str, reason: str) -> str:
    """Return a failed problem's id and reason in one line."""
    return f"{one_line(row_id, max_chars=80)}: {one_line(reason, max_chars=300)}"


def failed_lines(failed: Sequence[str], *, num: int, where: str) -> Iterator[str]:
    """Yield one line for each of the first failed problems, and a count of the rest.

    Args:
        failed: Lines of the first failed problems.
        num: Number of failed problems.
        where: The place where all of them are listed.
    """
    shown = failed[:_NUM_FAILED_SHOWN]
    yield from (f"failed: {line}" for line in shown)
    if num > len(shown):
        yield f"failed: {num - len(shown):,} more; see {where}"


def answer_row(answer: Answer) -> str:
    """Return an answer as a row of ``answers.jsonl``."""
    return json_line(asdict(answer))


def print_answer(answer: Answer, *, is_json: bool) -> int:
    """Print the answer to one question on stdout and its cost on stderr; return the exit code."""
    is_failed = answer.status == "failed"
    if is_json:
        click.echo(answer_row(answer))
    elif answer.answer is not None:
        click.echo(printable(answer.answer))
        click.echo(_cost(answer), err=True)
    if is_failed:
        click.echo(f"error: {one_line(answer.error or 'there is no answer')}", err=True)
    return int(is_failed)


def _cost(answer: Answer) -> str:
    value = "unknown" if answer.value is None else f"{answer.value:.2f}"
    work = f"{_spent(answer)}, {answer.num_simulations} simulations, {answer.wall_s:.1f} s"
    return f"value {value}, {work}{_told(answer.failures)}"


def _spent(spender: Answer | Tally) -> str:
    tokens = f"{spender.num_tokens:,} tokens"
    if not spender.num_requests:
        return tokens
    read = f"{tokens} in {spender.num_requests:,} requests with {spender.prompt_tokens:,} prompt tokens"
    return f"{read}{_cached(spender)}"


def _cached(spender: Answer | Tally) -> str:
    """Return by role how many prompt tokens a cache held; nothing where none did, or no backend says so."""
    if not spender.cached_tokens:
        return ""
    judged, judged_cached = spender.critic_prompt_tokens, spender.critic_cached_tokens
    roles = {
        "reasoner": (spender.cached_tokens - judged_cached, spender.prompt_tokens - judged),
        "critic": (judged_cached, judged),
    }
    held = [f"{cached:,} of the {role}'s {read:,}" for role, (cached, read) in roles.items() if read]
    return f" (cached: {', '.join(held)})"


def _told(failures: Mapping[str, int]) -> str:
    return "".join(f", {num} {kind}" for kind, num in sorted(failures.items()))
