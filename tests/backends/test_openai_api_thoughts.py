"""Thinking models behind endpoints: nothing is read from a thought, its tokens count, and texts go on behind it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.openai_api.capabilities import EndpointCapabilities, ThoughtStyle
from critic_engine.backends.openai_api.generator import OpenAiGenerator
from critic_engine.backends.openai_api.replies import ChatReply, read_reply
from critic_engine.backends.openai_api.request_bodies import Draft, draft_request
from critic_engine.backends.openai_api.samples import read_samples
from critic_engine.config.engine import parse_config
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ConfigError, ContextOverflowError, GenerationError
from critic_engine.parsing.thoughts import visible
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import ChatOptions, SamplingOptions, TokenUsage
from tests.backends.conftest import build_tokenizer
from tests.backends.endpoint_faults import (
    CLOSING,
    OPENING,
    SOLUTION,
    THOUGHT,
    Abilities,
    Fault,
    FaultyEndpoint,
)

pytestmark = pytest.mark.openai_api

ABLE = EndpointCapabilities(
    has_images=True,
    has_logprobs=True,
    max_top_logprobs=20,
    has_n=True,
    has_seed=True,
    max_stop_strings=16,
    has_stop_reason=True,
    has_continuation=True,
    is_white_space_kept=True,
    max_context_tokens=None,
    has_max_tokens=True,
    thoughts="apart",
)
CASES = [
    json.loads(line) for line in (Path(__file__).parent / "cases" / "replies.jsonl").read_text("utf-8").splitlines()
]
THOUGHTS: list[ThoughtStyle] = ["apart", "in_text", "opened"]
WHOLE = f"{OPENING}{THOUGHT}{CLOSING}"
Ask = Callable[..., GenerationRequest]
Open = Callable[..., FaultyEndpoint]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def endpoint() -> Iterator[Open]:
    """From abilities to an endpoint that has them."""
    with ExitStack() as stack:
        yield lambda **abilities: stack.enter_context(FaultyEndpoint(Abilities(**abilities)).serving())


def use(server: FaultyEndpoint, *requests: GenerationRequest, faults: tuple[Fault, ...] = (), **options: Any) -> Any:
    """Return the capabilities and what each request brings, a ``Generation`` or an error."""

    async def run() -> Any:
        generator = OpenAiGenerator("toy", EndpointConfig(base_url=server.url, **options))
        try:
            capabilities = await generator.describe()
            server.forget()
            server.faults.extend(faults)
            found = await asyncio.gather(*map(generator.generate, requests), return_exceptions=True)
            return capabilities, *found
        finally:
            await generator.aclose()

    return asyncio.run(run())


def thinking(request: GenerationRequest, **chat: Any) -> GenerationRequest:
    return replace(request, chat=ChatOptions(**{"max_thought_tokens": 50, **chat}))


def read(reply: dict[str, Any], *, capabilities: EndpointCapabilities = ABLE, **sampling: Any) -> Sample:
    """Return the sample of a server's reply to a request whose model may think."""
    options = SamplingOptions(**{"max_tokens": 100, "num_top_logprobs": 0, **sampling})
    draft = Draft({"logprobs": True} if reply["choices"][0]["logprobs"] else {}, options, thinks=True)
    (sample,) = read_samples(read_reply(json.dumps(reply).encode(), ChatReply), draft, capabilities, num_samples=1)
    return sample


@pytest.mark.parametrize("case", CASES, ids=[f"{case['server']}: {case['why']}" for case in CASES])
def test_replies_of_servers_in_use_are_read(case: dict[str, Any]) -> None:
    capabilities = replace(ABLE, thoughts=case.get("thoughts", "apart"))
    sample = read(case["reply"], capabilities=capabilities)
    assert (sample.text, sample.thought) == (case["text"], case["thought"])
    assert sample.num_tokens == case["num_tokens"]
    joined = None if sample.tokens is None else "".join(token.text for token in sample.tokens)
    assert joined == case.get("tokens")
    assert not sample.text or visible(sample.thought).strip() == ""


@pytest.mark.parametrize("style", [*THOUGHTS, "hidden"])
@pytest.mark.parametrize("switch", [True, False])
def test_probe_finds_where_thoughts_come_back_and_whether_they_can_be_turned_off(
    endpoint: Open, style: ThoughtStyle, switch: bool
) -> None:
    (capabilities,) = use(endpoint(thoughts=style, switch=switch))
    assert (capabilities.thoughts, capabilities.is_thinking_optional) == (style, switch)
    rows = {name: is_there for name, is_there, _ in capabilities.rows()}
    assert (rows["thoughts"], rows["turning thoughts off"]) == (True, switch)


