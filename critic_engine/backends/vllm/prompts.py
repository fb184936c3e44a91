"""Rendering a request as the prompt that vLLM's engine reads."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from critic_engine.backends.huggingface.chat_writer import ChatWriter, TurnStart
from critic_engine.backends.huggingface.checkpoint import require_chat_template
from critic_engine.backends.huggingface.control_tokens import encoding_errors
from critic_engine.backends.huggingface.encoding import PrefixEncoder, Prompt, Row, context_overflow
from critic_engine.errors import GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image, Message

if TYPE_CHECKING:
    import PIL.Image


@dataclass(frozen=True, slots=True, eq=False)
class VllmPrompt:
    """One rendered request; all its samples continue it."""

    engine_input: Any
    """The output of vLLM's renderer, image tokens and prepared images included."""
    num_tokens: int
    """Prompt tokens, image tokens included."""
    context_ids: list[int]
    """The last tokens of the prefix, on which decoding the continuation depends; empty without a prefix."""
    max_tokens: int
    """The tokens that the context holds behind the prompt; at least 1."""
    start: TurnStart = field(default_factory=TurnStart)
    """The thought that samples begin in, if any."""

    def behind(self, token_ids: Sequence[int]) -> Any:
        """Return the engine's input with further tokens of text behind it."""
        if not token_ids:
            return self.engine_input
        return {**self.engine_input, "prompt_token_ids": [*self.engine_input["prompt_token_ids"], *token_ids]}

    def row(self, request: GenerationRequest, seed: int) -> Row:
        """Return one sample to be generated from it."""
        prompt = Prompt([], self.context_ids, start=self.start)
        num_thought = request.chat.max_thought_tokens
        return Row(prompt, request.sampling, seed, max_thought_tokens=num_thought, room=self.max_tokens)


class VllmPrompts:
    """Renders requests for one engine, in a thread of its own, so that the event loop never waits for it."""

    def __init__(self, llm: Any, *, model: str) -> None:
        """Take vLLM's ``AsyncLLM``.

        Raises:
            ModelLoadError: the model has no chat template, or one that cannot be used.
        """
        self._llm = llm
        # Tokenizers are not to be used from two threads, and the engine uses its own.
        self.tokenizer = copy.deepcopy(llm.get_tokenizer())
        media = llm.renderer.mm_processor and llm.renderer.mm_processor.info
        # 0 for a model that reads text only.
        self._max_images = int(media.allowed_mm_limits.get("image", 0)) if media else 0
        processor = media.get_hf_processor() if self._max_images else self.tokenizer
        require_chat_template(model, processor, self.tokenizer)
        self.writer = ChatWriter(processor, self.tokenizer, has_vision=self._max_images > 0)
        """Writes requests as text."""
        self._prefixes = PrefixEncoder(self.tokenizer, self.writer.render([Message("user", "a")]))
        self._pictures: ByteCache[PIL.Image.Image] = ByteCache()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vllm-prompts")

    async def render(self, request: GenerationRequest) -> VllmPrompt:
        """Return the rendered prompt.

        Raises:
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: it has more images than the engine takes, its text holds a control token, the chat cannot
                be rendered, or an image cannot be read.
        """
        images = [image for message in request.messages for image in message.images]
        if self._max_images and len(images) > self._max_images:
            raise GenerationError(
                f"the request has {len(images)} images, and the engine takes {self._max_images}; give fewer, or raise "
                "limit_mm_per_prompt in engine_args"
            )
        loop = asyncio.get_running_loop()
        token_ids, engine_input, start = await loop.run_in_executor(self._worker, self._render, request, images)
        num_tokens = len(engine_input["prompt_token_ids"])
        limit = self._llm.model_config.max_model_len
        if num_tokens >= limit:
            raise context_overflow(num_tokens, limit)
        return VllmPrompt(
            engine_input=engine_input,
            num_tokens=num_tokens,
            context_ids=self._prefixes.context(token_ids, request.prefix),
            max_tokens=limit - num_tokens,
            start=start,
        )

    def close(self) -> None:
        """Let go of the thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _render(self, request: GenerationRequest, images: Sequence[Image]) -> tuple[list[int], Any, TurnStart]:
        """Return a prompt's tokens, each image one of them, the output of vLLM's renderer, and where samples begin."""
        from vllm.renderers import TokenizeParams

        # vLLM would refuse a prompt that is too long without saying how long it is with its images.
        unlimited = TokenizeParams(max_total_tokens=None)
        written = self.writer.write(request)
        with encoding_errors():
            prefix_ids = self._prefixes.encode(written.prefix)
            text = written.text + (written.prefix if prefix_ids is None else "")
            encoded = self.tokenizer(text, add_special_tokens=not self.writer.is_begun(text))
            token_ids = [*encoded["input_ids"], *(prefix_ids or [])]
            prompt: dict[str, Any] = {"prompt_token_ids": token_ids}
            if images:
                prompt["multi_modal_data"] = {"image": [self._picture(image) for image in images]}
                # The engine's caches of prepared images and of prompts know an image by this name.
                prompt["multi_modal_uuids"] = {"image": [image.digest for image in images]}
            (engine_input,) = self._llm.renderer.render_cmpl([prompt], unlimited)
        return token_ids, engine_input, written.start

    def _picture(self, image: Image) -> PIL.Image.Image:
        """Return the image upright and in RGB; each is decoded once while the cache keeps it."""
        picture = self._pictures.get(image.digest)
        if picture is None:
            picture = upright_rgb(open_picture(image.data))
            self._pictures.put(image.digest, picture, picture.width * picture.height * len(picture.getbands()))
        return picture
