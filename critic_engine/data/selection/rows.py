"""From a labelled run to training rows: for the critic or the reasoner, of one kind."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from critic_engine.collect_options import FiltersConfig
from critic_engine.config import dump_config
from critic_engine.data.filters.balance import Balance, Census, Stratum
from critic_engine.data.harvest.injection import Injection
from critic_engine.data.harvest.pairs import Branch, Pair
from critic_engine.data.records import Demonstration, Preference, Rated, StepLabelled, TrainingRow
from critic_engine.data.selection.facts import critique_facts, pair_facts, preference_facts
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.selecting import Harvested, JudgedCritique, Selection
from critic_engine.errors import RunError
from critic_engine.prompts import PromptFamily
from critic_engine.store import RunStore

Role: TypeAlias = Literal["critic", "reasoner"]
_CORRECT = "correct"
# What a critique can be left out for that says that it is bad, and not only unfit.
_BAD = ("misses_error", "few_right", "low_lift", "text_empty", "text_too_long", "text_answers", "text_repeats")


class RunRows:
    """The training rows of one run; each iteration yields the same ones in the same order.

    ``Preference``: for the critic, of two critiques of one error the one that lifts more, and of two detections of
    injected errors the better one; for the reasoner, of two paths the better one. ``Demonstration``: for the critic, a
    kept critique, or that nothing is to be corrected; for the reasoner, a right solution after a wrong one and its
    critique. ``Rated``: a critique, good when it is kept, or a path, good when it is right. ``StepLabelled``: a
    solution with its steps' labels, the same for both.
    """

    def __init__(
        self, store: RunStore, *, kind: type[TrainingRow], role: Role, filters: FiltersConfig | None = None
    ) -> None:
        """Take an open labelled run, which rows, and other filters than those of its configuration.

        Raises:
            RunError: the run is not labelled.
            ProblemError: an evaluation set cannot be read.
        """
        if store.checker is None:
            raise RunError(f"{store.folder} is no labelled run; make one with `critic-engine collect`")
        self._store = store
        self._selection = Selection(store, filters)
        config = self._selection.config
        self._family = PromptFamily.for_model(config.reasoner)
        self._critic_family = PromptFamily.for_model(config.critiquing)
        self._kind: type[TrainingRow] = kind
        self._role = role

    @property
    def funnel(self) -> Funnel:
        """What was left out, and why; valid after an iteration."""
        return self._selection.funnel

    @property
    def config_yaml(self) -> str:
        """The run's resolved configuration, with the filters that are used."""
        config = self._selection.config
        if config.collect is None:
            return dump_config(config)
        collect = config.collect.model_copy(update={"filters": self._selection.filters})
        return dump_config(config.model_copy(update={"collect": collect}))

    def close(self) -> None:
        """Close the run; no iteration may follow."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the rows themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the run, as its store is closed."""
        self._store.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[TrainingRow]:
        """Yield the rows, one problem's in memory at a time; balancing takes a pass before, and 8 bytes a row."""
        seed = self._selection.config.run.seed
        correct, balance = Census(seed=seed), Census(seed=seed)
        is_sharing = self._kind is Demonstration and self._role == "critic"
        if is_sharing or self._selection.filters.max_balance_ratio is not None:
            for row in self._rows():
                if row.source == _CORRECT:
                    correct.add((_CORRECT,), row.row_id)
                else:
                    balance.add(_stratum(row), row.row_id)
        keeper = Balance(balance, max_ratio=self._selection.filters.max_balance_ratio)
        num_others = sum(min(num, keeper.max_rows or num) for num in balance.counts.values())
        share = self._selection.filters.correct_share
        num_correct = round(num_others * share / (1 - share)) if share < 1 else sum(correct.counts.values())
        ends = correct.smallest_dropped(num_correct)
        for row in self._rows():
            reason = None
            if row.source == _CORRECT:
                end = ends.get((_CORRECT,))
                reason = None if end is None or correct.rank(row.row_id) < end else "correct_share"
            elif keeper.max_rows is not None and not keeper.keeps(_stratum(row), row.row_id):
                reason = "out_of_balance"
            self.funnel.training.count(reason)
            if reason is None:
                yield row

    def _rows(self) -> Iterator[TrainingRow]:
        makers = {
            (Preference, "critic"): self._critique_preferences,
            (Preference, "reasoner"): self._path_preferences,
            (Demonstration, "critic"): self._critique_demonstrations,
            (Demonstration, "reasoner"): self._corrections,
            (Rated, "critic"): self._rated_critiques,
            (Rated, "reasoner"): self._rated_paths,
            (StepLabelled, "critic"): self._labelled,
            (StepLabelled, "reasoner"): self._labelled,
        }
        make = makers[self._kind, self._role]
        for harvested in self._selection:
            yield from make(harvested)

    def _critique_preferences(self, harvested: Harvested) -> Iterator[TrainingRow]:
        gap = self._selection.filters.min_lift_gap
        for chosen in filter(lambda each: each.is_kept, harvested.critiques):
            said = {""}
            for number, rejected in enumerate(harvested.critiques):
                if chosen.record.pair != rejected.record.pair or rejected.record.words in said:
                    continue
                said.add(rejected.record.words)
                if chosen.lift is None or rejected.lift is None:
                    continue
                margin = chosen.lift.estimate - rejected.lift.estimate
                # Of equal critiques the margin is 0. A tenth too little by rounding is not too little.
                if margin >= gap - 1e-9:
                    yield self._critique_preference(harvested, chosen, rejected, number=number, margin=margin)
        for number, content in enumerate(harvested.named("injection")):
            yield from self._detections(harvested, Injection.from_dict(content), number)

    def _critique_preference(
        self, harvested: Harvested, chosen: JudgedCritique, rejected: JudgedCritique, *, number: int, margin: float
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
            margin=margin,
        )

    def _detections(self, harvested: Harvested, injection: Injection, number: int) -> Iterator[Preference]:
        for place, found in enumerate(injection.pairs):
            fault = self._selection.fault_of_text(found.chosen.words or "", harvested.problem)
            if fault is not None:
                self.funnel.training.count(fault)
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

    def _critique_demonstrations(self, harvested: Harvested) -> Iterator[TrainingRow]:
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
        if harvested.reference is not None:
            yield Demonstration(
                row_id=f"{harvested.position:06}-{_CORRECT}",
                problem_id=harvested.problem.problem_id,
                prompt=self._critique_prompt(harvested, harvested.reference),
                images=harvested.problem.images,
                source=_CORRECT,
                facts=critique_facts(None, None),
                completion=self._critic_family.written_critique(step=None),
                value=1.0,
            )

    def _corrections(self, harvested: Harvested) -> Iterator[TrainingRow]:
        for number, each in enumerate(harvested.critiques):
            if each.is_kept and not each.record.corrected:
                self.funnel.training.count("not_corrected")
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

    def _rated_critiques(self, harvested: Harvested) -> Iterator[TrainingRow]:
        said = {(each.record.pair, each.record.words) for each in harvested.critiques if each.is_kept}
        for number, each in enumerate(harvested.critiques):
            key = (each.record.pair, each.record.words)
            if not each.is_kept and (not each.record.words or key in said):
                continue
            if not each.is_kept and each.reason not in _BAD:
                self.funnel.training.count("says_nothing_of_it")
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

    def _path_preferences(self, harvested: Harvested) -> Iterator[TrainingRow]:
        said: set[tuple[str, str]] = set()
        for number, pair in enumerate(harvested.pairs):
            chosen, rejected = _whole_text(pair, pair.chosen), _whole_text(pair, pair.rejected)
            is_repeat = (chosen, rejected) in said
            said.add((chosen, rejected))
            if pair.kind == "divergent" and number not in harvested.believed:
                continue
            reason = "says_the_same" if is_repeat else self._fault_of_pair(pair)
            if reason is not None:
                self.funnel.training.count(reason)
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

    def _rated_paths(self, harvested: Harvested) -> Iterator[TrainingRow]:
        texts = {} if harvested.reference is None else {harvested.reference_text.strip(): True}
        for number, pair in enumerate(harvested.pairs):
            if number in harvested.believed:
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

    def _labelled(self, harvested: Harvested) -> Iterator[TrainingRow]:
        trees = [path for content in harvested.named("labels") for path in content["paths"]]
        searches = [content for content in harvested.named("search") if "labels" in content and all(content["labels"])]
        for source, paths in (("tree", trees), ("binary_search", searches)):
            for number, path in enumerate(paths):
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

    def _critique_prompt(self, harvested: Harvested, steps: tuple[str, ...]) -> str:
        return self._critic_family.critique(harvested.problem, steps=steps).text


def open_rows(run: Path, *, kind: type[TrainingRow], role: Role, filters: FiltersConfig | None = None) -> RunRows:
    """Return the rows of the run in a folder, to be closed; see ``RunRows``.

    Raises:
        RunError: there is no labelled run.
    """
    return RunRows(RunStore.view(run), kind=kind, role=role, filters=filters)


def _whole_text(pair: Pair, branch: Branch) -> str:
    return (pair.shared_text + branch.text).strip()


def _stratum(row: TrainingRow) -> Stratum:
    outcome = row.is_good if isinstance(row, Rated) else None
    depth = row.facts.get("depth")
    return (depth if isinstance(depth, int) else None, outcome, row.source)
