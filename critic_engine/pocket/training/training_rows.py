"""Training rows: word ids with targets, drawn without end from the training split."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from critic_engine.pocket.board import CELLS, COLOURS, MOVES, SHAPES, Board, draw_board
from critic_engine.pocket.dialects import TERSE, Dialect
from critic_engine.pocket.oracle import UNCLEAR, check, claims_of
from critic_engine.pocket.prompts import critic_prompt, next_step_prompt, prefix_text, rewrite_prompt
from critic_engine.pocket.questions import TRAITS, Question, draw_question
from critic_engine.pocket.solver import solve, solve_with_slips
from critic_engine.pocket.vocabulary import EOS, WORD_IDS, encode, turn_ids

IGNORED = -100
_END = WORD_IDS[EOS]
_NUMBERS = tuple(map(str, range(10)))
_WRONG_CRITIQUES = 0.18
_FROM_THE_FLAW = 0.7
"""Share of rewrites whose targets begin at the flaw, where the critique is of use."""


@dataclass(frozen=True)
class TrainingRow:
    """One training row."""

    board: Board
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    """As long as ``ids``: the word that comes after each one, or `IGNORED`."""


@dataclass(frozen=True)
class Attempt:
    """A trajectory for one question, right or wrong."""

    question: Question
    board: Board
    steps: tuple[str, ...]


DrawAttempt: TypeAlias = Callable[[random.Random], Attempt]
DrawRow: TypeAlias = Callable[[random.Random], TrainingRow]


def draw_problem(rng: random.Random) -> tuple[Question, Board]:
    """Return a question and its board from the training split."""
    board = draw_board(rng, "train")
    return draw_question(rng, board), board


def slip_attempt(rng: random.Random, dialect: Dialect = TERSE) -> Attempt:
    """Return a solution with one or two slips in it."""
    question, board = draw_problem(rng)
    num_steps = len(solve(question, board))
    slips = {_slip_place(rng, num_steps) for _ in range(rng.choice((1, 1, 2)))}
    facts = solve_with_slips(question, board, slips=slips, rng=rng)
    return Attempt(question, board, dialect.write(facts, rng))


def right_attempt(rng: random.Random, dialect: Dialect = TERSE) -> Attempt:
    """Return a right solution."""
    question, board = draw_problem(rng)
    return Attempt(question, board, dialect.write(solve(question, board), rng))


def naming_row(rng: random.Random) -> TrainingRow:
    """Return a row that names all cells in random order; it teaches seeing, and looking a cell up."""
    board = draw_board(rng, "train")
    cells = rng.sample(CELLS, len(CELLS))
    return _row(board, "name cells", said="", target=" ".join(f"{cell} {board[cell]}" for cell in cells))


def practice_row(rng: random.Random, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row of twelve unrelated steps, sometimes after a description of the board: much practice in little text.

    The subject of a terse step cannot be predicted and is no target; only the claim about it is.
    """
    board = draw_board(rng, "train")
    rows = solve(Question("count", first="red"), board)[:3]
    described = prefix_text(dialect.write(rows, rng)) if rng.random() < 0.3 else ""
    row = _row(board, "count cells", said="", target=described, dialect=dialect)
    ids, targets = list(row.ids), list(row.targets[:-1])
    for _ in range(12):
        step = dialect.say(_practice_step(rng, board), rng)
        words = [*encode(step, dialect.word_ids), WORD_IDS["\n"]]
        num_given = 1 + next((place for place, word in enumerate(words) if dialect.words[word] in (":", "is")), -1)
        ids += words
        targets += [*[IGNORED] * num_given, *words[num_given:]]
    return TrainingRow(board, tuple(ids), (*targets, _END))


def _practice_step(rng: random.Random, board: Board) -> str:
    if rng.random() < 0.6:
        return solve(Question("count", first=rng.choice(TRAITS)), board)[3]
    question = Question("navigate", cell=rng.choice(CELLS), moves=(rng.choice([*MOVES]),), aspect="object")
    return rng.choice(solve(question, board)[3:5])


