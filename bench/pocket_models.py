"""What can the shipped pocket reasoner and critic do on problems they were not trained on?

Run it as ``python -m bench.pocket_models``, for the pair that words freely with ``--pair pocket:prose``; about five
minutes on one core. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from bench.provenance import print_report
from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.config.models import SHIPPED_MODELS
from critic_engine.pocket.problems import PocketProblem, make_problems
from critic_engine.pocket.training.generation import dialect_of
from critic_engine.pocket.training.metrics import (
    Solutions,
    critic_scores,
    critic_words,
    judge_all,
    partial,
    reasoner_scores,
    rewrite_all,
    solve_all,
)
from critic_engine.pocket.training.training_rows import worded
from critic_engine.statistics.intervals import share

SEEDS = {"problems": 7, "sampling": 70, "partial": 700}
NUM_TRIES = 8


def main() -> None:
    """Measure both models and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="test")
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--pair", choices=SHIPPED_MODELS, default=SHIPPED_MODELS[0], help="the shipped pair")
    parser.add_argument("--reasoner", type=Path, help="another checkpoint")
    parser.add_argument("--critic", type=Path, help="another checkpoint")
    options = parser.parse_args()
    reasoner, critic = (
        transformers.AutoModelForImageTextToText.from_pretrained(folder)
        for folder in (
            options.reasoner or pocket_folder("reasoner", options.pair),
            options.critic or pocket_folder("critic", options.pair),
        )
    )
    problems = make_problems(options.split, num=options.num, seed=SEEDS["problems"])
    begin_s = time.monotonic()
    results: dict[str, Any] = {
        "reasoner": measure_reasoner(reasoner, critic, problems),
        "critic": measure_critic(reasoner, critic, problems),
        "num_parameters": {
            name: sum(weight.numel() for weight in model.parameters())
            for name, model in (("reasoner", reasoner), ("critic", critic))
        },
    }
    results["wall_s"] = round(time.monotonic() - begin_s)
    config = {"pair": options.pair, "split": options.split, "num": options.num, "num_tries": NUM_TRIES, "seeds": SEEDS}
    print_report("pocket_models", config=config, results=_rounded(results))


def measure_reasoner(reasoner: Any, critic: Any, problems: Sequence[PocketProblem]) -> dict[str, Any]:
    """Return the reasoner's figures: greedy, in eight tries, and after a rewrite of its wrong solutions."""
    greedy = solve_all(reasoner, problems, temperature=0.0, seed=0)
    scores = reasoner_scores(problems, greedy)
    tries = [
        [judgement.is_answer_right for judgement in judge_all(problems, _sampled(reasoner, problems, 0.8, number))]
        for number in range(NUM_TRIES)
    ]
    shares = np.asarray(tries).mean(axis=1)
    return {
        "greedy": asdict(scores),
        "greedy_answers_interval_95": asdict(share(round(scores.answers * len(problems)), len(problems))),
        "sampled_answers_T0.8": {"mean": shares.mean(), "sd": shares.std(ddof=1)},
        f"pass_at_{NUM_TRIES}_T0.8": np.asarray(tries).any(axis=0).mean(),
        "answers_after_one_rewrite_of_greedy": _measure_rewrites(reasoner, critic, problems, greedy),
    }


def measure_critic(reasoner: Any, critic: Any, problems: Sequence[PocketProblem]) -> dict[str, Any]:
    """Return the critic's figures on one sampled solution a problem, whole and partial."""
    solutions = _sampled(reasoner, problems, 0.7, NUM_TRIES)
    by_step = {}
    for num_steps in range(1, 8):
        longer = [place for place, steps in enumerate(solutions) if len(steps) > num_steps]
        beginnings = [solutions[place][:num_steps] for place in longer]
        by_step[num_steps] = asdict(critic_scores(critic, [problems[place] for place in longer], beginnings))
    parts = partial(solutions, seed=SEEDS["partial"])
    return {
        "right_solutions": np.mean([judgement.is_right for judgement in judge_all(problems, solutions)]),
        "whole": asdict(critic_scores(critic, problems, solutions)),
        "partial": asdict(critic_scores(critic, problems, parts)),
        "partial_by_num_steps": by_step,
    }


def _measure_rewrites(
    reasoner: Any, critic: Any, problems: Sequence[PocketProblem], greedy: Solutions
) -> dict[str, float]:
    """Return the share of solutions that are right after one rewrite, by the source of the critique."""
    judgements = judge_all(problems, greedy)

    def share_after(places: Sequence[int], critiques: Sequence[str]) -> float:
        chosen, solutions = [problems[place] for place in places], [greedy[place] for place in places]
        after = judge_all(chosen, rewrite_all(reasoner, chosen, solutions, critiques))
        return float(np.mean([judgement.is_answer_right for judgement in after]))

    wrong = [place for place, judgement in enumerate(judgements) if not judgement.is_answer_right]
    right = [place for place, judgement in enumerate(judgements) if judgement.is_answer_right and judgement.is_right]
    said = critic_words(critic, problems, greedy)
    rng, dialect = random.Random(SEEDS["sampling"]), dialect_of(reasoner)
    told = [worded(rng, judgements[place].words, dialect) for place in wrong]
    return {
        "wrong, told by the oracle": share_after(wrong, told),
        "wrong, told by the critic": share_after(wrong, [said[place] for place in wrong]),
        "wrong, told that it is right": share_after(wrong, ["right"] * len(wrong)),
        "right, told by the critic": share_after(right, [said[place] for place in right]),
    }


def _sampled(model: Any, problems: Sequence[PocketProblem], temperature: float, number: int) -> list[tuple[str, ...]]:
    return solve_all(model, problems, temperature=temperature, seed=SEEDS["sampling"] + number)


def _rounded(value: Any) -> Any:
    """Return ``value`` with four decimals and None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else round(float(value), 4)
    return value


if __name__ == "__main__":
    main()
