"""The rule-based error injector and grader of the pocket world; the oracle confirms that each error is wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from critic_engine.errors import ParseError, ProblemError
from critic_engine.parsing.injections import MAX_GRADE, MAX_INJECTED, Injected, InjectedError, ReadGrade, one_line
from critic_engine.pocket.board import Board
from critic_engine.pocket.oracle import Judgement, check, claims_of, states
from critic_engine.pocket.prose.words import SEPARATOR
from critic_engine.pocket.prose.writer import Wording
from critic_engine.pocket.questions import Question, read_question
from critic_engine.pocket.solver import solve, solve_with_slips
from critic_engine.roles.ask_until_readable import Reading
from critic_engine.types import Problem, TokenUsage, Trajectory

_MAX_DRAWS = 100
"""Limit on draws: some slips leave a step true or spoil more than five steps; about four of five draws are usable."""


class SlipInjector:
    """Puts one to five slips into a solution; later steps that build on a slip are wrong too, and are listed."""

    async def inject(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, extras: Mapping[str, object]
    ) -> Reading[Injected]:
        """Return ``trajectory`` with slips in it; the errors are all steps that the oracle calls wrong.

        Args:
            problem: A pocket problem.
            trajectory: A solution whose every step is right.
            seed: The same seed makes the same slips.
            extras: ``board`` is the board, as `Board.code` writes it.

        Raises:
            ProblemError: there is no such board, or the question is not one of the pocket world.
            ParseError: a step is wrong already, or no slips were found that leave one to five steps wrong.
        """
        question, board = _read(problem, extras)
        judgement = check(problem.question, board, trajectory.steps)
        if not judgement.is_right:
            raise ParseError(
                f"the solution is {judgement.words!r}; only a right one can be given errors", text=trajectory.prefix
            )
        rng = random.Random(seed)
        for _ in range(_MAX_DRAWS):
            slipped = _slipped(question, board, trajectory.steps, rng)
            errors = _errors(check(problem.question, board, slipped))
            if 1 <= len(errors) <= MAX_INJECTED:
                return Reading(Injected(_with_errors(trajectory.steps, slipped, errors), errors), TokenUsage())
        raise ParseError(
            f"no slips in {_MAX_DRAWS} draws leave 1 to {MAX_INJECTED} wrong steps in this solution",
            text=trajectory.prefix,
        )


class FactGrader:
    """Grades by rule: an error is found if its step is named, and found well if the correct fact is given too."""

    async def grade(
        self,
        problem: Problem,
        trajectory: Trajectory,
        *,
        errors: tuple[InjectedError, ...],
        found: tuple[InjectedError, ...],
        seed: int,
    ) -> Reading[ReadGrade]:
        """Return the number of steps named, and ten times the share of ``found`` with the correct fact, rounded."""
        facts = {error.step: error.description for error in errors}
        by_step = {each.step: each.description for each in found if each.step in facts}
        num_facts = sum(states(description, facts[step]) for step, description in by_step.items())
        grade = round(MAX_GRADE * num_facts / len(found)) if found else 0
        return Reading(ReadGrade(num_matched=len(by_step), grade=grade), TokenUsage())


def _read(problem: Problem, extras: Mapping[str, object]) -> tuple[Question, Board]:
    code = extras.get("board")
    if not isinstance(code, str):
        raise ProblemError("the problem has no 'board'; take problems that `critic-engine pocket make` wrote")
    try:
        return read_question(problem.question), Board.from_code(code)
    except ValueError as error:
        raise ProblemError(f"the problem is none of the pocket world: {error}") from error


def _slipped(question: Question, board: Board, steps: Sequence[str], rng: random.Random) -> tuple[str, ...]:
    """Return ``steps``, in their own order, each replaced by what a solver that slips says in its place."""
    plan = solve(question, board)
    slips = rng.sample(range(1, len(plan) + 1), rng.randint(1, min(MAX_INJECTED, len(plan))))
    slipped = solve_with_slips(question, board, slips=slips, rng=rng)
    said = dict(zip(plan, slipped, strict=True))
    return tuple(said.get(one_line(step)) or _in_prose(step, said, rng) for step in steps)


def _in_prose(step: str, said: Mapping[str, str], rng: random.Random) -> str:
    """Return ``step``, worded anew if it is prose and any of its facts is ``said`` otherwise."""
    facts = [fact for claim in claims_of(step) for fact in claim if fact in said]
    if all(said[fact] == fact for fact in facts):
        return step
    return f" {SEPARATOR} ".join(Wording(rng).fact(said[fact]) for fact in facts)


def _errors(judgement: Judgement) -> tuple[InjectedError, ...]:
    verdicts = enumerate(judgement.verdicts, 1)
    return tuple(InjectedError(number, verdict.reason) for number, verdict in verdicts if not verdict.is_right)


def _with_errors(steps: Sequence[str], slipped: Sequence[str], errors: Sequence[InjectedError]) -> tuple[str, ...]:
    """Return ``steps`` with the wrong steps of ``slipped`` alone; a slip can also turn a step into a true one."""
    wrong = {error.step for error in errors}
    pairs = enumerate(zip(steps, slipped, strict=True), 1)
    return tuple(new if number in wrong else old for number, (old, new) in pairs)
