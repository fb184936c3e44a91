"""Figures of the pocket models: accuracy of the reasoner, quality of the critic's values and words."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from critic_engine.pocket.oracle import Judgement, states
from critic_engine.pocket.problems import PocketProblem
from critic_engine.pocket.prompts import critic_prompt, rewrite_prompt
from critic_engine.pocket.training.generation import PocketRequest, generate_texts, next_word_log_probs
from critic_engine.pocket.vocabulary import WORD_IDS
from critic_engine.statistics.intervals import auroc

Solutions = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class ReasonerScores:
    """Scores of a reasoner; each is a share in [0, 1]."""

    answers: float
    """Share of right answers."""
    solutions: float
    """Share of right answers with every step right."""
    first_wrong: dict[str, float]
    """Share of all problems whose first wrong step is of each kind."""
    by_family: dict[str, float]
    """Share of right answers in each question family."""


@dataclass(frozen=True)
class CriticScores:
    """Agreement of the critic's values and words with the oracle."""

    auroc_steps: float
    """AUROC of the value for "every step is right"; 0.5 is chance, NaN when all are alike."""
    auroc_answer: float
    """AUROC of the value for "the answer is right"; NaN when all are alike."""
    named: float
    """Share of the wrong trajectories whose first wrong step the words name."""
    explained: float
    """Share of the wrong trajectories whose words say what the oracle's do, reason included."""
    mean_value_right: float
    mean_value_wrong: float
    calibration_error: float
    """Mean gap between value and share of right trajectories, over ten bins of equal width, weighted by their size."""


def solve_all(model: Any, problems: Sequence[PocketProblem], *, temperature: float, seed: int) -> list[tuple[str, ...]]:
    """Return one solution a problem; greedy at temperature 0."""
    requests = [PocketRequest(problem.board, problem.question) for problem in problems]
    return [tuple(reply.split("\n")) for reply in generate_texts(model, requests, temperature=temperature, seed=seed)]


def judge_all(problems: Sequence[PocketProblem], solutions: Solutions) -> list[Judgement]:
    """Return the oracle's judgement of each solution."""
    return [problem.check(steps) for problem, steps in zip(problems, solutions, strict=True)]


def reasoner_scores(problems: Sequence[PocketProblem], solutions: Solutions) -> ReasonerScores:
    """Return the scores of one solution a problem."""
    families, right_families, firsts = Counter[str](), Counter[str](), Counter[str]()
    judgements = judge_all(problems, solutions)
    for problem, judgement in zip(problems, judgements, strict=True):
        families[problem.family] += 1
        right_families[problem.family] += judgement.is_answer_right
        if judgement.first_wrong is not None:
            firsts[judgement.verdicts[judgement.first_wrong - 1].kind] += 1
    num = len(problems)
    return ReasonerScores(
        answers=sum(judgement.is_answer_right for judgement in judgements) / num,
        solutions=sum(judgement.is_answer_right and judgement.is_right for judgement in judgements) / num,
        first_wrong={kind: round(count / num, 3) for kind, count in firsts.most_common()},
        by_family={family: round(right_families[family] / families[family], 3) for family in sorted(families)},
    )


def rewrite_all(
    model: Any, problems: Sequence[PocketProblem], solutions: Solutions, critiques: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return the reasoner's greedy rewrites of ``solutions``, given one critique each."""
    requests = [
        PocketRequest(problem.board, rewrite_prompt(problem.question, steps=steps, critique=critique))
        for problem, steps, critique in zip(problems, solutions, critiques, strict=True)
    ]
    return [tuple(reply.split("\n")) for reply in generate_texts(model, requests, temperature=0.0, seed=0)]


def critic_values(model: Any, problems: Sequence[PocketProblem], solutions: Solutions) -> list[float]:
    """Return P(right) / (P(right) + P(wrong)) at the first word of the critic's reply."""
    log_probs = next_word_log_probs(model, _critic_requests(problems, solutions))
    right, wrong = (np.exp(log_probs[:, WORD_IDS[word]]) for word in ("right", "wrong"))
    return [float(value) for value in right / (right + wrong)]


def critic_words(model: Any, problems: Sequence[PocketProblem], solutions: Solutions) -> list[str]:
    """Return the critic's greedy replies."""
    return generate_texts(model, _critic_requests(problems, solutions), temperature=0.0, seed=0, max_words=32)


def critic_scores(model: Any, problems: Sequence[PocketProblem], solutions: Solutions) -> CriticScores:
    """Return the critic's scores on one trajectory a problem, whole or partial."""
    judgements = judge_all(problems, solutions)
    values, words = critic_values(model, problems, solutions), critic_words(model, problems, solutions)
    wrong = [(judgement, said) for judgement, said in zip(judgements, words, strict=True) if not judgement.is_right]
    are_right = [judgement.is_right for judgement in judgements]
    return CriticScores(
        auroc_steps=auroc(values, are_right),
        auroc_answer=auroc(values, [judgement.is_answer_right for judgement in judgements]),
        named=_mean([said.split()[:3] == judgement.words.split()[:3] for judgement, said in wrong]),
        explained=_mean([_means_the_same(said, judgement.words) for judgement, said in wrong]),
        mean_value_right=_mean([value for value, is_right in zip(values, are_right, strict=True) if is_right]),
        mean_value_wrong=_mean([value for value, is_right in zip(values, are_right, strict=True) if not is_right]),
        calibration_error=calibration_error(values, are_right),
    )


def partial(solutions: Solutions, seed: int) -> list[tuple[str, ...]]:
    """Return a beginning of each solution, at least one step and not the whole where it has two."""
    rng = random.Random(f"partial:{seed}")
    return [steps[: rng.randint(1, max(1, len(steps) - 1))] for steps in solutions]


def calibration_error(values: Sequence[float], are_right: Sequence[bool]) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    scores, right = np.asarray(values), np.asarray(are_right, dtype=float)
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [abs(scores[bins == place].sum() - right[bins == place].sum()) for place in range(10)]
    return float(sum(gaps) / len(scores))


def _critic_requests(problems: Sequence[PocketProblem], solutions: Solutions) -> list[PocketRequest]:
    return [
        PocketRequest(problem.board, critic_prompt(problem.question, steps=steps))
        for problem, steps in zip(problems, solutions, strict=True)
    ]


def _means_the_same(said: str, words: str) -> bool:
    (verdict, _, reason), (right_verdict, _, right_reason) = said.partition(" : "), words.partition(" : ")
    return verdict == right_verdict and states(reason, right_reason)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
