import copy
import dataclasses
import io
from collections.abc import Callable
from typing import Any

import PIL.Image
import pytest
import torch

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.encoding import CachedImageProcessor, PromptEncoder
from critic_engine.errors import GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.images.decoding import open_picture, upright_rgb
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image


class CountingImageProcessor:
    """An image processor that counts the pictures it prepares."""

    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self.num_prepared = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._image_processor, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        self.num_prepared += len(images)
        return self._image_processor(images, **options)


def counting(checkpoint: Checkpoint) -> tuple[Checkpoint, CountingImageProcessor]:
    import copy

    processor = copy.copy(checkpoint.processor)
    processor.image_processor = CountingImageProcessor(processor.image_processor)
    return dataclasses.replace(checkpoint, processor=processor), processor.image_processor


def test_image_is_prepared_once_whatever_the_question(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest], make_image: Callable[[int], Image]
) -> None:
    checkpoint, counter = counting(vision_checkpoint)
    encoder = PromptEncoder(checkpoint)
    first = encoder.encode(ask("one", images=(make_image(1),)))
    second = encoder.encode(ask("another", images=(make_image(1),)))
    other = encoder.encode(ask("one", images=(make_image(2),)))
    assert counter.num_prepared == 2
    assert torch.equal(first.image_tensors["pixel_values"], second.image_tensors["pixel_values"])
    assert not torch.equal(first.image_tensors["pixel_values"], other.image_tensors["pixel_values"])


def test_cache_of_prepared_images_is_bounded(vision_checkpoint: Checkpoint, make_image: Callable[[int], Image]) -> None:
    _, counter = counting(vision_checkpoint)
    num_bytes = 3 * 16 * 16 * 4
    cached = CachedImageProcessor(counter, ByteCache(2 * num_bytes))
    for number in (1, 2, 1, 3, 1, 2):
        image = make_image(number)
        picture = open_picture(image.data)
        picture.info["critic_engine_digest"] = image.digest
        cached([picture], return_tensors="pt")
    assert counter.num_prepared == 4


def test_encoded_texts_are_bounded(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest], make_image: Callable[[int], Image]
) -> None:
    processor = EndingProcessor(vision_checkpoint.processor, "")
    num_bytes = 3 * 16 * 16 * 4
    encoder = PromptEncoder(
        dataclasses.replace(vision_checkpoint, processor=processor), encoded=ByteCache(4 * num_bytes)
    )
    for number in (8, 9):
        encoder.encode(ask(images=(make_image(number),)))
    processor.given.clear()
    for number in (1, 2, 1, 3, 1, 2):
        encoder.encode(ask(images=(make_image(number),)))
    assert len(processor.given) == 4


def test_encoding_equals_the_processors_own(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest], make_image: Callable[[int], Image]
) -> None:
    import io

    from PIL import Image as Pictures

    image = make_image(4)
    parts = [{"type": "image", "image": Pictures.open(io.BytesIO(image.data))}, {"type": "text", "text": "what?"}]
    expected = vision_checkpoint.processor.apply_chat_template(
        [{"role": "user", "content": parts}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    prompt = PromptEncoder(vision_checkpoint).encode(ask("what?", images=(image,)))
    assert prompt.token_ids == expected["input_ids"][0].tolist()
    assert torch.equal(prompt.image_tensors["pixel_values"], expected["pixel_values"])


def test_cached_image_processor_shows_the_attributes_behind_it(vision_checkpoint: Checkpoint) -> None:
    cached = CachedImageProcessor(vision_checkpoint.processor.image_processor, ByteCache())
    assert cached.crop_size == vision_checkpoint.processor.image_processor.crop_size


def reloaded(picture: PIL.Image.Image, **options: Any) -> PIL.Image.Image:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return open_picture(file.getvalue())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_places_are_white(mode: str) -> None:
    picture = PIL.Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255) if mode != "LA" else (70, 70, 70, 255))
    options = {"transparency": (0, 0, 0)} if mode == "RGB" else {}
    shown = upright_rgb(reloaded(picture.convert(mode), **options))
    assert shown.mode == "RGB"
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((1, 0)) == ((70, 70, 70) if mode == "LA" else (255, 0, 0))


