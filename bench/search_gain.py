"""What does searching with a critic win over the same generated tokens spent otherwise?

    python -m bench.search_gain --split test --num 1000 --seed 7 --budgets 150 300 --report bench/results/search_gain.md

Writes pocket problems and a file for each variant of a preset, and has ``critic-engine evaluate`` compare the methods:
every preset but ``mmc_collect``, which is told the reference answers. The same command goes on after a stop. Methods
that value nodes by completions get four times as many tokens, in an evaluation of their own. The last line of stdout is
one JSON object.
"""

import argparse
import json
from pathlib import Path

import yaml

from bench.pocket_rows import problem_parser, write_rows
from bench.provenance import print_report, write_report
from critic_engine.cli.main import main as critic_engine
from critic_engine.config.engine import load_config

PRESETS = (
    "greedy", "majority", "best_of_n", "weighted_majority", "critic_v", "mmc", "beam", "dvts", "particle", "guided",
    "mctsr", "llama_berry", "ab_mcts", "mcts",
)  # fmt: skip
"""The presets that get the budgets as they are, or end on their own."""
OF_COMPLETIONS = ("rstar", "lats")
"""The presets that value nodes by completions."""
BUDGET_FACTOR = 4
"""Factor on the budgets of ``OF_COMPLETIONS``."""
VARIANTS = {
    "best_of_n_reward_model": ("best_of_n", "evaluator.kind=reward_model"),
    "weighted_majority_reward_model": ("weighted_majority", "evaluator.kind=reward_model"),
    "critic_v_gated": ("critic_v", "decision.rule=gated"),
    "mmc_best_value": ("mmc", "decision.rule=best_value"),
    "ab_mcts_two_reasoners": ("ab_mcts", "other_reasoners=[{temperature: 1.0}]"),
}
"""Variants worth a row: the preset, and the override that makes it."""


def write_variant(name: str, folder: Path) -> Path:
    """Write a variant as a file, and return its path."""
    preset, change = VARIANTS[name]
    config = load_config(preset, [change])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    return path


def evaluate(args: argparse.Namespace, problems: Path, methods: list[str], budgets: list[int], out: Path) -> Path:
    """Have the methods evaluated, and return the folder of the report.

    Raises:
        SystemExit: the evaluation could not be made.
    """
    words = ["evaluate", str(problems), "--seeds", str(args.seeds), "--out", str(out)]
    words += [word for method in methods for word in ("--method", method)]
    words += [word for budget in budgets for word in ("--budget", str(budget))]
    words += [word for change in args.overrides for word in ("--set", change)]
    (out / "report.json").unlink(missing_ok=True)
    code = critic_engine(words)
    # With a report, another code says that some problems failed, which the report counts.
    if not (out / "report.json").is_file():
        raise SystemExit(code)
    return out


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/search_gain.jsonl")
    names = [*PRESETS, *OF_COMPLETIONS, *VARIANTS]
    parser.add_argument("--budgets", type=int, nargs="+", default=[150, 300], help="generated tokens a problem")
    parser.add_argument("--methods", nargs="+", choices=names, default=names, metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each method")
    parser.add_argument("--out", type=Path, default=Path("runs/search_gain"), help="folder of the evaluations")
    return parser.parse_args()


def main() -> None:
    """Evaluate all methods, and print the reports and the JSON line."""
    args = parse_args()
    problems = write_rows(args)
    plain = [
        str(write_variant(name, args.out / "methods")) if name in VARIANTS else name
        for name in args.methods
        if name not in OF_COMPLETIONS
    ]
    costly = [name for name in args.methods if name in OF_COMPLETIONS]
    folders = []
    if plain:
        folders.append(evaluate(args, problems, plain, args.budgets, args.out / "all"))
    if costly:
        budgets = [BUDGET_FACTOR * budget for budget in args.budgets]
        folders.append(evaluate(args, problems, costly, budgets, args.out / "of_completions"))
    if args.report is not None:
        lines = [line for folder in folders for line in (folder / "report.md").read_text(encoding="utf-8").splitlines()]
        write_report(args.report, "What searching with a critic wins at equal token budgets", lines)
    reports = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in folders]
    results = {method["name"]: method for report in reports for method in report["methods"]}
    print_report("search_gain", config=vars(args), results=results)


if __name__ == "__main__":
    main()