@pytest.mark.parametrize("keeps", [True, False])
def test_probe_finds_whether_a_template_keeps_thoughts(endpoint: Open, keeps: bool) -> None:
    (capabilities,) = use(endpoint(thoughts="apart", keeps_thoughts=keeps))
    assert capabilities.has_continuation
    assert capabilities.is_thought_kept is keeps


def test_model_without_thoughts_has_no_rows_of_them(endpoint: Open) -> None:
    (capabilities,) = use(endpoint())
    assert [name for name, _, _ in capabilities.rows() if "thought" in name] == ["thoughts"]


@pytest.mark.parametrize("style", THOUGHTS)
def test_text_is_told_from_the_thought_and_cut_here(endpoint: Open, ask: Ask, style: str) -> None:
    server = endpoint(thoughts=style)
    request = thinking(ask(stop=("\n",), num_top_logprobs=0, max_tokens=30))
    _, generation = use(server, request)
    (body,) = server.bodies
    assert "stop" not in body
    assert body["max_tokens"] == 30 + 50
    (sample,) = generation.samples
    assert (sample.text, sample.stop, sample.finish_reason) == ("1", "\n", "stop")
    assert sample.thought == WHOLE.removeprefix(OPENING if style == "opened" else "")
    assert [token.text for token in sample.tokens] == ["1", "\n"]
    assert sample.num_tokens == generation.usage.generated_tokens > 18


@pytest.mark.parametrize("style", THOUGHTS)
def test_thought_that_takes_all_tokens_leaves_no_text(endpoint: Open, ask: Ask, style: str) -> None:
    server = endpoint(thoughts=style)
    server.thought = "hm " * 40
    _, generation = use(server, thinking(ask(max_tokens=2, num_top_logprobs=0), max_thought_tokens=10))
    (sample,) = generation.samples
    assert (sample.text, sample.finish_reason, sample.num_tokens, sample.tokens) == ("", "length", 12, None)
    assert "hm hm" in sample.thought
    assert visible(sample.thought).strip() in ("", sample.thought.strip())


@pytest.mark.parametrize("style", THOUGHTS)
def test_limit_of_the_text_holds_though_the_thought_was_short(endpoint: Open, ask: Ask, style: str) -> None:
    _, generation = use(endpoint(thoughts=style), thinking(ask(max_tokens=3, num_top_logprobs=0)))
    (sample,) = generation.samples
    assert (sample.text, sample.finish_reason, sample.stop) == ("1\n2", "length", None)
    assert [token.text for token in sample.tokens] == ["1", "\n", "2"]


@pytest.mark.parametrize("style", THOUGHTS)
def test_step_goes_on_behind_the_thought(endpoint: Open, ask: Ask, style: str) -> None:
    server = endpoint(thoughts=style)
    _, first = use(server, thinking(ask(stop=("\n",), max_tokens=30)))
    (sample,) = first.samples
    prefix = f"{sample.thought}{sample.text}{sample.stop}"
    _, second = use(server, thinking(ask(prefix=prefix, stop=("\n",), max_tokens=30, num_top_logprobs=0)))
    (body,) = server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": f"{WHOLE}1\n"}
    assert (body["max_tokens"], body["stop"]) == (30, ["\n"])
    (sample,) = second.samples
    assert (sample.text, sample.thought, sample.stop, sample.num_tokens) == ("2", "", "\n", 2)


@pytest.mark.parametrize("style", THOUGHTS)
def test_step_goes_on_without_the_thought_that_a_template_drops(endpoint: Open, ask: Ask, style: str) -> None:
    server = endpoint(thoughts=style, keeps_thoughts=False)
    _, generation = use(server, thinking(ask(prefix=f"{WHOLE}1\n", stop=("\n",))))
    assert [body["messages"][-1]["content"] for body in server.bodies] == ["1\n"]
    assert generation.samples[0].text == "2"


def test_thought_that_a_template_would_write_otherwise_is_left_out_when_it_is_refused(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="apart")
    refusal = Fault(400, b'{"error": {"message": "the final message does not appear in the chat"}}')
    _, generation = use(server, thinking(ask(prefix=f"{WHOLE}1\n", stop=("\n",))), faults=(refusal,))
    assert [body["messages"][-1]["content"] for body in server.bodies] == [f"{WHOLE}1\n", "1\n"]
    assert (generation.samples[0].text, generation.usage.num_requests) == ("2", 2)


