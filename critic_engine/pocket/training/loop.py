"""The training loop of the pocket models."""

from __future__ import annotations

import argparse
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critic_engine.pocket.dialects import PROSE
from critic_engine.pocket.prose.words import FILLER_WORDS
from critic_engine.pocket.training.generation import pixel_values
from critic_engine.pocket.training.training_rows import IGNORED, DrawRow, TrainingRow
from critic_engine.pocket.vocabulary import PAD, WORD_IDS, WORDS

logger = logging.getLogger(__name__)

_VERDICTS = (WORD_IDS["right"], WORD_IDS["wrong"])


@dataclass(frozen=True)
class Schedule:
    """Length and learning rates of one training phase."""

    num_steps: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    """AdamW's, for embeddings, biases, norms and the vision patches."""
    matrix_rate: float = 5e-3
    """Muon's, for the matrices of all layers."""
    final_share: float = 0.05
    """Final learning rates as a share of the first ones, reached along a cosine."""
    warm_up_steps: int = 100
    verdict_weight: float = 1.0
    """The weight of ``right`` and ``wrong`` targets; other words weigh 1."""
    filler_weight: float = 0.25
    """The weight of targets that prose fills with and that mean nothing: most of them cannot be foreseen."""
    log_every: int = 50
    save_every: int = 250


def begin(parser: argparse.ArgumentParser, *, num_threads: int = 2) -> argparse.Namespace:
    """Return the command line with ``--out``, ``--seed`` and ``--threads`` added; set up logging and torch by it."""
    import torch

    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=num_threads)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options


def train(
    model: Any, draw: DrawRow, schedule: Schedule, *, seed: int, on_save: Callable[[int], None] = lambda step: None
) -> None:
    """Train ``model`` in place; every ``save_every`` steps, ``on_save`` is called with the step."""
    import torch

    optimizers = _optimizers(model, schedule)
    batches = _batches(draw, schedule.batch_size, random.Random(seed))
    begin_s, total, num_rows = time.monotonic(), 0.0, 0
    model.train()
    for step in range(1, schedule.num_steps + 1):
        batch = next(batches)
        loss = _loss(model, batch, schedule)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in optimizers:
            optimizer.param_groups[0]["lr"] = rate * _rate_share(step, schedule)
            optimizer.step()
        total += loss.item()
        num_rows += len(batch)
        if step % schedule.log_every == 0:
            rate = num_rows / (time.monotonic() - begin_s)
            logger.info("step %d loss %.4f rows/s %.0f", step, total / schedule.log_every, rate)
            total = 0.0
        if step % schedule.save_every == 0:
            on_save(step)
            model.train()


def _optimizers(model: Any, schedule: Schedule) -> list[tuple[Any, float]]:
    """Return Muon (Jordan et al., 2024) for the layers' matrices and AdamW for the rest, each with its learning rate.

    Frozen weights are left out. Counting is learnt in about half the steps that AdamW alone needs. Muon is in torch
    from 2.9 on.
    """
    import torch

    matrices: list[Any] = []
    others: list[Any] = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        (matrices if weight.ndim == 2 and ".layers." in name else others).append(weight)
    muon = torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01)
    return [(muon, schedule.matrix_rate), (adamw, schedule.learning_rate)]


def _rate_share(step: int, schedule: Schedule) -> float:
    if step <= schedule.warm_up_steps:
        return step / schedule.warm_up_steps
    done = (step - schedule.warm_up_steps) / max(1, schedule.num_steps - schedule.warm_up_steps)
    return schedule.final_share + (1 - schedule.final_share) * 0.5 * (1 + math.cos(math.pi * done))


def _batches(draw: DrawRow, size: int, rng: random.Random) -> Iterator[list[TrainingRow]]:
    """Yield batches of rows of similar length, in random order."""
    while True:
        rows = sorted((draw(rng) for _ in range(8 * size)), key=lambda row: len(row.ids))
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        rng.shuffle(groups)
        yield from groups


def _loss(model: Any, batch: Sequence[TrainingRow], schedule: Schedule) -> Any:
    import torch

    longest = max(len(row.ids) for row in batch)
    ids = torch.full((len(batch), longest), WORD_IDS[PAD])
    targets = torch.full((len(batch), longest), IGNORED)
    for index, row in enumerate(batch):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        targets[index, : len(row.targets)] = torch.tensor(row.targets)
    pictures = pixel_values([row.board for row in batch], random.Random(hash(batch[0].ids)))
    hidden = model.model(input_ids=ids, pixel_values=pictures, use_cache=False).last_hidden_state
    taught = targets != IGNORED
    logits, words = model.lm_head(hidden[taught]), targets[taught]
    weights = torch.ones(logits.shape[-1])
    weights[list(_VERDICTS)] = schedule.verdict_weight
    if len(weights) > len(WORDS):
        weights[[number for word, number in PROSE.word_ids.items() if word in FILLER_WORDS]] = schedule.filler_weight
    return torch.nn.functional.cross_entropy(logits, words, weight=weights)
