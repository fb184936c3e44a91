"""Two tiny random models, written once a session: one that sees and one that reads text only."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.huggingface.checkpoint import Checkpoint, CheckpointOptions, load_checkpoint
from critic_engine.protocols import GenerationRequest
from critic_engine.types import Image, Message, SamplingOptions

SPECIALS = ("<pad>", "<bos>", "<end>", "<image>", "<user>", "<assistant>", "<system>")
# Trimming the content is what most published templates do.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
IMAGE_PX = 16
PATCH_PX = 8
MAX_CONTEXT_TOKENS = 160


def build_tokenizer() -> Any:
    """A byte-level tokenizer over ASCII, a few merges, and the two bytes of 'é'."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = [*(chr(code) for code in range(0x21, 0x7F)), "Ġ", "Ċ", "Ã", "©"]
    merges = [("Ċ", "Ċ"), ("Ġ", "a"), (".", "Ċ"), ("s", "t")]
    words = [*SPECIALS, *characters, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        additional_special_tokens=[*SPECIALS[3:]],
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )


def text_config(vocabulary: int) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=MAX_CONTEXT_TOKENS,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )


@pytest.fixture(scope="session")
def vision_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of random weights."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = build_tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=IMAGE_PX,
        patch_size=PATCH_PX,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text_config(len(tokenizer)),
        image_token_index=SPECIALS.index("<image>"),
        image_seq_length=4,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    torch.manual_seed(1)
    model = LlavaForConditionalGeneration(config)
    side = {"height": IMAGE_PX, "width": IMAGE_PX}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-llava"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights."""
    import torch
    from transformers import LlamaForCausalLM

    tokenizer = build_tokenizer()
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    LlamaForCausalLM(text_config(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vision_checkpoint(vision_folder: Path) -> Checkpoint:
    return load_checkpoint(CheckpointOptions(str(vision_folder), device="cpu"))


@pytest.fixture(scope="session")
def text_checkpoint(text_folder: Path) -> Checkpoint:
    return load_checkpoint(CheckpointOptions(str(text_folder), device="cpu"))


@pytest.fixture(scope="session")
def make_image() -> Callable[[int], Image]:
    """From a number to a picture of its own."""

    def make(number: int) -> Image:
        from PIL import Image as Pictures

        file = io.BytesIO()
        Pictures.new("RGB", (20, 20), (number * 40 % 256, 90, 250 - number % 200)).save(file, "PNG")
        return Image(file.getvalue(), "image/png", 20, 20)

    return make


@pytest.fixture(scope="session")
def ask() -> Callable[..., GenerationRequest]:
    """From a question, images and sampling options to a request."""

    def make(
        question: str = "how many?",
        *,
        images: tuple[Image, ...] = (),
        prefix: str = "",
        seeds: tuple[int, ...] = (0,),
        **sampling: Any,
    ) -> GenerationRequest:
        options = SamplingOptions(**{"max_tokens": 12, **sampling})
        return GenerationRequest((Message("user", question, images),), prefix=prefix, sampling=options, seeds=seeds)

    return make
