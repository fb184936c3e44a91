"""A run over an endpoint that fails in every way: each problem is answered or listed with its reason."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from critic_engine.engine import Engine
from critic_engine.types import Answer, Problem
from tests.backends.endpoint_faults import Abilities, Fault, FaultyEndpoint

pytestmark = pytest.mark.openai_api

KEY = "secret-key-of-nobody"
SOON = {"retry-after": "0.01"}
FAULTS = [
    Fault(429, b"slow down", SOON),
    Fault(500, b"oops", SOON),
    Fault(body=b"<html>garbage</html>"),
    Fault(body=b'{"id": "c", "choices": [', num_promised=500),
    Fault(body=b""),
    Fault(delay_s=4.0),
]
PROBLEMS = [Problem(f"how many of kind {number} ?", name=f"p{number}") for number in range(12)]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyEndpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FaultyEndpoint(Abilities(), key=KEY).serving() as endpoint:
        endpoint.solution = "they are 8\nanswer: 8"
        yield endpoint


def solve(
    endpoint: FaultyEndpoint,
    run: Path,
    *,
    faults: list[Fault],
    always: Fault | None = None,
    preset: str = "majority",
    overrides: Sequence[str] = (),
) -> list[Answer]:
    hosting: dict[str, Any] = {"base_url": endpoint.url, "timeout_s": 3.0, "max_retries": 3}
    settings = [
        "reasoner.backend=openai_api",
        "reasoner.model=toy",
        f"reasoner.openai_api={json.dumps(hosting)}",
        *(["strategy.num_samples=3"] if preset == "majority" else []),
        "run.problems_in_flight=4",
        *overrides,
    ]
    with Engine(preset, overrides=settings) as engine:
        engine.load()
        endpoint.faults.extend(faults)
        endpoint.constant_fault = always
        return list(engine.solve_many(PROBLEMS, run=run))


def test_every_problem_is_answered_though_the_endpoint_fails_in_every_way(
    endpoint: FaultyEndpoint, tmp_path: Path
) -> None:
    answers = solve(endpoint, tmp_path / "run", faults=FAULTS * 3)
    assert [(answer.id, answer.answer) for answer in answers] == [(problem.name, "8") for problem in PROBLEMS]
    assert sum(answer.failures.get("reasoner_retried", 0) for answer in answers) >= len(FAULTS)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["failures"]["reasoner_retried"] == report["models"]["openai_api:toy"]["num_retries"]


def test_endpoint_that_never_recovers_fails_each_problem_with_its_reason(
    endpoint: FaultyEndpoint, tmp_path: Path
) -> None:
    answers = solve(endpoint, tmp_path / "run", faults=[], always=Fault(503, f"no room for {KEY}".encode(), SOON))
    assert [answer.status for answer in answers] == ["failed"] * len(PROBLEMS)
    assert all("503" in (answer.error or "") for answer in answers)


def test_key_stands_nowhere_in_the_runs_folder(endpoint: FaultyEndpoint, tmp_path: Path) -> None:
    solve(endpoint, tmp_path / "run", faults=[Fault(400, f"bad key {KEY}".encode())] * 4)
    found = [path.name for path in (tmp_path / "run").rglob("*") if KEY.encode() in path.read_bytes()]
    assert found == []


def billed(num_generated: int) -> Fault:
    """Return an answer that cannot be read and names its tokens."""
    usage = {"prompt_tokens": 50, "completion_tokens": num_generated}
    return Fault(body=json.dumps({"choices": [], "usage": usage}).encode())


def test_models_spend_what_the_problems_cost(endpoint: FaultyEndpoint, tmp_path: Path) -> None:
    faults = [billed(9), *FAULTS, *[billed(7)] * 5, Fault(400, b'{"error": {"message": "no"}}'), billed(5)]
    answers = solve(endpoint, tmp_path / "run", faults=faults)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    model = report["models"]["openai_api:toy"]
    assert model["num_requests"] == len(endpoint.bodies) - num_probed(endpoint)
    names = {"num_tokens": "generated_tokens", "prompt_tokens": "prompt_tokens", "cached_tokens": "cached_tokens"}
    for name, of_model in {**names, "num_requests": "num_requests"}.items():
        assert sum(getattr(answer, name) for answer in answers) == report[name] == model[of_model]
    assert report["failures"]["reasoner_retried"] == model["num_retries"] >= len(FAULTS)
    assert report["failures"]["reasoner_error"] == model["num_failed"] >= 1


def num_probed(endpoint: FaultyEndpoint) -> int:
    """Return the requests that found out the endpoint's capabilities; no problem asked for them."""
    return sum("kind" not in json.dumps(body["messages"]) for body in endpoint.bodies)


def test_failed_requests_that_were_billed_end_a_run_of_few_tokens(endpoint: FaultyEndpoint, tmp_path: Path) -> None:
    overrides = ["run.max_tokens=2000", "run.problems_in_flight=1"]
    answers = solve(endpoint, tmp_path / "run", faults=[billed(1500)] * 2, overrides=overrides)
    assert [answer.status for answer in answers] == ["answered", *["failed"] * (len(PROBLEMS) - 1)]
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["cut_by"] == "run_tokens"


@pytest.mark.parametrize("preset", ["greedy", "majority", "beam"])
@pytest.mark.parametrize("thoughts", ["apart", "in_text", "opened", "hidden"])
def test_answer_is_never_read_from_a_thought(
    endpoint: FaultyEndpoint, tmp_path: Path, thoughts: str, preset: str
) -> None:
    endpoint.abilities = Abilities(thoughts=thoughts)
    endpoint.thought = "Step 1: they may be 3\nanswer: 3\nso the answer is 3"
    overrides = ["evaluator.kind=none", "decision.rule=majority"] if preset == "beam" else []
    answers = solve(endpoint, tmp_path / "run", faults=[], preset=preset, overrides=overrides)
    assert [answer.answer for answer in answers] == ["8"] * len(PROBLEMS)
    assert "may be 3" not in "".join(step for answer in answers for step in answer.steps)
