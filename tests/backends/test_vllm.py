"""vLLM's engine answers as the transformers backend does, repeats its draws, and comes back when it dies."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from critic_engine.backends.huggingface.checkpoint import CheckpointOptions, load_checkpoint, pocket_folder
from critic_engine.backends.huggingface.generator import BatchGenerator, HuggingFaceGenerator
from critic_engine.backends.vllm.generator import VllmGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.pocket.problems import make_problems
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import Image, Message, SamplingOptions

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

NUM_PARITY = 24
_T = TypeVar("_T")
Run = Callable[[Coroutine[Any, Any, _T]], _T]


def vllm_generator(folder: Path, **engine_args: object) -> VllmGenerator:
    config = ModelConfig.model_validate({"backend": "vllm", "vllm": {"engine_args": engine_args}})
    return VllmGenerator(config, section="reasoner", model=str(folder))


def huggingface_generator(folder: Path) -> HuggingFaceGenerator:
    options = CheckpointOptions(str(folder), device="cpu")
    return HuggingFaceGenerator(lambda: BatchGenerator(load_checkpoint(options)), name="local", max_batch_size=64)


def processes() -> list[int]:
    """Return the processes below this one that work for an engine."""
    import psutil

    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended meanwhile, or that nobody has waited for
            if "resource_tracker" not in " ".join(one.cmdline()):
                found.append(one.pid)
    return found


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """What vLLM leaves open is found while its warnings are let pass."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def run() -> Iterator[Run[Any]]:
    """Run a coroutine to its end in one event loop, that of the engine."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def vllm(run: Run[Any]) -> Iterator[VllmGenerator]:
    """The pocket reasoner in an engine that takes two images."""
    generator = vllm_generator(pocket_folder("reasoner"), limit_mm_per_prompt={"image": 2})
    run(generator.load())
    yield generator
    run(generator.aclose())
    assert processes() == []


@pytest.fixture(scope="module")
def huggingface(run: Run[Any]) -> Iterator[HuggingFaceGenerator]:
    """The pocket reasoner in transformers."""
    generator = huggingface_generator(pocket_folder("reasoner"))
    yield generator
    run(generator.aclose())


@pytest.fixture(scope="module")
def wide_folder(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights, whose heads are as wide as vLLM's CPU engine needs them."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "wide-llama"
    torch.manual_seed(2)
    LlamaForCausalLM(AutoConfig.from_pretrained(text_folder, head_dim=32)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(text_folder).save_pretrained(folder)
    return folder


def pocket_requests(
    num: int, *, prefixes: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,), **sampling: Any
) -> list[GenerationRequest]:
    requests = []
    for place, problem in enumerate(make_problems("test", num, 0)):
        message = Message("user", f"solve : {problem.question}", (Image(problem.png(), "image/png", 48, 48),))
        prefix = prefixes[place] if prefixes else ""
        options = SamplingOptions(**{"max_tokens": 100, **sampling})
        requests.append(GenerationRequest((message,), prefix=prefix, sampling=options, seeds=seeds))
    return requests


async def has_work(generator: VllmGenerator) -> bool:
    """Return whether the engine's scheduler holds any request."""
    return bool(await generator.replica.llm.engine_core.call_utility_async("has_work"))


def samples(run: Run[Any], generator: Any, requests: list[GenerationRequest]) -> list[Sample]:
    async def ask() -> list[Generation]:
        return await asyncio.gather(*map(generator.generate, requests))

    return [sample for generation in run(ask()) for sample in generation.samples]


def assert_equal(found: list[Sample], wanted: list[Sample]) -> None:
    """Compare all but rounding, which may tip a greedy choice between equals in one text of a hundred."""
    pairs = [(one, other) for one, other in zip(found, wanted, strict=True) if one.text == other.text]
    assert len(pairs) >= 0.98 * len(wanted)
    for one, other in pairs:
        assert (one.num_tokens, one.finish_reason, one.stop) == (other.num_tokens, other.finish_reason, other.stop)
        assert [token.text for token in one.tokens or ()] == [token.text for token in other.tokens or ()]
        assert [token.logprob for token in one.tokens or ()] == pytest.approx(
            [token.logprob for token in other.tokens or ()], abs=1e-3
        )


def test_whole_solutions_are_those_of_the_transformers_backend(
    run: Run[Any], vllm: VllmGenerator, huggingface: HuggingFaceGenerator
) -> None:
    requests = pocket_requests(NUM_PARITY, num_top_logprobs=0)
    assert_equal(samples(run, vllm, requests), samples(run, huggingface, requests))


def test_steps_are_those_of_the_transformers_backend(
    run: Run[Any], vllm: VllmGenerator, huggingface: HuggingFaceGenerator
) -> None:
    prefixes = ("",) * NUM_PARITY
    for _ in range(6):
        requests = pocket_requests(NUM_PARITY, prefixes=prefixes, stop=("\n",), num_top_logprobs=0)
        found, wanted = samples(run, vllm, requests), samples(run, huggingface, requests)
        assert_equal(found, wanted)
        assert {sample.stop for sample in found} <= {"\n", None}
        prefixes = tuple(
            prefix + sample.text + (sample.stop or "") for prefix, sample in zip(prefixes, wanted, strict=True)
        )


