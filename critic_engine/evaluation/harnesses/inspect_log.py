"""A run as a log of inspect_ai, which ``inspect view`` opens: a sample a problem, a span a simulation."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from critic_engine.config.engine import dump_config
from critic_engine.errors import ConfigError, ExportError
from critic_engine.evaluation.harnesses.completions import completion_of
from critic_engine.evaluation.harnesses.inspect_provider import metadata_of, usage_of
from critic_engine.evaluation.harnesses.inspect_transcript import LoggedSearch, transcript_of, usage_of_role
from critic_engine.roles.checker import Checker
from critic_engine.run.store import RunStore
from critic_engine.types import Answer, FailedRow, Problem, ProblemRow, TokenUsage

if TYPE_CHECKING:
    from inspect_ai.log import EvalError, EvalLog, EvalResults, EvalSample, EvalSpec
    from inspect_ai.model import ChatMessage, ModelUsage
    from inspect_ai.scorer import Score

SCORER = "same_answer"
"""The name of the scores: whether an answer means the same as a reference answer."""


@dataclass(frozen=True, slots=True)
class LogReport:
    """The contents of a log that was written."""

    num_samples: int
    """Problems with an answer or an error; the others of an unfinished run are left out."""
    num_rows: int
    """Rows of the run."""
    num_scored: int
    num_right: int
    num_unsure: int
    """Problems with a reference answer that the answer can surely be called neither equal to nor different from."""


def write_inspect_log(
    folder: Path, out: Path, *, rows: Iterable[ProblemRow | FailedRow] = (), is_overwritten: bool = False
) -> LogReport:
    """Write a run as a log of inspect_ai; another process may go on with the run meanwhile.

    Args:
        folder: The run's.
        out: The file to write, ``.eval`` or ``.json``.
        rows: Rows with reference answers, by which the problems of the run are scored; those of a labelled run count
            too. A problem that failed is wrong.
        is_overwritten: Whether a file at ``out`` is replaced.

    Raises:
        ConfigError: ``out`` has another ending, or inspect_ai is not installed.
        ExportError: there is a file at ``out`` already, or it cannot be written.
        RunError: the folder holds no run, or one of another version.
    """
    if out.suffix not in (".eval", ".json"):
        raise ConfigError(f"{out} must end in .eval or .json, the two kinds of logs that inspect_ai reads")
    if importlib.util.find_spec("inspect_ai") is None:
        raise ConfigError("inspect_ai is not installed; run: pip install 'critic-engine[inspect]'")
    if out.exists() and not is_overwritten:
        raise ExportError(f"{out} exists; name a new file, or replace it by --overwrite")
    from inspect_ai.log import write_eval_log

    with RunStore.view(folder) as store:
        checker = store.checker or Checker()
        for row in rows:
            if isinstance(row, ProblemRow):
                checker.add(row.problem.problem_id, row.reference_answers)
        log = _LogMaker(store, folder, checker).log()
        num_rows = store.num_rows
    unfinished = out.with_name(f".unfinished-{out.name}")
    try:
        write_eval_log(log, unfinished)
        unfinished.replace(out)
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return _report(log, num_rows)


class _LogMaker:
    def __init__(self, store: RunStore, folder: Path, checker: Checker) -> None:
        self._store = store
        self._folder = folder
        self._checker = checker
        self._config = store.config()
        self._model = f"critic_engine/{self._config.strategy.kind}"
        self._answers = list(store.answers())
        # Rows may share an id, and samples may not: the first one keeps it.
        self._owners = {answer.id: position for position, answer in reversed(self._answers)}
        self._begun_at, self._changed_at = (
            datetime.fromtimestamp((folder / name).stat().st_mtime, UTC) for name in ("config.yaml", "run.sqlite")
        )

    def log(self) -> EvalLog:
        from inspect_ai.log import EvalLog, EvalStats

        samples = [self._sample(position, answer) for position, answer in self._answers]
        totals = sum((_token_usage(answer) for _, answer in self._answers), TokenUsage())
        is_whole = len(samples) == self._store.num_rows
        return EvalLog(
            status="success" if is_whole else "cancelled",
            eval=self._spec(samples),
            results=_results(samples, self._store.num_rows),
            stats=EvalStats(
                started_at=self._begun_at.isoformat(),
                completed_at=max(self._begun_at, self._changed_at).isoformat(),
                model_usage={self._model: _model_usage(totals)},
                **_roles(totals),
            ),
            samples=samples,
        )

    def _spec(self, samples: Sequence[EvalSample]) -> EvalSpec:
        from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec

        name = self._folder.resolve().name
        ids = [str(sample.id) for sample in samples]
        identity = hashlib.sha256("\n".join([dump_config(self._config), *ids]).encode()).hexdigest()
        return EvalSpec(
            created=self._begun_at.isoformat(),
            eval_id=identity[:22],
            run_id=identity[22:44],
            task=name,
            task_id=identity[42:64],
            dataset=EvalDataset(name=name, samples=self._store.num_rows, sample_ids=ids),
            model=self._model,
            model_args=self._config.model_dump(mode="json"),
            config=EvalConfig(epochs=1),
        )

    def _sample(self, position: int, answer: Answer) -> EvalSample:
        from inspect_ai.log import EvalSample
        from inspect_ai.model import ChatMessageUser, ModelOutput

        row = self._store.row(position)
        problem = None if isinstance(row, FailedRow) else row.problem
        asked: list[ChatMessage] = [ChatMessageUser(content="")] if problem is None else _messages(problem)
        output = ModelOutput.from_content(self._model, completion_of(answer, "solution"))
        output.usage = usage_of(answer)
        output.metadata = metadata_of(answer)
        score = None if problem is None else self._score(problem, answer)
        return EvalSample(
            id=answer.id if self._owners[answer.id] == position else f"{answer.id} (row {position + 1})",
            epoch=1,
            input=asked,
            choices=list(problem.choices) or None if problem is not None else None,
            target=[] if problem is None else list(self._checker.references(problem)),
            messages=[*asked, output.message],
            output=output,
            scores=None if score is None else {SCORER: score},
            metadata={"row": position + 1},
            events=[] if problem is None else self._events(position, problem, answer),
            model_usage={self._model: usage_of(answer)},
            total_time=answer.wall_s,
            working_time=answer.wall_s,
            error=_error(answer),
            **_roles(_token_usage(answer)),
        )

    def _events(self, position: int, problem: Problem, answer: Answer) -> list[object]:
        events, failures = self._store.events(position), self._store.failures(position)
        search = LoggedSearch(problem, answer, events, failures, self._begun_at)
        return list(transcript_of(search, self._config))

    def _score(self, problem: Problem, answer: Answer) -> Score | None:
        from inspect_ai.scorer import Score

        if not self._checker.references(problem):
            return None
        is_right = self._checker.is_right(problem, answer.answer)
        if is_right is None:
            return Score.unscored(
                answer=answer.answer, reason="unsure", explanation="neither surely equal nor different"
            )
        explanation = None if answer.answer is not None else f"the search failed: {answer.error}"
        return Score(value="C" if is_right else "I", answer=answer.answer, explanation=explanation)


def _messages(problem: Problem) -> list[ChatMessage]:
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText

    images = [
        ContentImage(image=f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}")
        for image in problem.images
    ]
    return [ChatMessageUser(content=[*images, ContentText(text=problem.question)] if images else problem.question)]


def _error(answer: Answer) -> EvalError | None:
    from inspect_ai.log import EvalError

    if answer.status == "answered":
        return None
    return EvalError(message=answer.error or answer.stop_reason, traceback="", traceback_ansi="")


def _results(samples: Sequence[EvalSample], num_rows: int) -> EvalResults:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    values = [_value(sample) for sample in samples]
    scored = [value for value in values if value in ("C", "I")]
    scores = []
    if any(value is not None for value in values):
        accuracy = EvalMetric(name="accuracy", value=scored.count("C") / len(scored) if scored else float("nan"))
        num_unscored = len(values) - len(scored)
        scores = [
            EvalScore(
                name=SCORER,
                scorer=SCORER,
                scored_samples=len(scored),
                unscored_samples=num_unscored,
                metrics={"accuracy": accuracy},
            )
        ]
    completed = sum(sample.error is None for sample in samples)
    return EvalResults(total_samples=num_rows, completed_samples=completed, scores=scores)


def _report(log: EvalLog, num_rows: int) -> LogReport:
    values = [_value(sample) for sample in log.samples or ()]
    num_right = values.count("C")
    num_scored = num_right + values.count("I")
    num_unsure = sum(value is not None for value in values) - num_scored
    return LogReport(len(values), num_rows, num_scored, num_right, num_unsure)


def _value(sample: EvalSample) -> object:
    return None if not sample.scores else sample.scores[SCORER].value


def _token_usage(answer: Answer) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=answer.prompt_tokens,
        generated_tokens=answer.num_tokens,
        cached_tokens=answer.cached_tokens,
        critic_prompt_tokens=answer.critic_prompt_tokens,
        critic_generated_tokens=answer.critic_tokens,
        critic_cached_tokens=answer.critic_cached_tokens,
    )


def _model_usage(usage: TokenUsage) -> ModelUsage:
    return usage_of_role(usage, is_critic=False) + usage_of_role(usage, is_critic=True)


def _roles(usage: TokenUsage) -> dict[str, dict[str, ModelUsage]]:
    roles = {"reasoner": usage_of_role(usage, is_critic=False), "critic": usage_of_role(usage, is_critic=True)}
    return {"role_usage": roles}
