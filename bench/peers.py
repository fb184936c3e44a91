"""Are our searches as good as those of treequest and its_hub, with the same models and tokens?

    python -m bench.peers --split test --num 1000 --seeds 3 --budgets 100 200 400 --task pocket \
        --report bench/results/peers.md --outcomes runs/peers.jsonl

Needs the packages ``treequest`` and ``its_hub`` beside ours, and ``reasoning_gym`` for the task of that name. All
methods ask the same reasoner and critic, through the same prompts, about the same problems. The tokens that both
generate are counted at the generators, and the request that crosses the budget ends a method; if it has finished no
solution by then, its best beginning is completed. Each method answers by its own rule and by two votes that all get.
Peers draw from the global random generators of Python and numpy, seeded for each row: with several problems in flight
their order, and so their draws, may differ between runs. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.peer_methods.methods import ALL_METHODS, METHODS, Method, check_installed, with_budget
from bench.peer_methods.outcomes import RULES, Outcome, OutcomesFile
from bench.peer_methods.report import comparisons, results, table
from bench.peer_methods.sessions import Models, Session, load_models
from bench.peer_methods.tasks import Case, gym_cases, pocket_cases
from bench.peer_methods.votes import vote_by_value, vote_by_value_and_probability
from bench.provenance import commit, print_report, write_report
from critic_engine.concurrency import gather_or_cancel
from critic_engine.errors import ConfigError
from critic_engine.parsing.answers import AnswerClasses
from critic_engine.seeds import derive_seed

PROBLEMS_IN_FLIGHT = 256


async def answer(
    name: str, case: Case, number: int, *, budget: int, seed: int, models: Models, overrides: Sequence[str]
) -> Outcome:
    """Return what comes of the problem ``number``."""
    method = ALL_METHODS[name]
    config = with_budget(method, budget=budget, seed=seed, overrides=overrides)
    session = Session(case.problem, models, budget, seed, config)
    chosen = await method.search(session)
    answers = {"own": chosen, **votes(method, session, chosen)}
    grades = {rule: False if given is None else case.is_right(given) for rule, given in answers.items()}
    # The chosen answer may be that of a beginning which was completed at the end.
    found = {each for each in (chosen, *(solution.answer for solution in session.solutions)) if each is not None}
    count = session.count
    return Outcome(
        method=name,
        budget=budget,
        seed=seed,
        problem=number,
        answers=answers,
        is_right=grades,
        was_found=any(case.is_right(each) is True for each in found),
        num_solutions=len(session.solutions),
        num_tokens=count.num_tokens,
        num_critic_tokens=count.num_critic_tokens,
        num_prompt_tokens=count.num_prompt_tokens,
        num_failed=count.num_failed,
        num_unreadable=count.num_unreadable,
    )


def votes(method: Method, session: Session, chosen: str | None) -> dict[str, str | None]:
    """Return the answers by the votes that all methods get; ``chosen`` where no solution has an answer."""
    if not method.is_valued:
        return {}
    key = AnswerClasses(session.problem.question, session.problem.choices).key
    by_value = vote_by_value(session.solutions, key)
    by_both = vote_by_value_and_probability(session.solutions, key)
    return {
        "value": chosen if by_value is None else by_value,
        "value x probability": chosen if by_both is None else by_both,
    }


async def run_all(args: argparse.Namespace, cases: Sequence[Case], file: OutcomesFile, models: Models) -> list[Outcome]:
    """Return every outcome, those that the file keeps included; whole rows are added to it as they end."""
    outcomes = []
    await models.load()
    for seed in range(args.seeds):
        for budget in args.budgets:
            for name in args.methods:
                start_s = time.monotonic()
                row = await run_row(name, budget, seed, cases, file, models, args.overrides)
                outcomes += row
                seconds = time.monotonic() - start_s
                tokens = sum(each.num_tokens for each in row) / len(row)
                shares = ", ".join(
                    f"{rule} {100 * sum(each.is_right[rule] is True for each in row) / len(row):.1f}"
                    for rule in RULES
                    if rule in row[0].is_right
                )
                text = f"{name} @{budget} seed {seed}: {shares}; {tokens:.0f} tokens, {seconds:.0f} s"
                print(text, file=sys.stderr, flush=True)
    return outcomes


async def run_row(
    name: str,
    budget: int,
    seed: int,
    cases: Sequence[Case],
    file: OutcomesFile,
    models: Models,
    overrides: Sequence[str],
) -> list[Outcome]:
    """Return the outcomes of one method, budget and seed over all problems, many in flight."""
    kept = [file.find(name, budget, seed, number) for number in range(len(cases))]
    draws = derive_seed(seed, name, budget)
    random.seed(draws)
    np.random.seed(draws % 2**32)
    free = asyncio.Semaphore(PROBLEMS_IN_FLIGHT)

    async def one(number: int) -> Outcome:
        known = kept[number]
        if known is not None:
            return known
        async with free:
            outcome = await answer(
                name, cases[number], number, budget=budget, seed=seed, models=models, overrides=overrides
            )
        file.add([outcome])
        return outcome

    return await gather_or_cancel(one(number) for number in range(len(cases)))


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("pocket", "reasoning-gym"), default="pocket")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev", help="tune on dev, report test")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--problem-seed", type=int, default=7, help="of the problems")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method, with the seeds 0, 1, …")
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 200, 400], help="generated tokens a problem")
    parser.add_argument("--methods", nargs="+", choices=ALL_METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--model", help="folder of a model to reason and to judge with, in place of the pocket pair")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.field=value, all rows")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers"), help="where problems are written")
    parser.add_argument("--outcomes", type=Path, help="keep outcomes in this file, and run none that is in it")
    parser.add_argument("--report", type=Path, help="write the tables and their command to this Markdown file")
    args = parser.parse_args()
    if args.task == "reasoning-gym" and args.model is None:
        parser.error("--task reasoning-gym needs --model FOLDER: the pocket pair reads boards only")
    if args.model is not None:
        args.overrides = [f"reasoner.model={args.model}", f"critic.model={args.model}", *args.overrides]
    return args


def main() -> None:
    """Run all methods, and print the tables and the JSON line."""
    args = parse_args()
    check_installed(args.methods, args.task)
    for name in args.methods:
        try:
            with_budget(ALL_METHODS[name], budget=args.budgets[0], seed=0, overrides=args.overrides)
        except ConfigError as error:
            raise SystemExit(f"{name}: {error}") from error
    if args.task == "pocket":
        cases = pocket_cases(args.folder, split=args.split, num=args.num, seed=args.problem_seed)
    else:
        cases = gym_cases(split=args.split, num=args.num, seed=args.problem_seed)
    settings = {
        "commit": commit(), "task": args.task, "split": args.split, "num": args.num, "problem_seed": args.problem_seed,
        "set": args.overrides,
    }  # fmt: skip
    file = OutcomesFile(args.outcomes, settings)
    outcomes = asyncio.run(_run(args, cases, file))
    lines = [*comparisons(outcomes, ALL_METHODS, seed=args.problem_seed), *table(outcomes, ALL_METHODS)]
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "Our searches beside those of treequest and its_hub", lines)
    print_report("peers", config=vars(args), results=results(outcomes))


async def _run(args: argparse.Namespace, cases: Sequence[Case], file: OutcomesFile) -> list[Outcome]:
    models = load_models(tuple(args.overrides))
    try:
        return await run_all(args, cases, file, models)
    finally:
        await models.aclose()


if __name__ == "__main__":
    main()