def test_likeliest_tokens_are_those_of_the_transformers_backend_at_any_temperature(
    run: Run[Any], vllm: VllmGenerator, huggingface: HuggingFaceGenerator
) -> None:
    requests = pocket_requests(4, num_top_logprobs=5, max_tokens=1)
    hot = pocket_requests(4, num_top_logprobs=5, max_tokens=1, temperature=2.0, top_p=0.5)
    for found, heated, wanted in zip(
        samples(run, vllm, requests), samples(run, vllm, hot), samples(run, huggingface, requests), strict=True
    ):
        assert found.tokens
        assert heated.tokens
        assert wanted.tokens
        assert found.tokens[0].text == wanted.tokens[0].text
        assert [text for text, _ in found.tokens[0].top[:2]] == [text for text, _ in wanted.tokens[0].top[:2]]
        likeliest = pytest.approx([logprob for _, logprob in wanted.tokens[0].top], abs=1e-3)
        assert [logprob for _, logprob in found.tokens[0].top] == likeliest
        assert [logprob for _, logprob in heated.tokens[0].top] == likeliest


@pytest.mark.parametrize("stop", [("red sq",), ("\nrow", "row 2"), ("e b", "blue circle b"), ("\n", "circle\n")])
def test_stop_strings_cut_where_the_transformers_backend_cuts(
    run: Run[Any], vllm: VllmGenerator, huggingface: HuggingFaceGenerator, stop: tuple[str, ...]
) -> None:
    requests = pocket_requests(8, stop=stop, num_top_logprobs=0)
    found = samples(run, vllm, requests)
    assert any(sample.stop for sample in found)
    assert_equal(found, samples(run, huggingface, requests))


def test_draws_repeat_with_their_seed_whatever_their_company(run: Run[Any], vllm: VllmGenerator) -> None:
    together = samples(run, vllm, pocket_requests(6, seeds=(1, 2, 2**63 - 1), temperature=1.5))
    alone = [pocket_requests(6, seeds=(seed,), temperature=1.5) for seed in (1, 2, 2**63 - 1)]
    apart = [samples(run, vllm, [request])[0] for requests in zip(*alone, strict=True) for request in requests]
    assert [sample.text for sample in together] == [sample.text for sample in apart]
    assert len({sample.text for sample in together}) > 12


def test_repeated_prompts_are_found_in_the_cache(run: Run[Any], vllm: VllmGenerator) -> None:
    # Longer than a block of the cache.
    prefixes = ("row 1 : a1 blue circle b1 red circle c1 blue circle\n" * 3,) * 4
    requests = pocket_requests(4, prefixes=prefixes, seeds=(0, 1, 2), max_tokens=5)
    first, again = (run(vllm.generate(requests[0])) for _ in range(2))
    assert first.usage.cached_tokens < again.usage.cached_tokens <= again.usage.prompt_tokens
    assert again.usage.prompt_tokens == first.usage.prompt_tokens < 200
    assert again.usage.generated_tokens == sum(sample.num_tokens for sample in again.samples)


def test_engine_opens_no_port_in_this_process(vllm: VllmGenerator) -> None:
    import psutil

    assert [one for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN] == []


def refusal(run: Run[Any], generator: VllmGenerator, request: GenerationRequest) -> GenerationError:
    with pytest.raises(GenerationError) as caught:
        run(generator.generate(request))
    assert not caught.value.is_retryable
    return caught.value


def test_what_the_model_cannot_read_is_refused_before_the_engine_sees_it(
    run: Run[Any], vllm: VllmGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(vllm.replica.llm), "generate")
    (request,) = pocket_requests(1)
    (picture,) = request.messages[0].images
    long = refusal(run, vllm, GenerationRequest(request.messages, prefix="red circle " * 300))
    assert isinstance(long, ContextOverflowError)
    assert (long.num_prompt_tokens > 600, long.max_context_tokens) == (True, 512)
    assert "holds <eos>" in str(refusal(run, vllm, GenerationRequest((Message("user", "how many <eos> ?"),))))
    crowd = GenerationRequest((Message("user", "how many ?", (picture,) * 3),))
    assert "has 3 images, and the engine takes 2" in str(refusal(run, vllm, crowd))
    broken = GenerationRequest((Message("user", "how many ?", (Image(b"no image", "image/png", 9, 9),)),))
    assert "cannot be encoded" in str(refusal(run, vllm, broken))


@pytest.mark.parametrize(("option", "value"), [("num_top_logprobs", 21), ("temperature", 2.5)])
def test_what_vllm_does_not_draw_is_refused(run: Run[Any], vllm: VllmGenerator, option: str, value: float) -> None:
    (request,) = pocket_requests(1, **{option: value})
    assert "vLLM refuses the request" in str(refusal(run, vllm, request))