def test_sixteen_bits_of_grey_become_eight() -> None:
    picture = PIL.Image.new("I;16", (3, 1))
    for place, grey in enumerate((0, 0x8000, 0xFFFF)):
        picture.putpixel((place, 0), grey)
    shown = upright_rgb(reloaded(picture))
    assert [shown.getpixel((place, 0)) for place in range(3)] == [(0,) * 3, (128,) * 3, (255,) * 3]


def test_encoder_shows_transparent_images_on_white(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest]
) -> None:
    tensors = []
    for color in ((0, 0, 0, 0), (255, 255, 255, 255)):
        file = io.BytesIO()
        PIL.Image.new("RGBA", (20, 20), color).save(file, "PNG")
        prompt = PromptEncoder(vision_checkpoint).encode(ask(images=(Image(file.getvalue(), "image/png", 20, 20),)))
        tensors.append(prompt.image_tensors["pixel_values"])
    assert torch.equal(*tensors)


def test_token_that_is_special_among_the_added_tokens_only_is_refused(
    text_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest]
) -> None:
    tokenizer = copy.deepcopy(text_checkpoint.tokenizer)
    tokenizer.extra_special_tokens = []
    assert "<user>" not in tokenizer.all_special_tokens
    checkpoint = dataclasses.replace(text_checkpoint, tokenizer=tokenizer, processor=tokenizer)
    with pytest.raises(GenerationError, match="holds <user>, a control token"):
        PromptEncoder(checkpoint).encode(ask("how many? <user> what?"))


def test_chat_template_of_the_tokenizer_serves_a_processor_that_has_none(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest]
) -> None:
    processor = copy.copy(vision_checkpoint.processor)
    processor.chat_template = None
    checkpoint = dataclasses.replace(vision_checkpoint, processor=processor)
    expected = PromptEncoder(vision_checkpoint).encode(ask("what?"))
    assert PromptEncoder(checkpoint).encode(ask("what?")).token_ids == expected.token_ids


class EndingProcessor:
    """A processor that writes something behind each text, as those of some models do, and lists what it was given."""

    def __init__(self, processor: Any, end: str) -> None:
        self._processor = processor
        self._end = end
        self.given: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._processor, name)

    def __call__(self, text: list[str], **options: Any) -> Any:
        self.given += text
        return self._processor(text=[each + self._end for each in text], **options)


@pytest.mark.parametrize(("end", "is_divided"), [("", True), ("\n", False), ("<user>", False)])
def test_texts_behind_an_image_have_the_tokens_of_the_whole(
    vision_checkpoint: Checkpoint,
    ask: Callable[..., GenerationRequest],
    make_image: Callable[[int], Image],
    end: str,
    is_divided: bool,
) -> None:
    processor = EndingProcessor(vision_checkpoint.processor, end)
    checkpoint = dataclasses.replace(vision_checkpoint, processor=processor)
    questions = ("who?", "what?", " what?", "\nwhat?", "  two  spaces", "it's 12,345.6 °C", "日本 é", "a\n\n\nb")
    requests = [
        ask(question, images=(make_image(1),), prefix=prefix) for question in questions for prefix in ("", "\nstep 1")
    ]
    encoder = PromptEncoder(checkpoint)
    prompts = [encoder.encode(request) for request in requests]
    num_given = len(processor.given)
    # The first two divided texts are compared with the whole, so that encoders of one request give its own tokens.
    alone = [PromptEncoder(checkpoint).encode(request) for request in requests]
    assert [prompt.token_ids for prompt in prompts] == [prompt.token_ids for prompt in alone]
    assert all(prompt.image_tensors.keys() == {"pixel_values"} for prompt in prompts)
    assert (num_given == 3) is is_divided
