"""How freely does the prose dialect word a step?

The nats of a wording are the negative logarithm of its probability in the grammar, added up choice by choice; their
mean over drawn solutions is the entropy. Run it as ``python -m bench.prose_entropy``; seconds. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict

import numpy as np

from bench.provenance import print_report
from critic_engine.pocket.oracle import check
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.prose.writer import Wording

NUM_WORDINGS = 64


def main() -> None:
    """Draw solutions and single facts, and print their entropy, length and repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    problems = make_problems(options.split, num=options.num, seed=options.seed)
    rng = random.Random(options.seed)
    nats, num_steps, num_words = 0.0, 0, 0
    by_kind: dict[str, list[float]] = defaultdict(list)
    num_repeated = 0
    for problem in problems:
        wording = Wording(rng)
        steps = wording.steps(problem.plan)
        nats, num_steps = nats + wording.nats, num_steps + len(steps)
        num_words += sum(len(step.split()) + 1 for step in steps)
        for fact in problem.plan:
            wording = Wording(rng)
            said = wording.fact(fact)
            (verdict,) = check(problem.question, problem.board, [said]).verdicts
            by_kind[verdict.kind].append(wording.nats)
        again = {Wording(rng).fact(problem.plan[-2]) for _ in range(NUM_WORDINGS)}
        num_repeated += NUM_WORDINGS - len(again)
    results = {
        "nats_per_step": round(nats / num_steps, 2),
        "words_per_step": round(num_words / num_steps, 2),
        "steps_per_solution": round(num_steps / len(problems), 2),
        "nats_per_fact": {kind: round(float(np.mean(found)), 2) for kind, found in sorted(by_kind.items())},
        "least_nats_of_a_fact": round(min(min(found) for found in by_kind.values()), 2),
        f"share_repeated_of_{NUM_WORDINGS}_wordings": round(num_repeated / (NUM_WORDINGS * len(problems)), 5),
    }
    config = {"split": options.split, "num": options.num, "seed": options.seed}
    print_report("prose_entropy", config=config, results=results)


if __name__ == "__main__":
    main()
