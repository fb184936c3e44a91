"""In inference mode no reference answer can be reached from what works on a problem, and none is written down."""

import ast
import contextlib
import gc
import json
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.cli.main import main
from critic_engine.config.engine import load_config
from critic_engine.config.files import presets
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.data.row_types import Demonstration, Preference, Rated, StepLabelled
from critic_engine.data.selection.rows import RunRows
from critic_engine.data.selection.selected_findings import Selection
from critic_engine.engine import Engine
from critic_engine.episode.episode import Episode
from critic_engine.episode.trial import TrialRunner
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.roles.checker import Checker
from critic_engine.run.runner import Runner
from critic_engine.run.store import RunStore
from critic_engine.types import Problem, ProblemRow

SENTINEL = "zq-reference-sentinel"
# Colours are surely told apart.
COLOURS = ("white", "red", "green", "blue", "yellow", "black")
LABELLING_PRESETS = [name for name, path in presets().items() if load_config(path).needs_reference]
OVERRIDES = [
    "reasoner.prompts=pocket",
    "critic.prompts=pocket",
    "budget.max_tokens=300",
    "run.problems_in_flight=3",
    "run.trials_in_flight=2",
]
WORKERS = (Engine, Episode, Runner, RunStore, TrialRunner)
# Classes and modules are the program, not what it works on.
PROGRAM = (type, types.ModuleType, types.CodeType, types.BuiltinFunctionType)

COLLECTING = [
    "reasoner={model: acme/reasoner, backend: scripted}",
    "critic={model: acme/reasoner, backend: scripted}",
    "expander.max_step_tokens=6",
    "collect.annotators=[{kind: self, num_critiques: 2}, {kind: critic, num_critiques: 2}]",
    "collect.pairs={check: critic, min_support: 0, min_share: 0, min_reference_value: 0, min_chosen_value: 0}",
    "collect.pairs.max_rejected_value=1",
    "collect.lift={num_refinements: 4, num_fresh: 2}",
    "collect.labels={kind: binary_search, num_rollouts: 2}",
    "collect.injection={kind: self}",
    "collect.filters={min_right: 1, min_lift_gap: 0.1, is_near_duplicate_allowed: true}",
]
# How the prompts of the family `plain` begin, by who is asked.
PROMPTS = {
    "solve": "Answer the question below.",
    "rewrite": "Below are a question, a former solution",
    "critique": "You check the reasoning of others. Below are a question and a solution, which may stop",
    "annotate": "You compare two attempts",
    "inject": "You make exercises",
    "detect": "You check the reasoning of others. Below are a question and a solution, which may hold",
    "grade": "You grade a review.",
}


@pytest.fixture(autouse=True)
def _only_this_tests_workers() -> None:
    """Engines of earlier tests may have held reference answers, and rightly so."""
    gc.collect()


def rows() -> list[ProblemRow]:
    """Return problems whose answers and further columns hold the sentinel."""
    return [
        ProblemRow(
            number,
            f"p{number}",
            Problem(f"how many of kind {number} ?"),
            (f"{SENTINEL} {COLOURS[number]}", COLOURS[number]),
            {"hint": SENTINEL},
        )
        for number in range(1, 6)
    ]


def reachable(roots: Iterable[object]) -> Iterator[object]:
    """Yield every object that ``roots`` lead to: attributes, items, closures, and what suspended coroutines hold."""
    stack, seen = list(roots), set()
    while stack:
        each = stack.pop()
        if id(each) in seen or issubclass(type(each), PROGRAM):
            continue
        seen.add(id(each))
        yield each
        if type(each) is types.FunctionType:
            stack += [each.__closure__, each.__defaults__, each.__kwdefaults__]
        else:
            stack += gc.get_referents(each)


def leaks(roots: Iterable[object]) -> list[object]:
    """Return the texts with the sentinel that ``roots`` lead to."""
    texts = (each for each in reachable(roots) if type(each) in (str, bytes))
    return [text for text in texts if (SENTINEL if isinstance(text, str) else SENTINEL.encode()) in text]


class Spy(ScriptedGenerator):
    """A scripted model that looks around, now and then, at all that is working when it is asked."""

    def __init__(self, script: object, found: list[object]) -> None:
        super().__init__(script, is_recording=True)  # type: ignore[arg-type]
        self._found = found

    async def generate(self, request: GenerationRequest) -> Generation:
        if len(self.requests) % 20 == 0:
            workers = [each for each in gc.get_objects() if type(each) in WORKERS]
            assert {type(each) for each in workers} == set(WORKERS)
            self._found += leaks([request, *workers])
        return await super().generate(request)


