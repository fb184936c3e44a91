"""Training rows for the reasoner, or for a process reward model, from a labelled run."""

from collections.abc import Iterator, Sequence

from critic_engine.data.harvest.finding_kinds import LABELS, SEARCH
from critic_engine.data.harvest.labels import SearchedPath
from critic_engine.data.harvest.pairs import Branch, Pair
from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.row_origin import critique_columns, pair_columns
from critic_engine.data.selection.selected_findings import SelectedProblem, Selection
from critic_engine.parsing.thoughts import visible
from critic_engine.prompts import PromptFamily


class ReasonerRows:
    """Makes rows of selected problems, and counts left-out rows in the selection's funnel.

    No text of a row holds a thought: nothing of it was read or judged, so the row's label says nothing about it.
    """

    def __init__(self, selection: Selection) -> None:
        """Take the selection that yields the problems."""
        self._selection = selection
        self._family = PromptFamily.for_model(selection.config.reasoner)

    def preferences(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield the better path of each believed pair against the worse one."""
        said: set[tuple[str, str]] = set()
        for number, pair in enumerate(selected.pairs):
            if number not in selected.believed:
                continue
            chosen, rejected = _whole_text(pair, pair.chosen), _whole_text(pair, pair.rejected)
            is_partial = pair.chosen.answer is None or pair.rejected.answer is None
            is_repeat = chosen == rejected or (chosen, rejected) in said
            said.add((chosen, rejected))
            if is_repeat or (is_partial and not self._selection.filters.is_partial_allowed):
                self._selection.funnel.training.count("says_the_same" if is_repeat else "partial")
                continue
            yield Preference(
                **selected.row_fields(f"pair-{number:03}"),
                prompt=self._family.solve(selected.problem).text,
                source=pair.kind,
                facts=pair_columns(pair),
                chosen=chosen,
                rejected=rejected,
                margin=pair.margin,
            )

    def rated(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield the reference path if it has no fault, and the wrong paths of believed pairs."""
        texts: dict[str, bool] = {}
        if selected.reference_fault is not None:
            self._selection.funnel.training.count(selected.reference_fault)
        elif selected.reference is not None:
            texts[_without_thoughts(selected.reference.text)] = True
        for number, pair in enumerate(selected.pairs):
            is_wrong = pair.kind != "sibling" and pair.rejected.answer is not None
            if is_wrong and number in selected.believed:
                texts.setdefault(_whole_text(pair, pair.rejected), False)
        for number, (text, is_good) in enumerate(texts.items()):
            yield Rated(
                **selected.row_fields(f"path-{number:03}"),
                prompt=self._family.solve(selected.problem).text,
                source="path",
                completion=text,
                is_good=is_good,
            )

    def labelled(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield solutions with labelled steps."""
        found = [search for search in selected.findings.of_kind(SEARCH) if isinstance(search, SearchedPath)]
        searches = [(search.steps, search.known_labels) for search in found if search.known_labels]
        searched = {_unspaced(steps) for steps, _ in searches}
        trees = [(path.steps, path.labels) for tree in selected.findings.of_kind(LABELS) for path in tree.paths]
        for source, paths in (("tree", trees), ("binary_search", searches)):
            for number, (steps, labels) in enumerate(paths):
                # The search drew its own completions of that path, from more places.
                if source == "tree" and _unspaced(steps) in searched:
                    self._selection.funnel.training.count("searched")
                    continue
                yield StepLabelled(
                    **selected.row_fields(f"{source}-{number:03}"),
                    prompt=self._family.question(selected.problem),
                    source=source,
                    steps=steps,
                    values=tuple(label.value for label in labels),
                    num_rollouts=tuple(label.num_rollouts for label in labels),
                )

    def demonstrations(self, selected: SelectedProblem) -> Iterator[TrainingRow]:
        """Yield right solutions that refinements by kept critiques led to."""
        for number, each in enumerate(selected.critiques):
            if each.is_kept and not each.record.corrected:
                self._selection.funnel.training.count("not_corrected")
            elif each.is_kept and each.record.corrected:
                pair = selected.pairs[each.record.pair]
                message = self._family.rewrite(selected.problem, steps=pair.rejected_path, critique=each.record.words)
                yield Demonstration(
                    **selected.row_fields(f"corrected-{number:03}"),
                    prompt=message.text,
                    source=each.record.annotator,
                    facts=critique_columns(pair.depth, each),
                    completion=_without_thoughts(each.record.corrected),
                    value=0.0,
                )


def _unspaced(steps: Sequence[str]) -> str:
    """Return the text without white space, which is equal for equal paths however they are cut into steps."""
    return "".join("".join(steps).split())


def _whole_text(pair: Pair, branch: Branch) -> str:
    return _without_thoughts(pair.shared_text + branch.text)


def _without_thoughts(text: str) -> str:
    return visible(text).strip()
