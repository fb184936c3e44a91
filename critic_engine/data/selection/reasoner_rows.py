"""The rows that a labelled run gives a reasoner, or a process reward model, to learn from."""

from collections.abc import Iterator, Sequence

from critic_engine.data.harvest.pairs import Branch, Pair
from critic_engine.data.records import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.row_origin import critique_facts, pair_facts
from critic_engine.data.selection.selected_findings import Harvested, Selection
from critic_engine.prompts import PromptFamily


class ReasonerRows:
    """Makes the rows of one problem after another, and counts in the selection's funnel what gives none."""

    def __init__(self, selection: Selection) -> None:
        """Take the pass whose problems are given."""
        self._selection = selection
        self._family = PromptFamily.for_model(selection.config.reasoner)

    def preferences(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield the better path of each believed pair against the worse one."""
        said: set[tuple[str, str]] = set()
        for number, pair in enumerate(harvested.pairs):
            if number not in harvested.believed:
                continue
            chosen, rejected = _whole_text(pair, pair.chosen), _whole_text(pair, pair.rejected)
            reason = "says_the_same" if (chosen, rejected) in said else self._fault_of_pair(pair)
            said.add((chosen, rejected))
            if reason is not None:
                self._selection.funnel.training.count(reason)
                continue
            yield Preference(
                row_id=f"{harvested.position:06}-pair-{number:03}",
                problem_id=harvested.problem.problem_id,
                prompt=self._family.solve(harvested.problem).text,
                images=harvested.problem.images,
                source=pair.kind,
                facts=pair_facts(pair),
                chosen=chosen,
                rejected=rejected,
                margin=pair.margin,
            )

    def _fault_of_pair(self, pair: Pair) -> str | None:
        is_partial = pair.chosen.answer is None or pair.rejected.answer is None
        return "partial" if is_partial and not self._selection.filters.is_partial_allowed else None

    def rated(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield the reference path, unless it is doubted, and the wrong paths of believed pairs."""
        is_right = harvested.reference is not None and harvested.reference_doubt is None
        texts = {harvested.reference_text.strip(): True} if is_right else {}
        if harvested.reference_doubt is not None:
            self._selection.funnel.training.count(harvested.reference_doubt)
        for number, pair in enumerate(harvested.pairs):
            is_wrong = pair.kind != "sibling" and pair.rejected.answer is not None
            if is_wrong and number in harvested.believed:
                texts.setdefault(_whole_text(pair, pair.rejected), False)
        for number, (text, is_good) in enumerate(texts.items()):
            yield Rated(
                row_id=f"{harvested.position:06}-path-{number:03}",
                problem_id=harvested.problem.problem_id,
                prompt=self._family.solve(harvested.problem).text,
                images=harvested.problem.images,
                source="path",
                completion=text,
                is_good=is_good,
            )

    def labelled(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield solutions with labelled steps."""
        searches = [content for content in harvested.named("search") if "labels" in content and all(content["labels"])]
        searched = {_unspaced(content["steps"]) for content in searches}
        trees = [path for content in harvested.named("labels") for path in content["paths"]]
        for source, paths in (("tree", trees), ("binary_search", searches)):
            for number, path in enumerate(paths):
                # A search draws completions of its own of that path, from more places.
                if source == "tree" and _unspaced(path["steps"]) in searched:
                    self._selection.funnel.training.count("searched")
                    continue
                yield StepLabelled(
                    row_id=f"{harvested.position:06}-{source}-{number:03}",
                    problem_id=harvested.problem.problem_id,
                    prompt=self._family.question(harvested.problem),
                    images=harvested.problem.images,
                    source=source,
                    steps=tuple(path["steps"]),
                    values=tuple(label["value"] for label in path["labels"]),
                    num_rollouts=tuple(label["num_rollouts"] for label in path["labels"]),
                )

    def demonstrations(self, harvested: Harvested) -> Iterator[TrainingRow]:
        """Yield right solutions that kept critiques of wrong ones brought."""
        for number, each in enumerate(harvested.critiques):
            if each.is_kept and not each.record.corrected:
                self._selection.funnel.training.count("not_corrected")
            elif each.is_kept and each.record.corrected:
                pair = harvested.pairs[each.record.pair]
                steps = pair.shared + pair.rejected.steps
                message = self._family.rewrite(harvested.problem, steps=steps, critique=each.record.words)
                yield Demonstration(
                    row_id=f"{harvested.position:06}-corrected-{number:03}",
                    problem_id=harvested.problem.problem_id,
                    prompt=message.text,
                    images=harvested.problem.images,
                    source=each.record.annotator,
                    facts=critique_facts(pair.depth, each),
                    completion=each.record.corrected,
                    value=0.0,
                )


def _unspaced(steps: Sequence[str]) -> str:
    """Return what paths share that say the same, wherever they were cut into steps."""
    return "".join("".join(steps).split())


def _whole_text(pair: Pair, branch: Branch) -> str:
    return (pair.shared_text + branch.text).strip()