def test_samples_end_where_the_context_ends(run: Run[Any], vllm: VllmGenerator) -> None:
    (request,) = pocket_requests(1, prefixes=("red circle " * 242,), max_tokens=5000, num_top_logprobs=0)
    generation = run(vllm.generate(request))
    (sample,) = generation.samples
    assert sample.finish_reason == "length", (generation.usage, sample)
    assert generation.usage.prompt_tokens + sample.num_tokens == 512


def test_image_that_the_engine_has_forgotten_is_sent_again(run: Run[Any], vllm: VllmGenerator) -> None:
    (request,) = pocket_requests(1, max_tokens=8)

    async def forget() -> Generation:
        await vllm.generate(request)
        await vllm.replica.llm.engine_core.reset_mm_cache_async()
        return await vllm.generate(request)

    generation = run(forget())
    assert generation.usage.num_retries == 1
    assert generation.samples == run(vllm.generate(request)).samples


def test_cancelled_request_leaves_the_engine(run: Run[Any], vllm: VllmGenerator) -> None:
    (request,) = pocket_requests(1, max_tokens=400, temperature=2.0, seeds=tuple(range(64)))

    async def cancel() -> None:
        task = asyncio.create_task(vllm.generate(request))
        while not await has_work(vllm):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await vllm.generate(pocket_requests(1, max_tokens=20)[0])

    run(cancel())
    assert not run(has_work(vllm))


def test_requests_are_answered_though_the_engine_is_killed(run: Run[Any], vllm: VllmGenerator) -> None:
    requests = pocket_requests(12, seeds=(0, 1), max_tokens=300, temperature=2.0)

    async def kill() -> list[Generation]:
        tasks = [asyncio.create_task(vllm.generate(request)) for request in requests]
        while not await has_work(vllm):
            await asyncio.sleep(0.005)
        (core,) = vllm.replica.llm.engine_core.resources.engine_manager.processes
        os.kill(core.pid, signal.SIGKILL)
        return await asyncio.gather(*tasks)

    generations = run(kill())
    assert [len(generation.samples) for generation in generations] == [2] * 12
    assert sum(generation.usage.num_retries for generation in generations) >= 6
    assert len(processes()) == 2


def test_seeds_are_left_out_where_they_would_kill_the_engine(
    run: Run[Any], wide_folder: Path, ask: Callable[..., GenerationRequest], caplog: pytest.LogCaptureFixture
) -> None:
    generator = vllm_generator(wide_folder, max_num_batched_tokens=32, max_num_seqs=32, enable_chunked_prefill=True)
    requests = [ask(f"{number} " + "what is red? " * 8, seeds=(1, 2), temperature=1.0) for number in range(8)]
    with caplog.at_level(logging.WARNING):
        found = samples(run, generator, requests)
    run(generator.aclose())
    assert len(found) == 16
    assert caplog.text.count("draws do not repeat") == 1


def test_text_model_answers_as_the_transformers_backend_does(
    run: Run[Any], wide_folder: Path, ask: Callable[..., GenerationRequest], make_image: Callable[[int], Image]
) -> None:
    generator, other = vllm_generator(wide_folder), huggingface_generator(wide_folder)
    prefixes = ("", "first\n\n", "so", " ")
    requests = [ask(f"what is {number}?", prefix=prefixes[number % 4], num_top_logprobs=2) for number in range(16)]
    try:
        assert_equal(samples(run, generator, requests), samples(run, other, requests))
        assert "reads text only" in str(refusal(run, generator, ask(images=(make_image(1),))))
    finally:
        run(generator.aclose())
        run(other.aclose())


@pytest.mark.parametrize(
    ("engine_args", "reason"),
    [({"max_model_len": -3}, "max_model_len"), ({"block_size": "many"}, "block_size")],
)
def test_value_that_vllm_refuses_is_told_in_one_line(
    run: Run[Any], engine_args: dict[str, object], reason: str
) -> None:
    generator = vllm_generator(pocket_folder("reasoner"), **engine_args)
    with pytest.raises(ModelLoadError, match=reason) as caught:
        run(generator.load())
    assert "\n" not in str(caught.value)
    run(generator.aclose())


def test_engine_that_is_closed_prints_nothing(run: Run[Any], capfd: pytest.CaptureFixture[str]) -> None:
    generator = vllm_generator(pocket_folder("reasoner"))
    samples(run, generator, pocket_requests(1, max_tokens=3))
    capfd.readouterr()
    run(generator.aclose())
    assert capfd.readouterr().out == ""


def test_folder_that_is_no_model_is_refused(run: Run[Any], tmp_path: Path) -> None:
    generator = vllm_generator(tmp_path)
    with pytest.raises(ModelLoadError, match=r"no config\.json"):
        run(generator.load())
    run(generator.aclose())
