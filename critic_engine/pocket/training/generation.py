"""Batched generation with a pocket model, from word ids: for sampling training data and for measuring."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from critic_engine.pocket.board import Board, picture
from critic_engine.pocket.dialects import DIALECTS, Dialect
from critic_engine.pocket.vocabulary import EOS, PAD, SPECIALS, WORD_IDS, encode, turn_ids

_BATCH_SIZE = 128


def pixel_values(boards: Sequence[Board], rng: random.Random) -> Any:
    """Return pictures as the processor makes them, shape (len(boards), 3, 48, 48)."""
    import torch

    pictures = np.stack([picture(board, rng) for board in boards])
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0)


@dataclass(frozen=True)
class PocketRequest:
    """A board, a user turn and the beginning of the reply."""

    board: Board
    user: str
    said: str = ""


def dialect_of(model: Any) -> Dialect:
    """Return the dialect whose words ``model`` has.

    Raises:
        ValueError: its vocabulary is that of no dialect.
    """
    num_words = model.config.text_config.vocab_size
    for dialect in DIALECTS.values():
        if len(dialect.words) == num_words:
            return dialect
    raise ValueError(f"model: it has {num_words} words, which is the vocabulary of none of {tuple(DIALECTS)}")


def generate_texts(
    model: Any, requests: Sequence[PocketRequest], *, temperature: float, seed: int, max_words: int | None = None
) -> list[str]:
    """Return the model's reply to each request; greedy at temperature 0."""
    import torch

    torch.manual_seed(seed)
    dialect = dialect_of(model)
    max_words = max_words or dialect.max_words
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    replies: list[str] = []
    with torch.inference_mode():
        for inputs in _batches(model, requests, seed):
            written = model.generate(**inputs, **sampling, max_new_tokens=max_words, pad_token_id=WORD_IDS[PAD])
            replies += [_text(row, dialect.words) for row in written[:, inputs["input_ids"].shape[1] :].tolist()]
    return replies


def next_word_log_probs(model: Any, requests: Sequence[PocketRequest]) -> Any:
    """Return the log-probabilities of the reply's first word, shape (len(requests), number of words)."""
    import torch

    with torch.inference_mode():
        logits = [model(**inputs, logits_to_keep=1).logits[:, -1] for inputs in _batches(model, requests, seed=0)]
        return torch.cat(logits).log_softmax(-1).numpy()


def _batches(model: Any, requests: Sequence[PocketRequest], seed: int) -> Iterator[dict[str, Any]]:
    """Yield the inputs of ``model``, padded on the left, for 128 requests at a time; put it into evaluation mode."""
    import torch

    model.eval()
    word_ids = dialect_of(model).word_ids
    for start in range(0, len(requests), _BATCH_SIZE):
        group = requests[start : start + _BATCH_SIZE]
        rows = [[*turn_ids(request.user, word_ids), *encode(request.said, word_ids)] for request in group]
        longest = max(map(len, rows))
        ids = torch.tensor([[WORD_IDS[PAD]] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        pictures = pixel_values([request.board for request in group], random.Random(f"{seed}:{start}"))
        yield {"input_ids": ids, "attention_mask": mask, "pixel_values": pictures}


def _text(ids: Sequence[int], known: Sequence[str]) -> str:
    words = [known[word] for word in ids]
    words = words[: words.index(EOS)] if EOS in words else words
    return " ".join(word for word in words if word not in SPECIALS).replace(" \n ", "\n").replace("\n ", "\n")
