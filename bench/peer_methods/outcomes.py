"""What came of each problem, and the file that keeps it so that an interrupted bench goes on."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RULES = ("own", "value", "value x probability")
"""The decision rules: the method's own, and the two votes of ``votes`` that every method gets."""


@dataclass(frozen=True)
class Outcome:
    """One method's answer to one problem with one seed."""

    method: str
    budget: int
    seed: int
    problem: int
    """Its number, from 0."""
    answers: Mapping[str, str | None]
    """By rule; None without an answer."""
    is_right: Mapping[str, bool | None]
    """By rule; no answer is wrong, and None is a grade that is unsure."""
    was_found: bool
    """Whether any solution that it wrote had the right answer."""
    num_solutions: int
    num_tokens: int
    num_critic_tokens: int
    num_prompt_tokens: int
    num_failed: int
    """Requests without an answer."""
    num_unreadable: int

    @property
    def key(self) -> tuple[str, int, int, int]:
        """Method, budget, seed and problem."""
        return (self.method, self.budget, self.seed, self.problem)


class OutcomesFile:
    """A file of one JSON object a line, of which the first holds the settings of the bench."""

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        """Open a file, or none.

        Raises:
            SystemExit: the file holds outcomes of other settings.
        """
        self._path = path
        self._known: dict[tuple[str, int, int, int], Outcome] = {}
        wanted = json.loads(json.dumps(settings))
        if path is None:
            return
        lines = _whole_lines(path)
        if lines and json.loads(lines[0]) != wanted:
            raise SystemExit(f"{path} holds outcomes of other settings or another commit; name another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines) or json.dumps(wanted) + "\n", encoding="utf-8")
        for line in lines[1:]:
            outcome = Outcome(**json.loads(line))
            self._known[outcome.key] = outcome

    def find(self, method: str, budget: int, seed: int, problem: int) -> Outcome | None:
        """Return an outcome; None if the file does not hold it."""
        return self._known.get((method, budget, seed, problem))

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Append outcomes."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes)


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of a file, without a last one that was not written to its end."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]
