"""The oracle: judges each step, finds the first wrong one, and gives the fact that corrects it.

Each step is read as a subject and a claim about it: ``red : 1 + 0 + 2 = 3`` is about ``red``, ``b2 is none`` about
``b2``. A step in prose may hold several claims, and is right if all are. The right solution holds the subjects that
matter and the true claims about them; order, spacing, repetition and wording do not count. A step about a subject that
the right solution never needs is wrong, for it leads elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from critic_engine.pocket.board import Board
from critic_engine.pocket.prose.reader import MAX_CHARACTERS, facts_of
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.solver import answer_of, solve

KINDS = ("perception", "counting", "arithmetic", "lookup", "moving", "answer")
UNCLEAR = "the step is not clear"

_FORMS = (
    ("answer", re.compile(r"(answer) : (.+)")),
    ("perception", re.compile(r"(row [123]) : (a\d .+ b\d .+ c\d .+)")),
    ("counting", re.compile(r"([a-z]+(?: [a-z]+)?) : (\d+ \+ \d+ \+ \d+ = \d+)")),
    ("arithmetic", re.compile(r"()(\d+ [+-] \d+ = \d+)")),
    ("moving", re.compile(r"((?:up|down|left|right) from [abc][123]) is ([abc][123])")),
    ("lookup", re.compile(r"(the [a-z]+ [a-z]+) is ([abc][123])")),
    ("lookup", re.compile(r"([abc][123]) is (none|[a-z]+ [a-z]+)")),
)


class _Fact(NamedTuple):
    kind: str
    subject: str
    claim: str


@dataclass(frozen=True)
class Verdict:
    """The oracle's verdict on one step."""

    is_right: bool
    kind: str
    """One of `KINDS`: the ability that the step needs."""
    reason: str = ""
    """The fact that corrects a wrong step; empty for a right one."""


@dataclass(frozen=True)
class Judgement:
    """The oracle's judgement of a trajectory, whole or partial."""

    verdicts: tuple[Verdict, ...]
    first_wrong: int | None
    """Number of the first wrong step, 1-based; None when every step is right."""
    answer: str | None
    """The answer that the trajectory gives, None when it gives none."""
    is_answer_right: bool

    @property
    def is_right(self) -> bool:
        """Whether every step is right."""
        return self.first_wrong is None

    @property
    def words(self) -> str:
        """The judgement as the critic words it: ``right``, or ``wrong step K : REASON``."""
        if self.first_wrong is None:
            return "right"
        return f"wrong step {self.first_wrong} : {self.verdicts[self.first_wrong - 1].reason}"


def check(question: str, board: Board, steps: Sequence[str]) -> Judgement:
    """Judge ``steps`` of any dialect; any text is allowed, and a step that cannot be read is wrong."""
    plan = [_read(planned) for planned in solve(read_question(question), board)]
    verdicts: list[Verdict] = []
    answer, num_told = None, 0
    for place, step in enumerate(steps):
        claims = claims_of(step)
        read = [[_read(form) for form in claim] for claim in claims]
        due = plan[min(max(place, num_told), len(plan) - 1)]
        verdicts.append(_judge(plan, due, read))
        for claim in read:
            num_told = next((at for at in range(num_told, len(plan)) if _is_about(plan[at], claim)), num_told - 1) + 1
        answer = next((found for claim in reversed(claims) if (found := answer_of(claim[0])) is not None), answer)
    first_wrong = next((place for place, verdict in enumerate(verdicts, 1) if not verdict.is_right), None)
    return Judgement(tuple(verdicts), first_wrong, answer, answer == plan[-1].claim)


def claims_of(step: str) -> tuple[tuple[str, ...], ...]:
    """Return what ``step`` claims, each claim in all of the solver's forms for it; nothing if it cannot be read."""
    if len(step) > MAX_CHARACTERS:
        return ()
    tidy = " ".join(step.split())
    return ((tidy,),) if _read(tidy).kind else facts_of(step)


def states(text: str, fact: str) -> bool:
    """Return whether ``text`` states ``fact``, a step of the solver or a verdict's reason, in any dialect."""
    return " ".join(text.split()) == fact or any(fact in claim for claim in claims_of(text))


def _judge(plan: Sequence[_Fact], due: _Fact, claims: Sequence[Sequence[_Fact]]) -> Verdict:
    """Return the verdict on a step: right if all of its claims are, else that on its first wrong one."""
    if not claims or not all(claim[0].kind for claim in claims):
        return Verdict(False, due.kind, UNCLEAR)
    verdicts = [_judge_claim(plan, due, claim) for claim in claims]
    return next((verdict for verdict in verdicts if not verdict.is_right), verdicts[-1])


def _judge_claim(plan: Sequence[_Fact], due: _Fact, claim: Sequence[_Fact]) -> Verdict:
    if right := next((form for form in claim if form in plan), None):
        return Verdict(True, right.kind)
    for form in claim:
        if truth := next((fact for fact in plan if _is_about(fact, [form])), None):
            return _correct(form.kind, form.subject, form.claim, truth.claim)
    return _correct(due.kind, due.subject, "", due.claim)


def _is_about(fact: _Fact, claim: Sequence[_Fact]) -> bool:
    return any((form.kind, form.subject) == (fact.kind, fact.subject) for form in claim)


def _correct(kind: str, subject: str, claim: str, truth: str) -> Verdict:
    """Return the verdict on a wrong claim about ``subject``; an empty claim stands for a missing subject."""
    if kind == "perception":
        wrong = [right for right, said in zip(_cells(truth), _cells(claim) or [""] * 3, strict=False) if right != said]
        return Verdict(False, kind, " is ".join((wrong or _cells(truth))[0].split(" ", 1)))
    if kind == "counting" and claim:
        for row, (right, said) in enumerate(zip(_numbers(truth), _numbers(claim), strict=True), 1):
            if right != said and row == 4:
                return Verdict(False, "arithmetic", f"the sum is {right}")
            if right != said:
                return Verdict(False, kind, f"row {row} has {right}")
    if kind == "counting":
        return Verdict(False, kind, f"count {subject}")
    if kind == "answer":
        return Verdict(False, kind, f"the answer is not {claim}" if claim else f"the answer is {truth}")
    return Verdict(False, kind, truth if kind == "arithmetic" else f"{subject} is {truth}")


def _read(step: str) -> _Fact:
    """Return kind, subject and claim of ``step``; three empty texts when it has no known form."""
    for kind, form in _FORMS:
        if match := form.fullmatch(step):
            return _Fact(kind, match[1], match[2])
    return _Fact("", "", "")


def _cells(claim: str) -> list[str]:
    """Split a row's description into ``b2 red circle`` pieces."""
    return re.findall(r"[abc]\d [a-z ]+?(?= [abc]\d|$)", claim)


def _numbers(claim: str) -> list[str]:
    return re.findall(r"\d+", claim)
