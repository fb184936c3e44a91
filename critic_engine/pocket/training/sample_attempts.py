"""Sample solutions from a reasoner and write them as JSON lines, for training on its own mistakes.

Run it as ``python -m critic_engine.pocket.training.sample_attempts --model runs/reasoner --out runs/attempts.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from critic_engine.pocket.board import Board
from critic_engine.pocket.oracle import check
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.training.generation import PocketRequest, generate_texts
from critic_engine.pocket.training.loop import begin
from critic_engine.pocket.training.training_rows import Attempt, draw_problem

logger = logging.getLogger("critic_engine.pocket.training.sample_attempts")


def write_attempts(path: Path, attempts: Iterable[Attempt]) -> None:
    """Append ``attempts`` to a file."""
    with path.open("a", encoding="utf-8") as file:
        for attempt in attempts:
            row = {"question": attempt.question.text, "board": attempt.board.code, "steps": attempt.steps}
            file.write(json.dumps(row) + "\n")


def read_attempts(path: Path) -> list[Attempt]:
    """Return the attempts of a file."""
    attempts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        attempts.append(Attempt(read_question(row["question"]), Board.from_code(row["board"]), tuple(row["steps"])))
    return attempts


def flawed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts that have a wrong step."""
    return [attempt for attempt in attempts if not check(attempt.question.text, attempt.board, attempt.steps).is_right]


def sample_attempts(model: Any, *, num: int, temperature: float, seed: int) -> list[Attempt]:
    """Return ``num`` solutions of new training problems."""
    rng = random.Random(f"attempts:{seed}")
    problems = [draw_problem(rng) for _ in range(num)]
    requests = [PocketRequest(board, question.text) for question, board in problems]
    replies = generate_texts(model, requests, temperature=temperature, seed=seed)
    return [
        Attempt(question, board, tuple(reply.split("\n")))
        for (question, board), reply in zip(problems, replies, strict=True)
    ]


def main() -> None:
    """Sample in chunks of 1,000 at several temperatures; each is written at once, so that a stop loses little."""
    from transformers import AutoModelForImageTextToText

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--num", type=int, default=20000)
    options = begin(parser, num_threads=1)
    model = AutoModelForImageTextToText.from_pretrained(options.model)
    for chunk in range(options.num // 1000):
        temperature = (0.8, 1.0, 1.0)[chunk % 3]
        attempts = sample_attempts(model, num=1000, temperature=temperature, seed=1000 * options.seed + chunk)
        write_attempts(options.out, attempts)
        logger.info("%d attempts, %d of the last 1000 flawed", 1000 * (chunk + 1), len(flawed(attempts)))


if __name__ == "__main__":
    main()
