"""A small endpoint on loopback that speaks chat completions: what it can do is set, and so is how it fails."""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")
SOLUTION = "".join(f"{number}\n" for number in range(1, 9)) + "answer 8"
END = "<end>"
IMAGE_TOKENS = 16
KNOWN_FIELDS = {"model", "messages", "stop"}
OPENING, CLOSING = "<think>\n", "\n</think>\n\n"
THOUGHT = "they want 8\nI count"


@dataclass(frozen=True)
class Abilities:
    """What the endpoint can do; by default as much as any."""

    images: bool = True
    """Whether they are accepted."""
    sight: bool = True
    """Whether accepted images are read, else they are dropped."""
    top_logprobs: int = 20
    """-1 refuses all log-probabilities."""
    n: bool = True
    temperature: bool = True
    seed: bool = True
    stops: int = 16
    stop_reason: bool = True
    continuation: bool = True
    white_space: bool = True
    usage: bool = True
    limit: str = "max_tokens"
    thoughts: str = "none"
    """Where the model's thought comes back: nowhere, ``apart``, ``in_text``, ``opened`` or ``hidden``."""
    switch: bool = True
    """Whether the chat template knows a variable that turns the thought off."""
    keeps_thoughts: bool = True
    """Whether the chat template keeps the thought of a message; a message that lost it is not continued."""
    takes_text_for_thought: bool = False
    """Whether a text without markers comes back as a thought."""
    ignores_unknown: bool = False
    """Whether unknown fields are ignored, else they are refused."""


PLAIN = Abilities(top_logprobs=5, stops=4, stop_reason=False, continuation=False)
POOR = Abilities(
    images=False,
    top_logprobs=-1,
    n=False,
    temperature=False,
    seed=False,
    stops=0,
    stop_reason=False,
    continuation=False,
    limit="max_completion_tokens",
)


