"""The part of a run's ``report.json`` that is read back."""

import json
from pathlib import Path

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from critic_engine.errors import RunError

NOT_DONE = "not_done_yet"
"""The reason for leaving out problems that a resumed run would finish."""


class _ReportPart(BaseModel):
    """A part of the report; fields that are not named here are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


class LabellingCounts(_ReportPart):
    """Counts of a labelled run's trees."""

    num_with_right: int
    num_with_wrong: int
    num_with_both: int
    num_rollouts: int


class StageOutcome(_ReportPart):
    """The counts of one stage of a labelled run, and those left out by reason."""

    num_in: int = Field(alias="in")
    kept: int
    left_out: dict[str, int]


class ReportedFailure(_ReportPart):
    """A problem whose harvest failed."""

    id: str
    reason: str


class CollectionSummary(_ReportPart):
    """The summary of a labelled run's findings."""

    num_tokens: int
    failed: tuple[ReportedFailure, ...]
    stages: dict[str, StageOutcome]


class WrittenReport(_ReportPart):
    """The report of the last session of a run."""

    cut_by: str | None
    """The limit of the run that was reached; None while none is."""
    labelling: LabellingCounts | None = None
    collect: CollectionSummary | None = None

    @classmethod
    def read(cls, folder: Path) -> "WrittenReport":
        """Return the report in a run's folder.

        Raises:
            RunError: there is none that can be read.
        """
        path = folder / "report.json"
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, pydantic.ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(f"{path} cannot be read: {reason}; `critic-engine resume {folder}` writes it") from error
