"""In inference mode no reference answer can be reached from what works on a problem, and none is written down."""

import gc
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripts import scripted_critic, scripted_reasoner
from critic_engine.checker import Checker
from critic_engine.cli.main import main
from critic_engine.config import load_config
from critic_engine.documents import presets
from critic_engine.engine import Engine
from critic_engine.episode import Episode
from critic_engine.runner import Runner
from critic_engine.store import RunStore
from critic_engine.thinking import Thinker
from critic_engine.types import Generation, GenerationRequest, Problem, ProblemRow

SENTINEL = "zq-reference-7731"
LABELLING_PRESETS = [name for name, path in presets().items() if load_config(path).needs_reference]
OVERRIDES = ["budget.max_tokens=300", "run.problems_in_flight=3", "run.trials_in_flight=2"]
WORKERS = (Engine, Episode, Runner, RunStore, Thinker)
# Classes and modules are the program, not what it works on.
PROGRAM = (type, types.ModuleType, types.CodeType, types.BuiltinFunctionType)


@pytest.fixture(autouse=True)
def _only_this_tests_workers() -> None:
    """Engines of earlier tests may have held reference answers, and rightly so."""
    gc.collect()


def rows() -> list[ProblemRow]:
    """Return problems whose answers and further columns hold the sentinel."""
    return [
        ProblemRow(
            number, f"p{number}", Problem(f"how many of kind {number} ?"), f"{SENTINEL} {number}", {"hint": SENTINEL}
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
