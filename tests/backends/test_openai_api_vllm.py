"""The generator over an endpoint against vLLM's own server with the shipped reasoner."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from critic_engine.backends.factory import make_generator
from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.backends.huggingface.generator import HuggingFaceGenerator
from critic_engine.backends.openai_api.capabilities import EndpointCapabilities
from critic_engine.backends.openai_api.generator import OpenAiGenerator
from critic_engine.config.models import EndpointConfig, ModelConfig
from critic_engine.errors import ContextOverflowError
from critic_engine.images.loading import load_image
from critic_engine.pocket.problems import make_problems
from critic_engine.protocols import Generation, GenerationRequest, Generator, Sample
from critic_engine.types import Message, SamplingOptions, TokenUsage

pytestmark = [pytest.mark.vllm, pytest.mark.openai_api]

MAX_START_S = 300
NUM_PROBLEMS = 6
MAX_STEPS = 20


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where vLLM's server answers for the model ``pocket``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(pocket_folder("reasoner")), "--served-model-name", "pocket", "--dtype", "float32"]
    command += ["--block-size", "32", "--max-logprobs", "20", "--enable-prompt-tokens-details", "--enforce-eager"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait(health: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + MAX_START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None, log.read_text(errors="replace")[-4000:]
            time.sleep(0.5)
    pytest.fail(log.read_text(errors="replace")[-4000:])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def over_endpoint(url: str, *requests: GenerationRequest) -> list[Generation | BaseException]:
    async def run() -> list[Generation | BaseException]:
        generator = OpenAiGenerator("pocket", EndpointConfig(base_url=url))
        try:
            return await asyncio.gather(*map(generator.generate, requests), return_exceptions=True)
        finally:
            await generator.aclose()

    return asyncio.run(run())


def solve_request(number: int, **sampling: object) -> GenerationRequest:
    problem = make_problems("dev", number + 1, 0)[number]
    message = Message("user", problem.question, (load_image(problem.png()),))
    return GenerationRequest((message,), sampling=SamplingOptions(**sampling))  # type: ignore[arg-type]


async def step_by_step(generator: Generator, number: int) -> tuple[list[str], list[float], TokenUsage]:
    """Return the greedy steps of a problem, the log-probabilities of all tokens, and what it cost."""
    request = solve_request(number, stop=("\n",), num_top_logprobs=3, max_tokens=64)
    prefix, steps, logprobs, usage = "", [], [], TokenUsage()
    for _ in range(MAX_STEPS):
        generation = await generator.generate(GenerationRequest(request.messages, prefix, request.sampling))
        (sample,), usage = generation.samples, usage + generation.usage
        steps.append(sample.text)
        logprobs += [token.logprob for token in sample.tokens or ()]
        if sample.stop is None:
            return steps, logprobs, usage
        prefix += f"{sample.text}\n"
    raise AssertionError(f"the turn does not end: {steps}")


def test_probe_finds_what_vllms_server_can_do(url: str) -> None:
    async def run() -> EndpointCapabilities:
        generator = OpenAiGenerator("pocket", EndpointConfig(base_url=url))
        try:
            return await generator.describe()
        finally:
            await generator.aclose()

    assert asyncio.run(run()) == EndpointCapabilities(
        has_images=True,
        has_logprobs=True,
        max_top_logprobs=20,
        has_n=True,
        has_seed=True,
        max_stop_strings=4,
        has_stop_reason=True,
        has_continuation=True,
        is_white_space_kept=True,
        max_context_tokens=512,
        is_thought_kept=True,
        has_max_tokens=True,
    )


def test_steps_through_the_endpoint_are_those_of_the_model_itself(url: str) -> None:
    async def run() -> None:
        remote = OpenAiGenerator("pocket", EndpointConfig(base_url=url))
        local = make_generator(ModelConfig(device="cpu"), "reasoner")
        assert isinstance(local, HuggingFaceGenerator)
        try:
            for number in range(NUM_PROBLEMS):
                steps, logprobs, usage = await step_by_step(remote, number)
                expected_steps, expected_logprobs, expected_usage = await step_by_step(local, number)
                # vLLM's server puts a blank before a text's first word where the tokenizer's pieces are whole words.
                assert [step.removeprefix(" ") for step in steps] == expected_steps
                assert logprobs == pytest.approx(expected_logprobs, abs=1e-3)
                assert usage.prompt_tokens == expected_usage.prompt_tokens
                assert usage.generated_tokens == expected_usage.generated_tokens
        finally:
            await remote.aclose()
            await local.aclose()

    asyncio.run(run())


def test_seed_draws_the_same_sample_again(url: str) -> None:
    request = solve_request(0, temperature=1.0, num_top_logprobs=0)
    seeded = GenerationRequest(request.messages, "", request.sampling, seeds=(11, 12, 13, 11))
    (generation,) = over_endpoint(url, seeded)
    assert isinstance(generation, Generation), generation
    first, second, _, again = generation.samples
    assert first == again
    assert _drawn(first) != _drawn(second)


def _drawn(sample: Sample) -> list[float]:
    return [token.logprob for token in sample.tokens or ()]


def test_prompt_beyond_the_context_is_told_apart(url: str) -> None:
    (error,) = over_endpoint(url, GenerationRequest((Message("user", "how many " * 600),)))
    assert isinstance(error, ContextOverflowError)
    assert error.max_context_tokens == 512
