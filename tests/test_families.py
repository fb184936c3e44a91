"""Every preset on a model that thinks and on a plain one: nothing is read from a thought."""

import gc
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.config.engine import load_config
from critic_engine.config.files import presets
from critic_engine.engine import Engine
from critic_engine.models.registry import ModelMakers
from critic_engine.models.shared_models import SharedModels
from critic_engine.roles.checker import Checker
from critic_engine.types import Problem
from tests.backends.families import FAMILIES, save_chain

THOUGHT = ("\nanswer: 99\n", "Verdict: wrong\n", "First wrong step: 1\n")
TEXT = ("I count.\n", "Verdict:", " right\n", "First wrong step: none\n", "answer: 7")
CHAINS = {
    "qwen3": ("<think>", *THOUGHT, "</think>", "\n\n", *TEXT),
    "special_tags": ("<think>", *THOUGHT, "</think>", *TEXT),
    "gemma": TEXT,
    "gpt_oss": (
        *("<|channel|>", "analysis", "<|message|>", *THOUGHT, "<|end|>", "<|start|>", "assistant"),
        *("<|channel|>", "final", "<|message|>", *TEXT),
    ),
    "llama": TEXT,
    "mistral": ("[THINK]", *THOUGHT, "[/THINK]", *TEXT),
    "plain_tags": (*THOUGHT, "</think>", "\n\n", *TEXT),
    "r1": (*THOUGHT, "</think>", "\n\n", *TEXT),
}
ROLES = ("reasoner", "critic", "reward_model")
OnVllm: TypeAlias = tuple[Sequence[str], SharedModels]
"""Overrides that name a model on vLLM, and the models that are loaded once for all presets."""
QUESTION = "There are 3 red circles and 4 blue circles. How many circles are there?"


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that thinks of 99 and says 7."""
    folder = tmp_path_factory.mktemp("chains") / request.param
    return save_chain(folder, FAMILIES[request.param], CHAINS[request.param], switch=THOUGHT[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "preset"),
    [
        *itertools.product(["gpt_oss", "special_tags"], sorted(presets())),
        *itertools.product(["gemma", "llama", "mistral", "plain_tags", "qwen3", "r1"], ["best_of_n", "guided", "mmc"]),
    ],
    indirect=["folder"],
)
def test_preset_reads_nothing_from_a_thought(folder: Path, preset: str) -> None:
    assert_only_the_text_is_read(preset, models(folder))


@pytest.fixture(scope="module", params=["qwen3"])
def on_vllm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnVllm]:
    folder = tmp_path_factory.mktemp("vllm") / request.param
    save_chain(folder, FAMILIES[request.param], CHAINS[request.param], switch=THOUGHT[-1])
    arguments = "vllm.engine_args={max_model_len: 2048, enforce_eager: true}"
    settings = [f"{role}.{each}" for role in ROLES for each in ("backend=vllm", arguments)]
    with SharedModels(ModelMakers(make_generator, make_scorer)) as shared:
        yield [*models(folder), *settings], shared
    # What vLLM leaves open is found while its warnings are let pass.
    gc.collect()


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("preset", sorted(presets()))
def test_preset_on_vllm_reads_nothing_from_a_thought(on_vllm: OnVllm, preset: str) -> None:
    overrides, shared = on_vllm
    assert_only_the_text_is_read(preset, overrides, shared=shared)


def models(folder: Path) -> list[str]:
    return [f"{role}.model={folder}" for role in ROLES]


def assert_only_the_text_is_read(preset: str, overrides: Sequence[str], *, shared: SharedModels | None = None) -> None:
    config = load_config(preset, [*overrides, "budget.max_tokens=600"])
    problem, checker = Problem(QUESTION), Checker()
    checker.add(problem.problem_id, ("7",))
    seen: list[str] = []
    with Engine(config, checker=checker if config.needs_reference else None, shared=shared) as engine:
        answer = engine.solve(problem, on_event=lambda event: seen.append(repr(event)))
    assert answer.answer == "7", answer
    assert not any("99" in step for step in answer.steps)
    assert not any("verdict='wrong'" in event for event in seen)


def test_a_thinking_model_answers_step_by_step(tmp_path: Path) -> None:
    folder = save_chain(tmp_path / "tiny", FAMILIES["qwen3"], CHAINS["qwen3"])
    with Engine("mcts", overrides=[*models(folder), "budget.max_tokens=300"]) as engine:
        answer = engine.solve(Problem(QUESTION))
    assert (answer.answer, answer.error) == ("7", None)
    assert answer.value is not None
    assert answer.value > 0.5
