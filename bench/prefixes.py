"""How many prompt tokens of a run of requests an ideal prefix cache would have held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from critic_engine.backends.huggingface.chat_writer import ChatWriter
from critic_engine.protocols import Generation, GenerationRequest


@dataclass(frozen=True)
class Asked:
    """A request was sent."""

    number: int
    request: GenerationRequest


@dataclass(frozen=True)
class Said:
    """It was answered."""

    number: int
    generation: Generation


@dataclass(frozen=True)
class Sharable:
    """Prompt tokens of all requests."""

    num_prompt: int = 0
    num_shared: int = 0
    """Tokens of the longest beginnings that had been read or written before."""
    num_in_blocks: int = 0
    """Shared tokens in whole blocks; the last token of a prompt is always read, so that its block never counts."""


@dataclass
class _Node:
    children: dict[object, _Node] = field(default_factory=dict)


class Transcriber:
    """Turns requests into tokens as the engine reads them: those of an image bear the image's identity."""

    def __init__(self, folder: Path) -> None:
        """Open the processor of the checkpoint in ``folder``."""
        from transformers import AutoProcessor

        self._processor = AutoProcessor.from_pretrained(folder)
        self._writer = ChatWriter(self._processor, self._processor.tokenizer, has_vision=True)

    def prompt(self, request: GenerationRequest, *, written: str = "") -> list[object]:
        """Return the tokens of the prompt, and of the text ``written`` behind it."""
        chat = self._writer.write(request)
        text = chat.text + chat.prefix + written
        images = iter([image for message in request.messages for image in message.images])
        token_ids = self._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens: list[object] = []
        for token_id in token_ids:
            if token_id == self._processor.image_token_id:
                digest = next(images).digest
                tokens += [(digest, place) for place in range(self._num_image_tokens())]
            else:
                tokens.append(token_id)
        return tokens

    def _num_image_tokens(self) -> int:
        size = self._processor.image_processor.crop_size or self._processor.image_processor.size
        per_side = size["height"] // self._processor.patch_size
        is_cut = self._processor.vision_feature_select_strategy == "default"
        return int(per_side**2 + self._processor.num_additional_image_tokens - is_cut)


def sharable(events: Iterable[Asked | Said], transcriber: Transcriber, *, block_size: int) -> Sharable:
    """Return the tokens that each request could have shared with earlier requests and answers."""
    root, requests = _Node(), dict[int, GenerationRequest]()
    sums = Sharable()
    for event in events:
        if isinstance(event, Said):
            for sample in event.generation.samples:
                # The cache keeps nothing of the last token written; counting it raises the bar by less than a block.
                _insert(root, transcriber.prompt(requests[event.number], written=sample.text))
            continue
        requests[event.number] = event.request
        prompt = transcriber.prompt(event.request)
        num_shared = _insert(root, prompt)
        in_blocks = min(num_shared, len(prompt) - 1) // block_size * block_size
        sums = Sharable(sums.num_prompt + len(prompt), sums.num_shared + num_shared, sums.num_in_blocks + in_blocks)
    return sums


def _insert(root: _Node, tokens: Sequence[object]) -> int:
    """Add ``tokens`` and return how many of the first ones were there."""
    node, num_shared = root, 0
    for place, token in enumerate(tokens):
        child = node.children.get(token)
        if child is None:
            child = node.children[token] = _Node()
        elif num_shared == place:
            num_shared += 1
        node = child
    return num_shared
