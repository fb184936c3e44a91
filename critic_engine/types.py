"""The domain types, all frozen: problems, trajectories, critiques, requests and generations."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
FinishReason: TypeAlias = Literal["stop", "length"]
Thinking: TypeAlias = Literal["auto", "on", "off"]
Verdict: TypeAlias = Literal["right", "wrong"]


@dataclass(frozen=True)
class Image:
    """An encoded image of checked bytes; its identity is its bytes."""

    data: bytes = field(repr=False)
    """The file's bytes, unchanged: PNG, JPEG, WebP, GIF or BMP."""
    media_type: str
    """Media type, such as ``image/png``."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Problem:
    """A question about zero or more images. It holds no reference answer, so it cannot leak one."""

    question: str
    images: tuple[Image, ...] = ()
    choices: tuple[str, ...] = ()
    """The options of a multiple-choice question, in order; empty for an open one."""
    name: str = ""
    """The ``id`` of its row; no part of its identity."""

    def __post_init__(self) -> None:
        """Take lists for tuples; refuse an empty question, fields of another type, and text that is not Unicode."""
        for name, kind, wanted in (("images", Image, "images, each made by load_image(…)"), ("choices", str, "texts")):
            given = getattr(self, name)
            if not isinstance(given, list | tuple) or not all(isinstance(each, kind) for each in given):
                raise TypeError(f"{name} is {repr(given)[:60]}; give a list of {wanted}")
            object.__setattr__(self, name, tuple(given))
        if not isinstance(self.question, str) or not self.question.strip():
            raise ValueError("question is empty; a problem needs a question of at least one word")
        for text in (self.question, *self.choices):
            if text.encode(errors="ignore").decode() != text:
                raise ValueError(f"{text[:80]!r} holds half a surrogate pair; it is not Unicode text")

    @functools.cached_property
    def problem_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over question, choices and image bytes."""
        identity = json.dumps([self.question, list(self.choices), [image.digest for image in self.images]])
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One readable row of a problems file. The reference answer stands beside the problem, never in it."""

    row: int
    """1-based."""
    id: str
    """The row's own ``id``, or its number."""
    problem: Problem
    reference_answers: tuple[str, ...] = ()
    """The accepted answers, each of them right; empty without a reference answer."""
    extras: Mapping[str, object] = field(default_factory=dict)
    """The other columns, untouched."""


RowFault: TypeAlias = Literal[
    "unreadable", "evaluation_set", "no_reference_answer", "disputed_reference_answer", "foreign_reference_answer"
]
"""Why a row is not searched: it cannot be read or is too large, or its problem is in an evaluation set; in a labelled
run also because its reference answer is missing, disputed by rows of the same problem, or none of the choices."""


@dataclass(frozen=True, slots=True)
class FailedRow:
    """One row of a problems file that could not become a problem."""

    row: int
    """1-based."""
    id: str
    reason: str
    """One line that names the thing and says what to do."""
    fault: RowFault = "unreadable"


def default_text(step: str) -> str:
    """Return the exact text assumed for a step if none is recorded: the step and a line break."""
    return f"{step}\n"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of a model during a search; the search may have continued."""

    trial_id: int
    kind: str
    """Kind of failure, such as ``reasoner_unreadable`` or ``critic_error``."""
    reason: str


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The steps of reasoning from the root to one place in the tree, in order."""

    steps: tuple[str, ...] = ()
    """Each step as it is shown: stripped, without the delimiter that ended it."""
    is_finished: bool = False
    """Whether the reasoner ended it."""
    answer: str | None = None
    """Final answer; None while unfinished, and if no answer was found in it."""
    texts: tuple[str, ...] | None = None
    """The reasoner's exact text of each step; None if each is its step and a line break."""

    @property
    def exact_texts(self) -> tuple[str, ...]:
        """The reasoner's exact text of each step."""
        return tuple(map(default_text, self.steps)) if self.texts is None else self.texts

    @property
    def prefix(self) -> str:
        """The reasoner's exact text so far, which the next step continues."""
        return "".join(self.exact_texts)

    @property
    def before_last_step(self) -> "Trajectory":
        """The trajectory without its last step."""
        return Trajectory(self.steps[:-1], texts=None if self.texts is None else self.texts[:-1])


@dataclass(frozen=True, slots=True)
class Critique:
    """The critic's words and verdict on a trajectory."""

    words: str
    """The part of the critic's text with its verdict and reason, as it was generated, without thoughts, stripped."""
    verdict: Verdict
    """``right`` if the critic finds no wrong step."""
    value: float | None
    """The critic's probability, in [0, 1], that every step is right; None if unknown."""
    first_wrong_step: int | None = None
    """1-based; None if the critic names none."""
    examination: str = ""
    """The part before ``words``, in which the critic examines the steps; the reasoner is not shown it."""

    @property
    def whole(self) -> str:
        """The whole text, without thoughts."""
        return f"{self.examination}\n\n{self.words}" if self.examination else self.words