def solving_row(rng: random.Random, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that solves a problem from the start."""
    return repeating_row(right_attempt(rng, dialect), dialect)


def repeating_row(attempt: Attempt, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that repeats ``attempt``, right or wrong."""
    return _row(attempt.board, attempt.question.text, said="", target="\n".join(attempt.steps), dialect=dialect)


def rewriting_row(rng: random.Random, draw_attempt: DrawAttempt, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that corrects a solution by a critique, itself sometimes wrong; a right solution is kept."""
    attempt = draw_attempt(rng)
    judgement = check(attempt.question.text, attempt.board, attempt.steps)
    critique = _perhaps_blurred(rng, worded(rng, judgement.words, dialect))
    prompt = rewrite_prompt(attempt.question.text, steps=attempt.steps, critique=critique)
    said = attempt.steps[: (judgement.first_wrong or 1) - 1] if rng.random() < _FROM_THE_FLAW else ()
    return _continued_row(rng, attempt, prompt, said, dialect)


def next_step_row(rng: random.Random, draw_attempt: DrawAttempt, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that continues a right beginning, given one to three rejected next steps."""
    attempt = draw_attempt(rng)
    question, board, plan = attempt.question, attempt.board, solve(attempt.question, attempt.board)
    first_wrong = check(question.text, board, attempt.steps).first_wrong
    said, tried = dialect.write(plan[: _slip_place(rng, len(plan)) - 1], rng), []
    if first_wrong is not None:
        said, tried = attempt.steps[: first_wrong - 1], [attempt.steps[first_wrong - 1]]
    place = len(plan) - len(_untold(plan, said)) + 1
    for _ in range(rng.choice((0, 0, 1, 2)) + (not tried)):
        slipped = solve_with_slips(question, board, slips={place}, rng=rng)[place - 1]
        tried.append(dialect.say(slipped, rng))
    rejected = []
    for step in tried:
        words = check(question.text, board, (*said, step)).words
        rejected.append((step, _perhaps_blurred(rng, worded(rng, words, dialect))))
    return _continued_row(rng, attempt, next_step_prompt(question.text, rejected=rejected), said, dialect)


def _continued_row(
    rng: random.Random, attempt: Attempt, prompt: str, said: Sequence[str], dialect: Dialect
) -> TrainingRow:
    """Return a row whose targets go on from ``said``, right steps, to the answer."""
    target = "\n".join(dialect.write(_untold(solve(attempt.question, attempt.board), said), rng))
    return _row(attempt.board, prompt, said=prefix_text(said), target=target, dialect=dialect)


def _untold(plan: Sequence[str], said: Sequence[str]) -> Sequence[str]:
    """Return the planned facts behind the last one that ``said`` states, at least the answer."""
    forms = {form for step in said for claim in claims_of(step) for form in claim}
    num_told = max((place for place, fact in enumerate(plan, 1) if fact in forms), default=0)
    return plan[min(num_told, len(plan) - 1) :]


def worded(rng: random.Random, words: str, dialect: Dialect) -> str:
    """Return a critique with its reason in the dialect's words."""
    verdict, colon, reason = words.partition(" : ")
    return f"{verdict}{colon}{dialect.say(reason, rng)}" if colon else words


def foreseeing_row(rng: random.Random, draw_attempt: DrawAttempt, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that predicts, in a solution to judge, each next word as it should be, up to the first wrong one."""
    attempt, ids, targets = _read(rng, draw_attempt, _next_word_targets, dialect)
    return TrainingRow(attempt.board, tuple(ids), tuple(targets))


def judging_row(rng: random.Random, draw_attempt: DrawAttempt, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row that judges a solution or its beginning, with the verdict so far as the target after each word."""
    attempt, ids, targets = _read(rng, draw_attempt, partial(_verdict_targets, dialect=dialect), dialect)
    said = worded(rng, check(attempt.question.text, attempt.board, attempt.steps).words, dialect)
    words = [*encode(said, dialect.word_ids), _END]
    return TrainingRow(attempt.board, (*ids, turn_ids("")[-1], *words[:-1]), (*targets, *words))


def _read(
    rng: random.Random,
    draw_attempt: DrawAttempt,
    teach: Callable[[list[int], list[int] | None, int], list[int]],
    dialect: Dialect,
) -> tuple[Attempt, list[int], list[int]]:
    """Return an attempt with all or the first of its steps, the ids of the critic's prompt for it, and their targets.

    ``teach`` takes the ids of a step, those of the planned step where it has one wording, and the number of steps to
    the first wrong one.
    """
    attempt = draw_attempt(rng)
    if rng.random() < 0.5:
        attempt = replace(attempt, steps=attempt.steps[: rng.randint(1, len(attempt.steps))])
    question, board, steps = attempt.question, attempt.board, attempt.steps
    first_wrong = check(question.text, board, steps).first_wrong or len(steps) + 1
    ids = turn_ids(critic_prompt(question.text, steps=()), dialect.word_ids)[:-1]
    targets = [IGNORED] * len(ids)
    plan = solve(question, board)
    for place, step in enumerate(steps, 1):
        step_ids = [WORD_IDS["\n"], *encode(step, dialect.word_ids)]
        planned = None
        if dialect.has_one_wording:
            planned = encode(plan[place - 1]) if place <= len(plan) else []
        elif place < first_wrong:
            planned = step_ids[1:]
        ids += step_ids
        targets += teach(step_ids, planned, first_wrong - place)
    return attempt, ids, targets


def _next_word_targets(step_ids: Sequence[int], planned: Sequence[int] | None, steps_to_flaw: int) -> list[int]:
    """Return the planned words up to the first that differs; no targets after the first wrong step."""
    targets = [IGNORED] * len(step_ids)
    if steps_to_flaw >= 0 and planned is not None:
        for at, (right, said) in enumerate(zip(planned, step_ids[1:], strict=False)):
            targets[at] = right
            if right != said:
                break
    return targets


def _verdict_targets(
    step_ids: Sequence[int], planned: Sequence[int] | None, steps_to_flaw: int, dialect: Dialect
) -> list[int]:
    """Return, for each word, whether all is right up to it; of a step worded freely, for the last word alone.

    Were there a verdict after each of the many words of prose, the critic's own words would hardly count.
    """
    if not dialect.has_one_wording:
        return [*[IGNORED] * (len(step_ids) - 1), WORD_IDS["right" if steps_to_flaw > 0 else "wrong"]]
    if steps_to_flaw or planned is None:
        return [WORD_IDS["right" if steps_to_flaw > 0 else "wrong"]] * len(step_ids)
    pairs = zip(planned, step_ids[1:], strict=False)
    num_right = next((at for at, (right, said) in enumerate(pairs) if right != said), len(step_ids) - 2)
    return [WORD_IDS["right" if at <= num_right else "wrong"] for at in range(len(step_ids))]


def _row(board: Board, prompt: str, *, said: str, target: str, dialect: Dialect = TERSE) -> TrainingRow:
    """Return a row whose targets are ``target`` and the end; ``said`` begins the assistant's turn without targets."""
    given = [*turn_ids(prompt, dialect.word_ids), *encode(said, dialect.word_ids)]
    words = encode(target, dialect.word_ids)
    return TrainingRow(board, (*given, *words), (*[IGNORED] * (len(given) - 1), *words, _END))


def _slip_place(rng: random.Random, num_steps: int) -> int:
    """Return the number of a step to get wrong, 1-based; mostly one after the three rows, as in real errors."""
    return rng.randint(1, 3) if rng.random() < 0.2 else rng.randint(4, num_steps)


def _perhaps_blurred(rng: random.Random, words: str) -> str:
    """Return the critic's words, in some cases with a wrong or an unclear reason."""
    if rng.random() >= _WRONG_CRITIQUES or ":" not in words:
        return words
    verdict, reason = words.split(" : ", 1)
    if rng.random() < 0.3:
        return f"{verdict} : {UNCLEAR}"
    pieces = reason.split()
    kinds = [kind for kind in (_NUMBERS, COLOURS, SHAPES, CELLS) if set(kind) & set(pieces)]
    if not kinds:
        return f"{verdict} : {UNCLEAR}"
    kind = rng.choice(kinds)
    at = rng.choice([place for place, piece in enumerate(pieces) if piece in kind])
    pieces[at] = rng.choice([word for word in kind if word != pieces[at]])
    return f"{verdict} : {' '.join(pieces)}"
