"""Building the pocket models: a small LLaVA (CLIP tower, Llama decoder) with its own tokenizer and processor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.pocket.board import BOARD_PX, CELL_PX
from critic_engine.pocket.dialects import TERSE, Dialect
from critic_engine.pocket.prose.words import MARKS
from critic_engine.pocket.training.generation import dialect_of
from critic_engine.pocket.vocabulary import (
    ASSISTANT,
    BOS,
    EOS,
    IMAGE,
    PAD,
    PUNCTUATION,
    SPECIALS,
    UNKNOWN,
    USER,
    WORD_IDS,
)

CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- '" + USER + "' -}}"
    "{%- elif message['role'] == 'assistant' -%}{{- '" + ASSISTANT + "' -}}"
    "{%- else -%}{{- raise_exception('the pocket models know the roles user and assistant') -}}{%- endif -%}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- else -%}{{- '" + IMAGE + "' -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '" + ASSISTANT + "' -}}{%- endif -%}"
)


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a pocket model."""

    text_width: int = 128
    text_layers: int = 4
    vision_width: int = 96
    vision_layers: int = 2
    head_width: int = 32
    max_tokens: int = 512


def build_model(size: ModelSize, dialect: Dialect = TERSE) -> Any:
    """Return a new LLaVA model in float32; seed torch first."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=size.vision_width, intermediate_size=2 * size.vision_width, projection_dim=size.vision_width,
        num_hidden_layers=size.vision_layers, num_attention_heads=size.vision_width // size.head_width,
        image_size=BOARD_PX, patch_size=CELL_PX,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(dialect.words), hidden_size=size.text_width, intermediate_size=3 * size.text_width,
        num_hidden_layers=size.text_layers, num_attention_heads=size.text_width // size.head_width,
        num_key_value_heads=size.text_width // size.head_width, max_position_embeddings=size.max_tokens,
        bos_token_id=WORD_IDS[BOS], eos_token_id=WORD_IDS[EOS], pad_token_id=WORD_IDS[PAD], tie_word_embeddings=False,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=WORD_IDS[IMAGE], image_seq_length=9,
        vision_feature_layer=-1, vision_feature_select_strategy="default", tie_word_embeddings=False,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # CLIP starts its place embeddings at 0.02, too faint beside the patches to learn places by
        model.model.vision_tower.embeddings.position_embedding.weight.normal_(std=0.5)
    return model


def with_words_of(model: Any, dialect: Dialect) -> Any:
    """Return ``model`` with the words of ``dialect``; a new word that stands for a known one begins as that one does.

    Seed torch first: the other new words begin at random.

    Raises:
        ValueError: it has more words than the dialect.
    """
    import torch

    num_known = model.config.text_config.vocab_size
    if num_known > len(dialect.words):
        raise ValueError(f"model: it has {num_known} words, more than the {len(dialect.words)} of {dialect.name}")
    model.resize_token_embeddings(len(dialect.words))
    with torch.no_grad():
        for weight in (model.get_input_embeddings().weight, model.lm_head.weight):
            for word in dialect.words[num_known:]:
                place = dialect.word_ids.get(MARKS.get(word, "").lower(), num_known)
                if place < num_known:
                    weight[dialect.word_ids[word]] = weight[place]
    return model


def deepened(model: Any, num_layers: int) -> Any:
    """Return a model with ``num_layers`` decoder layers that at first computes the same as ``model``.

    The new layers on top begin by adding nothing. A critic needs them: the predicted word is known only at the top of
    the layers that predict it, and comparing it with the written word comes after that.
    """
    import torch
    from transformers import LlavaForConditionalGeneration

    config = type(model.config).from_dict(model.config.to_dict())
    config.text_config.num_hidden_layers = num_layers
    deeper = LlavaForConditionalGeneration(config)
    deeper.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        for layer in deeper.model.language_model.layers[model.config.text_config.num_hidden_layers :]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    return deeper


def take_layers(model: Any, other: Any, num_kept: int) -> None:
    """Put the layers of ``other`` from ``num_kept`` on into ``model``, with its last norm and its words of the head."""
    import torch

    with torch.no_grad():
        layers, taken = model.model.language_model.layers, other.model.language_model.layers
        for layer, theirs in zip(layers[num_kept:], taken[num_kept:], strict=True):
            layer.load_state_dict(theirs.state_dict())
        model.model.language_model.norm.load_state_dict(other.model.language_model.norm.state_dict())
        model.lm_head.weight[: len(other.lm_head.weight)] = other.lm_head.weight


def build_processor(dialect: Dialect = TERSE) -> Any:
    """Return the processor: a word tokenizer with the chat template, and an image processor that needs only PIL."""
    from transformers import CLIPImageProcessorPil, LlavaProcessor

    side = {"height": BOARD_PX, "width": BOARD_PX}
    images = CLIPImageProcessorPil(size=side, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return LlavaProcessor(
        image_processor=images, tokenizer=build_tokenizer(dialect), patch_size=CELL_PX, image_token=IMAGE,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=CHAT_TEMPLATE,
    )  # fmt: skip


def build_tokenizer(dialect: Dialect = TERSE) -> Any:
    """Return a fast tokenizer of whole words; newline and punctuation are words, decoding puts the spaces back."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(dict(dialect.word_ids), unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split("\n", "isolated"),
        pre_tokenizers.Split(Regex("[" + PUNCTUATION.replace("-", r"\-") + "]"), "isolated"),
        pre_tokenizers.Split(Regex(r"[^\S\n]+"), "removed"),
    ])  # fmt: skip
    tokenizer.decoder = decoders.Sequence([
        decoders.WordPiece(prefix="##", cleanup=False),  # a space before every word but the first
        decoders.Fuse(),
        decoders.Replace(" \n", "\n"),
        decoders.Replace("\n ", "\n"),
    ])  # fmt: skip
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, unk_token=UNKNOWN,
        additional_special_tokens=[IMAGE, USER, ASSISTANT], clean_up_tokenization_spaces=False, padding_side="left",
        model_max_length=ModelSize().max_tokens,
        chat_template=CHAT_TEMPLATE,
    )  # fmt: skip
    if len(fast) != len(dialect.words) or fast.convert_tokens_to_ids(list(SPECIALS)) != list(range(len(SPECIALS))):
        raise AssertionError("the tokenizer numbers its words otherwise than the vocabulary")
    return fast


def save_checkpoint(model: Any, folder: Path) -> None:
    """Write model and processor; ``folder`` then loads with the Auto classes and in vLLM."""
    from transformers import GenerationConfig

    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        bos_token_id=WORD_IDS[BOS], eos_token_id=WORD_IDS[EOS], pad_token_id=WORD_IDS[PAD], max_new_tokens=160
    )
    model.save_pretrained(folder)
    _name_weights_as_published(folder / "model.safetensors")
    processor = build_processor(dialect_of(model))
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    _name_tokenizer_as_published(folder / "tokenizer_config.json")


def _name_weights_as_published(path: Path) -> None:
    """Put `vision_model` back into the names of the tower's weights, as vLLM and older transformers expect."""
    from safetensors.torch import load_file, save_file

    tower = "vision_tower."
    weights = {
        name.replace(f"{tower}vision_model.", tower).replace(tower, f"{tower}vision_model."): weight
        for name, weight in load_file(path).items()
    }
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)


def _name_tokenizer_as_published(path: Path) -> None:
    """Write the tokenizer's class and special words under the names that all versions of transformers read."""
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["additional_special_tokens"] = config.pop("extra_special_tokens")
    path.write_text(json.dumps(config, indent=2) + "\n")
