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


def test_cache_of_prepared_images_is_bounded(
    vision_checkpoint: Checkpoint, ask: Callable[..., GenerationRequest], make_image: Callable[[int], Image]
) -> None:
    checkpoint, counter = counting(vision_checkpoint)
    num_bytes = 3 * 16 * 16 * 4
    encoder = PromptEncoder(checkpoint, cache=ByteCache(2 * num_bytes))
    for number in (1, 2, 1, 3, 1, 2):
        encoder.encode(ask(images=(make_image(number),)))
    assert counter.num_prepared == 4


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