def search(run: Path, checker: Checker | None) -> tuple[list[object], list[GenerationRequest]]:
    """Search the rows; return what was found of the sentinel while it went on, and all that the models were asked."""
    found: list[object] = []
    reasoner, critic = Spy(scripted_reasoner(), found), Spy(scripted_critic(), found)
    with Engine("mcts", overrides=OVERRIDES, reasoner=reasoner, critic=critic, checker=checker) as engine:
        answers = list(engine.solve_many(rows(), run=run))
    assert [answer.status for answer in answers] == ["answered"] * 5
    return found, [*reasoner.requests, *critic.requests]


def files_with_sentinel(run: Path) -> set[str]:
    return {path.name for path in run.iterdir() if SENTINEL.encode() in path.read_bytes()}


def test_inference_cannot_reach_a_reference_answer(tmp_path: Path) -> None:
    found, requests = search(tmp_path / "run", checker=None)
    assert len(requests) > 40
    assert found == []
    assert leaks(requests) == []
    assert files_with_sentinel(tmp_path / "run") == set()
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "run.sqlite",
        "config.yaml",
        "answers.jsonl",
        "report.json",
    }


def test_labelling_holds_reference_answers_and_still_asks_no_model_for_them(tmp_path: Path) -> None:
    found, requests = search(tmp_path / "run", checker=Checker())
    assert found
    assert leaks(requests) == []
    assert {name for name in files_with_sentinel(tmp_path / "run") if not name.startswith("run.sqlite")} == set()
    assert files_with_sentinel(tmp_path / "run")


def test_resumed_inference_cannot_reach_a_reference_answer_either(tmp_path: Path) -> None:
    with Engine("mcts", overrides=[*OVERRIDES, "reasoner.backend=scripted", "critic.backend=scripted"]) as engine:
        started = engine.solve_many(rows(), run=tmp_path / "run")
        next(started)
        started.close()
        rest = engine.resume(tmp_path / "run")
        next(rest)
        assert leaks([engine, rest, *(each for each in gc.get_objects() if type(each) in WORKERS)]) == []
        rest.close()
    assert files_with_sentinel(tmp_path / "run") == set()


def test_a_preset_that_labels_ships() -> None:
    assert "mmc_collect" in LABELLING_PRESETS


@pytest.mark.parametrize("name", LABELLING_PRESETS)
def test_solve_refuses_presets_that_ask_reference_answers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "--question", "how many ?", "--config", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`critic-engine collect`" in line


