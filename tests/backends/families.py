"""Tiny checkpoints with the chat templates of published families, and weights that write what a test wants."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.backends.huggingface.chat_writer import ChatWriter
from critic_engine.protocols import GenerationRequest
from critic_engine.types import ChatOptions, Message
from tests.backends.tokenizers import byte_fallback, byte_level

MAX_CONTEXT_TOKENS = 4096
NUM_POSITIONS = 512
DEFAULT = ChatOptions()
_CHAT_ML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CHAT_ML_TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
)
_HARMONY_TOKENS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>", "<|constrain|>")


@dataclass(frozen=True, slots=True)
class Family:
    """One family of models: its tokens and its chat template."""

    template: str
    specials: tuple[str, ...]
    end: str
    added: tuple[str, ...] = ()
    """Tokens that are no special ones."""
    is_byte_level: bool = True
    prepends_space: bool = False
    """Whether its tokenizer writes a space before each text."""
    opening: str = ""
    """Marker before a thought that the model writes."""
    closing: str = ""
    """Marker behind a thought; empty for a model that does not think."""

    def tokenizer(self) -> Any:
        if self.is_byte_level:
            tokenizer = byte_level(self.specials, self.added)
        else:
            tokenizer = byte_fallback(self.specials, self.added, prepends_space=self.prepends_space)
        tokenizer.eos_token = self.end
        tokenizer.pad_token = self.specials[0]
        if "<bos>" in self.specials:
            tokenizer.bos_token = "<bos>"
        tokenizer.chat_template = self.template
        return tokenizer

    def thought(self, words: str) -> str:
        """Return a thought as the model writes it behind its prompt."""
        return f"{self.opening}{words}{self.closing}" if self.closing else ""


FAMILIES = {
    # The tags are added tokens and no special ones; the model writes both, unless the template closes the thought.
    "qwen3": Family(
        _CHAT_ML_TEMPLATE + "{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}",
        _CHAT_ML,
        "<|im_end|>",
        added=("<think>", "</think>"),
        opening="<think>\n",
        closing="\n</think>\n\n",
    ),
    # The template opens the thought, and cuts thoughts off old turns.
    "r1": Family(
        "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'user' %}"
        "{{ '<｜User｜>' + message['content'] }}{%- elif message['role'] == 'system' %}{{ message['content'] }}"
        "{%- else %}{{ '<｜Assistant｜>' + message['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
        "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{%- endif %}",
        ("<pad>", "<bos>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
        "<｜end▁of▁sentence｜>",
        added=("<think>", "</think>"),
        closing="\n</think>\n\n",
    ),
    # The tags are special tokens, which decoding would drop.
    "special_tags": Family(
        _CHAT_ML_TEMPLATE + "{%- if thinking %}{{ '<think>' }}{%- endif %}{%- endif %}{# </think> #}",
        (*_CHAT_ML, "<think>", "</think>"),
        "<|im_end|>",
        opening="<think>",
        closing="</think>",
    ),
    # No token of the tokenizer is a tag.
    "plain_tags": Family(
        _CHAT_ML_TEMPLATE + "{{ '<think>\\n' }}{%- endif %}{# </think> #}",
        _CHAT_ML,
        "<|im_end|>",
        closing="\n</think>\n\n",
    ),
    "mistral": Family(
        "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'system' %}"
        "{{ '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}{%- elif message['role'] == 'user' %}"
        "{{ '[INST]' + message['content'] + '[/INST]' }}{%- else %}{{ message['content'] + eos_token }}{%- endif %}"
        "{%- endfor %}{# [THINK] and [/THINK] #}",
        ("<pad>", "<bos>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[THINK]", "[/THINK]"),
        "</s>",
        opening="[THINK]",
        closing="[/THINK]",
    ),
    "gpt_oss": Family(
        "{{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}"
        "{%- for message in messages %}{%- if message.role == 'assistant' %}"
        "{{ '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|return|>' }}{%- else %}"
        "{{ '<|start|>' + ('developer' if message.role == 'system' else 'user') + '<|message|>' + message.content"
        " + '<|end|>' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{%- endif %}",
        ("<|endoftext|>", *_HARMONY_TOKENS),
        "<|return|>",
        opening="<|channel|>analysis<|message|>",
        closing="<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "gemma": Family(
        "{{ bos_token }}{%- if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{%- endif %}{%- for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant'"
        " else 'user') + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{%- endif %}",
        ("<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
        is_byte_level=False,
    ),
    "llama": Family(
        "{{- bos_token }}{%- for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
        "'<|end_header_id|>\\n\\n' }}{%- for part in message['content'] %}{{ part['text'] | trim }}{%- endfor %}"
        "{{ '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
        ("<|finetune_right_pad_id|>", "<bos>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        "<|eot_id|>",
    ),
}
# Its turns are text and no special tokens, and its decoder drops the space before a text.
LLAMA_2 = Family(
    "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{%- else %}{{ ' ' + message['content'] + eos_token }}"
    "{%- endif %}{%- endfor %}",
    ("<pad>", "<bos>", "</s>"),
    "</s>",
    is_byte_level=False,
    prepends_space=True,
)
THINKING = sorted(name for name, family in FAMILIES.items() if family.closing)


def save_script(
    folder: Path, family: Family, text: str, *, question: str = "how many?", chat: ChatOptions = DEFAULT
) -> Path:
    """Write a GPT-2 that writes ``text`` behind the prompt of ``question``, token by token, and then ends its turn.

    Its layers are empty, each position has an embedding of its own, and the head turns a position into its token.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = family.tokenizer()
    prompt = ChatWriter(tokenizer, tokenizer, has_vision=False).write(
        GenerationRequest((Message("user", question),), chat=chat)
    )
    num_before = len(tokenizer(prompt.text, add_special_tokens=False)["input_ids"])
    behind = tokenizer(prompt.text + text, add_special_tokens=False)["input_ids"][num_before:]
    written = tokenizer(text, add_special_tokens=False)["input_ids"] if family.is_byte_level else behind
    token_ids = [*written, tokenizer.eos_token_id]
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=NUM_POSITIONS,
        n_embd=NUM_POSITIONS,
        n_layer=1,
        n_head=NUM_POSITIONS // 32,
        n_inner=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for weights in (model.transformer.wte.weight, model.lm_head.weight, *model.transformer.h.parameters()):
            weights.zero_()
        model.transformer.wpe.weight.copy_(torch.eye(NUM_POSITIONS))
        model.lm_head.weight[tokenizer.eos_token_id] = 1
        for place, token in enumerate(token_ids):
            model.lm_head.weight[:, num_before - 1 + place] = 0
            model.lm_head.weight[token, num_before - 1 + place] = 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_chain(folder: Path, family: Family, pieces: Sequence[str], *, switch: str = "") -> Path:
    """Write a Llama that writes ``pieces`` one behind the other from anywhere, and then ends its turn.

    Each piece is one token. The head turns a token into the next; any other token leads to the first piece. A piece may
    occur twice, before and behind ``switch``, which no prompt holds: its second successor follows once the switch is
    written. Uniform attention sees whether it is, and a gate of the layer joins that with the token.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = family.tokenizer()
    tokenizer.add_tokens([piece for piece in dict.fromkeys(pieces) if piece not in tokenizer.get_vocab()])
    chain = [*tokenizer.convert_tokens_to_ids(list(pieces)), tokenizer.eos_token_id]
    again = [place for place, token in enumerate(chain) if token in chain[:place]]
    num_tokens = len(tokenizer)
    width = -(-(num_tokens + 1 + len(again)) // 64) * 64
    config = LlamaConfig(
        vocab_size=num_tokens,
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=MAX_CONTEXT_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    (layer,) = model.model.layers
    with torch.no_grad():
        for module in (layer.self_attn, layer.mlp):
            for weights in module.parameters():
                weights.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(num_tokens, width))
        model.lm_head.weight.zero_()
        model.lm_head.weight[chain[0], :num_tokens] = 1
        for place, (token, following) in enumerate(itertools.pairwise(chain)):
            if place not in again:
                model.lm_head.weight[:, token] = 0
                model.lm_head.weight[following, token] = 1
        if again:
            layer.self_attn.v_proj.weight[0, tokenizer.convert_tokens_to_ids(switch)] = 1
            layer.self_attn.o_proj.weight[num_tokens, 0] = 1
        for number, place in enumerate(again):
            layer.mlp.gate_proj.weight[number, chain[place]] = 1000
            layer.mlp.up_proj.weight[number, num_tokens] = 1
            layer.mlp.down_proj.weight[num_tokens + 1 + number, number] = 1
            model.lm_head.weight[chain[place + 1], num_tokens + 1 + number] = 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
