"""The rows that a labelled run gives a critic to learn from."""

from collections.abc import Iterator

from critic_engine.data.harvest.error_detection import Injection
from critic_engine.data.records import Demonstration, Preference, Rated, TrainingRow
from critic_engine.data.selection.critique_filters import ScreenedCritique, gap
from critic_engine.data.selection.row_origin import critique_facts, preference_facts
from critic_engine.data.selection.selected_findings import Harvested, Selection
from critic_engine.prompts import PromptFamily

CORRECT = "correct"
"""The source of rows that say of a right path that nothing is to be corrected."""
# What a critique can be left out for that says that it is bad, and not only unfit.
_BAD = ("misses_error", "few_right", "low_lift", "text_empty", "text_too_long", "text_answers", "text_repeats")


class CriticRows:
    """Makes the rows of one problem after another, and counts in the selection's funnel what gives none."""

    def __init__(self, selection: Selection) -> None:
        """Take the pass whose problems are given."""
        self._selection = selection
        self._family = PromptFamily.for_model(selection.config.critique_model)

    def preferences(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield, of two critiques of one error and of two detections of injected errors, the better one first."""
        for place, chosen in enumerate(harvested.critiques):
            said = {"", chosen.record.words}
            for number, rejected in enumerate(harvested.critiques if chosen.is_kept else ()):
                if chosen.record.pair != rejected.record.pair or rejected.record.words in said:
                    continue
                said.add(rejected.record.words)
                margin = gap(chosen.screened, rejected.screened)
                if rejected.is_kept and (margin or 0.0, place) < (0.0, number):
                    continue  # the other may be preferred: it has its turn as the chosen one
                reason = self._fault_of_preference(margin, gap(chosen.lift, rejected.lift))
                if reason is not None:
                    self._selection.funnel.training.count(reason)
                else:
                    yield self._critique_preference(harvested, chosen, rejected, number=number)
        for number, content in enumerate(harvested.named("injection")):
            yield from self._detections(harvested, Injection.from_dict(content), number)

    def _fault_of_preference(self, margin: float | None, fresh_margin: float | None) -> str | None:
        """Return why the better of two critiques by the first draws is not preferred."""
        if margin is None or fresh_margin is None:
            return "unmeasured"
        # A tenth too little by rounding is not too little.
        if margin < self._selection.filters.min_lift_gap - 1e-9:
            return "small_lift_gap"
        return None if fresh_margin > 0 else "gap_not_repeated"

    def _critique_preference(
        self, harvested: Harvested, chosen: ScreenedCritique, rejected: ScreenedCritique, *, number: int
    ) -> Preference:
        pair = harvested.pairs[chosen.record.pair]
        place = harvested.critiques.index(chosen)
        return Preference(
            row_id=f"{harvested.position:06}-critique-{place:03}-{number:03}",
            problem_id=harvested.problem.problem_id,
            prompt=self._critique_prompt(harvested, pair.shared + pair.rejected.steps),
            images=harvested.problem.images,
            source="lift",
            facts=preference_facts(pair.depth, chosen, rejected),
            chosen=chosen.record.words,
            rejected=rejected.record.words,
            margin=gap(chosen.lift, rejected.lift),
        )

    def _detections(self, harvested: Harvested, injection: Injection, number: int) -> Iterator[Preference]:
        for reason, num in injection.num_unranked.items():
            self._selection.funnel.training.count(reason, num=num)
        for place, found in enumerate(injection.pairs):
            fault = self._selection.fault_of_text(found.chosen.words or "", harvested.problem)
            if fault is not None:
                self._selection.funnel.training.count(fault)
                continue
            yield Preference(
                row_id=f"{harvested.position:06}-injection-{number:03}-{place:03}",
                problem_id=harvested.problem.problem_id,
                prompt=self._critique_prompt(harvested, injection.steps),
                images=harvested.problem.images,
                source="injection",
                facts=preference_facts(None, None, None),
                chosen=found.chosen.words or "",
                rejected=found.rejected.words or "",
                margin=found.margin,
            )

    def demonstrations(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield kept critiques, and that nothing is to be corrected in a right path that nobody doubts."""
        for number, each in enumerate(harvested.critiques):
            if each.is_kept:
                pair = harvested.pairs[each.record.pair]
                yield Demonstration(
                    row_id=f"{harvested.position:06}-critique-{number:03}",
                    problem_id=harvested.problem.problem_id,
                    prompt=self._critique_prompt(harvested, pair.shared + pair.rejected.steps),
                    images=harvested.problem.images,
                    source=each.record.annotator,
                    facts=critique_facts(pair.depth, each),
                    completion=each.record.words,
                    value=0.0,
                )
        if harvested.reference is None:
            return
        if harvested.reference_doubt is not None:
            self._selection.funnel.training.count(harvested.reference_doubt)
        else:
            yield Demonstration(
                row_id=f"{harvested.position:06}-{CORRECT}",
                problem_id=harvested.problem.problem_id,
                prompt=self._critique_prompt(harvested, harvested.reference),
                images=harvested.problem.images,
                source=CORRECT,
                facts=critique_facts(None, None),
                completion=self._family.written_critique(step=None),
                value=1.0,
            )

    def rated(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield critiques, good when they are kept, and otherwise only those that are bad and not just unfit."""
        said = {(each.record.pair, each.record.words) for each in harvested.critiques if each.is_kept}
        for number, each in enumerate(harvested.critiques):
            key = (each.record.pair, each.record.words)
            if not each.is_kept and (not each.record.words or key in said):
                continue
            if not each.is_kept and each.reason not in _BAD:
                self._selection.funnel.training.count("says_nothing_of_it")
            else:
                said.add(key)
                pair = harvested.pairs[each.record.pair]
                yield Rated(
                    row_id=f"{harvested.position:06}-critique-{number:03}",
                    problem_id=harvested.problem.problem_id,
                    prompt=self._critique_prompt(harvested, pair.shared + pair.rejected.steps),
                    images=harvested.problem.images,
                    source=each.record.annotator,
                    facts=critique_facts(pair.depth, each),
                    completion=each.record.words,
                    is_good=each.is_kept,
                )

    def _critique_prompt(self, harvested: Harvested, steps: tuple[str, ...]) -> str:
        return self._family.critique(harvested.problem, steps=steps).text
