"""What is found in labelled trees: the same however often it is stopped, and no failure becomes a number."""

import asyncio
import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.config.search import ExpanderConfig
from critic_engine.data.harvest.critique_lift import DrawResult
from critic_engine.data.harvest.finding_kinds import (
    CRITIQUES,
    INJECTION,
    PAIRS,
    PATHS,
    SEARCH,
    VALUE,
    value_key,
)
from critic_engine.data.harvest.labels import FailedSearch, SearchedPath
from critic_engine.data.harvest.pairs import errors
from critic_engine.data.harvest.paths import FinishedPath, read_paths, right_paths
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.engine import Engine
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.errors import ConfigError, GenerationError, ReplicaLostError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import HARVEST_DONE, HARVEST_ERROR, FindingKey, ProblemFindings
from critic_engine.run.store import RunStore
from critic_engine.types import Problem, ProblemRow, TokenUsage
from tests.data.harvesting import (
    COLLECT,
    NUM_ROWS,
    SENTINEL,
    collected,
    config,
    copied,
    findings,
    harvest,
    model,
    role_of,
    rows,
    say,
    usual_answer,
)

Found = dict[int, ProblemFindings]
_T = TypeVar("_T")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    collected(run)
    return run


@pytest.fixture
def searched(whole: Path, tmp_path: Path) -> Path:
    """The same run, with its trees and nothing found in them yet."""
    return copied(whole, tmp_path / "searched", keep=lambda name: False)


def kinds(found: Found) -> set[str]:
    return {name.split("/")[0] for each in found.values() for name in each.stored}


def of_kind(found: Found, kind: FindingKey[_T]) -> list[_T]:
    return [content for each in found.values() for content in each.of_kind(kind)]


def draws(kind: str) -> FindingKey[DrawResult]:
    return FindingKey(kind, DrawResult)


def failing(*roles: str, error: Exception | None = None) -> Script:
    def script(request: GenerationRequest, seed: int) -> str:
        if role_of(request) in roles:
            raise error or GenerationError("the model is down")
        return say(request, seed)

    return script


def test_every_kind_of_finding_is_made_and_every_tree_is_done(whole: Path) -> None:
    found = findings(whole)
    expected = "baseline critique done fresh fresh_baseline injection labels pairs paths refined search value"
    assert kinds(found) == set(expected.split())
    assert all(each[HARVEST_DONE] is True for each in found.values())
    assert all(each.stored["pairs"].usage == TokenUsage() for each in found.values())


def test_the_same_models_find_the_same(whole: Path, searched: Path) -> None:
    harvest(searched, model())
    assert findings(searched) == findings(whole)


