"""Training rows for the critic from a labelled run."""

from collections.abc import Iterator

from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.data.harvest.injection_scores import num_unranked
from critic_engine.data.row_types import Demonstration, Preference, Rated, TrainingRow
from critic_engine.data.selection.critique_filters import gap
from critic_engine.data.selection.row_origin import critique_columns, preference_columns
from critic_engine.data.selection.selected_findings import SelectedProblem, Selection
from critic_engine.prompts import PromptFamily

CORRECT = "correct"
"""The source of rows that accept a right path."""
# Reasons to leave a critique out that show that it is bad, and not only unfit.
_BAD = ("misses_error", "few_right", "low_lift", "text_empty", "text_too_long", "text_answers", "text_repeats")


class CriticRows:
    """Makes rows of selected problems, and counts left-out rows in the selection's funnel."""

    def __init__(self, selection: Selection) -> None:
        """Take the selection that yields the problems."""
        self._selection = selection
        self._family = PromptFamily.for_model(selection.config.critique_model)

    def preferences(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield preferences between critiques of one error, and between detections of injected errors."""
        for place, chosen in enumerate(selected.critiques):
            texts = {"", chosen.record.words}
            for number, rejected in enumerate(selected.critiques if chosen.is_kept else ()):
                if chosen.record.pair != rejected.record.pair or rejected.record.words in texts:
                    continue
                texts.add(rejected.record.words)
                margin, fresh_margin = gap(chosen.screened, rejected.screened), gap(chosen.lift, rejected.lift)
                if rejected.is_kept and (margin or 0.0, place) < (0.0, number):
                    continue  # the other may be preferred: it has its turn as the chosen one
                reason = self._preference_fault(margin, fresh_margin)
                if reason is not None:
                    self._selection.funnel.training.count(reason)
                    continue
                yield Preference(
                    **selected.row_fields(f"critique-{place:03}-{number:03}"),
                    prompt=self._prompt(selected, selected.pairs[chosen.record.pair].rejected_path),
                    source="lift",
                    facts=preference_columns(selected.pairs[chosen.record.pair].depth, chosen, rejected),
                    chosen=chosen.record.words,
                    rejected=rejected.record.words,
                    margin=fresh_margin,
                )
        for number, injection in enumerate(selected.findings.of_kind(INJECTION)):
            yield from self._detections(selected, injection, number)

    def _preference_fault(self, margin: float | None, fresh_margin: float | None) -> str | None:
        """Return the reason not to prefer the critique that is better in the first draws; None when there is none."""
        if margin is None or fresh_margin is None:
            return "unmeasured"
        # A tenth that is too small by rounding alone is large enough.
        if margin < self._selection.filters.min_lift_gap - 1e-9:
            return "small_lift_gap"
        return None if fresh_margin > 0 else "gap_not_repeated"

    def _detections(self, selected: SelectedProblem, injection: InjectionResult, number: int) -> Iterator[Preference]:
        for reason, num in num_unranked(injection.detections).items():
            self._selection.funnel.training.count(reason, num=num)
        for place, found in enumerate(injection.pairs):
            fault = self._selection.screen.words_fault(found.chosen.words or "", selected.problem)
            if fault is not None:
                self._selection.funnel.training.count(fault)
                continue
            yield Preference(
                **selected.row_fields(f"injection-{number:03}-{place:03}"),
                prompt=self._prompt(selected, injection.steps),
                source="injection",
                facts=preference_columns(None, None, None),
                chosen=found.chosen.words or "",
                rejected=found.rejected.words or "",
                margin=found.margin,
            )

    def demonstrations(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield kept critiques, and a critique that accepts the reference path if that has no fault."""
        for number, each in enumerate(selected.critiques):
            if each.is_kept:
                yield Demonstration(
                    **selected.row_fields(f"critique-{number:03}"),
                    prompt=self._prompt(selected, selected.pairs[each.record.pair].rejected_path),
                    source=each.record.annotator,
                    facts=critique_columns(selected.pairs[each.record.pair].depth, each),
                    completion=each.record.words,
                    value=0.0,
                )
        if selected.reference is None:
            return
        if selected.reference_fault is not None:
            self._selection.funnel.training.count(selected.reference_fault)
        else:
            yield Demonstration(
                **selected.row_fields(CORRECT),
                prompt=self._prompt(selected, selected.reference.steps),
                source=CORRECT,
                facts=critique_columns(None, None),
                completion=self._family.written_critique(step=None),
                value=1.0,
            )

    def rated(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield kept critiques as good, and left-out ones as bad if their reason shows that they are bad."""
        seen = {(each.record.pair, each.record.words) for each in selected.critiques if each.is_kept}
        for number, each in enumerate(selected.critiques):
            key = (each.record.pair, each.record.words)
            if not each.is_kept and (not each.record.words or key in seen):
                continue
            if not each.is_kept and each.reason not in _BAD:
                self._selection.funnel.training.count("says_nothing_of_it")
                continue
            seen.add(key)
            yield Rated(
                **selected.row_fields(f"critique-{number:03}"),
                prompt=self._prompt(selected, selected.pairs[each.record.pair].rejected_path),
                source=each.record.annotator,
                facts=critique_columns(selected.pairs[each.record.pair].depth, each),
                completion=each.record.words,
                is_good=each.is_kept,
            )

    def _prompt(self, selected: SelectedProblem, steps: tuple[str, ...]) -> str:
        return self._family.critique(selected.problem, steps=steps).text
