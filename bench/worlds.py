"""Does our default hold where models speak freely and critics err?

    python -m bench.worlds --split dev --num 200 --jobs 2
    python -m bench.worlds --regimes "12 steps" --budgets 8 --method mine=mcts+strategy.max_proposals=2 --ours mine
    python -m bench.worlds --split dev test --num 1000 --seeds 3 --rule best --report bench/results/worlds.md

Simulated problems without models: a reasoner that draws right and wrong claims in its own words, and a critic that
errs, each as ``--list`` shows. The searches are those of the package, over its presets, at equal generated tokens of
reasoner and critic; a budget is a multiple of the reasoner's tokens for one whole solution. The request that crosses
the budget is the last, and a beginning that is left is completed beyond it. Each method answers by its own rule and by
the votes that all get. The last line of stdout is one JSON object.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.provenance import print_report, write_report
from bench.world_models.cells import RULES, Cell, Task
from bench.world_models.kept_cells import KeptCells
from bench.world_models.methods import METHODS, Method, parse_method
from bench.world_models.regimes import REGIMES, Regime
from bench.world_models.report import (
    best_rules,
    compare,
    comparison_table,
    league,
    regime_table,
    results,
    summary,
    table,
)
from critic_engine.errors import ConfigError

SHORT_RULES = {"own": "own", "plain": "plain", "value": "value", "both": "value x probability", "best": "best"}


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--split", dest="splits", nargs="+", choices=("dev", "test"), default=["dev"],
        help="tune on dev, report dev and test; the rules of --rule best are chosen on the first",
    )  # fmt: skip
    parser.add_argument("--num", type=int, default=200, help="problems a regime")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each method, with the seeds 0, 1, …")
    parser.add_argument("--budgets", type=float, nargs="+", default=[4, 8, 16], help="in whole solutions")
    parser.add_argument("--regimes", nargs="+", default=[], metavar="WORDS", help="only those with these in their name")
    parser.add_argument("--methods", nargs="*", metavar="METHOD", help="replace the table's methods by these")
    parser.add_argument(
        "--method", action="append", default=[], metavar="[NAME=]PRESET|FILE[+section.field=value]…",
        help="add a method; repeat it. world.merge=claims makes siblings of one meaning one node",
    )  # fmt: skip
    parser.add_argument(
        "--ours", nargs="+", default=[METHODS[0].name, METHODS[1].name], metavar="METHOD",
        help="the methods that are held to the others",
    )  # fmt: skip
    parser.add_argument("--rule", choices=list(SHORT_RULES), default="own", help="by which all methods answer")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--keep",
        type=Path,
        help="keep cells in this file, and run none that is in it; name another after changing code",
    )
    parser.add_argument("--report", type=Path, help="write the tables and their command to this Markdown file")
    parser.add_argument("--list", action="store_true", help="print the regimes and end")
    args = parser.parse_args()
    args.splits = list(dict.fromkeys(args.splits))
    return args


def chosen_regimes(words: Sequence[str]) -> list[Regime]:
    """Return the regimes whose names hold one of ``words``; all without words."""
    found = [regime for regime in REGIMES if not words or any(word in regime.name for word in words)]
    if not found:
        raise SystemExit(f"no regime is called like {', '.join(words)}; --list shows them")
    return found


def chosen_methods(args: argparse.Namespace) -> list[Method]:
    """Return the methods to run, each checked."""
    names = [method.name for method in METHODS] if args.methods is None else args.methods
    methods = list({method.name: method for method in map(parse_method, [*names, *args.method])}.values())
    for method in methods:
        try:
            method.config(max_tokens=1, seed=0)
        except ConfigError as error:
            raise SystemExit(f"{method.name}: {error}") from error
    return methods


def run(args: argparse.Namespace, regimes: Sequence[Regime], methods: Sequence[Method]) -> list[Cell]:
    """Return all cells, and say how far they are."""
    tasks = [
        Task(regime, method, budget, args.num, args.seeds, split)
        for split in args.splits
        for regime in regimes
        for budget in dict.fromkeys(args.budgets)
        for method in methods
    ]
    cells = []
    start_s = time.monotonic()
    for number, cell in enumerate(KeptCells(args.keep).run(tasks, num_jobs=args.jobs), 1):
        cells.append(cell)
        shares = ", ".join(f"{rule} {100 * cell.accuracy(rule):.1f}" for rule in RULES)
        place = f"[{number}/{len(tasks)}, {time.monotonic() - start_s:.0f} s]"
        text = f"{cell.regime} @{cell.budget:g} {cell.method}: {shares}; finished {100 * cell.finished:.0f} %"
        print(place, text, file=sys.stderr, flush=True)
    return cells


def main() -> None:
    """Run the grid, and print the tables and the JSON line."""
    args = parse_args()
    regimes = chosen_regimes(args.regimes)
    if args.list:
        print("\n".join(regime_table(regimes)))
        return
    methods = chosen_methods(args)
    cells = run(args, regimes, methods)
    chosen_on = [cell for cell in cells if cell.split == args.splits[0]]
    rules = best_rules(chosen_on, SHORT_RULES[args.rule])
    found = {
        f"{split}: {ours}": compare([cell for cell in cells if cell.split == split], ours=ours, rules=rules)
        for split in args.splits
        for ours in args.ours
    }
    lines = [f"- {summary(compared, ours=name)}" for name, compared in found.items()]
    num_summaries = len(lines)
    lines += [
        "",
        "Each method answers by this rule: " + ", ".join(f"{name} {rule}" for name, rule in rules.items()) + ".",
    ]
    for name, compared in found.items():
        lines += ["", f"## {name} beside the best rival, losses first", "", *comparison_table(compared, rules)]
    for split in args.splits:
        means = league([cell for cell in cells if cell.split == split])
        lines += ["", f"## {split}: means over the regimes", "", *means]
    print("\n".join([*lines, "", *lines[:num_summaries]]))
    if args.report is not None:
        every = ["", "## The regimes", "", *regime_table(regimes), "", "## Every cell", "", *table(cells, rules)]
        write_report(args.report, "Searches in simulated worlds", [*lines, *every])
    print_report("worlds", config=vars(args), results=results(cells, found, rules))


if __name__ == "__main__":
    main()
