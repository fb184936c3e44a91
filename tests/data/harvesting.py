"""A labelled run over scripted models that fill every role, for the tests of what is made of its trees."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from critic_engine.backends.scripted import Script, ScriptedGenerator, unit_hash
from critic_engine.backends.scripted_roles import scripted_reasoner
from critic_engine.config.collect import PairKind
from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.data.harvest.critique_lift import CritiqueRecord, DrawCounts, DrawResult
from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.factory import make_harvester
from critic_engine.data.harvest.finding_kinds import CRITIQUES, PAIRS, PATHS, baseline_key, refined_key, value_key
from critic_engine.data.harvest.harvester import Harvester
from critic_engine.data.harvest.injection_scores import DetectionScore, ScoredDetection
from critic_engine.data.harvest.pair_checks import parting_steps
from critic_engine.data.harvest.pairs import Branch, Pair, TreePairs
from critic_engine.data.harvest.paths import ReferencePath, Support, TreePaths
from critic_engine.engine import Engine
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.parsing.injections import InjectedError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import GenerationRequest
from critic_engine.roles.annotator import Annotation, Fault
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import HARVEST_DONE, Finding, FindingKey, Ledger, ProblemFindings, SearchedProblem
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, Message, Problem, ProblemRow, TokenUsage

Contents: TypeAlias = dict[FindingKey[Any], Any]
NUM_ROWS = 6
SENTINEL = "zq-reference-7731"
ROLES = {
    "annotate": "You compare two attempts",
    "inject": "You make exercises",
    "detect": "You check the reasoning of others. Below are a question and a solution, which may hold",
    "grade": "You grade a review",
    "refine": "Below are a question, a former solution",
    "solve": "Answer the question below",
}
"""How the prompt of each role but the critic's begins."""
COLLECT: dict[str, Any] = {
    "annotators": [{"kind": "self", "num_critiques": 2}, {"kind": "critic", "num_critiques": 2}],
    "lift": {"num_refinements": 4, "num_fresh": 3},
    "labels": {"kind": "binary_search", "num_rollouts": 3},
    "injection": {"kind": "self", "detectors": [{"num_detections": 2}]},
    "pairs": {
        "max_pairs": 4,
        "max_annotated": 64,
        "min_support": 0,
        "min_share": 0,
        "min_reference_value": 0,
        "min_chosen_value": 0.6,
    },
    "filters": {"min_right": 1},
}
CONFIG: dict[str, Any] = {
    "strategy": {"kind": "mcts", "selection": "greedy_value", "num_proposals": 2, "max_proposals": 2},
    "expander": {"is_critic_guided": False},
    "evaluator": {"kind": "rollout", "against": "reference", "num_rollouts": 3},
    "decision": {"rule": "best_value"},
    "budget": {"max_simulations": 3},
    "reasoner": {"backend": "scripted", "prompts": "plain"},
    "critic": {"backend": "scripted", "prompts": "plain"},
    "run": {"problems_in_flight": 3},
    "collect": COLLECT,
}


def config(**collect: Any) -> EngineConfig:
    """Return the configuration with these fields of its section ``collect``."""
    return parse_config({**CONFIG, "collect": {**COLLECT, **collect}})


def rows(num: int = NUM_ROWS) -> list[ProblemRow]:
    """Return problems that the scripted reasoner gets right now and then, with answers as no model writes them."""
    problems = [Problem(f"how many of kind {number} are here ?", name=f"p{number}") for number in range(num)]
    return [
        ProblemRow(number, problem.name, problem, (f"+000{usual_answer(problem)}.000",), {"hint": SENTINEL})
        for number, problem in enumerate(problems)
    ]


def usual_answer(problem: Problem) -> int:
    """Return what most of the scripted reasoner's solutions answer."""
    return int(6 * unit_hash("answer", problem.question))


def role_of(request: GenerationRequest) -> str:
    """Return what is asked for."""
    text = request.messages[-1].text
    return next((role for role, head in ROLES.items() if text.startswith(head)), "critique")