@dataclass(frozen=True, slots=True)
class RejectedSibling:
    """A rejected step below the same node, with its critique."""

    step: str
    critique: Critique


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens and requests spent."""

    prompt_tokens: int = 0
    """Tokens read, image tokens included, whether or not a cache held them."""
    generated_tokens: int = 0
    """Tokens written."""
    cached_tokens: int = 0
    """Part of ``prompt_tokens`` that a cache held; 0 also if the backend does not report it."""
    num_retries: int = 0
    """Requests that failed and were retried."""
    num_requests: int = 0
    """Requests sent, failed and retried ones included; 0 if the backend leaves their count to the model's meter."""
    critic_prompt_tokens: int = 0
    """Part of ``prompt_tokens`` that the critic or the reward model read."""
    critic_generated_tokens: int = 0
    """Part of ``generated_tokens`` that the critic or the reward model wrote."""
    critic_cached_tokens: int = 0
    """Part of ``cached_tokens`` that belongs to the critic or the reward model."""

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        """Return the sum, field by field."""
        return TokenUsage(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def by_critic(self) -> "TokenUsage":
        """Return the same usage, all of it spent by the critic or the reward model."""
        return replace(
            self,
            critic_prompt_tokens=self.prompt_tokens,
            critic_generated_tokens=self.generated_tokens,
            critic_cached_tokens=self.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: its images first, then its text."""

    role: Role
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling options of one request."""

    temperature: float = 0.0
    """At least 0; 0 takes the likeliest token each time, and values below 0.0001 count as 0."""
    top_p: float = 1.0
    """In (0, 1]; samples are drawn from the smallest set of tokens with this probability mass."""
    top_k: int = 0
    """Samples are drawn from this many of the likeliest tokens; 0 sets no limit."""
    min_p: float = 0.0
    """In [0, 1]; tokens less likely than this share of the likeliest one's probability are not drawn."""
    max_tokens: int = 256
    """Most tokens of one sample's text, its thought apart; at least 1."""
    stop: tuple[str, ...] = ()
    """A sample ends before the first of these strings, which is not part of its text."""
    num_top_logprobs: int | None = None
    """None requests no log-probabilities, 0 those of the drawn tokens, k also those of the k likeliest tokens."""

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken each time."""
        return self.temperature < 1e-4

    def __post_init__(self) -> None:
        """Refuse options out of range."""
        if not self.temperature >= 0:
            raise ValueError(f"temperature is {self.temperature}; it must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be in (0, 1]")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 or more")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p is {self.min_p}; it must be in [0, 1]")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}; it must be at least 1")
        if "" in self.stop:
            raise ValueError("stop holds an empty string; every stop string needs a character")
        if self.num_top_logprobs is not None and self.num_top_logprobs < 0:
            raise ValueError(f"num_top_logprobs is {self.num_top_logprobs}; it must be None, 0 or more")


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a role addresses its model; roles that share an engine may differ in it."""

    system_prompt: str = ""
    """Text of a system message before all others; empty for none."""
    thinking: Thinking = "auto"
    """Whether the model thinks before it writes; ``auto`` leaves it to the model's chat template or endpoint."""
    max_thought_tokens: int = 8192
    """Most tokens of a thought, beside the ``max_tokens`` of the text; at least 1."""
    reasoning_effort: str | None = None
    """Effort of the thought, such as ``low``, for models that know it; None leaves it out."""
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    """Variables of the chat template, such as ``{"enable_thinking": False}``."""
    extra_body: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the request, sent as they are; endpoints only."""

    def messages(self, message: Message) -> tuple[Message, ...]:
        """Return ``message`` with the system message before it, if there is one."""
        return (Message("system", self.system_prompt), message) if self.system_prompt else (message,)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one problem: a row of ``answers.jsonl``."""

    id: str
    """The ``id`` of its row, or the row's number."""
    problem_id: str
    answer: str | None
    """None if the problem failed."""
    value: float | None
    """Value of the chosen path, in [0, 1]; None if unknown."""
    status: Literal["answered", "failed"]
    stop_reason: str
    """Why the search ended: ``tokens``, ``simulations``, ``seconds``, ``run_tokens`` or ``run_seconds`` for a limit;
    ``value_threshold``, ``num_finished``, ``agreement``, ``patience`` or ``one_sided`` for what it found;
    ``num_samples``, ``rounds`` or ``exhausted`` at its own end; ``unreadable_row`` or ``error`` if there was no search
    or it broke."""
    num_tokens: int
    """Tokens generated for it by all roles, except for trials in flight that a time limit or a limit of the run cut."""
    num_simulations: int
    wall_s: float
    """Seconds of the search in the process that finished it; time before a resume does not count."""
    error: str | None = None
    """Why it failed, in one line; None if it was answered."""
    steps: tuple[str, ...] = ()
    """The steps of the chosen path."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Number of failures and retries by kind."""
    prompt_tokens: int = 0
    """Tokens read for it by all roles."""
    cached_tokens: int = 0
    """Part of ``prompt_tokens`` that a cache held, as far as the backends report it."""
    num_requests: int = 0
    """Requests sent for it to all models, failed and retried ones included."""
    critic_tokens: int = 0
    """Part of ``num_tokens`` that the critic or the reward model generated."""
    critic_prompt_tokens: int = 0
    """Part of ``prompt_tokens`` that the critic or the reward model read."""
    critic_cached_tokens: int = 0
    """Part of ``cached_tokens`` that belongs to the critic or the reward model."""
