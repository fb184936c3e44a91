import asyncio
import base64
import io
import json
import logging
import math
import socket
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from critic_engine.backends.openai_api.client import RetryLimits
from critic_engine.backends.openai_api.generator import OpenAiGenerator
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.types import Image, Message, SamplingOptions, TokenUsage
from tests.backends.endpoint_faults import PLAIN, POOR, SOLUTION, Abilities, Fault, FaultyEndpoint

pytestmark = pytest.mark.openai_api

KEY = "secret-key-of-nobody"
SHORT = {"model": "toy", "messages": [{"role": "user", "content": "x"}], "max_tokens": 4}
SOON = {"retry-after": "0.01"}
Ask = Callable[..., GenerationRequest]
Open = Callable[..., FaultyEndpoint]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def endpoint() -> Iterator[Open]:
    """From abilities to an endpoint that has them."""
    with ExitStack() as stack:
        yield lambda abilities=Abilities(), **options: stack.enter_context(  # noqa: B008
            FaultyEndpoint(abilities, **options).serving()
        )


def use(server: FaultyEndpoint, work: Callable[[OpenAiGenerator], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Return what ``work`` makes of a loaded generator, or the error it ends with."""

    async def run() -> Any:
        generator = OpenAiGenerator("toy", EndpointConfig(base_url=server.url, **options))
        try:
            await generator.load()
            return await work(generator)
        except GenerationError as error:
            return error
        finally:
            await generator.aclose()

    return asyncio.run(run())


def answer(
    server: FaultyEndpoint, *requests: GenerationRequest, faults: list[Fault] | None = None, **options: Any
) -> Any:
    """Return the generation of one request, or a list of them, with ``faults`` in the way."""

    async def work(generator: OpenAiGenerator) -> Any:
        server.forget()
        server.faults.extend(faults or ())
        generations = await asyncio.gather(*map(generator.generate, requests))
        return generations[0] if len(requests) == 1 else generations

    return use(server, work, **options)


def load_failure(model: str, **options: Any) -> ModelLoadError:
    async def run() -> None:
        generator = OpenAiGenerator(model, EndpointConfig(**options))
        try:
            await generator.load()
        finally:
            await generator.aclose()

    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(run())
    return caught.value


def everything_in(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_probe_finds_all_that_an_able_endpoint_can_do(endpoint: Open) -> None:
    able = Abilities(thoughts="apart")
    capabilities = use(endpoint(able), lambda generator: generator.describe())
    assert all(is_there for _, is_there, _ in capabilities.rows())
    assert capabilities.max_context_tokens == 200


def test_probe_takes_what_a_poor_endpoint_refuses_as_absent(endpoint: Open) -> None:
    server = endpoint(POOR)
    server.models = ["toy"]
    capabilities = use(server, lambda generator: generator.describe())
    assert {name for name, is_there, _ in capabilities.rows() if is_there} == {"length of the context"}
    assert (capabilities.max_stop_strings, capabilities.max_top_logprobs) == (0, 0)
    assert not capabilities.has_max_tokens


def test_probe_finds_the_highest_numbers_a_plain_endpoint_accepts(endpoint: Open) -> None:
    capabilities = use(endpoint(PLAIN), lambda generator: generator.describe())
    assert (capabilities.max_top_logprobs, capabilities.max_stop_strings) == (5, 4)
    assert (capabilities.has_stop_reason, capabilities.has_continuation) == (False, False)
    assert capabilities.has_images
    assert capabilities.has_n


def test_probe_is_not_deceived_by_an_endpoint_that_ignores_what_it_does_not_know(endpoint: Open) -> None:
    deaf = replace(POOR, images=True, sight=False, ignores_unknown=True, stops=4, limit="max_tokens")
    capabilities = use(endpoint(deaf), lambda generator: generator.describe())
    assert (capabilities.has_n, capabilities.has_logprobs, capabilities.has_continuation) == (False, False, False)
    assert not capabilities.has_images


def test_requests_that_arrive_together_wait_for_one_probe(endpoint: Open, ask: Ask) -> None:
    server = endpoint()

    async def run() -> list[Generation]:
        generator = OpenAiGenerator("toy", EndpointConfig(base_url=server.url))
        try:
            return await asyncio.gather(*(generator.generate(ask(max_tokens=30)) for _ in range(9)))
        finally:
            await generator.aclose()

    generations = asyncio.run(run())
    assert {generation.samples[0].text for generation in generations} == {SOLUTION}
    assert sum("seed" in body and body["seed"] == 0 for body in server.bodies) == 9
    assert len(server.bodies) < 9 + 20


def test_failed_probe_is_tried_again_by_the_next_request(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    server.faults.append(Fault(403, b'{"error": {"message": "not yet"}}'))

    async def run() -> Generation:
        generator = OpenAiGenerator("toy", EndpointConfig(base_url=server.url))
        try:
            with pytest.raises(ModelLoadError, match="not yet"):
                await generator.generate(ask())
            return await generator.generate(ask(max_tokens=30))
        finally:
            await generator.aclose()

    assert asyncio.run(run()).samples[0].text == SOLUTION


def test_unknown_model_is_refused_with_ten_names_of_known_ones(endpoint: Open) -> None:
    error = load_failure("nothing", base_url=endpoint().url)
    assert "'toy', 'other-0'" in str(error)
    assert "'other-8'" in str(error)
    assert "other-9" not in str(error)


def test_wrong_key_is_refused_by_its_variable_and_never_shown(endpoint: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    error = load_failure("toy", base_url=endpoint(key="another").url, api_key_variable="MY_KEY")
    assert "HTTP 401" in str(error)
    assert "MY_KEY" in str(error)
    assert KEY not in everything_in(error)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": f"{'x' * 290} {KEY}", "code": KEY}}).encode(),
        f"<html>{KEY}</html>".encode(),
        json.dumps({"choices": [{"message": {"content": "a"}, "finish_reason": f"{'x' * 70}{KEY}"}]}).encode(),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_key_that_the_endpoint_echoes_is_never_shown(
    endpoint: Open, ask: Ask, caplog: pytest.LogCaptureFixture, body: bytes, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    server = endpoint()
    error = answer(server, ask(), faults=[Fault(status, body, SOON)] * 2, max_retries=1)
    assert isinstance(error, GenerationError)
    shown = everything_in(error) + caplog.text
    assert KEY[:10] not in shown


def test_key_written_into_the_address_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://me:{KEY}@127.0.0.1/v1"
    with pytest.raises(ValueError, match="from the environment") as refused:
        EndpointConfig(base_url=url)
    assert KEY not in str(refused.value)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ModelLoadError, match="OPENAI_API_KEY") as caught:
        OpenAiGenerator("toy", EndpointConfig())
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
def test_endpoint_that_is_too_busy_to_be_asked_what_it_can_do_is_not_taken_for_a_poor_one(
    endpoint: Open, status: int
) -> None:
    server = endpoint()
    server.faults.append(Fault(body=json.dumps(server.complete(SHORT)).encode()))
    server.constant_fault = Fault(status, b"busy", SOON)
    failure = use(server, lambda generator: generator.describe(), max_retries=1)
    assert isinstance(failure, ModelLoadError)
    assert str(status) in str(failure)


def test_endpoint_that_bills_nothing_for_what_it_writes_is_refused(endpoint: Open) -> None:
    server = endpoint()
    reply = server.complete(SHORT)
    reply["usage"] = {"prompt_tokens": 0, "completion_tokens": 0}
    server.constant_fault = Fault(body=json.dumps(reply).encode())
    failure = use(server, lambda generator: generator.describe(), max_retries=0)
    assert isinstance(failure, ModelLoadError)
    assert "budget" in str(failure)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://h:99999999", "http://h/v1?a=b"]
)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ModelLoadError, match="base_url"):
        OpenAiGenerator("toy", EndpointConfig(base_url=url))


def test_missing_key_for_openai_itself_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY" in str(load_failure("toy"))


def test_endpoint_of_ones_own_needs_no_key(endpoint: Open, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert answer(endpoint(key="none"), ask()).samples


def test_key_that_cannot_be_sent_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Other: ü")
    error = load_failure("toy", base_url="http://127.0.0.1:1/v1")
    assert "OPENAI_API_KEY" in str(error)
    assert KEY not in everything_in(error)


def test_endpoint_that_cannot_be_reached_is_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    assert url in str(load_failure("toy", base_url=url, max_retries=0))


def test_endpoint_that_reports_no_usage_is_refused(endpoint: Open) -> None:
    assert "usage" in str(load_failure("toy", base_url=endpoint(replace(PLAIN, usage=False)).url))


def test_seeds_are_sent_one_a_request_and_samples_keep_their_order(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    generation = answer(server, ask(seeds=(5, 3, 2**63 - 1)))
    assert sorted(body["seed"] for body in server.bodies) == [3, 5, 2**63 - 1]
    assert len(generation.samples) == 3
    num_prompt_tokens = 5
    assert generation.usage == TokenUsage(3 * num_prompt_tokens, 3 * 12, 3 * 3, num_requests=3)


def test_without_seeds_one_request_brings_all_samples(endpoint: Open, ask: Ask) -> None:
    server = endpoint(replace(PLAIN, seed=False))
    generation = answer(server, ask(seeds=(1, 2, 3), temperature=0.7, max_tokens=30))
    (body,) = server.bodies
    assert (body["n"], "seed" in body) == (3, False)
    num_tokens = SOLUTION.count("\n") * 2 + 3
    assert [sample.num_tokens for sample in generation.samples] == [num_tokens] * 3
    assert generation.usage.generated_tokens == 3 * num_tokens
    assert all(sample.tokens is None for sample in generation.samples)


@pytest.mark.parametrize(("seeds", "temperature"), [((1,), 0.7), ((1, 2), 0.0)])
def test_one_sample_and_greedy_samples_are_asked_for_one_by_one(
    endpoint: Open, ask: Ask, seeds: tuple[int, ...], temperature: float
) -> None:
    server = endpoint(replace(PLAIN, seed=False))
    answer(server, ask(seeds=seeds, temperature=temperature))
    assert ["n" in body for body in server.bodies] == [False] * len(seeds)


def test_tokens_billed_beyond_those_listed_are_shared_among_the_texts_that_ended(endpoint: Open, ask: Ask) -> None:
    ended = {"message": {"content": "1\n"}, "finish_reason": "stop", "logprobs": _tokens("1", "\n")}
    choices = [
        {**ended, "index": 2, "message": {"content": "1"}},
        {**ended, "index": 1, "finish_reason": "length"},
        {**ended, "index": 0},
    ]
    reply = _reply(choices=choices, usage={"prompt_tokens": 4, "completion_tokens": 9})
    server = endpoint(replace(PLAIN, seed=False))
    generation = answer(server, ask(seeds=(1, 2, 3), temperature=0.7), faults=[Fault(body=reply)])
    assert [sample.text for sample in generation.samples] == ["1\n", "1\n", "1"]
    assert [sample.num_tokens for sample in generation.samples] == [4, 2, 3]
    assert [sample.finish_reason for sample in generation.samples] == ["stop", "length", "stop"]


def test_without_seeds_and_several_samples_a_request_each_sample_is_asked_for(endpoint: Open, ask: Ask) -> None:
    server = endpoint(POOR)
    generation = answer(server, ask(seeds=(1, 2), temperature=0.7))
    assert [body.keys() & {"n", "seed"} for body in server.bodies] == [set(), set()]
    assert len(generation.samples) == 2


def test_images_are_sent_as_data_before_the_text_of_their_message(
    endpoint: Open, ask: Ask, make_image: Callable[[int], Image]
) -> None:
    server, image = endpoint(), make_image(1)
    answer(server, ask(images=(image,)))
    first, second = server.bodies[0]["messages"][0]["content"]
    kind, _, data = first["image_url"]["url"].partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/png;base64", image.data)
    assert second == {"type": "text", "text": "how many?"}


def test_picture_that_servers_show_otherwise_is_sent_as_a_person_sees_it(endpoint: Open, ask: Ask) -> None:
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(file, "PNG")
    server = endpoint()
    answer(server, ask(images=(Image(file.getvalue(), "image/png", 8, 8),)))
    url = server.bodies[0]["messages"][0]["content"][0]["image_url"]["url"]
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert (picture.mode, picture.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_images_are_refused_where_the_endpoint_takes_none(
    endpoint: Open, ask: Ask, make_image: Callable[[int], Image]
) -> None:
    error = answer(endpoint(replace(PLAIN, images=False)), ask(images=(make_image(1),)), max_retries=0)
    assert isinstance(error, GenerationError)
    assert "images" in str(error)


def test_rate_limit_is_waited_out_and_counted(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    generation = answer(server, ask(max_tokens=30), faults=[Fault(429, b"{}", SOON)])
    assert (generation.samples[0].text, generation.usage.num_retries) == (SOLUTION, 1)


def test_two_errors_of_the_server_are_retried_and_counted(endpoint: Open, ask: Ask) -> None:
    generation = answer(endpoint(), ask(max_tokens=30), faults=[Fault(500, b"oops", SOON)] * 2)
    assert (generation.samples[0].text, generation.usage.num_retries) == (SOLUTION, 2)


def test_endless_errors_of_the_server_end_after_the_retries(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    error = answer(
        server, ask(), faults=[Fault(500, b'{"error": {"message": "out of cheese"}}', SOON)] * 20, max_retries=2
    )
    assert isinstance(error, GenerationError)
    assert not error.is_retryable
    assert "HTTP 500 after 2 retries: out of cheese" in str(error)
    assert len(server.bodies) == 3


def _reply(**changes: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "1\n"}, "finish_reason": "stop"}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 4, "completion_tokens": 3}}
    return json.dumps({**reply, **changes}).encode()


def _choice(**changes: Any) -> bytes:
    choice = {"message": {"content": "1\n"}, "finish_reason": "stop", "logprobs": _tokens("1", "\n")}
    return _reply(choices=[{**choice, **changes}])


def _tokens(*texts: str, logprob: float = -0.1) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": logprob, "bytes": None} for text in texts]}


GARBAGE = {
    "html": b"<html><body>504 Gateway</body></html>",
    "half of a JSON text": _reply()[:40],
    "nothing": b"",
    "a list": b"[1, 2]",
    "another shape": b'{"answer": 42}',
    "deeply nested": b"[" * 100_000,
    "no choices": _reply(choices=[]),
    "too many choices": _reply(choices=[json.loads(_choice())["choices"][0]] * 2),
    "no content": _choice(message={"content": None}),
    "content that is a number": _choice(message={"content": 5}),
    "half a surrogate pair": _choice(message={"content": "A"}).replace(b'"A"', b'"\\ud800"'),
    "no usage": _reply(usage=None),
    "absurd usage": _reply(usage={"prompt_tokens": 10**40, "completion_tokens": 3}),
    "negative usage": _reply(usage={"prompt_tokens": -4, "completion_tokens": 3}),
    "too few tokens": _choice(logprobs=_tokens("\n")),
    "no tokens": _choice(logprobs=None),
    "too many tokens": _choice(logprobs=_tokens("1", "\n", "2", "3")),
    "a logprob that is no number": _choice(logprobs=_tokens("1", "\n", logprob=math.nan)),
    "an infinite logprob": _choice(logprobs=_tokens("1", "\n", logprob=math.inf)),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_answer_that_cannot_be_read_is_asked_for_again_and_counted(endpoint: Open, ask: Ask, garbage: bytes) -> None:
    server = endpoint()
    request = ask(max_tokens=30, num_top_logprobs=0)
    generation = answer(server, request, faults=[Fault(body=garbage)])
    assert (generation.samples[0].text, generation.usage.num_retries) == (SOLUTION, 1)


def test_answers_that_can_never_be_read_end_after_the_retries_of_both_kinds_together(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    faults = [Fault(body=b"<html>"), Fault(503, b"", SOON), *[Fault(body=b"<html>")] * 9]
    error = answer(server, ask(), faults=faults, max_retries=2)
    assert isinstance(error, GenerationError)
    assert not error.is_retryable
    assert "'<html>'" in str(error)
    assert "after 2 retries" in str(error)
    assert len(server.bodies) == 3


def test_answer_that_breaks_off_is_asked_for_again(endpoint: Open, ask: Ask) -> None:
    generation = answer(endpoint(), ask(max_tokens=30), faults=[Fault(body=_reply()[:40], num_promised=4000)])
    assert (generation.samples[0].text, generation.usage.num_retries) == (SOLUTION, 1)


@pytest.mark.parametrize("fault", [Fault(body=_reply(), delay_s=1.0), Fault(body=_reply(), drop_s=0.05)])
def test_silence_and_an_answer_in_drops_are_given_up(endpoint: Open, ask: Ask, fault: Fault) -> None:
    server = endpoint()
    error = answer(server, ask(), faults=[fault], timeout_s=0.3, max_retries=0)
    assert isinstance(error, GenerationError)
    assert "0.3 s" in str(error)


def test_silence_is_asked_again_after_the_timeout(endpoint: Open, ask: Ask) -> None:
    generation = answer(endpoint(), ask(max_tokens=30), faults=[Fault(delay_s=4.0)], timeout_s=3.0, max_retries=1)
    assert (generation.samples[0].text, generation.usage.num_retries) == (SOLUTION, 1)


def test_refused_request_is_not_sent_again(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    error = answer(server, ask(), faults=[Fault(422, b'{"error": {"message": "top_p is odd"}}')] * 5)
    assert isinstance(error, GenerationError)
    assert "HTTP 422: top_p is odd" in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "because"])
def test_text_that_was_ended_by_anything_else_is_an_error(endpoint: Open, ask: Ask, reason: str) -> None:
    server = endpoint()

    async def work(generator: OpenAiGenerator) -> Generation:
        server.forget()
        server.finish_reason = reason
        return await generator.generate(ask())

    error = use(server, work)
    assert isinstance(error, GenerationError)
    assert reason in str(error)
    assert len(server.bodies) == 1


def test_prompt_that_is_too_long_is_told_apart(endpoint: Open, ask: Ask) -> None:
    error = answer(endpoint(), ask("word " * 300))
    assert isinstance(error, ContextOverflowError)
    assert error.max_context_tokens == 200


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusals_of_a_long_prompt_are_known_by_several_statuses(endpoint: Open, ask: Ask, status: int) -> None:
    body = b'{"error": {"message": "this exceeds the context length"}}'
    assert isinstance(answer(endpoint(), ask(), faults=[Fault(status, body)]), ContextOverflowError)


def test_all_attempts_together_may_take_their_timeouts_and_the_longest_waits_between_them() -> None:
    assert RetryLimits(timeout_s=2.0, max_retries=3).total_s == 4 * 2.0 + 3 * 120


def test_one_failed_sample_fails_the_request(endpoint: Open, ask: Ask) -> None:
    error = answer(endpoint(), ask(seeds=(1, 2, 3)), faults=[Fault(400, b'{"error": {"message": "no"}}')])
    assert type(error) is GenerationError


def test_stop_string_is_named_and_no_part_of_the_text(endpoint: Open, ask: Ask) -> None:
    sample = answer(endpoint(), ask(stop=("4", "\n"), num_top_logprobs=0)).samples[0]
    assert (sample.text, sample.stop, sample.finish_reason, sample.num_tokens) == ("1", "\n", "stop", 2)
    assert [token.text for token in sample.tokens] == ["1", "\n"]


def test_end_of_turn_is_told_from_a_stop_string_where_the_endpoint_says_so(endpoint: Open, ask: Ask) -> None:
    sample = answer(endpoint(), ask(stop=("#",), max_tokens=30)).samples[0]
    assert (sample.text, sample.stop, sample.finish_reason) == (SOLUTION, None, "stop")


def test_unnamed_stop_is_taken_as_the_first_stop_string(endpoint: Open, ask: Ask) -> None:
    server = endpoint(PLAIN)
    stopped, ended, cut = answer(server, ask(stop=("\n", "7")), ask(max_tokens=30), ask(stop=("#",), max_tokens=3))
    assert (stopped.samples[0].text, stopped.samples[0].stop) == ("1", "\n")
    assert (ended.samples[0].stop, ended.samples[0].finish_reason) == (None, "stop")
    assert (cut.samples[0].stop, cut.samples[0].finish_reason) == (None, "length")


def test_stop_strings_beyond_those_accepted_are_cut_here(endpoint: Open, ask: Ask) -> None:
    server = endpoint(PLAIN)
    stops = ("a", "b", "c", "d", "3\n4", "7")
    sample = answer(server, ask(stop=stops, max_tokens=12, num_top_logprobs=0)).samples[0]
    assert server.bodies[0]["stop"] == ["a", "b", "c", "d"]
    assert (sample.text, sample.stop, sample.finish_reason, sample.num_tokens) == ("1\n2\n", "3\n4", "stop", 12)
    assert "".join(token.text for token in sample.tokens) == "1\n2\n3\n4"


def test_prefix_is_continued_where_the_endpoint_can(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    sample = answer(server, ask(prefix="1\n2\n", stop=("\n",))).samples[0]
    assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": "1\n2\n"}
    assert server.bodies[0]["continue_final_message"] is True
    assert (sample.text, sample.stop) == ("3", "\n")


def test_white_space_that_the_template_trims_is_taken_from_what_comes_back(endpoint: Open, ask: Ask) -> None:
    server = endpoint(replace(Abilities(), white_space=False))
    sample = answer(server, ask(prefix="1\n2\n", stop=("\n", "9"), max_tokens=6, num_top_logprobs=0)).samples[0]
    assert server.bodies[0]["stop"] == ["9"]
    assert (sample.text, sample.stop, sample.finish_reason, sample.num_tokens) == ("3", "\n", "stop", 6)
    assert [token.text for token in sample.tokens] == ["3", "\n"]


def test_prefix_is_shown_where_the_endpoint_cannot_continue_it(endpoint: Open, ask: Ask) -> None:
    server = endpoint(PLAIN)
    sample = answer(server, ask(prefix="1\n2\n", stop=("\n",), max_tokens=12, num_top_logprobs=0)).samples[0]
    (message,) = server.bodies[0]["messages"]
    assert message["content"].startswith("how many?")
    assert "1\n2\n" in message["content"]
    assert "stop" not in server.bodies[0]
    assert (sample.text, sample.stop) == ("3", "\n")
    assert [token.text for token in sample.tokens] == ["3", "\n"]


def test_repetition_of_the_prefix_that_the_token_limit_cut_goes_on_with_nothing(endpoint: Open, ask: Ask) -> None:
    sample = answer(endpoint(PLAIN), ask(prefix="1\n2\n3\n", max_tokens=3)).samples[0]
    assert (sample.text, sample.finish_reason, sample.num_tokens) == ("", "length", 3)


def test_prefix_that_is_not_repeated_is_gone_on_with_as_it_stands(endpoint: Open, ask: Ask) -> None:
    server = endpoint(PLAIN)
    server.solution = "\n3\n4"
    assert answer(server, ask(prefix="1\n2\n")).samples[0].text == "3\n4"


def test_likeliest_tokens_come_likeliest_first_and_no_more_than_the_endpoint_gives(endpoint: Open, ask: Ask) -> None:
    server = endpoint(PLAIN)
    sample = answer(server, ask(num_top_logprobs=20)).samples[0]
    assert server.bodies[0]["top_logprobs"] == 5
    assert sample.tokens[0].top[:2] == (("1", -0.5), ("t1", -2.0))
    assert len(sample.tokens[0].top) == 5


def test_log_probabilities_are_unknown_where_the_endpoint_has_none(endpoint: Open, ask: Ask) -> None:
    server = endpoint(POOR)
    assert answer(server, ask(num_top_logprobs=5)).samples[0].tokens is None
    assert "logprobs" not in server.bodies[0]


def test_tokens_of_words_without_their_blanks_and_a_hidden_thought_are_matched_to_the_text(
    endpoint: Open, ask: Ask
) -> None:
    tokens = _tokens("hm", " one two", "</think>", "one", "two", ".\n", "three", "<end>")
    reply = _reply(
        choices=[{"message": {"content": "one two.\nthree"}, "finish_reason": "stop", "logprobs": tokens}],
        usage={"prompt_tokens": 4, "completion_tokens": 8},
    )
    sample = answer(endpoint(PLAIN), ask(prefix="", stop=(), num_top_logprobs=0), faults=[Fault(body=reply)]).samples[0]
    assert sample.text == "one two.\nthree"
    assert [token.text for token in sample.tokens][-5:] == ["one", "two", ".\n", "three", "<end>"]


def test_no_more_than_max_in_flight_are_at_the_endpoint(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    server.latency_s = 0.02
    answer(server, ask(seeds=tuple(range(12))), max_in_flight=3)
    assert server.max_at_once == 3


def test_closed_generator_answers_no_more(endpoint: Open, ask: Ask) -> None:
    async def work(generator: OpenAiGenerator) -> None:
        await generator.aclose()
        await generator.generate(ask())

    assert "closed" in str(use(endpoint(), work))


def test_message_of_the_system_and_order_are_kept(endpoint: Open) -> None:
    server = endpoint()
    messages = (Message("system", "be brief"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    answer(server, GenerationRequest(messages, sampling=SamplingOptions(temperature=1e-5, max_tokens=2)))
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user", "assistant", "user"]
    assert server.bodies[0]["temperature"] == 0.0


def test_requests_of_a_session_bear_its_digest_and_no_word_of_it(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    one, other = (replace(ask(seeds=(1, 2)), session=session) for session in ("how many\r\nred ?", "\ud800"))
    answer(server, one, one, other, faults=[Fault(503, headers=SOON)])
    digests = [headers["x-session-id"] for headers in server.headers]
    assert len(digests) == 7
    assert len(set(digests)) == 2
    assert all(len(digest) == 16 and set(digest) <= set("0123456789abcdef") for digest in digests)


def test_session_is_sent_as_the_options_say(endpoint: Open, ask: Ask) -> None:
    server = endpoint(Abilities(ignores_unknown=True))
    of_session = replace(ask(seeds=(1,)), session="one")
    answer(server, of_session, session_header="X-SMG-Routing-Key", session_field="prompt_cache_key")
    (headers,), (body,) = server.headers, server.bodies
    assert headers["x-smg-routing-key"] == body["prompt_cache_key"] != "one"
    assert "x-session-id" not in headers
    answer(server, of_session, session_header=None)
    (headers,), (bare,) = server.headers, server.bodies
    assert body["prompt_cache_key"] not in headers.values()
    assert "prompt_cache_key" not in bare
    answer(server, ask(seeds=(1,)))
    assert "x-session-id" not in server.headers[0], "a request of no session has none"


def test_continuation_that_is_refused_for_its_thought_keeps_its_session(endpoint: Open, ask: Ask) -> None:
    server = endpoint(Abilities(thoughts="in_text"))

    async def work(generator: OpenAiGenerator) -> None:
        server.forget()
        server.abilities = replace(server.abilities, keeps_thoughts=False)
        prefix = "<think>\nhm\n</think>\n\n1\n2\n"
        await generator.generate(replace(ask(seeds=(1,), prefix=prefix), session="one"))

    use(server, work)
    assert [len(headers["x-session-id"]) for headers in server.headers] == [16, 16]


def test_endpoint_that_claims_more_cached_than_read_tokens_is_not_believed(endpoint: Open, ask: Ask) -> None:
    choices = [{"message": {"content": "1"}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 10**9}}
    fault = Fault(body=_reply(choices=choices, usage=usage))
    found = answer(endpoint(PLAIN), ask(prefix="", stop=()), faults=[fault]).usage
    assert (found.prompt_tokens, found.cached_tokens) == (4, 4)
