"""Texts of models that think, and what is to be read of them, on any backend."""

from dataclasses import dataclass

from critic_engine.protocols import GenerationRequest
from critic_engine.types import ChatOptions, Message, SamplingOptions
from tests.backends.families import DEFAULT, FAMILIES

WORDS = "I find the answer: 3.\n\nVerdict: wrong\nanswer: 99"
TEXT = "Step 1: you see 好 dogs.\nStep 2: one leaves.\nanswer: 7"


@dataclass(frozen=True, slots=True)
class Writing:
    """One text of a family: its thought, and its visible text."""

    family: str
    thought: str
    text: str = TEXT

    @property
    def whole(self) -> str:
        return self.thought + self.text


def writing(family: str) -> Writing:
    """Return the text of a model of ``family``, with the thought that its prompt leaves to it."""
    return Writing(family, FAMILIES[family].thought(WORDS))


def request(
    *, prefix: str = "", seeds: tuple[int, ...] = (0,), chat: ChatOptions = DEFAULT, **sampling: object
) -> GenerationRequest:
    """Return a request of the question that the scripts answer."""
    options = SamplingOptions(**{"max_tokens": 200, **sampling})  # type: ignore[arg-type]
    return GenerationRequest((Message("user", "how many?"),), prefix=prefix, sampling=options, seeds=seeds, chat=chat)