# As the templates of Qwen3 and of DeepSeek-R1 treat the last message of an assistant.
REWRITING_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{% if message.role == 'assistant' %}"
    "{% set parts = message.content.split('</think>') %}{% if parts | length > 1 %}"
    "<think>\n{{ parts[0].split('<think>')[-1].strip('\n') }}\n</think>\n\n{{ parts[-1].lstrip('\n') }}"
    "{% else %}<think>\n\n</think>\n\n{{ message.content.lstrip('\n') }}{% endif %}<end>"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
)
DROPPING_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content.split('</think>')[-1] }}"
    "{% if message.role == 'assistant' %}<end>{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "turn", "is_kept"),
    [(REWRITING_TEMPLATE, f"{WHOLE}1\n", True), (DROPPING_TEMPLATE, "1\n", False)],
    ids=["Qwen3", "R1"],
)
@pytest.mark.parametrize("style", THOUGHTS)
def test_turn_that_is_continued_is_what_the_model_wrote_as_far_as_its_template_keeps_it(
    ask: Ask, style: str, template: str, turn: str, is_kept: bool
) -> None:
    tokenizer = build_tokenizer()
    capabilities = replace(ABLE, is_thought_kept=True)
    thought = WHOLE.removeprefix(OPENING) if style == "opened" else WHOLE
    draft = draft_request(thinking(ask(prefix=f"{thought}1\n")), capabilities, {})

    def render(shown: Draft) -> Any:
        options = {"chat_template": template, "tokenize": False, "continue_final_message": True}
        return tokenizer.apply_chat_template(shown.body["messages"], **options)

    if not is_kept:
        with pytest.raises(ValueError, match="does not appear in the chat"):
            render(draft)
        assert draft.without_thought is not None
        draft = draft.without_thought
    assert render(draft).endswith(f"<assistant>{turn}")


def test_model_that_is_shown_its_text_sees_no_thought_and_thinks_again(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="apart", continuation=False)
    _, generation = use(server, thinking(ask(prefix=f"{WHOLE}1\n2\n", stop=("\n",), num_top_logprobs=0)))
    (body,) = server.bodies
    assert THOUGHT not in json.dumps(body["messages"])
    assert "stop" not in body
    (sample,) = generation.samples
    assert (sample.text, sample.stop, sample.thought) == ("3", "\n", WHOLE)
    assert [token.text for token in sample.tokens] == ["3", "\n"]


def test_text_that_a_parser_takes_for_a_thought_is_read_as_text(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="apart", takes_text_for_thought=True)
    going_on = thinking(ask(prefix=f"{WHOLE}1\n", stop=("\n",), num_top_logprobs=0))
    off = thinking(ask(max_tokens=30), thinking="off")
    capabilities, on, without = use(server, going_on, off)
    assert (capabilities.thoughts, capabilities.is_thinking_optional) == ("apart", True)
    assert (on.samples[0].text, on.samples[0].thought) == ("2", "")
    assert [token.text for token in on.samples[0].tokens] == ["2", "\n"]
    assert (without.samples[0].text, without.samples[0].thought) == (SOLUTION, "")


def test_thinking_is_turned_off_by_the_templates_variables(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="in_text")
    _, generation = use(server, thinking(ask(max_tokens=30, stop=("\n",)), thinking="off"))
    (body,) = server.bodies
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert (body["max_tokens"], body["stop"]) == (30, ["\n"])
    assert (generation.samples[0].text, generation.samples[0].thought) == ("1", "")


def test_variables_of_the_user_stand_over_those_of_thinking(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="in_text")
    chat = {"thinking": "on", "template_kwargs": {"enable_thinking": False, "language": "fr"}}
    use(server, thinking(ask(), **chat))
    expected = {"enable_thinking": False, "thinking": True, "language": "fr"}
    assert server.bodies[0]["chat_template_kwargs"] == expected


@pytest.mark.parametrize(
    ("thoughts", "is_optional", "chat", "thinks"),
    [
        ("none", False, ChatOptions(), False),
        ("none", False, ChatOptions(thinking="on"), True),
        ("apart", True, ChatOptions(), True),
        ("apart", True, ChatOptions(thinking="off"), False),
        ("apart", False, ChatOptions(thinking="off"), True),
        ("apart", True, ChatOptions(template_kwargs={"enable_thinking": False}), False),
        ("hidden", False, ChatOptions(), True),
    ],
)
def test_model_thinks_where_it_does_by_itself_and_is_not_kept_from_it(
    thoughts: ThoughtStyle, is_optional: bool, chat: ChatOptions, thinks: bool
) -> None:
    assert replace(ABLE, thoughts=thoughts, is_thinking_optional=is_optional).thinks(chat) is thinks