def test_solve_refuses_to_collect(capsys: pytest.CaptureFixture[str]) -> None:
    for change in ("collect={}", "collect.labels.kind=none"):
        assert main(["solve", "--question", "how many ?", "--config", "majority", "--set", change]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "collect is set" in line
        assert "`critic-engine collect`" in line


def writes_around_the_sentinel(request: GenerationRequest, seed: int) -> str:
    """Answer any prompt of the family ``plain``; right answers are in capitals, and never hold the sentinel."""
    prompt = request.messages[-1].text
    asked = next(name for name, beginning in PROMPTS.items() if prompt.startswith(beginning))
    if asked in ("solve", "rewrite"):
        number = re.search(r"how many of kind (\d+)", prompt)
        assert number is not None
        right = int(number[1])
        answer = COLOURS[right].upper() if seed % 2 else COLOURS[(right + 1 + seed % 3) % len(COLOURS)]
        lines = ["it is dark", f"number {seed % 5} is near", f"answer: {answer}"]
        return "\n".join(lines[request.prefix.count("\n") :])
    steps = re.findall(r"^\[(\d+)\] (.*)$", prompt, flags=re.MULTILINE)
    if asked == "annotate":
        path = prompt.partition("Path A goes on:")[2].partition("Path B")[0]
        side = "A" if re.search(r"answer: [a-z]", path) else "B"
        return f"Wrong path: {side}\nFirst wrong step: 3\nCritique: number {seed % 3} is not near"
    if asked == "inject":
        spoilt = [f"[{number}] {step}" for number, step in steps[:-1]] + [f"[{steps[-1][0]}] answer: 0"]
        return "\n".join(["Solution:", *spoilt, "Errors:", f"[{steps[-1][0]}] it says 0; there are more"])
    if asked == "detect":
        return f"Errors:\n[{1 + seed % len(steps)}] there are more"
    if asked == "grade":
        return f"matches: {seed % 2}\n### score: {seed % 11}"
    return f"Verdict: wrong\nFirst wrong step: 3\nnumber {seed % 5} is far\nScore: 0.4"


@pytest.fixture
def collected(tmp_path: Path) -> list[GenerationRequest]:
    """All that the models were asked while a run in ``tmp_path`` was collected, every kind of finding among it."""
    reasoner, critic = (ScriptedGenerator(writes_around_the_sentinel, is_recording=True) for _ in range(2))
    config = load_config("mmc_collect", COLLECTING)
    with Engine(config, reasoner=reasoner, critic=critic, checker=Checker()) as engine:
        answers = list(engine.solve_many(rows(), run=tmp_path / "run"))
    assert [answer.status for answer in answers] == ["answered"] * 5
    with contextlib.closing(RunStore.view(tmp_path / "run")) as store:
        harvested = list(Selection(store))
    kinds = {name.split("/")[0] for each in harvested for name in each.findings.stored}
    assert kinds >= {"value", "critique", "baseline", "refined", "fresh", "labels", "search", "injection"}
    assert {each.record.annotator for one in harvested for each in one.critiques if each.is_kept} == {
        "scripted",
        "critic",
    }
    assert any(found.detections for each in harvested for found in each.findings.of_kind(INJECTION))
    return [*reasoner.requests, *critic.requests]


def test_no_model_is_sent_a_reference_answer_while_data_is_collected(collected: list[GenerationRequest]) -> None:
    texts = [request.messages[-1].text for request in collected]
    for beginning in PROMPTS.values():
        assert any(text.startswith(beginning) for text in texts), f"nobody was asked: {beginning}"
    assert any(re.search(r"answer: [A-Z]", text) for text in texts), "no right path was shown to anyone"
    assert leaks(collected) == []


def test_training_rows_hold_what_models_wrote_and_no_reference_answer(
    collected: list[GenerationRequest], tmp_path: Path
) -> None:
    for kind in (Preference, Demonstration, Rated, StepLabelled):
        for role in ("critic", "reasoner"):
            with contextlib.closing(RunStore.view(tmp_path / "run")) as store:
                written = [json.dumps(asdict(row)) for row in RunRows(store, kind=kind, role=role)]
            assert written, (kind, role)
            assert not [row for row in written if SENTINEL in row]
    report = (tmp_path / "run" / "report.json").read_text(encoding="utf-8")
    assert SENTINEL not in report


ROOT = Path(__file__).parents[1]
# What works on a problem when it is solved.
INFERENCE = (
    *("types", "protocols", "concurrency", "images/*", "models/*", "replicas/*", "episode/*", "actors/*"),
    *("roles/annotator", "roles/critic", "roles/expanders", "roles/reasoner", "roles/evaluators/*"),
    *("run/findings", "run/problem_size", "run/runner", "run/problem_search", "parsing/*", "prompts/*"),
    *("backends/*", "backends/*/*", "cli/solve", "cli/answer_view", "cli/follow_run"),
)
# What is made of labelled trees, and reads reference answers or right paths.
COLLECTION = ("harvest", "selection", "exports", "filters", "row_types")
# Of what works on a problem, only these know what a checker is; without labels none of them is given one.
KNOWS_CHECKER = {
    "critic_engine.actors.model_pools",
    "critic_engine.actors.search_worker",
    "critic_engine.actors.search_pool",
    "critic_engine.roles.evaluators.direct",
    "critic_engine.roles.evaluators.factory",
    "critic_engine.roles.evaluators.rollouts",
}


def imported_by(path: Path) -> set[str]:
    """Return the modules that a file imports, whether at once or later, and what it imports from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def inference_modules() -> dict[str, set[str]]:
    """Return what each module that works on a problem imports, by its name."""
    folder = ROOT / "critic_engine"
    paths = [path for name in INFERENCE for path in folder.glob(f"{name}.py")]
    assert len(paths) > len(INFERENCE)
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): imported_by(path) for path in paths}


def test_what_works_on_a_problem_imports_nothing_that_is_made_of_labelled_trees() -> None:
    beyond = {f"critic_engine.data.{name}" for name in COLLECTION} | {"critic_engine.pocket.rule_annotator"}
    for module in beyond:
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists() or (
            ROOT / module.replace(".", "/")
        ).is_dir()
    for name, imported in inference_modules().items():
        rooms = {".".join(each.split(".")[:3]) for each in imported}
        assert not rooms & beyond, name


def test_few_of_what_works_on_a_problem_know_what_a_checker_is() -> None:
    knowing = {name for name, imported in inference_modules().items() if "critic_engine.roles.checker" in imported}
    assert knowing == KNOWS_CHECKER
