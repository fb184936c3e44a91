"""Pocket problems: drawn at random, written as rows of a problem file, and read back."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from critic_engine.pocket.board import Board, draw_board, picture
from critic_engine.pocket.oracle import Judgement, check
from critic_engine.pocket.questions import draw_question, read_question
from critic_engine.pocket.solver import answer_of, solve


@dataclass(frozen=True)
class PocketProblem:
    """A question about a board."""

    problem_id: str
    """Split, seed and number: ``test-7-0042``. It also decides the small differences in the picture."""
    question: str
    board: Board

    @property
    def family(self) -> str:
        """The question's family, one of `questions.FAMILIES`."""
        return read_question(self.question).family

    @property
    def plan(self) -> tuple[str, ...]:
        """The right steps."""
        return solve(read_question(self.question), self.board)

    @property
    def answer(self) -> str:
        """The reference answer."""
        return answer_of(self.plan[-1]) or ""

    def check(self, steps: Iterable[str]) -> Judgement:
        """Judge a trajectory, whole or partial."""
        return check(self.question, self.board, tuple(steps))

    def png(self) -> bytes:
        """Return the board's picture, 48 x 48 pixels."""
        buffer = io.BytesIO()
        Image.fromarray(picture(self.board, random.Random(self.problem_id))).save(buffer, format="PNG")
        return buffer.getvalue()

    def row(self, image: str | None = None) -> dict[str, object]:
        """Return the problem as a line of a problem file; ``family``, ``board`` and ``split`` are carried along.

        Args:
            image: Path of the picture; None puts the picture itself into the row.
        """
        image = image or "data:image/png;base64," + base64.b64encode(self.png()).decode()
        return {
            "id": self.problem_id, "question": self.question, "images": [image], "answer": self.answer,
            "family": self.family, "board": self.board.code, "split": self.board.split,
        }  # fmt: skip


def make_problems(split: str, num: int, seed: int) -> list[PocketProblem]:
    """Return ``num`` problems of a split; equal arguments give equal ones, a smaller ``num`` the first of them."""
    problems = []
    for number in range(num):
        rng = random.Random(f"{split}:{seed}:{number}")
        board = draw_board(rng, split)
        problems.append(PocketProblem(f"{split}-{seed}-{number:04d}", draw_question(rng, board).text, board))
    return problems


def problem_of(row: Mapping[str, object]) -> PocketProblem:
    """Return the problem that `PocketProblem.row` wrote; needs ``id``, ``question`` and ``board``."""
    return PocketProblem(str(row["id"]), str(row["question"]), Board.from_code(str(row["board"])))


def write_problems(path: Path, *, split: str, num: int, seed: int, images: Path | None = None) -> None:
    """Write ``num`` problems as JSON lines, and their pictures into the folder ``images``, which lies below ``path``'s.

    Without a folder, each row holds its picture.
    """
    if images is not None:
        images.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for problem in make_problems(split, num, seed):
            picture_path = None
            if images is not None:
                (images / f"{problem.problem_id}.png").write_bytes(problem.png())
                picture_path = (images / f"{problem.problem_id}.png").relative_to(path.parent).as_posix()
            file.write(json.dumps(problem.row(picture_path)) + "\n")
