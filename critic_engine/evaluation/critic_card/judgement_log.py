"""Judged solutions: one row of ``judgements.jsonl`` each, appended as they come and read back after a stop."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Self

import pydantic

from critic_engine.data.harvest.critique_lift import DrawCounts
from critic_engine.errors import RunError
from critic_engine.run.report import json_line
from critic_engine.types import Verdict

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CriticJudgement:
    """One judgement of a solution, or the reason that there is none."""

    value: Annotated[float | None, pydantic.Field(ge=0, le=1)] = None
    """In [0, 1]; None if it is unknown."""
    verdict: Verdict | None = None
    """Of a reward model, ``right`` if its value is at least 0.5; None without a judgement."""
    first_wrong_step: int | None = None
    """1-based; None if the critic names none."""
    words: str = ""
    """The critic's words; empty for a reward model."""
    failure: str = ""
    """Why there is no judgement: the model's text could not be read, or the model failed. Empty if there is one."""
    is_unreadable: bool = False
    """Whether the model's text, and no failure of the model, is to blame."""

    @property
    def has_failed(self) -> bool:
        """Whether the model failed, so that asking it again may help."""
        return bool(self.failure) and not self.is_unreadable


@dataclass(frozen=True, slots=True)
class RepeatedJudgement:
    """A further judgement of the same solution."""

    kind: str
    """``again``, ``greedy`` or ``greedy again``; or the name of a rewording."""
    judgement: CriticJudgement


@dataclass(frozen=True, slots=True)
class RewriteOutcomes:
    """Outcomes of rewrites with the critique, and of as many fresh solutions with the same seeds without it."""

    rewritten: DrawCounts
    fresh: DrawCounts


@dataclass(frozen=True, slots=True)
class JudgedPlace:
    """The judgement of the first steps of a solution, and how often the reasoner came out right from there."""

    num_steps: int
    value: float | None
    """The critic's value; None if it has none."""
    rollout_share: float | None
    """Share of right completions; None if none could be drawn or checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSolution:
    """One distinct solution of a problem with its labels and judgements."""

    position: int
    """The row of its problem, from 0."""
    solution: int
    """Its number among the problem's distinct solutions, from 0."""
    id: str
    """The ``id`` of the problem's row."""
    problem_id: str
    num_drawn: int
    """How often it is among the problem's solutions; it counts as often in the figures."""
    steps: tuple[str, ...]
    answer: str | None
    is_answer_right: bool
    are_steps_right: bool | None = None
    """None if the steps are not labelled."""
    labelled_first_wrong_step: int | None = None
    """1-based; None if every step is right or the steps are not labelled."""
    judgement: CriticJudgement
    """In the file its fields stand beside the others."""
    is_checked: bool = False
    """Whether it was judged again; only these have the parts below."""
    repeats: tuple[RepeatedJudgement, ...] = ()
    rewrites: RewriteOutcomes | None = None
    places: tuple[JudgedPlace, ...] = ()
    failures: tuple[str, ...] = ()
    """Failures of models in these parts, which were left out."""
    critic_prompt_tokens: int = 0
    """Tokens that the critic read for all judgements in this row."""
    critic_tokens: int = 0
    """Tokens that the critic generated for them."""
    reasoner_tokens: int = 0
    """Tokens that the reasoner generated for rewrites and completions."""

    @property
    def has_failed(self) -> bool:
        """Whether a model failed in any part of it."""
        judgements = (self.judgement, *(each.judgement for each in self.repeats))
        return bool(self.failures) or any(judgement.has_failed for judgement in judgements)

    def row(self) -> str:
        """Return the line of the file."""
        values = asdict(self)
        judgement = values.pop("judgement")
        return json_line({**values, **judgement}) + "\n"

    @classmethod
    def read(cls, line: str) -> "JudgedSolution":
        """Return the solution in a line of the file.

        Raises:
            ValueError: it is no such line.
        """
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("a row is no object")
        judgement = {each.name: values.pop(each.name, None) for each in fields(CriticJudgement)}
        return _ADAPTER.validate_python({**values, "judgement": judgement})


_ADAPTER: pydantic.TypeAdapter[JudgedSolution] = pydantic.TypeAdapter(JudgedSolution)


@dataclass(slots=True)
class JudgementLog:
    """The file of judged solutions. Use it as a context manager: on leaving, its rows are in the order of the run."""

    path: Path
    judged: dict[tuple[int, int], JudgedSolution] = field(default_factory=dict)
    """By position and number of the solution."""
    _file: IO[str] | None = None

    @classmethod
    def open(cls, path: Path) -> "JudgementLog":
        """Return the log with the rows that a former session has written, but for those in which a model failed.

        These are to be judged again. A last line that was cut is dropped.

        Raises:
            RunError: the file holds something else.
        """
        log = cls(path)
        if path.exists():
            log.judged = {(row.position, row.solution): row for row in _rows(path) if not row.has_failed}
        log._write_all()
        return log

    def add(self, row: JudgedSolution) -> None:
        """Append one row; it is on disk when this returns, except if the machine itself stops."""
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(row.row())
        self._file.flush()
        self.judged[row.position, row.solution] = row

    def rows(self) -> list[JudgedSolution]:
        """Return all rows in the order of the run."""
        return [self.judged[key] for key in sorted(self.judged)]

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the rows in order."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._write_all()

    def _write_all(self) -> None:
        part = self.path.with_name(f"{self.path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            file.writelines(row.row() for row in self.rows())
        part.replace(self.path)


def _rows(path: Path) -> Iterator[JudgedSolution]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                yield JudgedSolution.read(line)
            except (ValueError, pydantic.ValidationError) as error:
                if not line.endswith("\n"):
                    _logger.info("%s: the last line was cut and is dropped", path)
                    return
                raise RunError(
                    f"{path}: line {number} is no judged solution: {' '.join(str(error).split())[:200]}; put the file "
                    "back as it was, or name a new folder"
                ) from error


def plain_text(text: str) -> str:
    """Return the text with half surrogate pairs, which UTF-8 lacks, replaced."""
    return text.encode(errors="replace").decode()


def plain_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts with half surrogate pairs replaced."""
    return tuple(map(plain_text, texts))