@dataclass(frozen=True)
class Fault:
    """An answer that is none."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop_s: float = 0.0
    """Seconds between one byte of the body and the next."""
    num_promised: int | None = None
    """The length the header claims, when it is not that of the body."""


class RefusedError(Exception):
    """The endpoint's own word against a request."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class FaultyEndpoint:
    """Answers for the model ``toy``, which counts to eight whatever it is asked."""

    def __init__(self, abilities: Abilities, *, key: str | None = None) -> None:
        self.abilities = abilities
        self.key = key
        """The one key that it accepts; None accepts any."""
        self.faults: deque[Fault] = deque()
        """What the next chat completions get instead of an answer."""
        self.constant_fault: Fault | None = None
        self.solution = SOLUTION
        self.thought = THOUGHT
        self.finish_reason: str | None = None
        """What every text is said to have ended by; None for the truth."""
        self.max_context_tokens = 200
        self.models = ["toy", *(f"other-{number}" for number in range(20))]
        self.bodies: list[dict[str, Any]] = []
        """Every chat completion that was asked for."""
        self.headers: list[dict[str, str]] = []
        """The headers of each, by their names in lower case."""
        self.latency_s = 0.0
        self.max_at_once = 0
        self._num_at_once = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @contextmanager
    def serving(self) -> Iterator["FaultyEndpoint"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def forget(self) -> None:
        """Forget what was asked so far."""
        self.bodies.clear()
        self.headers.clear()
        self.max_at_once = 0

    def respond(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Fault:
        key = headers.get("authorization", "")
        if self.key is not None and key != f"Bearer {self.key}":
            raise RefusedError(401, f"Incorrect API key provided in Authorization: {key}")
        if path.endswith("/models"):
            data = [{"id": name, "max_model_len": self.max_context_tokens} for name in self.models]
            return Fault(body=json.dumps({"object": "list", "data": data}).encode())
        with self._lock:
            self.bodies.append(dict(body))
            self.headers.append(dict(headers))
            self._num_at_once += 1
            self.max_at_once = max(self.max_at_once, self._num_at_once)
            fault = self.faults.popleft() if self.faults else self.constant_fault
        time.sleep(self.latency_s)
        with self._lock:
            self._num_at_once -= 1
        return fault or Fault(body=json.dumps(self.complete(body)).encode())

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chat completion."""
        self._check(body)
        is_continued = body.get("continue_final_message") is True and self.abilities.continuation
        texts = [_text_of(message) for message in body["messages"]]
        if is_continued and not self.abilities.white_space:
            texts[-1] = texts[-1].rstrip()
        num_prompt = sum(len(TOKEN.findall(text)) + 2 for text in texts) + (0 if is_continued else 1)
        if self.abilities.sight:
            num_prompt += IMAGE_TOKENS * json.dumps(body["messages"]).count('"image_url": {')
        if num_prompt > self.max_context_tokens:
            said = f"This model's maximum context length is {self.max_context_tokens} tokens."
            raise RefusedError(400, said, "context_length_exceeded")
        known = texts[-1] if is_continued else ""
        if CLOSING in known:
            if not self.abilities.keeps_thoughts:
                raise RefusedError(400, "the final message does not appear in the chat after applying the template")
            known = known.partition(CLOSING)[2]
        rest = self.solution.removeprefix(known) if self.solution.startswith(known) else self.solution
        if not is_continued and self._thinks(body):
            rest = f"{OPENING}{self.thought}{CLOSING}{rest}"
        choices = [self._choice(number, rest, body) for number in range(body.get("n", 1))]
        reply: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 0, "model": "toy"}
        reply["choices"] = [choice for choice, _ in choices]
        if self.abilities.usage:
            num = sum(num_tokens for _, num_tokens in choices)
            details = {"cached_tokens": min(num_prompt, 3)}
            usage = {"prompt_tokens": num_prompt, "completion_tokens": num, "prompt_tokens_details": details}
            if self.abilities.thoughts == "hidden":
                usage["completion_tokens_details"] = {"reasoning_tokens": 7 * self._thinks(body)}
            reply["usage"] = usage
        return reply

    def _check(self, body: Mapping[str, Any]) -> None:
        can = self.abilities
        if body["model"] not in self.models:
            raise RefusedError(404, f"The model {body['model']!r} does not exist")
        known = KNOWN_FIELDS | {can.limit}
        known |= {"temperature", "top_p"} if can.temperature else set()
        known |= {"seed"} if can.seed else set()
        known |= {"n"} if can.n else set()
        known |= {"logprobs", "top_logprobs"} if can.top_logprobs >= 0 else set()
        known |= {"chat_template_kwargs"} if can.thoughts != "none" and can.switch else set()
        known |= {"continue_final_message", "add_generation_prompt"} if can.continuation else set()
        if unknown := set(body) - known - (set(body) if can.ignores_unknown else set()):
            raise RefusedError(400, f"Unrecognized request argument supplied: {sorted(unknown)}")
        if body.get("top_logprobs", 0) > can.top_logprobs >= 0:
            raise RefusedError(400, f"top_logprobs must be at most {can.top_logprobs}")
        if len(body.get("stop", ())) > can.stops:
            raise RefusedError(400, f"stop: at most {can.stops}")
        if not can.images and "image_url" in json.dumps(body["messages"]):
            raise RefusedError(500, "image input is not supported")

    def _thinks(self, body: Mapping[str, Any]) -> bool:
        is_off = body.get("chat_template_kwargs", {}).get("enable_thinking") is False
        return self.abilities.thoughts != "none" and not is_off

    def _told_apart(self, text: str) -> dict[str, Any]:
        """Return the fields of a message by which the server shows what the model wrote."""
        begun, closing, rest = text.partition(CLOSING)
        is_thought = text.startswith(OPENING[: len(text)]) and self.abilities.thoughts != "none"
        begun = begun.removeprefix(OPENING)
        match self.abilities.thoughts:
            case "apart" if is_thought or self.abilities.takes_text_for_thought:
                return {"content": rest or None, "reasoning": begun}
            case "opened" if is_thought:
                return {"content": f"{begun}{closing}{rest}"}
            case "hidden" if is_thought:
                return {"content": rest}
        return {"content": text}

    def _choice(self, number: int, rest: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Return a choice and the tokens it cost."""
        written, finish, stop_reason = [], "stop", None
        text = ""
        for token in [*TOKEN.findall(rest), END]:
            if len(written) == body.get(self.abilities.limit, 10**6):
                finish = "length"
                break
            written.append(token)
            if token == END:
                break
            text += token
            found = [stop for stop in body.get("stop", ()) if stop in text]
            if found:
                stop_reason = min(found, key=text.index)
                text = text[: text.index(stop_reason)]
                break
        message = {"role": "assistant", **self._told_apart(text)}
        choice: dict[str, Any] = {"index": number, "message": message, "finish_reason": self.finish_reason or finish}
        if self.abilities.stop_reason:
            choice["stop_reason"] = stop_reason
        if body.get("logprobs") and self.abilities.top_logprobs >= 0:
            top = body.get("top_logprobs", 0)
            choice["logprobs"] = {"content": [_logprob(token, top) for token in written]}
        return choice, len(written)


def _text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _logprob(token: str, num_top: int) -> dict[str, Any]:
    others = [{"token": f"t{rank}", "logprob": -1.0 - rank, "bytes": None} for rank in range(1, num_top)]
    top = [*others, {"token": token, "logprob": -0.5, "bytes": list(token.encode())}][:num_top]
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": top}


def _handler_of(endpoint: FaultyEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: Mapping[str, Any]) -> None:
            try:
                headers = {name.lower(): value for name, value in self.headers.items()}
                fault = endpoint.respond(self.path, headers, body)
            except RefusedError as refusal:
                error = {"error": {"message": str(refusal), "code": refusal.code, "type": "invalid_request_error"}}
                fault = Fault(refusal.status, json.dumps(error).encode())
            time.sleep(fault.delay_s)
            try:
                self._write(fault)
            except ConnectionError:
                self.close_connection = True

        def _write(self, fault: Fault) -> None:
            self.send_response(fault.status)
            num_bytes = len(fault.body) if fault.num_promised is None else fault.num_promised
            for name, value in {"content-type": "application/json", **fault.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(num_bytes))
            self.end_headers()
            for start in range(0, len(fault.body), 1 if fault.drop_s else len(fault.body)):
                time.sleep(fault.drop_s)
                self.wfile.write(fault.body[start : start + 1] if fault.drop_s else fault.body)
            self.close_connection = fault.num_promised is not None

    return Handler