def say(request: GenerationRequest, seed: int) -> str:
    """Answer in any role; what is said hangs on the prompt, and at a temperature on the seed."""
    prompt = request.messages[-1].text
    drawn = (prompt, seed) if request.sampling.temperature else (prompt,)
    steps = re.findall(r"^\[([0-9]+)\] (.*)$", prompt, re.MULTILINE)
    match role_of(request):
        case "annotate":
            return _annotation(prompt, drawn)
        case "inject":
            spoilt = [f"[{number}] {step}" for number, step in steps[:-1]] + [f"[{len(steps)}] answer : 99"]
            return "\n".join(["Solution:", *spoilt, "Errors:", f"[{len(steps)}] it is another"])
        case "detect":
            is_found = unit_hash("detect", *drawn) < 0.6
            return f"Errors:\n[{len(steps)}] it is not so" if is_found else "Errors: none"
        case "grade":
            return f"matches: 0\n### score: {int(10 * unit_hash('grade', *drawn))}"
        case "critique":
            return _critique(drawn, len(steps))
        case _:
            question = re.search(r"^Question:\n(.*)$", prompt, re.MULTILINE)
            assert question is not None
            asked = dataclasses.replace(request, messages=(Message("user", question[1]),))
            return str(scripted_reasoner()(asked, seed))


def _annotation(prompt: str, drawn: tuple[object, ...]) -> str:
    first, second = (prompt.split(f"Path {side} goes on:\n")[1].split("\n\n")[0] for side in "AB")
    side = "A" if unit_hash("blame", first) < unit_hash("blame", second) else "B"
    step = re.findall(r"\[([0-9]+)\]", first if side == "A" else second)[0]
    reason = f"number {int(4 * unit_hash('reason', sorted([first, second]), *drawn[1:]))} is not what is shown"
    return f"Wrong path: {side}\nFirst wrong step: {step}\nCritique: {reason}"


def _critique(drawn: tuple[object, ...], num_steps: int) -> str:
    if unit_hash("verdict", *drawn) < 0.5:
        return "Verdict: right\nNo corrections needed.\nScore: 0.9"
    return f"Verdict: wrong\nFirst wrong step: {num_steps}\nthat is not shown\nScore: 0.1"


def model(script: Script = say, **more: Any) -> ScriptedGenerator:
    """Return a recording generator that answers by ``script``."""
    return ScriptedGenerator(script, is_recording=True, **more)


def collected(
    run: Path, settings: EngineConfig | None = None, *, num: int = NUM_ROWS, **more: Any
) -> ScriptedGenerator:
    """Collect over the rows into ``run``; return the model that was both reasoner and critic."""
    generator = model(**more)
    with Engine(settings or config(), reasoner=generator, critic=generator, checker=Checker()) as engine:
        list(engine.solve_many(rows(num), run=run))
    return generator


def findings(run: Path) -> dict[int, ProblemFindings]:
    """Return all findings of a run by position."""
    with closing(RunStore.view(run)) as store:
        return {position: store.findings.of(position) for position in range(store.num_rows)}


def copied(run: Path, to: Path, *, keep: Callable[[str], bool] = lambda name: True) -> Path:
    """Return a copy of a finished run with the findings whose names are to be kept."""
    shutil.copytree(run, to)
    with closing(sqlite3.connect(to / "run.sqlite")) as connection, connection:
        names = [name for (name,) in connection.execute("SELECT DISTINCT name FROM findings")]
        connection.executemany("DELETE FROM findings WHERE name = ?", [(name,) for name in names if not keep(name)])
    return to


def harvester(
    settings: EngineConfig,
    store: RunStore,
    generator: ScriptedGenerator,
    others: Mapping[str, ScriptedGenerator] = MappingProxyType({}),
) -> Harvester:
    """Return a harvester over one model in all roles, but for those that name one of the others."""
    assert store.checker is not None
    models = Models(ModelMakers(lambda config, role: others.get(config.model, generator), lambda config: None))  # type: ignore[arg-type, return-value]
    critic = others.get(settings.critic.model, generator)
    return make_harvester(settings, models, checker=store.checker, reasoner=generator, critic=critic)


def harvest(
    run: Path,
    generator: ScriptedGenerator,
    *,
    settings: EngineConfig | None = None,
    others: Mapping[str, ScriptedGenerator] = MappingProxyType({}),
    on_usage: Callable[[TokenUsage], None] = lambda usage: None,
) -> None:
    """Harvest the trees of a run, one after another."""
    with closing(RunStore.open(run)) as store:
        made = harvester(settings or store.config(), store, generator, others)
        for position in range(store.num_rows):
            row = store.row(position)
            assert isinstance(row, ProblemRow)
            ledger = Ledger(store.findings, position, on_usage=on_usage)
            asyncio.run(made(SearchedProblem(row.problem, store.extras(position), store.events(position), ledger)))