def test_nothing_is_sent_of_options_that_are_not_set(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    use(server, ask())
    assert set(server.bodies[0]) == {"model", "messages", "max_tokens", "temperature", "seed"}


def test_temperature_of_one_is_sent_and_none_where_the_endpoint_takes_none(endpoint: Open, ask: Ask) -> None:
    # A server's default may be the checkpoint's, such as 0.6.
    able, own = endpoint(), endpoint(temperature=False)
    use(able, ask(temperature=1.0, top_p=0.9))
    use(own, ask(temperature=0.7, top_p=0.9))
    assert (able.bodies[0]["temperature"], able.bodies[0]["top_p"]) == (1.0, 0.9)
    assert own.bodies[0].keys().isdisjoint({"temperature", "top_p"})


def test_further_fields_are_sent_as_they_are(endpoint: Open, ask: Ask) -> None:
    server = endpoint(ignores_unknown=True)
    chat = ChatOptions(reasoning_effort="low", extra_body={"provider": {"order": ["a"]}, "repetition_penalty": 1.1})
    use(server, replace(ask(top_k=20, min_p=0.05), chat=chat))
    body = server.bodies[0]
    assert (body["top_k"], body["min_p"], body["reasoning_effort"]) == (20, 0.05, "low")
    assert (body["provider"], body["repetition_penalty"]) == ({"order": ["a"]}, 1.1)


def test_refused_fields_that_not_every_endpoint_takes_are_named(endpoint: Open, ask: Ask) -> None:
    _, error = use(endpoint(), replace(ask(top_k=20), chat=ChatOptions(thinking="off")))
    assert isinstance(error, GenerationError)
    assert "it may not take top_k, chat_template_kwargs" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["messages", "seed", "n", "stop", "max_tokens", "max_completion_tokens", "stream"])
def test_fields_that_the_engine_sets_are_refused_in_the_config(name: str) -> None:
    reasoner = {"model": "toy", "backend": "openai_api", "extra_body": {name: 1, "top_a": 0.1}}
    with pytest.raises(ConfigError, match=f"{name}.*the engine sets") as caught:
        parse_config({"reasoner": reasoner, "budget": {"max_tokens": 9}})
    assert caught.value.field == "reasoner.extra_body"


def test_thought_gets_less_where_the_context_is_too_short_for_it(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="apart")
    too_long = Fault(400, b'{"error": {"message": "maximum context length is 200 tokens"}}')
    request = thinking(ask(max_tokens=30), max_thought_tokens=8192)
    _, generation = use(server, request, faults=(too_long, too_long))
    assert [body["max_tokens"] for body in server.bodies] == [30 + 100, 30 + 50, 30 + 25]
    assert (generation.samples[0].text, generation.usage.num_requests) == (SOLUTION, 3)


def test_context_too_short_for_any_thought_is_an_overflow(endpoint: Open, ask: Ask) -> None:
    server = endpoint(thoughts="apart")
    _, error = use(server, thinking(ask("word " * 300)))
    assert isinstance(error, ContextOverflowError)
    assert error.usage == TokenUsage(num_requests=len(server.bodies))
    assert server.bodies[-1]["max_tokens"] == 12


def billed(**changes: Any) -> Fault:
    reply = {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 9}, **changes}
    return Fault(body=json.dumps(reply).encode())


def test_reply_that_cannot_be_read_and_names_its_tokens_counts(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    _, generation = use(server, ask(max_tokens=30), faults=(billed(), Fault(body=b"<html>"), billed(choices=[{}])))
    assert isinstance(generation, Generation)
    _, plain = use(server, ask(max_tokens=30))
    assert generation.usage == plain.usage + TokenUsage(80, 18, num_retries=3, num_requests=3)


def test_failure_for_good_carries_what_it_was_billed(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    server.constant_fault = None
    _, error = use(server, ask(), faults=(billed(), billed()), max_retries=1)
    assert isinstance(error, GenerationError)
    assert error.usage == TokenUsage(80, 18, num_retries=1, num_requests=2)


def test_refusal_of_the_model_is_an_error_that_says_so_and_is_billed(endpoint: Open, ask: Ask) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that"}
    fault = billed(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
    _, error = use(endpoint(), ask(), faults=(fault,))
    assert "I cannot help with that" in str(error)
    assert error.usage == TokenUsage(40, 9, num_requests=1)


def test_samples_that_came_before_another_failed_are_paid_for(endpoint: Open, ask: Ask) -> None:
    server = endpoint()
    refusal = Fault(400, b'{"error": {"message": "no"}}', delay_s=0.5)
    _, error = use(server, ask(seeds=(1, 2, 3), max_tokens=30), faults=(refusal,))
    assert isinstance(error, GenerationError)
    assert error.usage.num_requests == 3
    assert error.usage.generated_tokens == 2 * 19
