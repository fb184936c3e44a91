"""The pocket pair in vLLM engines inside Ray actors, from the command line."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from critic_engine.actors.actor_pool import ActorPool, image_sender
from critic_engine.actors.cluster import Cluster
from critic_engine.backends.factory import make_generator_replica
from critic_engine.config.models import ModelConfig
from critic_engine.pocket.problems import write_problems
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Message, SamplingOptions

pytestmark = [pytest.mark.ray, pytest.mark.vllm]

NUM_PROBLEMS = 16


def solve(problems: Path, run: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "critic_engine", "solve", str(problems), "--run", str(run), *options]
    subprocess.run(command, check=True, timeout=500, capture_output=True)
    return [json.loads(line) for line in (run / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_greedy_critic_v_says_what_it_says_in_transformers(tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    write_problems(problems, split="test", num=NUM_PROBLEMS, seed=3)
    method = ["--config", "critic_v", "--set", "reasoner.temperature=0"]
    here = solve(problems, tmp_path / "here", *method)
    there = solve(problems, tmp_path / "there", *method, "--backend", "vllm", "--ray", "local")
    # Rounding may tip a near tie.
    assert sum(one["steps"] == other["steps"] for one, other in zip(here, there, strict=True)) >= NUM_PROBLEMS - 1
    models = json.loads((tmp_path / "there" / "report.json").read_text(encoding="utf-8"))["models"]
    assert sorted(models) == ["vllm:pocket-critic", "vllm:pocket-reasoner"]
    assert all(figures["num_failed"] == 0 for figures in models.values())
    assert models["vllm:pocket-critic"]["cached_tokens"] > 0


def test_engine_that_is_killed_in_its_actor_is_started_again_there(cluster: Cluster) -> None:
    config = ModelConfig(backend="vllm")
    request = GenerationRequest(
        (Message("user", "how many red circles are there ?"),),
        sampling=SamplingOptions(max_tokens=300, temperature=2.0),
        seeds=(0, 1),
    )

    async def scenario() -> None:
        make = functools.partial(make_generator_replica, config, "reasoner")
        pool = ActorPool(make, config.actor, num_gpus=0, name="m", cluster=cluster, images=image_sender())
        await pool.load()
        hosts = processes("ray::ModelHost")
        calls = [asyncio.create_task(pool.call(request)) for _ in range(12)]
        await asyncio.sleep(0.05)
        (engine,) = processes("VLLM::EngineCore")
        os.kill(engine, signal.SIGKILL)
        answers = await asyncio.gather(*calls)
        assert [len(generation.samples) for generation, _ in answers] == [2] * 12
        assert sum(num_retries for _, num_retries in answers) > 0
        assert processes("ray::ModelHost") == hosts
        assert processes("VLLM::EngineCore") != [engine]
        await pool.aclose()

    asyncio.run(asyncio.wait_for(scenario(), 240))


def processes(title: str) -> list[int]:
    """Return the processes of that title below this one."""
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(title):
                found.append(process.pid)
    return found