def test_what_is_found_once_is_not_asked_for_again(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    generator = model()
    harvest(run, generator)
    assert generator.requests == []
    again = copied(whole, tmp_path / "again", keep=lambda name: not name.startswith(("refined/", HARVEST_DONE.name)))
    harvest(again, generator)
    assert {role_of(request) for request in generator.requests} == {"refine"}
    assert findings(again) == findings(whole)


def num_findings(run: Path) -> int:
    return sum(len(each.stored) for each in findings(run).values())


class StopError(Exception):
    """Whoever is told of tokens has had enough."""


def test_a_harvest_that_is_stopped_after_any_finding_goes_on_to_the_same(whole: Path, tmp_path: Path) -> None:
    num_all = num_findings(whole)
    assert num_all > 40
    for num_made in range(1, num_all - 3, 14):
        run = copied(whole, tmp_path / str(num_made), keep=lambda name: False)
        made: list[TokenUsage] = []

        def stop(usage: TokenUsage, made: list[TokenUsage] = made, last: int = num_made) -> None:
            made.append(usage)
            if len(made) == last:
                raise StopError

        with pytest.raises(StopError):
            harvest(run, model(), on_usage=stop)
        assert num_made <= num_findings(run) < num_all
        harvest(run, model())
        assert findings(run) == findings(whole)


class MortalGenerator(ScriptedGenerator):
    """Is lost after so many calls."""

    def __init__(self, num_calls: int) -> None:
        super().__init__(say)
        self._num_left = num_calls

    async def generate(self, request: GenerationRequest) -> Generation:
        self._num_left -= 1
        if self._num_left < 0:
            raise ReplicaLostError("it is gone")
        return await super().generate(request)


@pytest.mark.parametrize("num_calls", [0, 50, 90])
def test_a_lost_model_leaves_the_rest_to_a_resume(num_calls: int, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    mortal = MortalGenerator(num_calls)
    with Engine(config(), reasoner=mortal, critic=mortal, checker=Checker()) as engine:
        list(engine.solve_many(rows(), run=run))
    found = findings(run)
    assert HARVEST_ERROR.name not in kinds(found)
    assert not all(HARVEST_DONE in each for each in found.values())
    assert resumed(run) == findings(whole)


def resumed(run: Path, **settings: Any) -> Found:
    generator = model()
    with Engine(config(**settings), reasoner=generator, critic=generator, checker=Checker()) as engine:
        list(engine.resume(run))
    return findings(run)


def test_a_run_whose_reader_goes_away_is_gone_on_with(whole: Path, tmp_path: Path) -> None:
    generator = model(latency_s=0.001)
    with Engine(config(), reasoner=generator, critic=generator, checker=Checker()) as engine:
        started = engine.solve_many(rows(), run=tmp_path / "run")
        next(started)
        started.close()
    assert not all(HARVEST_DONE in each for each in findings(tmp_path / "run").values())
    assert resumed(tmp_path / "run") == findings(whole)


def limited(**run: Any) -> Any:
    settings = config()
    return settings.model_copy(update={"run": settings.run.model_copy(update=run)})


def test_the_runs_tokens_end_a_harvest_and_a_resume_with_more_of_them_ends_it(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with closing(RunStore.view(whole)) as store:
        num_found, num_all = store.findings.num_tokens(), store.num_tokens()
    assert 0 < num_found < num_all
    limit = num_all - num_found // 2
    collected(run, limited(max_tokens=limit))
    found = findings(run)
    num_done = sum(HARVEST_DONE in each for each in found.values())
    assert num_done < len(found)
    assert HARVEST_ERROR.name not in kinds(found)
    assert resumed(run) == findings(whole)


def test_the_runs_time_ends_a_harvest_and_resumes_end_it(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    generator = model(latency_s=0.01)
    num_sessions = 0
    while not num_sessions or not all(HARVEST_DONE in each for each in findings(run).values()):
        num_sessions += 1
        # Each session may take longer than the one before, so that a slow machine gets to the end too.
        settings = limited(max_wall_s=0.1 * num_sessions)
        with Engine(settings, reasoner=generator, critic=generator, checker=Checker()) as engine:
            list(engine.solve_many(rows(), run=run) if num_sessions == 1 else engine.resume(run))
    assert num_sessions > 1
    assert findings(run) == findings(whole)


def test_a_failing_annotator_is_a_fault_of_its_critiques(whole: Path, searched: Path) -> None:
    harvest(searched, model(failing("annotate")))
    found, before = findings(searched), findings(whole)
    critiques = [record for records in of_kind(found, CRITIQUES) for record in records]
    assert len(critiques) == sum(map(len, of_kind(before, CRITIQUES)))
    assert sum(record.annotation.fault == "error" for record in critiques) == len(critiques) // 2
    assert {record.words for record in critiques if record.annotation.fault == "error"} == {""}
    assert all(HARVEST_DONE in each for each in found.values())


def test_a_failing_critic_gives_no_values_and_lets_no_pair_pass(whole: Path, searched: Path) -> None:
    harvest(searched, model(failing("critique")))
    found = findings(searched)
    values = of_kind(found, VALUE)
    assert values
    assert set(values) == {None}
    assert of_kind(found, CRITIQUES) == []
    assert all(HARVEST_DONE in each for each in found.values())
    with closing(RunStore.view(searched)) as store:
        selection = Selection(store)
        list(selection)
    assert selection.funnel.pairs.num_in > 0
    assert selection.funnel.pairs.left_out == {"critic_unreadable": selection.funnel.pairs.num_in}


def test_failing_refinements_are_errors_and_their_critiques_unmeasured(searched: Path) -> None:
    harvest(searched, model(failing("refine")))
    found = findings(searched)
    for kind in ("refined", "fresh"):
        contents = of_kind(found, draws(kind))
        assert contents
        assert all(each == DrawResult(None, None, "the model is down") for each in contents)
    with closing(RunStore.view(searched)) as store:
        selection = Selection(store)
        critiques = [each for harvested in selection for each in harvested.critiques]
    assert not any(each.is_kept for each in critiques)
    assert all(each.lift is None for each in critiques)
    assert selection.funnel.critiques.left_out["unmeasured"] > 0


def test_failing_completions_are_errors_of_baselines_and_searches(searched: Path) -> None:
    harvest(searched, model(failing("solve")))
    found = findings(searched)
    assert set(of_kind(found, draws("baseline"))) == {DrawResult(None, None, "the model is down")}
    failed = [each for each in of_kind(found, SEARCH) if isinstance(each, FailedSearch)]
    assert failed
    assert all(HARVEST_DONE in each for each in found.values())


def test_completions_of_which_none_can_be_told_are_an_error_and_are_paid_for(searched: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> Any:
        if role_of(request) == "solve":
            return Sample("answer : two or three of them", num_tokens=7, finish_reason="stop")
        return say(request, seed)

    harvest(searched, model(script))
    searches = [
        each for found in findings(searched).values() for name, each in found.stored.items() if "search" in name
    ]
    failed = [each for each in searches if isinstance(SEARCH.decode(each.content, position=0), FailedSearch)]
    assert failed
    assert all(each.usage.generated_tokens >= 3 * 7 for each in failed)


@pytest.mark.parametrize("role", ["inject", "detect", "grade"])
def test_a_failing_injection_has_its_reason_and_no_score(role: str, searched: Path) -> None:
    harvest(searched, model(failing(role)))
    found = findings(searched)
    injections = of_kind(found, INJECTION)
    assert injections
    for injection in injections:
        assert injection.pairs == ()
        failures = [injection.failure] if role == "inject" else [each.failure for each in injection.detections]
        assert set(failures) == {"the model is down"}
        assert all(each.score is None for each in injection.detections)
    assert all(HARVEST_DONE in each for each in found.values())


def test_a_harvest_that_breaks_is_an_error_of_its_problem_alone(whole: Path, tmp_path: Path) -> None:
    broken = rows()[1].problem.question

    def script(request: GenerationRequest, seed: int) -> str:
        if role_of(request) == "inject" and broken in request.messages[-1].text:
            raise RuntimeError("out of memory")
        return say(request, seed)

    generator = collected(tmp_path / "run", script=script)
    found = findings(tmp_path / "run")
    assert found[1][HARVEST_ERROR] == "RuntimeError: out of memory"
    assert HARVEST_DONE not in found[1]
    others = [position for position in range(NUM_ROWS) if position != 1]
    assert {position: found[position] for position in others} == {
        position: each for position, each in findings(whole).items() if position != 1
    }
    with closing(RunStore.view(tmp_path / "run")) as store:
        selection = Selection(store)
        assert [each.position for each in selection] == others
    assert selection.funnel.rows.left_out == {"harvest_failed": 1}
    assert generator.requests

    mended = model()
    with Engine(config(), reasoner=mended, critic=mended, checker=Checker()) as engine:
        list(engine.resume(tmp_path / "run"))
    assert findings(tmp_path / "run") == findings(whole)
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["collect"]["failed"] == []


def test_no_prompt_holds_a_reference_answer_or_another_column(tmp_path: Path) -> None:
    generator = collected(tmp_path / "run")
    assert {role_of(request) for request in generator.requests} == {
        *("annotate", "inject", "detect", "grade", "refine", "solve", "critique")
    }
    for request in generator.requests:
        text = request.prefix + "".join(message.text for message in request.messages)
        assert SENTINEL not in text
        assert ".000" not in text


def test_the_reference_path_is_the_chosen_side_of_every_divergent_pair(whole: Path) -> None:
    num_pairs = 0
    for names in findings(whole).values():
        reference = names[PATHS].reference
        for pair in names[PAIRS].pairs:
            if pair.kind == "divergent":
                num_pairs += 1
                assert reference is not None
                assert reference.steps == (*pair.shared, *pair.chosen.steps)
                assert reference.text == pair.shared_text + pair.chosen.text
    assert num_pairs > 4


def test_only_divergent_pairs_that_the_critic_believes_are_annotated(whole: Path) -> None:
    options = config().collect
    assert options is not None
    num_annotated = num_doubted = 0
    for names in findings(whole).values():
        believed = []
        pairs = names[PAIRS].pairs
        annotated = {int(name.split("/")[1]) for name in names.stored if name.startswith("critique/")}
        for number, pair in enumerate(pairs):
            if pair.kind != "divergent":
                assert number not in annotated
                continue
            chosen, rejected = (names[value_key(pair.shared + side.steps[:1])] for side in (pair.chosen, pair.rejected))
            assert chosen is not None
            assert rejected is not None
            if chosen >= 0.6 and rejected <= 0.5:
                believed.append(number)
            else:
                num_doubted += 1
        assert annotated == set(errors(pairs, believed))
        num_annotated += len(annotated)
    assert num_annotated > 1
    assert num_doubted > 1


def test_pairs_with_little_support_are_neither_looked_at_nor_annotated(whole: Path, searched: Path) -> None:
    settings = config(
        pairs={"max_pairs": 4, "max_annotated": 64, "min_support": 0, "min_share": 1, "min_reference_value": 0}
    )
    generator = model()
    harvest(searched, generator, settings=settings)
    found = findings(searched)
    assert of_kind(found, PAIRS) == of_kind(findings(whole), PAIRS)
    pairs = {position: names[PAIRS].pairs for position, names in found.items()}
    annotated = [(position, name) for position, each in found.items() for name in each.stored if name[:8] == "critique"]
    supports = [pairs[position][int(name.split("/")[1])].support for position, name in annotated]
    assert all(each is not None for each in supports)
    assert all(each.most_alike < 2 or each.num_alike == each.num_drawn for each in supports if each is not None)
    assert len(annotated) < sum(each.kind == "divergent" for of_tree in pairs.values() for each in of_tree)


def test_only_so_many_errors_of_a_problem_are_annotated(searched: Path, tmp_path: Path) -> None:
    whole = copied(searched, tmp_path / "whole", keep=lambda name: False)
    pairs = {"check": "none", "min_support": 0, "min_share": 0}
    for run, num in ((whole, 64), (searched, 1)):
        harvest(run, model(), settings=config(pairs={**pairs, "max_annotated": num}, annotators=[{"kind": "self"}]))

    def annotated(run: Path) -> list[int]:
        return [len({name[:13] for name in each.stored if name[:8] == "critique"}) for each in findings(run).values()]

    assert max(annotated(whole)) > 1
    assert annotated(searched) == [min(1, num) for num in annotated(whole)]


def test_the_best_path_by_the_critic_is_the_reference_and_of_doubted_ones_nobody_goes_on(tmp_path: Path) -> None:
    pairs = {**COLLECT["pairs"], "min_reference_value": 0.9, "max_references": 3}
    collected(tmp_path / "run", config(pairs=pairs), num=12)
    num_doubted = num_chosen = 0
    for position, names in findings(tmp_path / "run").items():
        reference = names[PATHS].reference
        if reference is None:
            continue
        with closing(RunStore.view(tmp_path / "run")) as store:
            tree = logged_tree(store.config(), problem_at(store, position), store.events(position))
        right = right_paths(tree, paths_of(tmp_path / "run", position))
        values = {path.steps: names[value_key(path.steps)] or 0.0 for path in right[:3]}
        steps = reference.steps
        assert reference.value == values[steps]
        if max(values.values()) < 0.9:
            num_doubted += 1
            assert not [name for name in names.stored if name.startswith(("critique/", "injection/"))]
        else:
            num_chosen += len(values) > 1
            assert values[steps] >= 0.9
    assert num_doubted
    assert num_chosen
    with closing(RunStore.view(tmp_path / "run")) as store:
        selection = Selection(store)
        doubts = [each.reference_fault for each in selection]
        assert doubts.count("reference_doubted") == num_doubted
        assert selection.funnel.injected.left_out["reference_doubted"] == num_doubted


def problem_at(store: RunStore, position: int) -> Problem:
    row = store.row(position)
    assert isinstance(row, ProblemRow)
    return row.problem


def test_without_a_check_nobody_looks_and_all_errors_are_annotated(searched: Path) -> None:
    generator = model()
    pairs = {"check": "none", "kinds": ["divergent"], "max_annotated": 64, "min_support": 0, "min_share": 0}
    settings = config(pairs=pairs, annotators=[{"kind": "self"}], injection=None)
    harvest(searched, generator, settings=settings)
    found = findings(searched)
    assert "value" not in kinds(found)
    assert "critique" not in {role_of(request) for request in generator.requests}
    of_trees = [each.pairs for each in of_kind(found, PAIRS)]
    assert len(of_kind(found, CRITIQUES)) == sum(len(errors(each, range(len(each)))) for each in of_trees)


@pytest.mark.parametrize(
    ("collect", "kinds_left"),
    [
        ({"annotators": []}, "critique refined fresh baseline fresh_baseline"),
        ({"lift": {"num_refinements": 0}}, "refined fresh baseline fresh_baseline"),
        ({"lift": {"num_refinements": 2, "num_fresh": 0}}, "fresh fresh_baseline"),
        ({"labels": {"kind": "none"}}, "labels search"),
        ({"labels": {"kind": "tree"}}, "search"),
        ({"injection": None}, "injection"),
    ],
)
def test_what_is_not_asked_for_is_not_made(
    collect: dict[str, Any], kinds_left: str, whole: Path, searched: Path
) -> None:
    harvest(searched, model(), settings=config(**collect))
    assert kinds(findings(whole)) - kinds(findings(searched)) == set(kinds_left.split())


def test_hostile_text_breaks_no_harvest(tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        nasty = "\x1b[2J\x00\ud800 $steps ${notes} </s> "
        said = say(request, seed)
        return said if role_of(request) == "solve" and not seed % 3 else nasty + said.replace(" : ", " : " + nasty)

    collected(tmp_path / "run", script=script)
    found = findings(tmp_path / "run")
    assert HARVEST_ERROR.name not in kinds(found)
    assert all(HARVEST_DONE in each for each in found.values())


def paths_of(run: Path, position: int) -> list[FinishedPath]:
    """Return the paths of a problem's tree in the order of their making."""
    with closing(RunStore.view(run)) as store:
        row = store.row(position)
        assert isinstance(row, ProblemRow)
        assert store.checker is not None
        tree = logged_tree(store.config(), row.problem, store.events(position))
        splitter = StepSplitter(ExpanderConfig(split="delimiter"))
        return read_paths(tree, row.problem, checker=store.checker, splitter=splitter)


def test_of_paths_that_read_alike_the_first_made_counts(tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        # Whatever is asked, one of four solutions comes of it.
        if role_of(request) != "solve":
            return say(request, seed)
        asked = re.search("how many of kind .*", request.messages[-1].text)
        assert asked is not None
        answers = (77, 78, 79, usual_answer(Problem(asked[0])))
        solution = f"look\nanswer : {answers[seed % 4]}"
        return solution.removeprefix(request.prefix) if solution.startswith(request.prefix) else ""

    collected(tmp_path / "run", script=script)
    num_pairs = 0
    for position, names in findings(tmp_path / "run").items():
        wrong = {path.steps: None for path in paths_of(tmp_path / "run", position) if path.is_right is False}
        searches = [each.steps for each in names.of_kind(SEARCH) if isinstance(each, SearchedPath)]
        assert searches == list(wrong)[:1]
        paths = names[PATHS]
        if paths.reference is None:
            continue
        divergent = [pair for pair in names[PAIRS].pairs if pair.kind == "divergent"]
        assert sum(pair.num_paths for pair in divergent) == paths.num_wrong
        assert {(*pair.shared, *pair.chosen.steps) for pair in divergent} <= {paths.reference.steps}
        num_pairs += len(divergent)
    assert num_pairs >= 2


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"reasoner": {"backend": "scripted"}}, "collect.annotators.0.kind", r"have no annotate\.txt"),
        (
            {"critic": {"backend": "huggingface"}},
            "collect.annotators.1.kind",
            "the pocket critic cannot read what pocket writes",
        ),
    ],
)
def test_whoever_is_not_there_cannot_be_asked(change: dict[str, Any], field: str, reason: str) -> None:
    settings = config(injection=None, pairs={"check": "none"})
    fields = settings.model_dump()
    changed = type(settings).model_validate({**fields, **change})
    with pytest.raises(ConfigError, match=reason) as caught:
        Engine(changed, checker=Checker())
    assert caught.value.field == field


def test_findings_are_json_and_their_tokens_add_up(whole: Path) -> None:
    found = findings(whole)
    assert all(json.loads(each.content) is not None for name, each in found[0].stored.items() if "value" not in name)
    with closing(RunStore.view(whole)) as store:
        assert store.findings.num_tokens() == sum(each.num_tokens().total() for each in found.values()) > 0


def test_the_model_is_charged_for_all_that_a_harvest_asked(searched: Path) -> None:
    generator = model()
    told: list[TokenUsage] = []
    harvest(searched, generator, on_usage=told.append)
    requests, generator.requests = generator.requests, []

    async def ask_again() -> TokenUsage:
        return sum([(await generator.generate(request)).usage for request in requests], TokenUsage())

    spent = sum(told, TokenUsage())
    of_critic = {"critic_prompt_tokens": 0, "critic_generated_tokens": 0, "critic_cached_tokens": 0}
    assert replace(spent, **of_critic) == replace(asyncio.run(ask_again()), num_requests=len(requests))
    assert 0 < spent.critic_generated_tokens < spent.generated_tokens
    with closing(RunStore.view(searched)) as store:
        assert store.findings.usage() == spent