def branch(*steps: str, answer: str | None = None, value: float | None = None) -> Branch:
    """Return a branch of lines."""
    return Branch(steps, "\n".join(steps), answer, value, 4, 9, len(steps))


def pair(wrong: str = "2", *, kind: PairKind = "divergent", num_paths: int = 1, shared: str = "look") -> Pair:
    """Return a pair of one-step branches behind one shared step."""
    chosen = branch("answer : 1", answer="1", value=0.75)
    rejected = branch(f"answer : {wrong}", answer=wrong, value=0.25)
    support = None if kind == "sibling" else Support(num_alike=3, num_drawn=4, most_alike=3)
    return Pair(kind, (shared,), f"{shared}\n", chosen, rejected, support, num_paths)


def tree_findings(
    *pairs: Pair, num_right: int = 1, num_wrong: int | None = None, num_over: int = 0, reference_value: float = 0.9
) -> Contents:
    """Return the findings that every tree has."""
    if num_wrong is None:
        num_wrong = num_over + sum(each.num_paths for each in pairs if each.kind == "divergent")
    reference = ReferencePath(("look", "answer : 1"), "look\nanswer : 1", reference_value) if num_right else None
    paths = TreePaths(
        num_right=num_right, num_wrong=num_wrong, num_unsure=0, num_unanswered=0, num_rollouts=0, reference=reference
    )
    values = {
        value_key(steps): value for each in pairs for steps, value in zip(parting_steps(each), (0.9, 0.1), strict=True)
    }
    return {**values, PATHS: paths, PAIRS: TreePairs(pairs, num_over, 0), HARVEST_DONE: True}


def critique(
    reason: str = "it is not 2", *, pair: int = 0, who: str = "a critic", fault: Fault | None = None
) -> CritiqueRecord:
    """Return a critique that blames step 2."""
    return CritiqueRecord(pair, who, Annotation(2, reason, fault), words_of(reason) if reason else "")


def words_of(reason: str) -> str:
    """Return the critique's words."""
    return PromptFamily.load("plain").written_critique(step=2, reason=reason)


def drawn(right: int, wrong: int, unsure: int = 0) -> DrawResult:
    """Return the result of so many draws."""
    return DrawResult(DrawCounts(right, wrong, unsure), "look\nanswer : 1" if right else None)


def made_run(
    folder: Path, *found: Contents, problems: Sequence[ProblemRow | FailedRow] | None = None, **collect: Any
) -> Path:
    """Return a run whose rows have these findings; no two of its problems are alike."""
    if problems is None:
        names = ("cats sit on the mat", "dogs run in a park", "red kites fly above", "old ships lie in harbour")
        questions = [f"how many {name} ?" for name in names[: len(found)]]
        problems = [ProblemRow(n, str(n), Problem(each), ("1",), {}) for n, each in enumerate(questions)]
    with closing(
        RunStore.create(
            folder, config(**{"lift": {"num_refinements": 10, "num_fresh": 0}, **collect}), checker=Checker()
        )
    ) as store:
        store.add_rows(problems)
        for position, each in enumerate(found):
            for key, content in each.items():
                store.findings.add(position, key, Finding(content))
    return folder


def detected(*said: tuple[str | None, int | None]) -> InjectionResult:
    """Return a solution with one injected error, with the words and grade of each detection."""
    detections = [
        ScoredDetection(
            detector="d",
            words=words,
            score=None if grade is None else DetectionScore(num_errors=1, num_found=1, num_matched=0, grade=grade),
        )
        for words, grade in said
    ]
    errors = (InjectedError(2, "it is not 2"),)
    return InjectionResult(steps=("look", "answer : 2"), errors=errors, detections=tuple(detections))


def measured(*records: CritiqueRecord, right: int = 8, baseline: int = 2, who: int = 0) -> Contents:
    """Return the findings of critiques with so many right ones of 10 draws each, and of their baselines."""
    found: Contents = {}
    for record in records:
        key = CRITIQUES.at(f"{record.pair:04}", f"{who:02}")
        found[key] = (*found.get(key, ()), record)
        found[refined_key(record.pair, record.words)] = drawn(right, 10 - right)
    found[baseline_key(pair().trajectory())] = drawn(baseline, 10 - baseline)
    return found
